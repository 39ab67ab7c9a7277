//! Writes the lab's ES answers: a script's answer as a query result, with its audio in it or after it.
//!
//! Facts and sources: the protos of `google.cloud.dialogflow.v2` and `v2beta1` and their comments.

use bytes::Bytes;
use dialbridge_core::audio::Encoding;
use googleapis_tonic_google_cloud_dialogflow_v2beta1::google::cloud::dialogflow::v2beta1 as es;
use googleapis_tonic_google_cloud_dialogflow_v2beta1::google::rpc;
use tonic::Code;

use es::intent::message;
use es::intent::message::{Message, Platform};

use crate::agent::conversation::CallerInput;
use crate::agent::dialect::Answered;
use crate::agent::protobuf::protobuf_struct;
use crate::agent::script::{Announced, AudioMessages, Output, Reply};

/// The result, and the audio in it or after it.
pub(super) fn responses<const BETA: bool>(answer: &Answered<'_>) -> Vec<es::StreamingDetectIntentResponse> {
    let mut result = es::StreamingDetectIntentResponse {
        response_id: answer.response_id.clone(),
        query_result: Some(query_result::<BETA>(answer)),
        webhook_status: webhook_fault(answer.reply),
        ..Default::default()
    };
    let Some((audio, output)) = answer.audio.clone() else { return vec![result] };
    let piece = |audio: Bytes| es::StreamingDetectIntentResponse {
        output_audio: audio,
        output_audio_config: Some(output_config(output)),
        ..Default::default()
    };
    match answer.script.audio_messages {
        AudioMessages::WithResult => {
            result.output_audio = audio;
            result.output_audio_config = Some(output_config(output));
            vec![result]
        }
        AudioMessages::After => vec![result, piece(audio)],
        AudioMessages::Split => {
            let third = audio.len().div_ceil(3).max(1);
            let pieces = (0..audio.len()).step_by(third).map(|at| audio.slice(at..audio.len().min(at + third)));
            std::iter::once(result).chain(pieces.map(piece)).collect()
        }
    }
}

fn webhook_fault(reply: &Reply) -> Option<rpc::Status> {
    let fault = (!reply.webhook_fault.is_empty()).then(|| reply.webhook_fault.clone())?;
    Some(rpc::Status { code: Code::Unavailable.into(), message: fault, ..Default::default() })
}

fn output_config(output: Output) -> es::OutputAudioConfig {
    let encoding = match (output.announced, output.encoding) {
        (Some(Announced::Mp3), _) => es::OutputAudioEncoding::Mp3,
        (Some(Announced::OggOpus), _) => es::OutputAudioEncoding::OggOpus,
        (None, Encoding::Linear16) => es::OutputAudioEncoding::Linear16,
        (None, Encoding::Mulaw) => es::OutputAudioEncoding::Mulaw,
        (None, Encoding::Alaw) => es::OutputAudioEncoding::Alaw,
    };
    let sample_rate_hertz = i32::try_from(output.sample_rate).unwrap_or_default();
    es::OutputAudioConfig { audio_encoding: encoding.into(), sample_rate_hertz, ..Default::default() }
}

fn query_result<const BETA: bool>(answer: &Answered<'_>) -> es::QueryResult {
    let reply = answer.reply;
    let has_intent = !reply.intent.is_empty() || reply.end || reply.handoff.is_some() || reply.no_match;
    let intent = has_intent.then(|| es::Intent {
        name: format!("projects/lab/agent/intents/{}", reply.intent),
        display_name: reply.intent.clone(),
        end_interaction: reply.end,
        live_agent_handoff: reply.handoff.is_some(),
        is_fallback: reply.no_match,
        ..Default::default()
    });
    let query_text = match answer.said {
        CallerInput::Utterance { .. } | CallerInput::Nothing | CallerInput::ToolResult { .. } => {
            answer.said.transcript()
        }
        CallerInput::Text(text) => text.clone(),
        CallerInput::Event { name, .. } => name.clone(),
        CallerInput::Digits { digits, .. } => digits.clone(),
    };
    es::QueryResult {
        query_text,
        language_code: answer.opened.language.clone(),
        action: reply.action.clone(),
        parameters: Some(protobuf_struct(answer.parameters)),
        all_required_params_present: true,
        fulfillment_text: reply.say.clone(),
        fulfillment_messages: messages::<BETA>(reply),
        webhook_payload: reply.handoff.as_ref().and_then(|metadata| metadata.as_object()).map(protobuf_struct),
        intent,
        intent_detection_confidence: if answer.is_matched { 1.0 } else { 0.0 },
        ..Default::default()
    }
}

/// The answer's messages. Telephony messages exist in v2beta1 only.
fn messages<const BETA: bool>(reply: &Reply) -> Vec<es::intent::Message> {
    let of = |message, platform: Platform| es::intent::Message { message: Some(message), platform: platform.into() };
    let text = (!reply.say.is_empty()).then(|| Message::Text(message::Text { text: vec![reply.say.clone()] }));
    let payloads = reply.payload.iter().map(|payload| Message::Payload(protobuf_struct(payload)));
    let everywhere = text.into_iter().chain(payloads).map(|message| of(message, Platform::Unspecified));
    let telephony = telephony(reply).filter(|_| BETA).map(|message| of(message, Platform::Telephony));
    everywhere.chain(telephony).collect()
}

fn telephony(reply: &Reply) -> impl Iterator<Item = Message> {
    use message::telephony_synthesize_speech::Source;
    let play =
        reply.play.clone().map(|audio_uri| Message::TelephonyPlayAudio(message::TelephonyPlayAudio { audio_uri }));
    let speech = (!reply.speech.is_empty()).then(|| {
        let is_ssml = reply.speech.starts_with("<speak");
        let source = if is_ssml { Source::Ssml(reply.speech.clone()) } else { Source::Text(reply.speech.clone()) };
        Message::TelephonySynthesizeSpeech(message::TelephonySynthesizeSpeech { source: Some(source) })
    });
    let transfer = reply
        .transfer
        .clone()
        .map(|phone_number| Message::TelephonyTransferCall(message::TelephonyTransferCall { phone_number }));
    [play, speech, transfer].into_iter().flatten()
}
