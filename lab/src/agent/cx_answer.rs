//! Writes the lab's CX answers: a script's answer as a `DetectIntentResponse`.
//!
//! Facts and sources: the protos of `google.cloud.dialogflow.cx.v3` and their comments.

use dialbridge_core::audio::Encoding;
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::rpc;
use tonic::Code;

use cx::detect_intent_response::ResponseType;
use cx::response_message as message;
use cx::response_message::Message;

use crate::agent::conversation::CallerInput;
use crate::agent::dialect::Answered;
use crate::agent::protobuf::{duration, protobuf_struct};
use crate::agent::script::{Announced, DtmfRules, Output, Reply};

/// An answer, or a part of one.
pub(super) fn detect_intent_response(answer: &Answered<'_>) -> cx::DetectIntentResponse {
    let part = if answer.is_partial { ResponseType::Partial } else { ResponseType::Final };
    let audio = answer.audio.clone();
    cx::DetectIntentResponse {
        response_id: answer.response_id.clone(),
        query_result: Some(query_result(answer)),
        output_audio_config: audio.as_ref().map(|(_, output)| output_config(*output)),
        output_audio: audio.map(|(audio, _)| audio).unwrap_or_default(),
        response_type: part.into(),
        allow_cancellation: answer.reply.allow_cancellation,
    }
}

fn output_config(output: Output) -> cx::OutputAudioConfig {
    let encoding = match (output.announced, output.encoding) {
        (Some(Announced::Mp3), _) => cx::OutputAudioEncoding::Mp3,
        (Some(Announced::OggOpus), _) => cx::OutputAudioEncoding::OggOpus,
        (None, Encoding::Linear16) => cx::OutputAudioEncoding::Linear16,
        (None, Encoding::Mulaw) => cx::OutputAudioEncoding::Mulaw,
        (None, Encoding::Alaw) => cx::OutputAudioEncoding::Alaw,
    };
    let sample_rate_hertz = i32::try_from(output.sample_rate).unwrap_or_default();
    cx::OutputAudioConfig { audio_encoding: encoding.into(), sample_rate_hertz, ..Default::default() }
}

fn query_result(answer: &Answered<'_>) -> cx::QueryResult {
    use cx::r#match::MatchType;
    let reply = answer.reply;
    let (match_type, event) = match answer.said {
        CallerInput::Nothing => (MatchType::NoInput, "sys.no-input-default"),
        _ if !answer.is_matched => (MatchType::NoMatch, "sys.no-match-default"),
        CallerInput::Event { name, .. } => (MatchType::Event, name.as_str()),
        CallerInput::Text(_)
        | CallerInput::Utterance { .. }
        | CallerInput::Digits { .. }
        | CallerInput::ToolResult { .. } => (MatchType::Intent, ""),
    };
    let intent = (match_type == MatchType::Intent && !reply.intent.is_empty()).then(|| cx::Intent {
        name: format!("projects/lab/locations/global/agents/lab/intents/{}", reply.intent),
        display_name: reply.intent.clone(),
        ..Default::default()
    });
    cx::QueryResult {
        language_code: answer.opened.language.clone(),
        parameters: Some(protobuf_struct(answer.parameters)),
        current_page: (!reply.page.is_empty())
            .then(|| cx::Page { display_name: reply.page.clone(), ..Default::default() }),
        current_flow: (!reply.flow.is_empty())
            .then(|| cx::Flow { display_name: reply.flow.clone(), ..Default::default() }),
        response_messages: messages(answer),
        webhook_statuses: webhook_fault(reply).into_iter().collect(),
        r#match: Some(cx::Match {
            intent,
            event: event.to_owned(),
            match_type: match_type.into(),
            confidence: if answer.is_matched { 1.0 } else { 0.0 },
            ..Default::default()
        }),
        query: query(answer.said),
        advanced_settings: reply
            .dtmf
            .as_ref()
            .map(|rules| cx::AdvancedSettings { dtmf_settings: Some(dtmf_settings(rules)), ..Default::default() }),
        ..Default::default()
    }
}

/// The query of the result; there is none for a tool's result.
fn query(said: &CallerInput) -> Option<cx::query_result::Query> {
    use cx::query_result::Query;
    Some(match said {
        CallerInput::Utterance { .. } | CallerInput::Nothing => Query::Transcript(said.transcript()),
        CallerInput::Text(text) => Query::Text(text.clone()),
        CallerInput::Event { name, .. } => Query::TriggerEvent(name.clone()),
        CallerInput::Digits { digits, finish } => {
            Query::Dtmf(cx::DtmfInput { digits: digits.clone(), finish_digit: finish.clone() })
        }
        CallerInput::ToolResult { .. } => return None,
    })
}

fn dtmf_settings(rules: &DtmfRules) -> cx::advanced_settings::DtmfSettings {
    cx::advanced_settings::DtmfSettings {
        enabled: true,
        max_digits: rules.max_digits,
        finish_digit: rules.finish_digit.clone(),
        interdigit_timeout_duration: (rules.interdigit_ms > 0).then(|| duration(rules.interdigit_ms)),
        endpointing_timeout_duration: (rules.endpointing_ms > 0).then(|| duration(rules.endpointing_ms)),
    }
}

fn webhook_fault(reply: &Reply) -> Option<rpc::Status> {
    let fault = (!reply.webhook_fault.is_empty()).then(|| reply.webhook_fault.clone())?;
    Some(rpc::Status { code: Code::Unavailable.into(), message: fault, ..Default::default() })
}

/// The answer's messages: first what the caller hears, then what the client must do.
fn messages(answer: &Answered<'_>) -> Vec<cx::ResponseMessage> {
    let reply = answer.reply;
    let may_interrupt = !reply.protected;
    let text = (!reply.say.is_empty()).then(|| {
        Message::Text(message::Text { text: vec![reply.say.clone()], allow_playback_interruption: may_interrupt })
    });
    let play = reply.play.clone().map(|audio_uri| {
        Message::PlayAudio(message::PlayAudio { audio_uri, allow_playback_interruption: may_interrupt })
    });
    let mixed = (!reply.mixed.is_empty()).then(|| mixed_audio(answer));
    let heard = [text, play, mixed].into_iter().flatten();
    let payloads = reply.payload.iter().map(|payload| Message::Payload(protobuf_struct(payload)));
    let all = heard.chain(payloads).chain(orders(reply));
    all.map(|message| cx::ResponseMessage { message: Some(message), ..Default::default() }).collect()
}

fn mixed_audio(answer: &Answered<'_>) -> Message {
    use message::mixed_audio::Segment;
    use message::mixed_audio::segment::Content;
    let segments = answer.reply.mixed.iter().zip(&answer.segments).map(|(segment, audio)| Segment {
        allow_playback_interruption: !segment.protected,
        content: Some(match audio {
            Some(audio) => Content::Audio(audio.clone()),
            None => Content::Uri(segment.uri.clone()),
        }),
    });
    Message::MixedAudio(message::MixedAudio { segments: segments.collect() })
}

fn orders(reply: &Reply) -> impl Iterator<Item = Message> {
    let handoff = reply.handoff.as_ref().map(|metadata| {
        let metadata = metadata.as_object().map(protobuf_struct);
        Message::LiveAgentHandoff(message::LiveAgentHandoff { metadata })
    });
    let transfer = reply.transfer.clone().map(|number| {
        use message::telephony_transfer_call::Endpoint;
        let endpoint = Some(Endpoint::PhoneNumber(number));
        Message::TelephonyTransferCall(message::TelephonyTransferCall { endpoint })
    });
    let tool = reply.tool_call.clone().map(|call| {
        let input_parameters = Some(protobuf_struct(&call.args));
        Message::ToolCall(cx::ToolCall { tool: call.tool, action: call.action, input_parameters })
    });
    let success = reply.success.then(|| Message::ConversationSuccess(message::ConversationSuccess::default()));
    let end = reply.end.then_some(Message::EndInteraction(message::EndInteraction {}));
    [handoff, transfer, tool, success, end].into_iter().flatten()
}
