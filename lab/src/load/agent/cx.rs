//! Dialogflow CX, `StreamingDetectIntent` of v3.

use bytes::Bytes;
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use prost::Message as _;

use super::turn::{Dialect, Request};

use cx::query_input::Input;
use cx::response_message::{Message, Text};
use cx::streaming_detect_intent_response::Response as Part;
use cx::streaming_recognition_result::MessageType;

pub(super) const PATH: &str = "/google.cloud.dialogflow.cx.v3.Sessions/StreamingDetectIntent";

pub(super) struct Cx;

impl Dialect for Cx {
    type Response = cx::StreamingDetectIntentResponse;

    fn read(request: Bytes) -> Option<Request> {
        let request = cx::StreamingDetectIntentRequest::decode(request).ok()?;
        let audio = match request.query_input?.input? {
            Input::Audio(audio) => Some(audio.audio).filter(|audio| !audio.is_empty()),
            _ => None,
        };
        Some(Request { session: request.session, audio })
    }

    fn transcript(is_final: bool) -> Self::Response {
        recognised(cx::StreamingRecognitionResult {
            message_type: MessageType::Transcript.into(),
            transcript: "a few words".to_owned(),
            is_final,
            ..Default::default()
        })
    }

    fn end_of_utterance() -> Self::Response {
        recognised(cx::StreamingRecognitionResult {
            message_type: MessageType::EndOfSingleUtterance.into(),
            ..Default::default()
        })
    }

    fn answer(audio: Bytes) -> Self::Response {
        let text = Message::Text(Text { text: vec!["an answer".to_owned()], allow_playback_interruption: true });
        let result = cx::QueryResult {
            language_code: "en-US".to_owned(),
            response_messages: vec![cx::ResponseMessage { message: Some(text), ..Default::default() }],
            r#match: Some(cx::Match { match_type: cx::r#match::MatchType::Intent.into(), ..Default::default() }),
            query: Some(cx::query_result::Query::Transcript("a few words".to_owned())),
            ..Default::default()
        };
        let response = cx::DetectIntentResponse {
            query_result: Some(result),
            output_audio: audio,
            output_audio_config: Some(cx::OutputAudioConfig {
                audio_encoding: cx::OutputAudioEncoding::Mulaw.into(),
                sample_rate_hertz: 8_000,
                ..Default::default()
            }),
            response_type: cx::detect_intent_response::ResponseType::Final.into(),
            ..Default::default()
        };
        cx::StreamingDetectIntentResponse { response: Some(Part::DetectIntentResponse(response)), ..Default::default() }
    }
}

fn recognised(result: cx::StreamingRecognitionResult) -> cx::StreamingDetectIntentResponse {
    cx::StreamingDetectIntentResponse { response: Some(Part::RecognitionResult(result)), ..Default::default() }
}
