//! Dialogflow ES, `StreamingDetectIntent` of v2 and v2beta1: the fields we use have the same numbers in both.

use bytes::Bytes;
use googleapis_tonic_google_cloud_dialogflow_v2beta1::google::cloud::dialogflow::v2beta1 as es;
use prost::Message as _;

use super::turn::{Dialect, Request};

use es::streaming_recognition_result::MessageType;

pub(super) const PATHS: [&str; 2] = [
    "/google.cloud.dialogflow.v2.Sessions/StreamingDetectIntent",
    "/google.cloud.dialogflow.v2beta1.Sessions/StreamingDetectIntent",
];

pub(super) struct Es;

impl Dialect for Es {
    type Response = es::StreamingDetectIntentResponse;

    fn read(request: Bytes) -> Option<Request> {
        let request = es::StreamingDetectIntentRequest::decode(request).ok()?;
        let audio = Some(request.input_audio).filter(|audio| !audio.is_empty());
        // A message without audio is the first one: it carries the configuration.
        (audio.is_some() || request.query_input.is_some()).then_some(Request { session: request.session, audio })
    }

    fn transcript(is_final: bool) -> Self::Response {
        recognised(es::StreamingRecognitionResult {
            message_type: MessageType::Transcript.into(),
            transcript: "a few words".to_owned(),
            is_final,
            ..Default::default()
        })
    }

    fn end_of_utterance() -> Self::Response {
        recognised(es::StreamingRecognitionResult {
            message_type: MessageType::EndOfSingleUtterance.into(),
            ..Default::default()
        })
    }

    fn answer(audio: Bytes) -> Self::Response {
        let result = es::QueryResult {
            language_code: "en-US".to_owned(),
            query_text: "a few words".to_owned(),
            fulfillment_text: "an answer".to_owned(),
            intent: Some(es::Intent { display_name: "answer".to_owned(), ..Default::default() }),
            ..Default::default()
        };
        es::StreamingDetectIntentResponse {
            response_id: "an-answer".to_owned(),
            query_result: Some(result),
            output_audio: audio,
            output_audio_config: Some(es::OutputAudioConfig {
                audio_encoding: es::OutputAudioEncoding::Mulaw.into(),
                sample_rate_hertz: 8_000,
                ..Default::default()
            }),
            ..Default::default()
        }
    }
}

fn recognised(result: es::StreamingRecognitionResult) -> es::StreamingDetectIntentResponse {
    es::StreamingDetectIntentResponse { recognition_result: Some(result), ..Default::default() }
}
