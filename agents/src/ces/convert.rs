//! Converts CES's messages to core's events. Pure: this module tells what a message means, core decides what to do.
//!
//! Field names and their meaning: `session_service.proto` of `google.cloud.ces.v1`. The app chooses the metadata of an
//! end of session; we know the names that Google's hand-off to a contact centre uses.

use dialbridge_core::AgentEvent;
use dialbridge_core::agent::{AgentEnd, Answer, AnswerPart, Prompt, Transcript, Transfer};
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::dial_target::{DialFault, DialTarget};
use dialbridge_core::payload::flag;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use serde_json::{Map, Value};

use ces::bidi_session_server_message::MessageType;
use ces::chunk::Data;
use ces::session_output::{DiagnosticInfo, OutputType};

use super::request::tool_call;
use crate::protobuf::from_struct;

pub(super) use ces::BidiSessionServerMessage as Message;

/// Names in the metadata of an end of session.
const ESCALATED: &str = "session_escalated";
const PARAMS: &str = "params";
const REASON: &str = "reason";
const MESSAGE: &str = "ESCALATION_MESSAGE";
const TRANSFER: &str = "PHONE_GATEWAY_TRANSFER";
const HANDOFF: &str = "LIVE_AGENT_HANDOFF";

/// Converts an agent's message; `None` if it says nothing. Its audio is in the coding that we requested.
pub(super) fn event(message: Message, output: AudioFormat) -> Option<AgentEvent> {
    match message.message_type? {
        MessageType::SessionOutput(output_message) => answer(output_message, output),
        MessageType::RecognitionResult(result) => transcript(result.transcript),
        MessageType::InterruptionSignal(signal) => Some(AgentEvent::Interrupted { barge_in: signal.barge_in }),
        MessageType::EndSession(end) => Some(answer_event(ended(end, Answer::default()))),
        MessageType::GoAway(_) => Some(AgentEvent::GoAway),
    }
}

fn answer_event(answer: Answer) -> AgentEvent {
    AgentEvent::Answer(Box::new(answer))
}

/// The transcript of the turn so far. Each one includes those before it.
fn transcript(text: String) -> Option<AgentEvent> {
    (!text.is_empty()).then(|| AgentEvent::Transcript(Transcript { text, ..Transcript::default() }))
}

fn answer(message: ces::SessionOutput, output: AudioFormat) -> Option<AgentEvent> {
    let mut answer = Answer {
        part: if message.turn_completed { AnswerPart::Final } else { AnswerPart::Open },
        parameters: message.diagnostic_info.map(updated_variables).unwrap_or_default(),
        ..Answer::default()
    };
    match message.output_type {
        Some(OutputType::Text(text)) => answer.text = text,
        Some(OutputType::Audio(audio)) if audio.is_empty() => {}
        Some(OutputType::Audio(audio)) => answer.prompts = vec![Prompt::new(output, audio)],
        Some(OutputType::ToolCalls(calls)) => answer.tool_calls = calls.tool_calls.into_iter().map(tool_call).collect(),
        Some(OutputType::Payload(payload)) => answer.payloads = vec![Value::Object(from_struct(payload))],
        Some(OutputType::EndSession(end)) => answer = ended(end, answer),
        Some(OutputType::Citations(_) | OutputType::GoogleSearchSuggestions(_)) | None => {}
    }
    let says_nothing = answer == Answer::default();
    (!says_nothing).then(|| answer_event(answer))
}

/// The variables that the agent set in this turn. Later values replace earlier ones.
fn updated_variables(diagnostics: DiagnosticInfo) -> Map<String, Value> {
    let chunks = diagnostics.messages.into_iter().flat_map(|message| message.chunks);
    let updated = chunks.filter_map(|chunk| match chunk.data? {
        Data::UpdatedVariables(variables) => Some(from_struct(variables)),
        Data::Text(_)
        | Data::Transcript(_)
        | Data::Blob(_)
        | Data::Payload(_)
        | Data::Image(_)
        | Data::ToolCall(_)
        | Data::ToolResponse(_)
        | Data::AgentTransfer(_)
        | Data::DefaultVariables(_) => None,
    });
    updated.flatten().collect()
}

/// Adds the end of the session to the answer.
fn ended(end: ces::EndSession, mut answer: Answer) -> Answer {
    let metadata = end.metadata.map(from_struct).unwrap_or_default();
    (answer.end, answer.refused_transfer) = match agent_end(&metadata) {
        Ok(end) => (Some(end), None),
        Err((end, fault)) => (Some(end), Some(format!("{TRANSFER} {fault}"))),
    };
    let params = metadata.get(PARAMS).and_then(Value::as_object).cloned().unwrap_or_default();
    let own = params.into_iter().filter(|(name, _)| ![TRANSFER, HANDOFF, MESSAGE].contains(&name.as_str()));
    answer.parameters.extend(own);
    answer
}

/// The value of a name, among the parameters or beside them. A model fills the metadata, so a flag may be a text or a number,
/// and a name with `false` asks for nothing.
fn asked_for<'a>(metadata: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let params = metadata.get(PARAMS).and_then(Value::as_object);
    let value = params.and_then(|params| params.get(name)).or_else(|| metadata.get(name));
    value.filter(|value| !value.is_null() && flag(value) != Some(false))
}

/// Where the call goes. If the number cannot be dialled, a live agent takes the call, and the fault comes along.
fn agent_end(metadata: &Map<String, Value>) -> Result<AgentEnd, (AgentEnd, DialFault)> {
    let Some(transfer) = asked_for(metadata, TRANSFER) else { return Ok(other_end(metadata)) };
    let number = match transfer.get("phoneNumber").unwrap_or(transfer) {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
    };
    match DialTarget::parse(&number) {
        Ok(DialTarget { address, extension }) => {
            Ok(AgentEnd::Transfer(Transfer { extension, ..Transfer::to(address) }))
        }
        Err(fault) => Err((other_end(metadata), fault)),
    }
}

/// Where a call goes that is not transferred.
fn other_end(metadata: &Map<String, Value>) -> AgentEnd {
    let named = |name: &str| asked_for(metadata, name);
    if let Some(content) = named(HANDOFF) {
        let mut told = match content {
            Value::Object(content) => content.clone(),
            other => Map::from_iter([(HANDOFF.to_owned(), other.clone())]),
        };
        for name in [REASON, MESSAGE] {
            if let Some(value) = named(name) {
                told.entry(name).or_insert_with(|| value.clone());
            }
        }
        return AgentEnd::LiveAgentHandoff { metadata: Value::Object(told) };
    }
    if named(TRANSFER).is_some() || named(ESCALATED).and_then(flag) == Some(true) {
        return AgentEnd::LiveAgentHandoff { metadata: Value::Object(metadata.clone()) };
    }
    AgentEnd::EndInteraction
}
