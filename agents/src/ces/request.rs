//! Converts core's input to messages of `google.cloud.ces.v1`. Pure.
//!
//! Field names and their meaning: `session_service.proto`. One message carries one kind of input.

use bytes::Bytes;
use dialbridge_core::agent::{
    DIGITS_PARAMETER, Digits, DigitsForm, PastTurn, ToolCall, ToolOutcome, ToolResult, TurnInput, TurnStart,
};
use dialbridge_core::audio::{AudioFormat, Encoding};
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use serde_json::{Map, Value};

use ces::bidi_session_client_message::MessageType;
use ces::session_config::RemoteDialogflowQueryParameters;
use ces::session_input::InputType;
use ces::{tool_call, tool_response};

use super::config::CesConfig;
use crate::protobuf::to_struct;
use crate::session::SessionContext;

pub(super) use ces::BidiSessionClientMessage as Message;

/// The answer to a tool call that we do not run.
const NO_TOOLS: &str = "this client runs no tools: go on without";

/// The first messages of a stream, in order: the configuration and the call's variables. The starting input follows.
pub(super) fn first(context: &SessionContext, start: &TurnStart) -> Vec<Message> {
    let mut messages = vec![Message { message_type: Some(MessageType::Config(config(context, start))) }];
    messages.extend(parameters(&start.parameters));
    messages
}

/// Session parameters as variables; no message if there are none.
pub(super) fn parameters(parameters: &Map<String, Value>) -> Option<Message> {
    (!parameters.is_empty()).then(|| realtime(InputType::Variables(to_struct(parameters))))
}

/// Audio in the configured coding.
pub(super) fn audio(audio: Bytes) -> Message {
    realtime(InputType::Audio(audio))
}

/// Other input than audio.
pub(super) fn input(input: &TurnInput) -> Vec<Message> {
    match input {
        TurnInput::Audio => Vec::new(),
        TurnInput::Event(name) => vec![event(name)],
        TurnInput::Text(text) => vec![realtime(InputType::Text(text.clone()))],
        TurnInput::Digits(digits, DigitsForm::Dtmf) => vec![realtime(InputType::Dtmf(as_pressed(digits)))],
        TurnInput::Digits(digits, DigitsForm::Text) => vec![realtime(InputType::Text(digits.digits.clone()))],
        // An event has no parameters.
        TurnInput::Digits(digits, DigitsForm::Event(name)) => {
            let keys = Map::from_iter([(DIGITS_PARAMETER.to_owned(), digits.digits.as_str().into())]);
            parameters(&keys).into_iter().chain([event(name)]).collect()
        }
        TurnInput::ToolResults(results) => {
            let tool_responses = results.iter().map(tool_response).collect();
            vec![realtime(InputType::ToolResponses(ces::ToolResponses { tool_responses }))]
        }
    }
}

fn event(name: &str) -> Message {
    realtime(InputType::Event(ces::Event { event: name.to_owned() }))
}

/// The digits and the one that ended them: the agent decides what the end means.
fn as_pressed(digits: &Digits) -> String {
    digits.digits.chars().chain(digits.finish_digit).collect()
}

fn realtime(input: InputType) -> Message {
    let input = ces::SessionInput { will_continue: false, input_type: Some(input) };
    Message { message_type: Some(MessageType::RealtimeInput(input)) }
}

fn config(context: &SessionContext, start: &TurnStart) -> ces::SessionConfig {
    let CesConfig { deployment, entry_agent, input, output, noise_suppression, .. } = &*context.ces;
    let (input_encoding, input_rate) = coding(*input);
    let (output_encoding, output_rate) = coding(*output);
    ces::SessionConfig {
        session: context.session.clone(),
        deployment: deployment.clone().unwrap_or_default(),
        entry_agent: entry_agent.as_deref().map(|agent| full_name(agent, &context.session)).unwrap_or_default(),
        input_audio_config: Some(ces::InputAudioConfig {
            audio_encoding: input_encoding.into(),
            sample_rate_hertz: input_rate,
            noise_suppression_level: noise_suppression.unwrap_or_default().to_owned(),
        }),
        output_audio_config: Some(ces::OutputAudioConfig {
            audio_encoding: output_encoding.into(),
            sample_rate_hertz: output_rate,
        }),
        historical_contexts: start.past_turns.iter().flat_map(past_turn).collect(),
        time_zone: context.speech.time_zone.clone().unwrap_or_default(),
        remote_dialogflow_query_parameters: remote(context, start),
        ..Default::default()
    }
}

/// What was said in an earlier turn, under the roles that the proto names.
fn past_turn(turn: &PastTurn) -> impl Iterator<Item = ces::Message> {
    let said = [("user", &turn.caller), ("agent", &turn.agent)];
    said.into_iter().filter(|(_, text)| !text.is_empty()).map(|(role, text)| ces::Message {
        role: role.to_owned(),
        chunks: vec![ces::Chunk { data: Some(ces::chunk::Data::Text(text.clone())) }],
        event_time: None,
    })
}

/// The full name of an agent of the session's app.
fn full_name(agent: &str, session: &str) -> String {
    let app = session.rsplit_once("/sessions/").map_or(session, |(app, _)| app);
    if agent.contains('/') { agent.to_owned() } else { format!("{app}/agents/{agent}") }
}

/// The configuration for an app that hands the conversation to a Dialogflow agent.
fn remote(context: &SessionContext, start: &TurnStart) -> Option<RemoteDialogflowQueryParameters> {
    let remote = RemoteDialogflowQueryParameters {
        webhook_headers: context.speech.exposed_headers(),
        payload: (!start.payload.is_empty()).then(|| to_struct(&start.payload)),
        end_user_metadata: (!start.end_user.is_empty()).then(|| to_struct(&start.end_user)),
    };
    (remote != RemoteDialogflowQueryParameters::default()).then_some(remote)
}

/// CES numbers its codings differently from Dialogflow.
fn coding(format: AudioFormat) -> (ces::AudioEncoding, i32) {
    let encoding = match format.encoding {
        Encoding::Linear16 => ces::AudioEncoding::Linear16,
        Encoding::Mulaw => ces::AudioEncoding::Mulaw,
        Encoding::Alaw => ces::AudioEncoding::Alaw,
    };
    (encoding, format.sample_rate.cast_signed())
}

fn tool_response(result: &ToolResult) -> ces::ToolResponse {
    let ToolCall { id, tool, action, display_name, .. } = &result.call;
    let error = |why: &str| Map::from_iter([("error".to_owned(), why.into())]);
    let response = match &result.outcome {
        ToolOutcome::Done(response) => to_struct(response),
        ToolOutcome::Failed(why) => to_struct(&error(why)),
        ToolOutcome::Refused => to_struct(&error(NO_TOOLS)),
    };
    let toolset_tool = ces::ToolsetTool { toolset: tool.clone(), tool_id: action.clone() };
    ces::ToolResponse {
        id: id.clone(),
        display_name: display_name.clone(),
        response: Some(response),
        tool_identifier: match (tool.is_empty(), action.is_empty()) {
            (true, _) => None,
            (false, true) => Some(tool_response::ToolIdentifier::Tool(tool.clone())),
            (false, false) => Some(tool_response::ToolIdentifier::ToolsetTool(toolset_tool)),
        },
    }
}

/// Converts a tool call.
pub(super) fn tool_call(call: ces::ToolCall) -> ToolCall {
    let (tool, action) = match call.tool_identifier {
        None => (String::new(), String::new()),
        Some(tool_call::ToolIdentifier::Tool(tool)) => (tool, String::new()),
        Some(tool_call::ToolIdentifier::ToolsetTool(tool)) => (tool.toolset, tool.tool_id),
    };
    let arguments = call.args.map(crate::protobuf::from_struct).unwrap_or_default();
    ToolCall { id: call.id, tool, action, display_name: call.display_name, arguments }
}
