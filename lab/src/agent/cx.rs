//! Dialogflow CX v3 `Sessions/StreamingDetectIntent`: its messages, checked as strictly as Google checks them.
//! `cx_answer` writes the answers.
//!
//! Facts and sources: the protos of `google.cloud.dialogflow.cx.v3` and their comments.

use dialbridge_core::audio::Encoding;
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use serde_json::{Map, Value};
use tonic::Status;

use cx::query_input::Input;
use cx::streaming_detect_intent_response::Response as Part;
use cx::streaming_recognition_result::MessageType;

use crate::agent::conversation::CallerInput;
use crate::agent::cx_answer::detect_intent_response;
use crate::agent::dialect::{
    Answered, Coding, Dialect, Later, Listening, Opened, Opening, Recognised, checked_event, checked_format,
    checked_id, checked_output, checked_text, invalid,
};
use crate::agent::protobuf::{duration, duration_ms, json_object};
use crate::agent::requested_config::RequestedConfig;
use crate::agent::script::{DebuggingInfo, Output, ToolCall};

/// The dialect.
#[derive(Debug, Clone)]
pub(super) struct Cx;

impl Dialect for Cx {
    const SERVICE: &'static str = "google.cloud.dialogflow.cx.v3.Sessions";
    const COLLECTS_PARAMETERS: bool = true;
    /// `AudioInput`: "up to 2 minutes".
    const AUDIO_LIMIT: (u64, &'static str) = (120_000, "Exceeded maximum allowed stream duration of 120 seconds.");
    type Request = cx::StreamingDetectIntentRequest;
    type Response = cx::StreamingDetectIntentResponse;

    fn open(first: Self::Request) -> Result<Opened, Status> {
        let session = session_id(&first.session)?;
        let requested = RequestedConfig::of_cx(&first);
        let query = first.query_input.ok_or_else(|| invalid("the first message has no query_input"))?;
        if query.language_code.is_empty() {
            return Err(invalid("query_input.language_code is required"));
        }
        let params = first.query_params.unwrap_or_default();
        let parameters = params.parameters.map(json_object).unwrap_or_default();
        check_page(&params.current_page, &first.session)?;
        Ok(Opened {
            name: first.session,
            session,
            language: query.language_code,
            input: opening(query.input.ok_or_else(|| invalid("query_input has no input"))?, &parameters)?,
            output: first.output_audio_config.as_ref().map(output).transpose()?,
            partial_responses: first.enable_partial_response,
            parameters,
            payload: params.payload.map(json_object).unwrap_or_default(),
            requested,
        })
    }

    fn later(later: Self::Request) -> Result<Later, Status> {
        match later.query_input.and_then(|query| query.input) {
            Some(Input::Audio(audio)) if audio.config.is_none() => Ok(Later::Audio(audio.audio)),
            Some(Input::Text(text)) => checked_text(&text.text).map(Later::Instead),
            Some(_) => Err(invalid("after the first message only audio, or a text instead of it, may be sent")),
            None => Err(invalid("a message without audio")),
        }
    }

    fn transcript(heard: Recognised) -> Self::Response {
        let word = |(word, start_ms, end_ms)| cx::SpeechWordInfo {
            word,
            start_offset: Some(duration(start_ms)),
            end_offset: Some(duration(end_ms)),
            ..Default::default()
        };
        response(Part::RecognitionResult(cx::StreamingRecognitionResult {
            message_type: MessageType::Transcript.into(),
            transcript: heard.text,
            is_final: heard.is_final,
            confidence: heard.confidence,
            stability: if heard.is_final { 0.0 } else { 0.9 },
            speech_word_info: heard.words.into_iter().map(word).collect(),
            speech_end_offset: heard.end_ms.map(duration),
            ..Default::default()
        }))
    }

    fn end_of_utterance(end_ms: Option<u64>) -> Self::Response {
        response(Part::RecognitionResult(cx::StreamingRecognitionResult {
            message_type: MessageType::EndOfSingleUtterance.into(),
            speech_end_offset: end_ms.map(duration),
            ..Default::default()
        }))
    }

    fn answer(answer: &Answered<'_>) -> Vec<Self::Response> {
        let mut answered = response(Part::DetectIntentResponse(detect_intent_response(answer)));
        let is_asked = answer.opened.requested.debugging_info && !answer.is_partial;
        match answer.script.debugging_info {
            DebuggingInfo::WithAnswer if is_asked => answered.debugging_info = Some(debugging_info(answer)),
            DebuggingInfo::Apart if is_asked => {
                return vec![answered, Self::Response { debugging_info: Some(debugging_info(answer)), response: None }];
            }
            DebuggingInfo::WithAnswer | DebuggingInfo::Apart | DebuggingInfo::Never => {}
        }
        vec![answered]
    }
}

fn debugging_info(answer: &Answered<'_>) -> cx::CloudConversationDebuggingInfo {
    let single_utterance = match &answer.opened.input {
        Opening::Listen(listening) => listening.single_utterance,
        Opening::Input(_) => false,
    };
    cx::CloudConversationDebuggingInfo {
        single_utterance,
        speech_single_utterance: single_utterance,
        no_speech_timeout: (answer.script.no_speech_ms > 0).then(|| duration(answer.script.no_speech_ms)),
        endpointing_timeout: Some(duration(answer.script.end_of_utterance_ms)),
        ..Default::default()
    }
}

fn response(part: Part) -> cx::StreamingDetectIntentResponse {
    cx::StreamingDetectIntentResponse { response: Some(part), ..Default::default() }
}

fn session_id(name: &str) -> Result<String, Status> {
    let parts: Vec<&str> = name.split('/').collect();
    match parts[..] {
        ["projects", _, "locations", _, "agents", _, "sessions", id]
        | ["projects", _, "locations", _, "agents", _, "environments", _, "sessions", id] => checked_id(id),
        _ => Err(invalid(format!("\"{name}\" is no session of a CX agent"))),
    }
}

/// Checks `current_page`: empty, or a page of the session's agent.
fn check_page(page: &str, session: &str) -> Result<(), Status> {
    let agent = session.split("/environments/").next().and_then(|of| of.split("/sessions/").next());
    let below = agent.and_then(|agent| page.strip_prefix(agent)?.strip_prefix("/flows/"));
    let ids = below.and_then(|below| below.split_once("/pages/"));
    let is_page = ids.is_some_and(|(flow, page)| [flow, page].iter().all(|id| !id.is_empty() && !id.contains('/')));
    if page.is_empty() || is_page {
        Ok(())
    } else {
        Err(invalid(format!("\"{page}\" is no page of the session's agent")))
    }
}

fn opening(input: Input, parameters: &Map<String, Value>) -> Result<Opening, Status> {
    Ok(Opening::Input(match input {
        Input::Audio(audio) => {
            let config = audio.config.ok_or_else(|| invalid("the first message has no query_input.audio.config"))?;
            if !audio.audio.is_empty() {
                return Err(invalid("the first message must not carry audio"));
            }
            return listening(&config).map(Opening::Listen);
        }
        Input::Text(text) => checked_text(&text.text)?,
        Input::Event(event) => checked_event(&event.event, parameters)?,
        Input::Dtmf(dtmf) if dtmf.digits.is_empty() => return Err(invalid("there are no digits")),
        Input::Dtmf(dtmf) => CallerInput::Digits { digits: dtmf.digits, finish: dtmf.finish_digit },
        Input::ToolCallResult(result) => tool_result(result)?,
        Input::Intent(_) => return Err(Status::unimplemented("not in the lab")),
    }))
}

fn tool_result(result: cx::ToolCallResult) -> Result<CallerInput, Status> {
    use cx::tool_call_result::Result::{Error, OutputParameters};
    let is_error = match result.result {
        Some(Error(_)) => true,
        Some(OutputParameters(_)) => false,
        None => return Err(invalid("the tool_call_result has no result")),
    };
    Ok(CallerInput::ToolResult {
        call: ToolCall { tool: result.tool, action: result.action, ..ToolCall::default() },
        is_error,
    })
}

fn listening(config: &cx::InputAudioConfig) -> Result<Listening, Status> {
    let coding = match config.audio_encoding() {
        cx::AudioEncoding::Mulaw => Coding::Known(Encoding::Mulaw),
        cx::AudioEncoding::Alaw => Coding::Known(Encoding::Alaw),
        cx::AudioEncoding::Linear16 => Coding::Known(Encoding::Linear16),
        cx::AudioEncoding::Unspecified => Coding::Unspecified,
        _ => Coding::Other,
    };
    let window = |window: cx::BargeInConfig| {
        (window.no_barge_in_duration.map_or(0, duration_ms), window.total_duration.map_or(0, duration_ms))
    };
    Ok(Listening {
        format: checked_format(coding, config.sample_rate_hertz)?,
        single_utterance: config.single_utterance,
        word_info: config.enable_word_info,
        barge_in: config.barge_in_config.map(window),
    })
}

fn output(asked: &cx::OutputAudioConfig) -> Result<Output, Status> {
    let coding = match asked.audio_encoding() {
        cx::OutputAudioEncoding::Mulaw => Coding::Known(Encoding::Mulaw),
        cx::OutputAudioEncoding::Alaw => Coding::Known(Encoding::Alaw),
        cx::OutputAudioEncoding::Linear16 => Coding::Known(Encoding::Linear16),
        cx::OutputAudioEncoding::Unspecified => Coding::Unspecified,
        _ => Coding::Other,
    };
    checked_output(coding, asked.sample_rate_hertz)
}
