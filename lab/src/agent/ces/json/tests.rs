use std::collections::BTreeMap;

use super::*;
use serde_json::{Value, json};

use ces::bidi_session_client_message::MessageType as FromClient;
use ces::bidi_session_server_message::MessageType as FromServer;
use ces::session_input::InputType;
use ces::session_output::OutputType;

fn object(value: &Value) -> prost_types::Struct {
    crate::agent::protobuf::protobuf_struct(value.as_object().unwrap())
}

fn client(of: FromClient) -> ces::BidiSessionClientMessage {
    ces::BidiSessionClientMessage { message_type: Some(of) }
}

fn input(of: InputType) -> ces::BidiSessionClientMessage {
    client(FromClient::RealtimeInput(ces::SessionInput { will_continue: false, input_type: Some(of) }))
}

fn read(json: &Value) -> Result<ces::BidiSessionClientMessage, String> {
    client_message(json.to_string().as_bytes()).map_err(|status| status.message().to_owned())
}

fn audio(text: &str) -> Result<Vec<u8>, String> {
    let message = read(&json!({ "realtimeInput": { "audio": text } }))?;
    match message.message_type {
        Some(FromClient::RealtimeInput(ces::SessionInput { input_type: Some(InputType::Audio(audio)), .. })) => {
            Ok(audio.to_vec())
        }
        other => panic!("{other:?}"),
    }
}

fn tool_call() -> ces::ToolCall {
    ces::ToolCall {
        id: "c".to_owned(),
        display_name: "look up".to_owned(),
        args: Some(object(&json!({ "n": 1 }))),
        tool_identifier: Some(ces::tool_call::ToolIdentifier::Tool("t".to_owned())),
    }
}

fn tool_response() -> ces::ToolResponse {
    let toolset = ces::ToolsetTool { toolset: "s".to_owned(), tool_id: "i".to_owned() };
    ces::ToolResponse {
        id: "c".to_owned(),
        display_name: "look up".to_owned(),
        response: Some(object(&json!({ "output": [1.5, null, true, { "a": "b" }] }))),
        tool_identifier: Some(ces::tool_response::ToolIdentifier::ToolsetTool(toolset)),
    }
}

/// A message with every kind of chunk.
fn message() -> ces::Message {
    use ces::chunk::Data;
    let blob = ces::Blob { mime_type: "m".to_owned(), data: vec![1].into() };
    let image = ces::Image { mime_type: "m".to_owned(), data: vec![2].into() };
    let transfer = ces::AgentTransfer { target_agent: "a".to_owned(), display_name: "d".to_owned() };
    let all = vec![
        Data::Text("t".to_owned()),
        Data::Transcript("t".to_owned()),
        Data::Blob(blob),
        Data::Payload(object(&json!({ "p": 1 }))),
        Data::Image(image),
        Data::ToolCall(tool_call()),
        Data::ToolResponse(tool_response()),
        Data::AgentTransfer(transfer),
        Data::UpdatedVariables(object(&json!({ "u": [] }))),
        Data::DefaultVariables(object(&json!({}))),
    ];
    ces::Message {
        role: "user".to_owned(),
        chunks: all.into_iter().map(|data| ces::Chunk { data: Some(data) }).collect(),
        event_time: Some("2026-11-24T08:00:00.5Z".parse().unwrap()),
    }
}

fn config() -> ces::SessionConfig {
    ces::SessionConfig {
        session: "projects/p/locations/us/apps/a/sessions/12345".to_owned(),
        input_audio_config: Some(ces::InputAudioConfig {
            audio_encoding: ces::AudioEncoding::Mulaw.into(),
            sample_rate_hertz: 8000,
            noise_suppression_level: "low".to_owned(),
        }),
        output_audio_config: Some(ces::OutputAudioConfig {
            audio_encoding: ces::AudioEncoding::Linear16.into(),
            sample_rate_hertz: 24_000,
        }),
        historical_contexts: vec![message()],
        entry_agent: "e".to_owned(),
        deployment: "d".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        use_tool_fakes: true,
        remote_dialogflow_query_parameters: Some(ces::session_config::RemoteDialogflowQueryParameters {
            webhook_headers: BTreeMap::from([("h".to_owned(), "v".to_owned()), ("e".to_owned(), String::new())]),
            payload: Some(object(&json!({ "a": 1 }))),
            end_user_metadata: Some(object(&json!({ "b": "c" }))),
        }),
        enable_text_streaming: true,
    }
}

/// A message of every kind that a client can send, with every field set.
fn client_messages() -> Vec<ces::BidiSessionClientMessage> {
    let blob = ces::Blob { mime_type: "m".to_owned(), data: vec![1, 2].into() };
    let image = ces::Image { mime_type: "image/png".to_owned(), data: vec![3].into() };
    let inputs = vec![
        InputType::Text("hi \"there\" ü".to_owned()),
        InputType::Dtmf("1#".to_owned()),
        InputType::Audio(vec![0, 0xFF, 0xFB].into()),
        InputType::ToolResponses(ces::ToolResponses { tool_responses: vec![tool_response(), tool_response()] }),
        InputType::Image(image),
        InputType::Blob(blob),
        InputType::Variables(object(&json!({ "number": 2, "deep": { "a": [1] } }))),
        InputType::Event(ces::Event { event: "session_start".to_owned() }),
        InputType::Text(String::new()),
    ];
    let mut messages: Vec<_> = inputs.into_iter().map(input).collect();
    let held = ces::SessionInput { will_continue: true, input_type: Some(InputType::Text("one".to_owned())) };
    messages.extend([client(FromClient::RealtimeInput(held)), client(FromClient::Config(config()))]);
    messages
}

/// A message of every kind that the server can send, with every field set.
fn server_messages() -> Vec<ces::BidiSessionServerMessage> {
    let span = |child_spans| ces::Span {
        name: "turn".to_owned(),
        start_time: Some("2026-11-24T08:00:00Z".parse().unwrap()),
        end_time: Some("2026-11-24T08:00:01Z".parse().unwrap()),
        duration: Some("1.500s".parse().unwrap()),
        attributes: Some(object(&json!({ "a": true }))),
        child_spans,
    };
    let diagnostic_info =
        ces::session_output::DiagnosticInfo { messages: vec![message()], root_span: Some(span(vec![span(vec![])])) };
    let chunk = ces::citations::CitedChunk { uri: "u".to_owned(), title: "t".to_owned(), text: "x".to_owned() };
    let query = ces::WebSearchQuery { query: "q".to_owned(), uri: "u".to_owned() };
    let suggestions =
        ces::GoogleSearchSuggestions { htmls: vec!["<p>".to_owned(), String::new()], web_search_queries: vec![query] };
    let end = ces::EndSession { metadata: Some(object(&json!({ "reason": "done" }))) };
    let outputs = vec![
        OutputType::Text("hello".to_owned()),
        OutputType::Audio(vec![7; 300].into()),
        OutputType::ToolCalls(ces::ToolCalls { tool_calls: vec![tool_call()] }),
        OutputType::Citations(ces::Citations { cited_chunks: vec![chunk] }),
        OutputType::GoogleSearchSuggestions(suggestions),
        OutputType::EndSession(end.clone()),
        OutputType::Payload(object(&json!({ "p": [1, "two"] }))),
    ];
    let outputs = outputs.into_iter().map(|of| {
        FromServer::SessionOutput(ces::SessionOutput {
            turn_index: 3,
            turn_completed: true,
            diagnostic_info: Some(diagnostic_info.clone()),
            output_type: Some(of),
        })
    });
    let others = [
        FromServer::RecognitionResult(ces::RecognitionResult { transcript: "two loaves".to_owned() }),
        FromServer::InterruptionSignal(ces::InterruptionSignal { barge_in: true }),
        FromServer::InterruptionSignal(ces::InterruptionSignal { barge_in: false }),
        FromServer::EndSession(end),
        FromServer::GoAway(ces::GoAway {}),
    ];
    outputs.chain(others).map(|of| ces::BidiSessionServerMessage { message_type: Some(of) }).collect()
}

#[test]
fn what_prost_holds_comes_back_from_json() {
    for message in client_messages() {
        let json = write::from_protobuf(&schema::CLIENT_MESSAGE, &message.encode_to_vec());
        assert_eq!(read(&json.clone().into()), Ok(message), "{json:?}");
    }
    for message in server_messages() {
        let json = server_message(&message, false);
        let bytes = read::to_protobuf(&schema::SERVER_MESSAGE, json.as_bytes()).unwrap();
        assert_eq!(ces::BidiSessionServerMessage::decode(&bytes[..]).unwrap(), message, "{json}");
    }
}

#[test]
fn an_original_name_is_as_good_as_a_camel_cased_one() {
    fn snake(value: &Value) -> Value {
        let name = |name: &String| {
            name.chars().fold(String::new(), |snake, letter| match letter {
                'A'..='Z' => format!("{snake}_{}", letter.to_ascii_lowercase()),
                letter => format!("{snake}{letter}"),
            })
        };
        match value {
            Value::Object(object) => object.iter().map(|(key, value)| (name(key), snake(value))).collect(),
            Value::Array(items) => items.iter().map(snake).collect(),
            other => other.clone(),
        }
    }
    for message in client_messages() {
        let json = write::from_protobuf(&schema::CLIENT_MESSAGE, &message.encode_to_vec());
        assert_eq!(read(&snake(&json.into())), Ok(message));
    }
}

#[test]
fn a_client_may_write_what_protobuf_allows() {
    let read_config = |config: Value| match read(&json!({ "config": config })).unwrap().message_type {
        Some(FromClient::Config(config)) => config.input_audio_config.unwrap(),
        other => panic!("{other:?}"),
    };
    for (encoding, rate) in [
        (json!("MULAW"), json!(8000)),
        (json!(2), json!("8000")),
        (json!(2.0), json!(8e3)),
        (json!("MULAW"), json!("8e3")),
    ] {
        let audio = read_config(json!({ "inputAudioConfig": { "audioEncoding": encoding, "sampleRateHertz": rate } }));
        assert_eq!((audio.audio_encoding(), audio.sample_rate_hertz), (ces::AudioEncoding::Mulaw, 8000));
    }
    let bytes = vec![0xFB, 0xFF, 0xFE, 0];
    for text in ["+//+AA==", "+//+AA", "-__-AA==", "-__-AA"] {
        assert_eq!(audio(text).as_ref(), Ok(&bytes), "{text}");
    }
    let absent = json!({ "realtimeInput": { "text": null, "audio": "AA==", "willContinue": null }, "config": null });
    assert!(read(&absent).is_ok());
}

#[test]
fn what_protobuf_does_not_allow_is_refused_and_said_where() {
    let input = |of: Value| json!({ "realtimeInput": of }).to_string();
    let config = |of: Value| json!({ "config": of }).to_string();
    let cases = [
        ("hello".to_owned(), "no JSON"),
        ("[]".to_owned(), "root element"),
        (json!({ "realtimeinput": {} }).to_string(), "Unknown name \"realtimeinput\": Cannot find field"),
        (input(json!({ "audioo": "AA==" })), "Unknown name \"audioo\" at 'realtime_input': Cannot find field"),
        (config(json!({ "inputAudioConfig": { "enableEchoCancellation": true } })), "at 'config.input_audio_config'"),
        (input(json!({ "event": "session_start" })), "Invalid value at 'realtime_input.event' (TYPE_MESSAGE)"),
        (input(json!({ "event": { "event": 3 } })), "'realtime_input.event.event' (TYPE_STRING)"),
        (input(json!({ "audio": "A*==" })), "'realtime_input.audio' (TYPE_BYTES), Base64 decoding failed"),
        (input(json!({ "audio": "+-==" })), "Base64 decoding failed"),
        (input(json!({ "audio": [1, 2] })), "(TYPE_BYTES)"),
        (input(json!({ "audio": "AA==", "text": "hi" })), "oneof field 'input_type' is already set. Cannot set 'text'"),
        (json!({ "config": {}, "realtimeInput": {} }).to_string(), "oneof field 'message_type' is already set"),
        (input(json!({ "willContinue": "true" })), "(TYPE_BOOL)"),
        (config(json!({ "session": 3 })), "'config.session' (TYPE_STRING)"),
        (config(json!({ "inputAudioConfig": { "audioEncoding": "AUDIO_ENCODING_MULAW" } })), "(TYPE_ENUM)"),
        (config(json!({ "inputAudioConfig": { "sampleRateHertz": 8000.5 } })), "(TYPE_INT32)"),
        (config(json!({ "inputAudioConfig": { "sampleRateHertz": "fast" } })), "(TYPE_INT32)"),
        (config(json!({ "historicalContexts": {} })), "a list is expected"),
        (
            config(json!({ "historicalContexts": [{}, { "chunks": [{ "txt": "" }] }] })),
            "at 'config.historical_contexts[1].chunks[0]'",
        ),
        (config(json!({ "remoteDialogflowQueryParameters": { "webhookHeaders": { "a": 1 } } })), "(TYPE_STRING)"),
        (input(json!({ "variables": [] })), "(TYPE_MESSAGE)"),
        (
            "{\"realtimeInput\":{\"text\":\"a\",\"text\":\"b\"}}".to_owned(),
            "'realtime_input.text', the field is already set",
        ),
        ("{\"config\":{\"timeZone\":\"a\",\"time_zone\":\"b\"}}".to_owned(), "already set"),
        ("{\"realtimeInput\":{\"variables\":{\"a\":1,\"a\":2}}}".to_owned(), "twice"),
    ];
    for (json, told) in cases {
        let error = client_message(json.as_bytes()).expect_err(&json);
        assert_eq!(error.code(), tonic::Code::InvalidArgument);
        assert!(error.message().contains(told), "{json}: {}", error.message());
    }
    assert!(client_message(b"{\"realtimeInput\":{\"text\":\"\xFF\"}}").is_err(), "no UTF-8");
    let deep = format!("{{\"realtimeInput\":{{\"variables\":{{\"a\":{}1{}}}}}}}", "[".repeat(500), "]".repeat(500));
    assert!(client_message(deep.as_bytes()).is_err(), "no depth without end");
}

#[test]
fn no_error_repeats_what_the_client_said() {
    for json in [r#"{"realtimeInput":{"audio":"s3cret!"}}"#, r#"{"realtimeInput":{"event":"s3cret!"}}"#] {
        assert!(!client_message(json.as_bytes()).unwrap_err().message().contains("s3cret"));
    }
}

#[test]
fn the_server_writes_as_google_writes() {
    let output = |of: ces::SessionOutput| {
        let message = ces::BidiSessionServerMessage { message_type: Some(FromServer::SessionOutput(of)) };
        serde_json::from_str::<Value>(&server_message(&message, false)).unwrap()
    };
    let audio = ces::SessionOutput {
        turn_index: 1,
        output_type: Some(OutputType::Audio(vec![0xFB, 0xFF, 0xFE].into())),
        ..Default::default()
    };
    assert_eq!(output(audio), json!({ "sessionOutput": { "turnIndex": 1, "audio": "+//+" } }));
    let payload = Some(OutputType::Payload(object(&json!({ "n": 2, "half": 0.5, "none": null }))));
    let expected = json!({ "sessionOutput": { "payload": { "n": 2, "half": 0.5, "none": null } } });
    assert_eq!(output(ces::SessionOutput { output_type: payload, ..Default::default() }), expected);
    let of = |of| {
        let message = ces::BidiSessionServerMessage { message_type: Some(of) };
        server_message(&message, false)
    };
    assert_eq!(of(FromServer::GoAway(ces::GoAway {})), r#"{"goAway":{}}"#);
    assert_eq!(
        of(FromServer::InterruptionSignal(ces::InterruptionSignal { barge_in: false })),
        r#"{"interruptionSignal":{}}"#
    );
    assert_eq!(
        of(FromServer::InterruptionSignal(ces::InterruptionSignal { barge_in: true })),
        r#"{"interruptionSignal":{"bargeIn":true}}"#
    );
}

#[test]
fn a_field_of_no_published_proto_can_be_added() {
    let of = FromServer::SessionOutput(ces::SessionOutput::default());
    let message = ces::BidiSessionServerMessage { message_type: Some(of) };
    assert!(server_message(&message, true).contains("labUnpublished"));
    assert!(!server_message(&message, false).contains("labUnpublished"));
}
