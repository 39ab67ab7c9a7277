//! Our messages to CES, as protobuf and as JSON.

use bytes::Bytes;
use dialbridge_core::agent::{Digits, DigitsForm, PastTurn, ToolCall, ToolOutcome, ToolResult, TurnInput};
use dialbridge_core::audio::{AudioFormat, Encoding};
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use serde_json::{Value, json};

use ces::bidi_session_client_message::MessageType;
use ces::session_input::InputType;

use super::{APP, context, object, start};
use crate::ces::CesConfig;
use crate::ces::json::write;
use crate::ces::request::{Message, audio, first, input, parameters};
use crate::session::SessionContext;
use crate::speech::SpeechConfig;
use dialbridge_net::Secret;

fn as_json(message: &Message) -> Value {
    serde_json::from_str(&write(message)).unwrap()
}

fn all(messages: &[Message]) -> Vec<Value> {
    messages.iter().map(as_json).collect()
}

fn config(message: &Message) -> &ces::SessionConfig {
    match &message.message_type {
        Some(MessageType::Config(config)) => config,
        other => panic!("{other:?}"),
    }
}

fn sent(message: &Message) -> &InputType {
    match &message.message_type {
        Some(MessageType::RealtimeInput(input)) => input.input_type.as_ref().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_configuration_comes_first_then_what_is_known_of_the_call() {
    let mut start = start(TurnInput::Event("session_start".to_owned()));
    start.parameters = object(json!({ "From": "+15550100", "shop": "north" }));
    let messages = first(&context(CesConfig::default()), &start);
    let telephone = json!({ "audioEncoding": "MULAW", "sampleRateHertz": 8000 });
    let config = json!({
        "session": format!("{APP}/sessions/CA123"), "inputAudioConfig": telephone, "outputAudioConfig": telephone,
    });
    let expected = [
        json!({ "config": config }),
        json!({ "realtimeInput": { "variables": { "From": "+15550100", "shop": "north" } } }),
    ];
    assert_eq!(all(&messages), expected);
    let kick_start = json!({ "realtimeInput": { "event": { "event": "session_start" } } });
    assert_eq!(all(&input(&start.input)), [kick_start]);
}

#[test]
fn an_entry_agent_is_named_in_full() {
    let full = format!("{APP}/agents/desk");
    for agent in ["desk", &full] {
        let ces = CesConfig { entry_agent: Some(agent.to_owned()), ..CesConfig::default() };
        let messages = first(&context(ces), &start(TurnInput::Audio));
        assert_eq!(as_json(&messages[0])["config"]["entryAgent"], full.as_str());
    }
}

#[test]
fn a_stream_that_carries_on_has_no_kick_start() {
    let messages = first(&context(CesConfig::default()), &start(TurnInput::Audio));
    assert_eq!(messages.len(), 1);
    config(&messages[0]);
}

#[test]
fn a_stream_after_a_lost_one_brings_what_was_said() {
    let mut start = start(TurnInput::Audio);
    let turn = |caller: &str, agent: &str| PastTurn { caller: caller.to_owned(), agent: agent.to_owned() };
    start.past_turns = vec![turn("", "Hello!"), turn("two loaves", "Two \"loaves\".")];
    let messages = first(&context(CesConfig::default()), &start);
    let said = |role: &str, text: &str| json!({ "role": role, "chunks": [{ "text": text }] });
    assert_eq!(
        as_json(&messages[0])["config"]["historicalContexts"],
        json!([said("agent", "Hello!"), said("user", "two loaves"), said("agent", "Two \"loaves\".")])
    );
    let roles: Vec<_> = config(&messages[0]).historical_contexts.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["agent", "user", "agent"]);
}

#[test]
fn the_numbers_of_codings_are_those_of_ces() {
    let formats = [
        (Encoding::Linear16, 16_000, 1, "LINEAR16"),
        (Encoding::Mulaw, 8_000, 2, "MULAW"),
        (Encoding::Alaw, 8_000, 3, "ALAW"),
    ];
    for (encoding, sample_rate, number, name) in formats {
        let format = AudioFormat { encoding, sample_rate: u32::try_from(sample_rate).unwrap() };
        let messages = first(
            &context(CesConfig { input: format, output: format, ..CesConfig::default() }),
            &start(TurnInput::Audio),
        );
        let input = config(&messages[0]).input_audio_config.clone().unwrap();
        let output = config(&messages[0]).output_audio_config.unwrap();
        assert_eq!((input.audio_encoding, output.audio_encoding), (number, number));
        assert_eq!((input.sample_rate_hertz, output.sample_rate_hertz), (sample_rate, sample_rate));
        assert_eq!(as_json(&messages[0])["config"]["inputAudioConfig"]["audioEncoding"], name);
    }
}

#[test]
fn deployment_noise_time_zone_and_what_is_for_a_remote_dialogflow_agent_go_along() {
    let deployment = format!("{APP}/deployments/d");
    let ces =
        CesConfig { deployment: Some(deployment.clone()), noise_suppression: Some("high"), ..CesConfig::default() };
    let speech = SpeechConfig {
        time_zone: Some("Europe/Berlin".to_owned()),
        webhook_headers: [("X-Tenant".to_owned(), Secret::new("north"))].into(),
        ..SpeechConfig::default()
    };
    let context = SessionContext { speech: speech.into(), ..context(ces) };
    let mut start = start(TurnInput::Audio);
    start.payload = object(json!({ "telephony": { "caller_id": "+15550100" } }));
    start.end_user = object(json!({ "plan": "gold" }));
    let written = as_json(&first(&context, &start)[0]);
    assert_eq!(written["config"]["deployment"], deployment);
    assert_eq!(written["config"]["timeZone"], "Europe/Berlin");
    assert_eq!(written["config"]["inputAudioConfig"]["noiseSuppressionLevel"], "high");
    let remote = json!({
        "webhookHeaders": { "X-Tenant": "north" }, "payload": { "telephony": { "caller_id": "+15550100" } },
        "endUserMetadata": { "plan": "gold" },
    });
    assert_eq!(written["config"]["remoteDialogflowQueryParameters"], remote);
}

#[test]
fn each_input_is_a_message_of_its_own() {
    let digits = |keys: &str, finish| Digits { digits: keys.to_owned(), finish_digit: finish };
    let realtime = |input: Value| json!({ "realtimeInput": input });
    for (given, expected) in [
        (TurnInput::Audio, vec![]),
        (TurnInput::Event("SILENCE".to_owned()), vec![json!({ "event": { "event": "SILENCE" } })]),
        (TurnInput::Text("hi \"there\"\n".to_owned()), vec![json!({ "text": "hi \"there\"\n" })]),
        (TurnInput::Digits(digits("4", None), DigitsForm::Dtmf), vec![json!({ "dtmf": "4" })]),
        (TurnInput::Digits(digits("42", Some('#')), DigitsForm::Dtmf), vec![json!({ "dtmf": "42#" })]),
        (TurnInput::Digits(digits("42", Some('#')), DigitsForm::Text), vec![json!({ "text": "42" })]),
        (
            TurnInput::Digits(digits("42", None), DigitsForm::Event("KEYS".to_owned())),
            vec![json!({ "variables": { "digits": "42" } }), json!({ "event": { "event": "KEYS" } })],
        ),
    ] {
        let expected: Vec<Value> = expected.into_iter().map(realtime).collect();
        assert_eq!(all(&input(&given)), expected, "{}", given.kind());
    }
    assert!(parameters(&object(json!({}))).is_none());
    let told = parameters(&object(json!({ "heard": { "heardMs": 800 } }))).unwrap();
    assert_eq!(as_json(&told), realtime(json!({ "variables": { "heard": { "heardMs": 800 } } })));
}

#[test]
fn audio_is_the_same_bytes_in_either_form() {
    let message = audio(Bytes::from_static(&[0xFB, 0xFF, 0xFE, 0]));
    assert_eq!(write(&message), r#"{"realtimeInput":{"audio":"+//+AA=="}}"#);
    assert_eq!(sent(&message), &InputType::Audio(Bytes::from_static(&[0xFB, 0xFF, 0xFE, 0])));
}

#[test]
fn the_results_of_tools_go_back_together_under_their_ids() {
    let call = |id: &str, tool: &str, action: &str| ToolCall {
        id: id.to_owned(),
        tool: tool.to_owned(),
        action: action.to_owned(),
        ..ToolCall::default()
    };
    let results = vec![
        ToolResult { call: call("1", "tools/a", ""), outcome: ToolOutcome::Refused },
        ToolResult { call: call("2", "toolsets/s", "b"), outcome: ToolOutcome::Failed("closed".to_owned()) },
        ToolResult { call: call("3", "", ""), outcome: ToolOutcome::Done(object(json!({ "stock": 7 }))) },
    ];
    let messages = input(&TurnInput::ToolResults(results));
    let [message] = &messages[..] else { panic!("{messages:?}") };
    let written = as_json(message);
    let told = &written["realtimeInput"]["toolResponses"]["toolResponses"];
    assert_eq!((&told[0]["id"], &told[0]["tool"]), (&json!("1"), &json!("tools/a")));
    assert!(told[0]["response"]["error"].as_str().unwrap().contains("no tools"));
    assert_eq!(told[1]["toolsetTool"], json!({ "toolset": "toolsets/s", "toolId": "b" }));
    assert_eq!(told[1]["response"], json!({ "error": "closed" }));
    assert_eq!((&told[2]["id"], &told[2]["response"]), (&json!("3"), &json!({ "stock": 7 })));
    let InputType::ToolResponses(responses) = sent(message) else { panic!() };
    assert_eq!(
        responses.tool_responses.iter().map(|response| response.id.as_str()).collect::<Vec<_>>(),
        ["1", "2", "3"]
    );
}
