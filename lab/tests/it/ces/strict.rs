//! The agent refuses what Google refuses, one row for each rule, over both transports.

use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use serde_json::{Value, json};

use super::client::{APP, BOTH, Client, ID, Say, Transport, World, config, opening, pause};
use super::got::{Ended, Got};

const SCRIPT: &str = "[ces]\ndeployments = [\"live\"]\n[start]\nsay = \"hello\"\n";

fn with(change: impl FnOnce(&mut ces::SessionConfig)) -> Vec<Say> {
    let mut config = config();
    change(&mut config);
    vec![Say::Config(Box::new(config))]
}

fn session(name: &str) -> Vec<Say> {
    with(|config| config.session = name.to_owned())
}

fn input(encoding: i32, rate: i32) -> Vec<Say> {
    with(|config| {
        let audio = config.input_audio_config.as_mut().unwrap();
        (audio.audio_encoding, audio.sample_rate_hertz) = (encoding, rate);
    })
}

fn output(encoding: i32, rate: i32) -> Vec<Say> {
    let audio = ces::OutputAudioConfig { audio_encoding: encoding, sample_rate_hertz: rate };
    with(|config| config.output_audio_config = Some(audio))
}

fn then(say: Say) -> Vec<Say> {
    vec![opening(), say]
}

fn no_audio() -> Vec<Say> {
    with(|config| (config.input_audio_config, config.output_audio_config) = (None, None))
}

fn in_linear16(audio: Vec<u8>) -> Vec<Say> {
    [input(1, 16_000), vec![Say::Audio(audio)]].concat()
}

/// What the agent refuses as `INVALID_ARGUMENT`, and a word of the reason.
fn invalid() -> Vec<(&'static str, Vec<Say>)> {
    let tool = |id: &str| Say::Tool(id.to_owned(), format!("{APP}/tools/t"), json!({ "output": 1 }));
    vec![
        ("first message", vec![Say::Event("session_start")]),
        ("Only the first", then(opening())),
        ("config.session", session("")),
        ("config.session", session("projects/p/agent/sessions/12345")),
        ("config.session", session(&format!("projects/p/locations/us/agents/a/sessions/{ID}"))),
        ("config.session", session(&format!("{APP}/deployments/live/sessions/{ID}"))),
        ("config.session", session(&format!("projects//locations/us/apps/a/sessions/{ID}"))),
        ("id must be", session(&format!("{APP}/sessions/1234"))),
        ("id must be", session(&format!("{APP}/sessions/{}", "1".repeat(64)))),
        ("id must be", session(&format!("{APP}/sessions/-2345"))),
        ("id must be", session(&format!("{APP}/sessions/12345+6"))),
        ("config.deployment", with(|config| config.deployment = "live".to_owned())),
        (
            "config.deployment",
            with(|config| config.deployment = "projects/p/locations/us/apps/b/deployments/live".to_owned()),
        ),
        ("config.deployment", with(|config| config.deployment = format!("{APP}/deployments/"))),
        (
            "config.entry_agent",
            with(|config| config.entry_agent = "projects/p/locations/us/apps/b/agents/x".to_owned()),
        ),
        ("input_audio_config", with(|config| config.input_audio_config = None)),
        ("output_audio_config", with(|config| config.output_audio_config = None)),
        ("input_audio_config.audio_encoding", input(0, 8000)),
        ("input_audio_config.sample_rate_hertz", input(2, 0)),
        ("input_audio_config.sample_rate_hertz", input(2, 16_000)),
        ("input_audio_config.sample_rate_hertz", input(1, 44_100)),
        ("output_audio_config.audio_encoding", output(0, 8000)),
        ("output_audio_config.sample_rate_hertz", output(1, 0)),
        ("output_audio_config.sample_rate_hertz", output(2, 24_000)),
        ("output_audio_config.sample_rate_hertz", output(1, 22_050)),
        (
            "noise_suppression",
            with(|config| config.input_audio_config.as_mut().unwrap().noise_suppression_level = "most".to_owned()),
        ),
        ("Audio needs", [no_audio(), vec![Say::Audio(vec![0xFF; 800])]].concat()),
        ("half a sample", in_linear16(vec![0; 801])),
        ("audio", then(Say::Audio(Vec::new()))),
        ("text", then(Say::Text(""))),
        ("event", then(Say::Event(""))),
        ("dtmf", then(Say::Digits(""))),
        ("dtmf", then(Say::Digits("12a"))),
        ("dtmf", then(Say::Digits("E"))),
        ("answers no tool_call", then(tool("call-1"))),
    ]
}

async fn ended(world: &World, transport: Transport, says: Vec<Say>) -> Client {
    let mut client = world.connect(transport, "us", &[]).await;
    for say in says {
        client.say(say).await;
    }
    pause(200).await;
    client
}

fn check(name: &str, ended: &Option<Ended>, code: tonic::Code, close: u16) {
    match ended {
        Some(Ended::Grpc(is, told)) => {
            assert_eq!(*is, code, "{name}: {told}");
            assert!(told.contains(name), "{name}: {told}");
        }
        Some(Ended::Closed(is, told)) => {
            assert_eq!(*is, close, "{name}: {told}");
            assert!(told.starts_with("[ORIGINAL ERROR] generic::") && told.len() <= 123, "{name}: {told}");
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_google_refuses_is_refused_and_recorded() {
    for transport in BOTH {
        for (name, says) in invalid() {
            let world = World::new(SCRIPT);
            let client = ended(&world, transport, says).await;
            check(name, &client.ended(), tonic::Code::InvalidArgument, 1007);
            let refused = world.agent.record().streams(ID).pop().and_then(|stream| stream.refused);
            let told = refused.or_else(|| world.agent.record().refusals().pop()).unwrap_or_default();
            assert!(told.contains(name), "{name} is recorded as {told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_there_is_not_is_not_found() {
    for transport in BOTH {
        let says = with(|config| config.deployment = format!("{APP}/deployments/old"));
        let client = ended(&World::new(SCRIPT), transport, says).await;
        check("deployment", &client.ended(), tonic::Code::NotFound, 1008);
    }
}

#[tokio::test(start_paused = true)]
async fn what_google_takes_is_taken() {
    let taken = [
        session(&format!("{APP}/sessions/abc-_")),
        session(&format!("{APP}/sessions/{}", "1".repeat(63))),
        with(|config| config.deployment = format!("{APP}/deployments/live")),
        with(|config| config.entry_agent = format!("{APP}/agents/x")),
        then(Say::Digits("0123456789*#ABCD")),
        then(Say::Variables(json!({}))),
        in_linear16(vec![0; 3_200]),
        no_audio(),
    ];
    for transport in BOTH {
        for says in taken.clone() {
            let client = ended(&World::new(SCRIPT), transport, says.clone()).await;
            assert_eq!(client.ended(), None, "{says:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_one_digit_is_taken_or_refused() {
    for transport in BOTH {
        for (digits, is_refused) in [("1", false), ("12", true)] {
            let world = World::new("[ces]\ndigits = \"one\"");
            let client = ended(&world, transport, then(Say::Digits(digits))).await;
            assert_eq!(client.ended().is_some(), is_refused);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_without_content_are_refused() {
    let empty = ces::BidiSessionClientMessage::default();
    let input = |of: ces::SessionInput| ces::BidiSessionClientMessage {
        message_type: Some(ces::bidi_session_client_message::MessageType::RealtimeInput(of)),
    };
    let flag = input(ces::SessionInput { will_continue: true, ..Default::default() });
    let no_answers = input(ces::SessionInput {
        input_type: Some(ces::session_input::InputType::ToolResponses(ces::ToolResponses::default())),
        ..Default::default()
    });
    let nameless = ces::ToolResponse { id: "call-1".to_owned(), ..Default::default() };
    let nameless = input(ces::SessionInput {
        input_type: Some(ces::session_input::InputType::ToolResponses(ces::ToolResponses {
            tool_responses: vec![nameless],
        })),
        ..Default::default()
    });
    let rows = [
        ("neither", empty, json!({})),
        ("has no input", flag, json!({ "realtimeInput": { "willContinue": true } })),
        ("empty", no_answers, json!({ "realtimeInput": { "toolResponses": {} } })),
        (
            "names no tool",
            nameless,
            json!({ "realtimeInput": { "toolResponses": { "toolResponses": [{ "id": "call-1" }] } } }),
        ),
    ];
    for (name, message, json) in rows {
        let world = World::new(SCRIPT);
        let mut client = world.open(Transport::Grpc).await;
        client.send_grpc(message).await;
        pause(100).await;
        check(name, &client.ended(), tonic::Code::InvalidArgument, 1007);
        let mut client = world.open(Transport::WebSocket).await;
        client.send_json(&json).await;
        pause(100).await;
        check(name, &client.ended(), tonic::Code::InvalidArgument, 1007);
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_stream_without_a_message_is_refused() {
    let world = World::new(SCRIPT);
    let mut client = world.connect(Transport::Grpc, "us", &[]).await;
    client.finish().await;
    check("no message", &client.ended(), tonic::Code::InvalidArgument, 0);
}

#[tokio::test(start_paused = true)]
async fn json_is_read_strictly() {
    let rows: [(Value, &str); 6] = [
        (
            json!({ "realtimeInput": { "txt": "hi" } }),
            "generic::invalid_argument: Invalid JSON payload received. Unknown name",
        ),
        (json!({ "realtimeInput": { "text": "hi", "dtmf": "1" } }), "oneof"),
        (json!({ "realtimeInput": { "event": "session_start" } }), "TYPE_MESSAGE"),
        (json!({ "realtimeInput": { "audio": "***" } }), "TYPE_BYTES"),
        (json!([]), "root element"),
        (json!("hello"), "root element"),
    ];
    for (json, told) in rows {
        let world = World::new(SCRIPT);
        let mut client = world.open(Transport::WebSocket).await;
        client.send_json(&json).await;
        pause(100).await;
        let Some(Ended::Closed(1007, reason)) = client.ended() else { panic!("{json}: {:?}", client.ended()) };
        assert!(reason.contains(told), "{json}: {reason}");
        assert!(world.stream().refused.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn json_may_be_written_in_any_way_that_protobuf_allows() {
    let world = World::new("end_of_utterance_ms = 300\n[start]\nsay = \"hello\"\n[[utterance]]\nsay = \"yes\"");
    let mut client = world.connect(Transport::WebSocket, "us", &[]).await;
    let config = json!({ "config": {
        "session": format!("{APP}/sessions/{ID}"),
        "input_audio_config": { "audio_encoding": 2, "sample_rate_hertz": "8000" },
        "outputAudioConfig": { "audioEncoding": "LINEAR16", "sampleRateHertz": 8e3 },
        "deployment": null,
    } });
    client.send_json(&config).await;
    client.send_json(&json!({ "realtime_input": { "event": { "event": "session_start" } } })).await;
    pause(100).await;
    assert_eq!(client.got()[0], Got::Text(1, "hello".to_owned()));
    // No coding makes 0xFB 0xFF loud enough, so the speech is 0x3F 0x3E in either base64.
    client.send_json(&json!({ "realtimeInput": { "audio": "Pz8_Pz8_".repeat(100) } })).await;
    client.send_json(&json!({ "realtimeInput": { "audio": "Pz8/Pz8/".repeat(100) } })).await;
    client.silence(500).await;
    assert!(client.got().contains(&Got::Text(2, "yes".to_owned())));
    assert_eq!(world.stream().audio[..1_200], [0x3F; 1_200]);
}
