//! The JSON form of CES's messages on its WebSocket: proto3's JSON mapping. Pure.
//!
//! We write lowerCamelCase names, enums by name and bytes as base64. We also accept the names of the .proto, base64 of
//! either alphabet with or without padding, numbers as strings, `null` for unset fields, and unknown fields.

use std::collections::VecDeque;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use bytes::Bytes;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::{Map, Value, json};

use ces::bidi_session_client_message::MessageType as ToServer;
use ces::bidi_session_server_message::MessageType as FromServer;
use ces::session_input::InputType;
use ces::session_output::{DiagnosticInfo, OutputType};
use ces::{tool_call, tool_response};

use super::{convert, request};
use crate::codec::{BASE64, EITHER_PADDING};
use crate::protobuf::{from_struct, to_struct};

/// A message to the server.
pub(super) fn write(message: &request::Message) -> String {
    match &message.message_type {
        Some(ToServer::Config(config)) => json!({ "config": session_config(config) }).to_string(),
        // Most messages are audio.
        Some(ToServer::RealtimeInput(ces::SessionInput { input_type: Some(InputType::Audio(audio)), .. })) => {
            format!("{{\"realtimeInput\":{{\"audio\":\"{}\"}}}}", STANDARD.encode(audio))
        }
        Some(ToServer::RealtimeInput(input)) => json!({ "realtimeInput": session_input(input) }).to_string(),
        None => "{}".to_owned(),
    }
}

fn session_config(config: &ces::SessionConfig) -> Value {
    let mut written = Map::new();
    let mut put = |name: &str, value: Value| {
        let is_empty = value.is_null() || value.as_str().is_some_and(str::is_empty);
        if !is_empty {
            written.insert(name.to_owned(), value);
        }
    };
    put("session", config.session.as_str().into());
    put("deployment", config.deployment.as_str().into());
    put("entryAgent", config.entry_agent.as_str().into());
    put("timeZone", config.time_zone.as_str().into());
    if let Some(input) = &config.input_audio_config {
        let mut audio = coding(input.audio_encoding(), input.sample_rate_hertz);
        if !input.noise_suppression_level.is_empty() {
            audio["noiseSuppressionLevel"] = input.noise_suppression_level.as_str().into();
        }
        put("inputAudioConfig", audio);
    }
    if let Some(output) = &config.output_audio_config {
        put("outputAudioConfig", coding(output.audio_encoding(), output.sample_rate_hertz));
    }
    if !config.historical_contexts.is_empty() {
        put("historicalContexts", config.historical_contexts.iter().map(past_message).collect());
    }
    if let Some(remote) = &config.remote_dialogflow_query_parameters {
        let mut parameters = Map::new();
        if !remote.webhook_headers.is_empty() {
            parameters.insert("webhookHeaders".to_owned(), json!(remote.webhook_headers));
        }
        if let Some(payload) = &remote.payload {
            parameters.insert("payload".to_owned(), Value::Object(from_struct(payload.clone())));
        }
        if let Some(end_user) = &remote.end_user_metadata {
            parameters.insert("endUserMetadata".to_owned(), Value::Object(from_struct(end_user.clone())));
        }
        put("remoteDialogflowQueryParameters", parameters.into());
    }
    written.into()
}

/// A message of the past. We write texts alone.
fn past_message(message: &ces::Message) -> Value {
    let text = |chunk: &ces::Chunk| match &chunk.data {
        Some(ces::chunk::Data::Text(text)) => Some(json!({ "text": text })),
        _ => None,
    };
    json!({ "role": message.role, "chunks": message.chunks.iter().filter_map(text).collect::<Vec<_>>() })
}

fn coding(encoding: ces::AudioEncoding, rate: i32) -> Value {
    json!({ "audioEncoding": encoding.as_str_name(), "sampleRateHertz": rate })
}

fn session_input(input: &ces::SessionInput) -> Value {
    match &input.input_type {
        Some(InputType::Text(text)) => json!({ "text": text }),
        Some(InputType::Dtmf(keys)) => json!({ "dtmf": keys }),
        Some(InputType::Audio(audio)) => json!({ "audio": STANDARD.encode(audio) }),
        Some(InputType::ToolResponses(responses)) => {
            let responses: Vec<Value> = responses.tool_responses.iter().map(tool_response).collect();
            json!({ "toolResponses": { "toolResponses": responses } })
        }
        Some(InputType::Variables(variables)) => json!({ "variables": from_struct(variables.clone()) }),
        Some(InputType::Event(event)) => json!({ "event": { "event": event.event } }),
        // Nobody sends these.
        Some(InputType::Image(_) | InputType::Blob(_)) | None => json!({}),
    }
}

fn tool_response(response: &ces::ToolResponse) -> Value {
    let result = response.response.clone().map(from_struct).unwrap_or_default();
    let mut written = json!({ "id": response.id, "displayName": response.display_name, "response": result });
    match &response.tool_identifier {
        Some(tool_response::ToolIdentifier::Tool(tool)) => written["tool"] = tool.as_str().into(),
        Some(tool_response::ToolIdentifier::ToolsetTool(tool)) => {
            written["toolsetTool"] = json!({ "toolset": tool.toolset, "toolId": tool.tool_id });
        }
        None => {}
    }
    written
}

/// A text from the server.
pub(super) enum FromWebSocket {
    /// Messages, in order.
    Messages(VecDeque<convert::Message>),
    /// An error in the form of Google's HTTP APIs.
    Error(GoogleError),
}

/// An error in the form of Google's HTTP APIs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GoogleError {
    /// The name of the gRPC code.
    pub(super) status: String,
    pub(super) message: String,
}

/// Reads a message of the server.
///
/// # Errors
/// If the text is not a JSON object or not a known message.
pub(super) fn read(text: &[u8]) -> Result<FromWebSocket, serde_json::Error> {
    let message: ServerMessage = serde_json::from_slice(text)?;
    if let Some(error) = message.error {
        return Ok(FromWebSocket::Error(error));
    }
    let outputs = message.session_output.map(outputs).unwrap_or_default().into_iter().map(FromServer::SessionOutput);
    let interruption = message.interruption_signal.map(|signal| {
        FromServer::InterruptionSignal(ces::InterruptionSignal { barge_in: signal.barge_in.unwrap_or_default() })
    });
    let result = message.recognition_result.map(|result| {
        FromServer::RecognitionResult(ces::RecognitionResult { transcript: result.transcript.unwrap_or_default() })
    });
    let end = message.end_session.map(|end| FromServer::EndSession(end.into()));
    let go_away = message.go_away.map(|_| FromServer::GoAway(ces::GoAway {}));
    let types = interruption.into_iter().chain(result).chain(outputs).chain(end).chain(go_away);
    Ok(FromWebSocket::Messages(types.map(|of| convert::Message { message_type: Some(of) }).collect()))
}

/// The error in the body of an HTTP response.
pub(super) fn error_in(body: &[u8]) -> Option<GoogleError> {
    #[derive(Deserialize)]
    struct Body {
        error: GoogleError,
    }
    // Some of Google's servers put the error into a list. serde would read a list as the fields of a struct.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Bodies {
        Many(Vec<Body>),
        One(Body),
    }
    match serde_json::from_slice(body).ok()? {
        Bodies::One(body) => Some(body.error),
        Bodies::Many(bodies) => bodies.into_iter().next().map(|body| body.error),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerMessage {
    #[serde(alias = "session_output")]
    session_output: Option<SessionOutput>,
    #[serde(alias = "recognition_result")]
    recognition_result: Option<RecognitionResult>,
    #[serde(alias = "interruption_signal")]
    interruption_signal: Option<InterruptionSignal>,
    #[serde(alias = "end_session")]
    end_session: Option<EndSession>,
    #[serde(alias = "go_away")]
    go_away: Option<Map<String, Value>>,
    error: Option<GoogleError>,
}

#[derive(Deserialize)]
struct RecognitionResult {
    transcript: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InterruptionSignal {
    #[serde(alias = "barge_in")]
    barge_in: Option<bool>,
}

#[derive(Deserialize)]
struct EndSession {
    metadata: Option<Map<String, Value>>,
}

impl From<EndSession> for ces::EndSession {
    fn from(end: EndSession) -> Self {
        Self { metadata: end.metadata.as_ref().map(to_struct) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SessionOutput {
    #[serde(default, alias = "turn_index", deserialize_with = "lenient_number")]
    turn_index: i32,
    #[serde(alias = "turn_completed")]
    turn_completed: Option<bool>,
    #[serde(alias = "diagnostic_info")]
    diagnostic_info: Option<Diagnostics>,
    text: Option<String>,
    audio: Option<Base64>,
    #[serde(alias = "tool_calls")]
    tool_calls: Option<ToolCalls>,
    #[serde(alias = "end_session")]
    end_session: Option<EndSession>,
    payload: Option<Map<String, Value>>,
}

/// The outputs of one JSON object, in order. JSON can hold text and audio at once, which protobuf's `oneof` cannot; each
/// becomes an output of its own. The last one completes the turn.
fn outputs(output: SessionOutput) -> Vec<ces::SessionOutput> {
    let text = output.text.map(OutputType::Text);
    let audio = output.audio.map(|audio| OutputType::Audio(audio.0));
    let tool_calls = output.tool_calls.map(|calls| OutputType::ToolCalls(calls.into()));
    let payload = output.payload.map(|payload| OutputType::Payload(to_struct(&payload)));
    let end = output.end_session.map(|end| OutputType::EndSession(end.into()));
    let types = text.into_iter().chain(payload).chain(audio).chain(tool_calls).chain(end).map(Some);
    let of = |output_type| ces::SessionOutput { turn_index: output.turn_index, output_type, ..Default::default() };
    let mut outputs: Vec<_> = types.map(of).collect();
    if outputs.is_empty() {
        outputs.push(of(None));
    }
    if let Some(last) = outputs.last_mut() {
        last.turn_completed = output.turn_completed.unwrap_or_default();
        last.diagnostic_info = output.diagnostic_info.map(Into::into);
    }
    outputs
}

#[derive(Deserialize)]
struct Diagnostics {
    messages: Option<Vec<DiagnosticMessage>>,
}

#[derive(Deserialize)]
struct DiagnosticMessage {
    chunks: Option<Vec<DiagnosticChunk>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DiagnosticChunk {
    #[serde(alias = "updated_variables")]
    updated_variables: Option<Map<String, Value>>,
}

impl From<Diagnostics> for DiagnosticInfo {
    fn from(diagnostics: Diagnostics) -> Self {
        let messages = diagnostics.messages.unwrap_or_default().into_iter().map(|message| ces::Message {
            chunks: message.chunks.unwrap_or_default().iter().map(updated_variables).collect(),
            ..Default::default()
        });
        Self { messages: messages.collect(), root_span: None }
    }
}

fn updated_variables(chunk: &DiagnosticChunk) -> ces::Chunk {
    ces::Chunk { data: chunk.updated_variables.as_ref().map(|it| ces::chunk::Data::UpdatedVariables(to_struct(it))) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolCalls {
    #[serde(alias = "tool_calls")]
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolCall {
    id: Option<String>,
    #[serde(alias = "display_name")]
    display_name: Option<String>,
    args: Option<Map<String, Value>>,
    tool: Option<String>,
    #[serde(alias = "toolset_tool")]
    toolset_tool: Option<ToolsetTool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolsetTool {
    toolset: Option<String>,
    #[serde(alias = "tool_id")]
    tool_id: Option<String>,
}

impl From<ToolCalls> for ces::ToolCalls {
    fn from(calls: ToolCalls) -> Self {
        Self { tool_calls: calls.tool_calls.unwrap_or_default().into_iter().map(Into::into).collect() }
    }
}

impl From<ToolCall> for ces::ToolCall {
    fn from(call: ToolCall) -> Self {
        let in_toolset = call.toolset_tool.map(|tool| {
            tool_call::ToolIdentifier::ToolsetTool(ces::ToolsetTool {
                toolset: tool.toolset.unwrap_or_default(),
                tool_id: tool.tool_id.unwrap_or_default(),
            })
        });
        Self {
            id: call.id.unwrap_or_default(),
            display_name: call.display_name.unwrap_or_default(),
            args: call.args.as_ref().map(to_struct),
            tool_identifier: call.tool.map(tool_call::ToolIdentifier::Tool).or(in_toolset),
        }
    }
}

/// Bytes in base64.
struct Base64(Bytes);

const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, EITHER_PADDING);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(OfText)
    }
}

/// Decodes the text in place, without copying the audio first.
struct OfText;

impl Visitor<'_> for OfText {
    type Value = Base64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes in base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Base64, E> {
        let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &BASE64 };
        engine.decode(text).map(|bytes| Base64(bytes.into())).map_err(E::custom)
    }
}

/// A number, with or without quotes.
fn lenient_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Plain(f64),
        Quoted(String),
        Null(()),
    }
    let number = match Written::deserialize(deserializer)? {
        Written::Plain(number) => number,
        Written::Quoted(text) => text.trim().parse().map_err(de::Error::custom)?,
        Written::Null(()) => 0.0,
    };
    #[expect(clippy::cast_possible_truncation, reason = "a float's cast saturates")]
    Ok(number as i32)
}
