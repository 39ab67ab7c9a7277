//! Dialogflow CX v3 `Sessions/StreamingDetectIntent`: its messages, as strict as Google's about what it is sent.
//!
//! Facts and sources: the protos of `google.cloud.dialogflow.cx.v3` and their comments.

use dialbridge_core::audio::Encoding;
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use tonic::Status;

use cx::detect_intent_response::ResponseType;
use cx::query_input::Input;
use cx::streaming_detect_intent_response::Response as Part;
use cx::streaming_recognition_result::MessageType;

use crate::agent::conversation::Said;
use crate::agent::dialect::{
    Answered, Coding, Dialect, Later, Listening, Opened, Opening, checked_event, checked_format, checked_id,
    checked_output, checked_text, invalid,
};
use crate::agent::protobuf::{duration, duration_ms, json_object, protobuf_struct};
use crate::agent::script::{Output, Reply};

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
        let query = first.query_input.ok_or_else(|| invalid("the first message has no query_input"))?;
        if query.language_code.is_empty() {
            return Err(invalid("query_input.language_code is required"));
        }
        let params = first.query_params.unwrap_or_default();
        Ok(Opened {
            name: first.session,
            session,
            language: query.language_code,
            input: opening(query.input.ok_or_else(|| invalid("query_input has no input"))?)?,
            output: first.output_audio_config.as_ref().map(output).transpose()?,
            partial_responses: first.enable_partial_response,
            parameters: params.parameters.map(json_object).unwrap_or_default(),
            payload: params.payload.map(json_object).unwrap_or_default(),
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

    fn transcript(text: String, end_ms: u64, is_final: bool) -> Self::Response {
        response(Part::RecognitionResult(cx::StreamingRecognitionResult {
            message_type: MessageType::Transcript.into(),
            transcript: text,
            is_final,
            stability: if is_final { 0.0 } else { 0.9 },
            speech_end_offset: Some(duration(end_ms)),
            ..Default::default()
        }))
    }

    fn end_of_utterance() -> Self::Response {
        response(Part::RecognitionResult(cx::StreamingRecognitionResult {
            message_type: MessageType::EndOfSingleUtterance.into(),
            ..Default::default()
        }))
    }

    fn answer(answer: &Answered<'_>) -> Vec<Self::Response> {
        let part = if answer.is_partial { ResponseType::Partial } else { ResponseType::Final };
        let audio = answer.audio.clone();
        vec![response(Part::DetectIntentResponse(cx::DetectIntentResponse {
            response_id: answer.response_id.clone(),
            query_result: Some(query_result(answer)),
            output_audio_config: audio.as_ref().map(|(_, output)| output_config(*output)),
            output_audio: audio.map(|(audio, _)| audio).unwrap_or_default(),
            response_type: part.into(),
            ..Default::default()
        }))]
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

fn opening(input: Input) -> Result<Opening, Status> {
    Ok(Opening::Said(match input {
        Input::Audio(audio) => {
            let config = audio.config.ok_or_else(|| invalid("the first message has no query_input.audio.config"))?;
            if !audio.audio.is_empty() {
                return Err(invalid("the first message must not carry audio"));
            }
            return listening(&config).map(Opening::Listen);
        }
        Input::Text(text) => checked_text(&text.text)?,
        Input::Event(event) => checked_event(&event.event)?,
        Input::Dtmf(dtmf) if dtmf.digits.is_empty() => return Err(invalid("there are no digits")),
        Input::Dtmf(dtmf) => Said::Digits { digits: dtmf.digits, finish: dtmf.finish_digit },
        Input::Intent(_) | Input::ToolCallResult(_) => return Err(Status::unimplemented("not in the lab")),
    }))
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

fn output_config(output: Output) -> cx::OutputAudioConfig {
    let encoding = match output.encoding {
        Encoding::Linear16 => cx::OutputAudioEncoding::Linear16,
        Encoding::Mulaw => cx::OutputAudioEncoding::Mulaw,
        Encoding::Alaw => cx::OutputAudioEncoding::Alaw,
    };
    let sample_rate_hertz = i32::try_from(output.sample_rate).unwrap_or_default();
    cx::OutputAudioConfig { audio_encoding: encoding.into(), sample_rate_hertz, ..Default::default() }
}

fn query_result(answer: &Answered<'_>) -> cx::QueryResult {
    use cx::r#match::MatchType;
    let reply = answer.reply;
    let (match_type, event) = match answer.said {
        Said::Nothing => (MatchType::NoInput, "sys.no-input-default"),
        _ if !answer.is_matched => (MatchType::NoMatch, "sys.no-match-default"),
        Said::Event(name) => (MatchType::Event, name.as_str()),
        Said::Text(_) | Said::Utterance { .. } | Said::Digits { .. } => (MatchType::Intent, ""),
    };
    let intent = (match_type == MatchType::Intent && !reply.intent.is_empty()).then(|| cx::Intent {
        name: format!("projects/lab/locations/global/agents/lab/intents/{}", reply.intent),
        display_name: reply.intent.clone(),
        ..Default::default()
    });
    let query = match answer.said {
        Said::Utterance { .. } | Said::Nothing => cx::query_result::Query::Transcript(answer.said.transcript()),
        Said::Text(text) => cx::query_result::Query::Text(text.clone()),
        Said::Event(name) => cx::query_result::Query::TriggerEvent(name.clone()),
        Said::Digits { digits, finish } => {
            cx::query_result::Query::Dtmf(cx::DtmfInput { digits: digits.clone(), finish_digit: finish.clone() })
        }
    };
    cx::QueryResult {
        language_code: answer.opened.language.clone(),
        parameters: Some(protobuf_struct(answer.parameters)),
        response_messages: messages(reply),
        r#match: Some(cx::Match {
            intent,
            event: event.to_owned(),
            match_type: match_type.into(),
            confidence: if answer.is_matched { 1.0 } else { 0.0 },
            ..Default::default()
        }),
        query: Some(query),
        ..Default::default()
    }
}

fn messages(reply: &Reply) -> Vec<cx::ResponseMessage> {
    use cx::response_message::{EndInteraction, LiveAgentHandoff, Message, TelephonyTransferCall, Text};
    let text = (!reply.say.is_empty())
        .then(|| Message::Text(Text { text: vec![reply.say.clone()], allow_playback_interruption: !reply.protected }));
    let handoff = reply.handoff.as_ref().map(|metadata| {
        let metadata = metadata.as_object().map(protobuf_struct);
        Message::LiveAgentHandoff(LiveAgentHandoff { metadata })
    });
    let transfer = reply.transfer.clone().map(|number| {
        use cx::response_message::telephony_transfer_call::Endpoint;
        Message::TelephonyTransferCall(TelephonyTransferCall { endpoint: Some(Endpoint::PhoneNumber(number)) })
    });
    let end = reply.end.then_some(Message::EndInteraction(EndInteraction {}));
    let all = [text, handoff, transfer, end].into_iter().flatten();
    all.map(|message| cx::ResponseMessage { message: Some(message), ..Default::default() }).collect()
}
