//! What a client gets, over either transport.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use prost_types::value::Kind;
use serde_json::{Map, Value};
use tonic::Code;

use ces::bidi_session_server_message::MessageType;
use ces::session_output::OutputType;

/// A message, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Got {
    Transcript(String),
    Text(i64, String),
    Audio(i64, Vec<u8>),
    Payload(Value),
    /// A tool call: its id, its tool, and the tool's arguments.
    Tool(String, String, Value),
    /// The end of the session at the top level.
    End(Value),
    EndInOutput(Value),
    /// A turn is complete; these are its diagnostics.
    Completed(i64, Value),
    Interrupted(bool),
    GoAway,
}

/// How a stream ended for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Grpc(Code, String),
    /// A close frame; 1006 stands for none.
    Closed(u16, String),
    /// No upgrade.
    Http(u16, String),
}

/// The parts of a message that came as JSON.
pub(crate) fn from_json(message: &Value) -> Vec<Got> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let object = message.as_object().unwrap();
    assert_eq!(object.len(), 1, "one kind of message: {message}");
    let (kind, of) = object.iter().next().unwrap();
    match kind.as_str() {
        "recognitionResult" => vec![Got::Transcript(text(&of["transcript"]))],
        "interruptionSignal" => vec![Got::Interrupted(of.get("bargeIn").is_some_and(|flag| flag.as_bool().unwrap()))],
        "endSession" => vec![Got::End(of.get("metadata").cloned().unwrap_or_default())],
        "goAway" => vec![Got::GoAway],
        "sessionOutput" => output(of),
        other => panic!("{other}"),
    }
}

fn output(of: &Value) -> Vec<Got> {
    let turn = of.get("turnIndex").map_or(0, |turn| turn.as_i64().unwrap());
    let mut got = Vec::new();
    for (name, value) in of.as_object().unwrap() {
        match name.as_str() {
            "text" => got.push(Got::Text(turn, value.as_str().unwrap().to_owned())),
            "audio" => got.push(Got::Audio(turn, STANDARD.decode(value.as_str().unwrap()).unwrap())),
            "payload" => got.push(Got::Payload(value.clone())),
            "endSession" => got.push(Got::EndInOutput(value.get("metadata").cloned().unwrap_or_default())),
            "toolCalls" => got.extend(value["toolCalls"].as_array().unwrap().iter().map(|call| {
                let text = |name: &str| call[name].as_str().unwrap().to_owned();
                Got::Tool(text("id"), text("tool"), call["args"].clone())
            })),
            "turnIndex" | "turnCompleted" | "diagnosticInfo" | "labUnpublished" => {}
            other => panic!("{other}"),
        }
    }
    if let Some(completed) = of.get("turnCompleted") {
        assert_eq!(*completed, true, "what is false is left out");
        got.push(Got::Completed(turn, of["diagnosticInfo"].clone()));
    } else {
        assert!(of.get("diagnosticInfo").is_none(), "diagnostics come with the end of the turn only");
    }
    got
}

/// The parts of a message that came over gRPC.
pub(crate) fn from_grpc(message: ces::BidiSessionServerMessage) -> Vec<Got> {
    match message.message_type.unwrap() {
        MessageType::RecognitionResult(result) => vec![Got::Transcript(result.transcript)],
        MessageType::InterruptionSignal(signal) => vec![Got::Interrupted(signal.barge_in)],
        MessageType::EndSession(end) => vec![Got::End(metadata(end))],
        MessageType::GoAway(_) => vec![Got::GoAway],
        MessageType::SessionOutput(output) => {
            let turn = i64::from(output.turn_index);
            let mut got: Vec<Got> = output.output_type.into_iter().flat_map(|of| grpc_output(turn, of)).collect();
            assert_eq!(output.turn_completed, output.diagnostic_info.is_some());
            if let Some(info) = output.diagnostic_info {
                got.push(Got::Completed(turn, diagnostics(info)));
            }
            got
        }
    }
}

fn grpc_output(turn: i64, of: OutputType) -> Vec<Got> {
    match of {
        OutputType::Text(text) => vec![Got::Text(turn, text)],
        OutputType::Audio(audio) => vec![Got::Audio(turn, audio.to_vec())],
        OutputType::Payload(payload) => vec![Got::Payload(plain(payload))],
        OutputType::EndSession(end) => vec![Got::EndInOutput(metadata(end))],
        OutputType::ToolCalls(calls) => {
            let tool = |of: ces::ToolCall| match of.tool_identifier {
                Some(ces::tool_call::ToolIdentifier::Tool(tool)) => Got::Tool(of.id, tool, plain(of.args.unwrap())),
                other => panic!("{other:?}"),
            };
            calls.tool_calls.into_iter().map(tool).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn metadata(end: ces::EndSession) -> Value {
    end.metadata.map(plain).unwrap_or_default()
}

/// The part of the diagnostics that the tests check, as in JSON.
fn diagnostics(info: ces::session_output::DiagnosticInfo) -> Value {
    use ces::chunk::Data;
    let chunk = |chunk: ces::Chunk| match chunk.data.unwrap() {
        Data::Text(text) => serde_json::json!({ "text": text }),
        Data::Transcript(text) => serde_json::json!({ "transcript": text }),
        Data::UpdatedVariables(variables) => serde_json::json!({ "updatedVariables": plain(variables) }),
        other => panic!("{other:?}"),
    };
    let message = |message: ces::Message| {
        let chunks: Vec<Value> = message.chunks.into_iter().map(chunk).collect();
        serde_json::json!({ "role": message.role, "chunks": chunks })
    };
    serde_json::json!({ "messages": info.messages.into_iter().map(message).collect::<Vec<_>>() })
}

/// A `Struct` as JSON.
pub(crate) fn plain(of: prost_types::Struct) -> Value {
    fn value(of: prost_types::Value) -> Value {
        match of.kind.unwrap() {
            Kind::NullValue(_) => Value::Null,
            Kind::BoolValue(flag) => flag.into(),
            #[expect(clippy::cast_possible_truncation, reason = "the tests' numbers are small and whole")]
            Kind::NumberValue(number) => (number as i64).into(),
            Kind::StringValue(text) => text.into(),
            Kind::ListValue(list) => list.values.into_iter().map(value).collect(),
            Kind::StructValue(of) => plain(of),
        }
    }
    Value::Object(of.fields.into_iter().map(|(name, of)| (name, value(of))).collect::<Map<_, _>>())
}
