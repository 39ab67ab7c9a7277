//! Whole sessions: from the configuration to the half-close.

use dialbridge_lab::agent::Script;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use serde_json::{Value, json};

use super::client::{APP, BOTH, Client, ID, Say, Transport, World, config, opening, pause, structure};
use super::got::{Ended, Got};

const SCRIPT: &str = r#"
    end_of_utterance_ms = 500
    think_ms = 200
    [start]
    event = "session_start"
    say = "hello"
    tone = { hz = 400, ms = 500 }
    [[utterance]]
    heard = "two loaves please"
    say = "two loaves"
    tone = { hz = 500, ms = 1000 }
    parameters = { loaves = 2 }
    payload = { card = "bread" }
    [[utterance]]
    say = "good bye"
    tone = { hz = 500, ms = 300 }
    handoff = { queue = "cakes" }
"#;

fn transcript(text: &str) -> Got {
    Got::Transcript(text.to_owned())
}

fn text(turn: i64, text: &str) -> Got {
    Got::Text(turn, text.to_owned())
}

/// What the client got, with audio as its length in bytes and without diagnostics.
fn told(got: Vec<Got>) -> Vec<String> {
    got.into_iter()
        .map(|got| match got {
            Got::Audio(turn, audio) => format!("{turn}: {} bytes", audio.len()),
            Got::Completed(turn, _) => format!("{turn} completed"),
            Got::Text(turn, text) => format!("{turn}: {text}"),
            other => format!("{other:?}"),
        })
        .collect()
}

fn is_at_its_end(client: &Client, transport: Transport) {
    let expected = match transport {
        Transport::Grpc => Ended::Grpc(tonic::Code::Ok, String::new()),
        Transport::WebSocket => Ended::Closed(1000, String::new()),
    };
    assert_eq!(client.ended(), Some(expected));
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_from_the_kick_start_to_the_end_of_the_session() {
    for transport in BOTH {
        let world = World::new(SCRIPT);
        let mut client =
            world.connect(transport, "us", &[("authorization", "Bearer t"), ("x-goog-user-project", "p")]).await;
        client.say(opening()).await;
        client.say(Say::Variables(json!({ "from": "+15550100", "vip": true }))).await;
        client.silence(1_000).await;
        assert_eq!(client.got(), [], "without a kick-start the agent is silent");

        client.say(Say::Event("session_start")).await;
        client.silence(1_000).await;
        let hello = ["1: hello", "1: 1600 bytes", "1: 1600 bytes", "1: 800 bytes", "1 completed"];
        assert_eq!(told(client.got()), hello);

        client.speak(1_300).await;
        client.silence(400).await;
        assert_eq!(client.got(), [transcript("two"), transcript("two loaves"), transcript("two loaves please")]);
        client.silence(900).await;
        let got = client.got();
        assert_eq!(
            got[..3],
            [transcript("two loaves please"), text(2, "two loaves"), Got::Payload(json!({ "card": "bread" }))]
        );
        let Some(Got::Completed(2, info)) = got.last() else { panic!("{got:?}") };
        let messages = json!([
            { "role": "user", "chunks": [{ "transcript": "two loaves please" }] },
            { "role": "agent", "chunks": [{ "transcript": "two loaves" }, { "updatedVariables": { "loaves": 2 } }] },
        ]);
        assert_eq!(info["messages"], messages);
        assert_eq!(told(got)[3..8], ["2: 1600 bytes"; 5]);

        client.silence(1_000).await;
        client.speak(500).await;
        client.silence(1_500).await;
        let end = json!({ "session_escalated": true, "params": { "LIVE_AGENT_HANDOFF": { "queue": "cakes" } } });
        let expected = [
            "Transcript(\"[0.4 s of speech]\")".to_owned(),
            "Transcript(\"[0.5 s of speech]\")".to_owned(),
            "3: good bye".to_owned(),
            "3: 1600 bytes".to_owned(),
            "3: 800 bytes".to_owned(),
            "3 completed".to_owned(),
            format!("{:?}", Got::End(end)),
        ];
        assert_eq!(told(client.got()), expected);
        assert_eq!(client.ended(), None, "the server waits for the half-close");
        client.finish().await;
        is_at_its_end(&client, transport);

        let stream = world.stream();
        assert_eq!(stream.session, format!("{APP}/sessions/{ID}"));
        assert_eq!((stream.kick_starts(), stream.inputs[0].kind, stream.turns_completed), (1, "event", 3));
        assert_eq!(stream.variables, [json!({ "from": "+15550100", "vip": true }).as_object().unwrap().clone()]);
        assert_eq!((stream.has_token, stream.user_project.as_deref()), (true, Some("p")));
        assert_eq!((stream.end_session, stream.gaps.len(), stream.interruptions.len()), (true, 0, 0));
        assert!(stream.ignored_audio > 0 && stream.messages.iter().all(|bytes| *bytes == 800));
        assert_eq!(stream.audio.iter().filter(|code| **code == 0x12).count(), 1_800 * 8);
        match transport {
            Transport::Grpc => assert_eq!((stream.transport, stream.half_closed, stream.closed), ("grpc", true, None)),
            Transport::WebSocket => {
                assert_eq!((stream.transport, stream.half_closed, stream.closed), ("websocket", false, Some(1000)));
            }
        }
        assert_eq!(world.agent.record().open_streams(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn audio_comes_faster_than_it_is_played_and_text_beside_it() {
    for transport in BOTH {
        let world = World::new("[start]\nsay = \"hello\"\ntone = { hz = 400, ms = 4000 }");
        let mut client = world.open(transport).await;
        client.say(Say::Text("hi")).await;
        client.silence(2_000).await;
        let times: Vec<u64> = client
            .timed()
            .into_iter()
            .filter(|(_, got)| matches!(got, Got::Audio(..)))
            .map(|(at_ms, _)| at_ms)
            .collect();
        assert_eq!(times.len(), 20);
        assert_eq!(times.last().unwrap() - times.first().unwrap(), 19 * 50, "four times as fast as it is played");
        assert_eq!(world.stream().inputs[0].text, "hi");
    }
}

#[tokio::test(start_paused = true)]
async fn every_coding_is_heard_and_spoken() {
    let loud = |encoding: ces::AudioEncoding, samples: usize| match encoding {
        ces::AudioEncoding::Linear16 => 8_000_i16.to_le_bytes().repeat(samples),
        _ => vec![0x12; samples],
    };
    let quiet = |encoding: ces::AudioEncoding, samples: usize| match encoding {
        ces::AudioEncoding::Linear16 => vec![0; 2 * samples],
        ces::AudioEncoding::Alaw => vec![0xD5; samples],
        _ => vec![0xFF; samples],
    };
    use ces::AudioEncoding::{Alaw, Linear16, Mulaw};
    for (input, output) in [
        ((Mulaw, 8000), (Mulaw, 8000)),
        ((Alaw, 8000), (Alaw, 8000)),
        ((Linear16, 8000), (Linear16, 8000)),
        ((Linear16, 16_000), (Linear16, 16_000)),
        ((Linear16, 24_000), (Linear16, 24_000)),
        ((Linear16, 16_000), (Linear16, 48_000)),
    ] {
        let world = World::new("end_of_utterance_ms = 500\n[[utterance]]\ntone = { hz = 400, ms = 500 }");
        let mut client = world.connect(Transport::WebSocket, "us", &[]).await;
        let mut of = config();
        of.input_audio_config = Some(ces::InputAudioConfig {
            audio_encoding: input.0.into(),
            sample_rate_hertz: input.1,
            noise_suppression_level: "high".to_owned(),
        });
        of.output_audio_config =
            Some(ces::OutputAudioConfig { audio_encoding: output.0.into(), sample_rate_hertz: output.1 });
        client.say(Say::Config(Box::new(of))).await;
        let samples = usize::try_from(input.1).unwrap() / 10;
        for number in 0..20 {
            let audio = if number < 10 { loud(input.0, samples) } else { quiet(input.0, samples) };
            client.say(Say::Audio(audio)).await;
            pause(100).await;
        }
        let got = client.got();
        assert!(got.contains(&Got::Transcript("[1.0 s of speech]".to_owned())), "{input:?} {got:?}");
        let audio: Vec<u8> = got
            .iter()
            .filter_map(|got| if let Got::Audio(_, audio) = got { Some(audio.clone()) } else { None })
            .flatten()
            .collect();
        let sample_bytes = if output.0 == Linear16 { 2 } else { 1 };
        assert_eq!(audio.len(), usize::try_from(output.1).unwrap() / 2 * sample_bytes, "{output:?}");
        assert!(!audio.starts_with(b"RIFF"));
        assert_eq!(world.stream().noise_suppression, "high");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_documented_can_be_played_either_way() {
    let script =
        |switch: &str| format!("[ces]\n{switch}\n[start]\nsay = \"a\"\ntone = {{ hz = 400, ms = 300 }}\nend = true\n");
    let whole = ["1: a", "1: 1600 bytes", "1: 800 bytes", "1 completed", "End(Null)"];
    let cases: [(&str, Vec<&str>); 6] = [
        ("", whole.to_vec()),
        (
            "end_session = \"in-output\"",
            vec!["1: a", "1: 1600 bytes", "1: 800 bytes", "EndInOutput(Null)", "1 completed"],
        ),
        (
            "end_session = \"both\"",
            vec!["1: a", "1: 1600 bytes", "1: 800 bytes", "EndInOutput(Null)", "1 completed", "End(Null)"],
        ),
        ("end_order = \"before-audio\"", vec!["1: a", "End(Null)", "1: 1600 bytes", "1: 800 bytes", "1 completed"]),
        ("turn_completed = \"with-audio\"", whole.to_vec()),
        ("riff = true", vec!["1: a", "1: 1600 bytes", "1: 858 bytes", "1 completed", "End(Null)"]),
    ];
    for (switch, expected) in cases {
        for transport in BOTH {
            let world = World::new(&script(switch));
            let mut client = world.greeted(transport, 1_000).await;
            let mut timed = client.timed();
            if switch.starts_with("turn_completed") {
                let [.., (audio_ms, _), (completed_ms, _), (end_ms, _)] = timed[..] else { panic!() };
                assert_eq!(audio_ms, completed_ms);
                assert!(end_ms > completed_ms);
            }
            let told = told(timed.drain(..).map(|(_, got)| got).collect());
            assert_eq!(told, expected, "{switch} {transport:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn json_comes_in_frames_of_either_kind_and_may_have_unknown_fields() {
    for switches in ["frames = \"text\"", "frames = \"binary\"", "unpublished_fields = true"] {
        let world = World::new(&format!("[ces]\n{switches}\n[start]\nsay = \"hello\""));
        let mut client = world.greeted(Transport::WebSocket, 200).await;
        assert_eq!(told(client.got()), ["1: hello", "1 completed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_session_has_no_audio() {
    for transport in BOTH {
        let world = World::new("[start]\nsay = \"hello\"\ntone = { hz = 400, ms = 300 }\n[[utterance]]\nsay = \"yes\"");
        let mut client = world.connect(transport, "us", &[]).await;
        let of = ces::SessionConfig {
            input_audio_config: None,
            output_audio_config: None,
            time_zone: "Europe/Berlin".to_owned(),
            deployment: format!("{APP}/deployments/live"),
            remote_dialogflow_query_parameters: Some(ces::session_config::RemoteDialogflowQueryParameters {
                payload: Some(structure(&json!({ "a": 1 }))),
                ..Default::default()
            }),
            ..config()
        };
        client.say(Say::Config(Box::new(of))).await;
        client.say(Say::Text("hi")).await;
        client.say(Say::Part("two")).await;
        client.say(Say::Text(" loaves")).await;
        pause(1_000).await;
        assert_eq!(told(client.got()), ["1: hello", "1 completed", "2: yes", "2 completed"]);
        let stream = world.stream();
        assert_eq!((stream.input, stream.time_zone.as_str()), (None, "Europe/Berlin"));
        assert_eq!(stream.deployment, format!("{APP}/deployments/live"));
        assert_eq!(Value::Object(stream.payload), json!({ "a": 1.0 }));
        pause(28_000).await;
        assert_eq!(world.stream().gaps, [], "without audio there are no gaps");
    }
}

#[tokio::test(start_paused = true)]
async fn the_embedded_agent_serves_ces_as_it_serves_dialogflow() {
    for transport in BOTH {
        let world = World::with(Script::bakery().unwrap());
        let mut client = world.greeted(transport, 5_000).await;
        for _ in 0..3 {
            client.speak(1_000).await;
            client.silence(14_000).await;
        }
        let got = client.got();
        let said = |got: &&Got| matches!(got, Got::Text(_, text) if !text.starts_with("I am sorry"));
        assert_eq!(got.iter().filter(said).count(), 4, "beside what it says to a silent caller");
        let end = json!({ "session_escalated": true, "params": { "LIVE_AGENT_HANDOFF": { "department": "cakes" } } });
        assert_eq!(got.last(), Some(&Got::End(end)));
    }
}
