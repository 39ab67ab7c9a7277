//! Dialogflow ES `Sessions/StreamingDetectIntent`, v2 and v2beta1: their messages, checked as strictly as Google checks
//! them.
//!
//! v2beta1 has all of v2's fields under the same numbers and some of its own, so its types serve both. Fields that only
//! v2beta1 knows are neither read nor written for v2. `es_answer` writes the answers. Facts and sources: the protos of
//! `google.cloud.dialogflow.v2` and `v2beta1` and their comments.

use dialbridge_core::audio::Encoding;
use googleapis_tonic_google_cloud_dialogflow_v2beta1::google::cloud::dialogflow::v2beta1 as es;
use serde_json::{Map, Value};
use tonic::Status;

use es::query_input::Input;
use es::streaming_recognition_result::MessageType;

use crate::agent::conversation::CallerInput;
use crate::agent::dialect::{
    Answered, Coding, Dialect, Later, Listening, Opened, Opening, Recognised, checked_event, checked_format,
    checked_id, checked_output, checked_text, invalid,
};
use crate::agent::es_answer::responses;
use crate::agent::protobuf::{duration, duration_ms, json_object};
use crate::agent::requested_config::RequestedConfig;
use crate::agent::script::Output;

/// The dialect of v2 or of v2beta1.
#[derive(Debug, Clone)]
pub(super) struct Es<const BETA: bool>;

impl<const BETA: bool> Dialect for Es<BETA> {
    const SERVICE: &'static str =
        if BETA { "google.cloud.dialogflow.v2beta1.Sessions" } else { "google.cloud.dialogflow.v2.Sessions" };
    const COLLECTS_PARAMETERS: bool = false;
    /// Google promises one minute; 65 seconds were seen.
    const AUDIO_LIMIT: (u64, &'static str) = (65_000, "Exceeded maximum allowed stream duration of 65 seconds.");
    type Request = es::StreamingDetectIntentRequest;
    type Response = es::StreamingDetectIntentResponse;

    fn open(first: Self::Request) -> Result<Opened, Status> {
        let session = session_id(&first.session)?;
        let requested = RequestedConfig::of_es(&first);
        if !first.input_audio.is_empty() {
            return Err(invalid("the first message must not carry input_audio"));
        }
        let query = first.query_input.ok_or_else(|| invalid("the first message has no query_input"))?;
        let (language, input, parameters) = opening::<BETA>(query.input)?;
        if language.is_empty() {
            return Err(invalid("language_code is required"));
        }
        let params = first.query_params.unwrap_or_default();
        Ok(Opened {
            name: first.session,
            session,
            language,
            input,
            output: first.output_audio_config.as_ref().map(output).transpose()?,
            partial_responses: false,
            parameters,
            payload: params.payload.map(json_object).unwrap_or_default(),
            requested,
        })
    }

    fn later(later: Self::Request) -> Result<Later, Status> {
        match later.query_input.and_then(|query| query.input) {
            Some(Input::Text(text)) => checked_text(&text.text).map(Later::Instead),
            Some(_) => Err(invalid("after the first message only input_audio, or a text instead of it, may be sent")),
            None if later.input_audio.is_empty() => Err(invalid("a message without input_audio")),
            None => Ok(Later::Audio(later.input_audio)),
        }
    }

    fn transcript(heard: Recognised) -> Self::Response {
        let word = |(word, start_ms, end_ms)| es::SpeechWordInfo {
            word,
            start_offset: Some(duration(start_ms)),
            end_offset: Some(duration(end_ms)),
            ..Default::default()
        };
        recognition(es::StreamingRecognitionResult {
            message_type: MessageType::Transcript.into(),
            transcript: heard.text,
            is_final: heard.is_final,
            confidence: heard.confidence,
            stability: if BETA && !heard.is_final { 0.9 } else { 0.0 },
            speech_word_info: heard.words.into_iter().map(word).collect(),
            speech_end_offset: heard.end_ms.map(duration),
            ..Default::default()
        })
    }

    fn end_of_utterance(end_ms: Option<u64>) -> Self::Response {
        recognition(es::StreamingRecognitionResult {
            message_type: MessageType::EndOfSingleUtterance.into(),
            speech_end_offset: end_ms.map(duration),
            ..Default::default()
        })
    }

    fn answer(answer: &Answered<'_>) -> Vec<Self::Response> {
        responses::<BETA>(answer)
    }
}

fn recognition(result: es::StreamingRecognitionResult) -> es::StreamingDetectIntentResponse {
    es::StreamingDetectIntentResponse { recognition_result: Some(result), ..Default::default() }
}

fn session_id(name: &str) -> Result<String, Status> {
    let parts: Vec<&str> = name.split('/').collect();
    let rest = match parts[..] {
        ["projects", _, "locations", _, "agent", ref rest @ ..] | ["projects", _, "agent", ref rest @ ..] => rest,
        _ => &[],
    };
    match *rest {
        ["sessions", id] => checked_id(id),
        ["environments", _, "users", user, "sessions", id] => checked_id(user).and_then(|_| checked_id(id)),
        _ => Err(invalid(format!("\"{name}\" is no session of an ES agent"))),
    }
}

/// The language, the opening and the event's parameters.
fn opening<const BETA: bool>(input: Option<Input>) -> Result<(String, Opening, Map<String, Value>), Status> {
    match input {
        Some(Input::AudioConfig(config)) => {
            let listening = listening::<BETA>(&config)?;
            Ok((config.language_code, Opening::Listen(listening), Map::new()))
        }
        Some(Input::Text(text)) => Ok((text.language_code, Opening::Input(checked_text(&text.text)?), Map::new())),
        Some(Input::Event(event)) => {
            let parameters = event.parameters.map(json_object).unwrap_or_default();
            let said = checked_event(&event.name, &parameters)?;
            Ok((event.language_code, Opening::Input(said), parameters))
        }
        // v2 has no such field, so Google's v2 would ignore it.
        Some(Input::Dtmf(dtmf)) if BETA => {
            let digits: String = dtmf.dtmf_events().map(digit).collect();
            if digits.is_empty() {
                return Err(invalid("there are no digits"));
            }
            // TelephonyDtmfEvents has no language: the agent's default applies.
            Ok(("en".to_owned(), Opening::Input(CallerInput::Digits { digits, finish: String::new() }), Map::new()))
        }
        Some(Input::Dtmf(_)) | None => Err(invalid("query_input has no input")),
    }
}

fn digit(dtmf: es::TelephonyDtmf) -> char {
    use es::TelephonyDtmf as Key;
    match dtmf {
        Key::Unspecified => '?',
        Key::DtmfOne => '1',
        Key::DtmfTwo => '2',
        Key::DtmfThree => '3',
        Key::DtmfFour => '4',
        Key::DtmfFive => '5',
        Key::DtmfSix => '6',
        Key::DtmfSeven => '7',
        Key::DtmfEight => '8',
        Key::DtmfNine => '9',
        Key::DtmfZero => '0',
        Key::DtmfA => 'A',
        Key::DtmfB => 'B',
        Key::DtmfC => 'C',
        Key::DtmfD => 'D',
        Key::DtmfStar => '*',
        Key::DtmfPound => '#',
    }
}

fn listening<const BETA: bool>(config: &es::InputAudioConfig) -> Result<Listening, Status> {
    let coding = match config.audio_encoding() {
        es::AudioEncoding::Mulaw => Coding::Known(Encoding::Mulaw),
        es::AudioEncoding::Alaw => Coding::Known(Encoding::Alaw),
        es::AudioEncoding::Linear16 => Coding::Known(Encoding::Linear16),
        es::AudioEncoding::Unspecified => Coding::Unspecified,
        _ => Coding::Other,
    };
    let window = |window: es::BargeInConfig| {
        (window.no_barge_in_duration.map_or(0, duration_ms), window.total_duration.map_or(0, duration_ms))
    };
    Ok(Listening {
        format: checked_format(coding, config.sample_rate_hertz)?,
        // The request's field of the same name has no effect, whatever its comment says.
        single_utterance: config.single_utterance,
        word_info: config.enable_word_info,
        barge_in: config.barge_in_config.filter(|_| BETA).map(window),
    })
}

fn output(asked: &es::OutputAudioConfig) -> Result<Output, Status> {
    let coding = match asked.audio_encoding() {
        es::OutputAudioEncoding::Mulaw => Coding::Known(Encoding::Mulaw),
        es::OutputAudioEncoding::Alaw => Coding::Known(Encoding::Alaw),
        es::OutputAudioEncoding::Linear16 => Coding::Known(Encoding::Linear16),
        es::OutputAudioEncoding::Unspecified => Coding::Unspecified,
        _ => Coding::Other,
    };
    checked_output(coding, asked.sample_rate_hertz)
}
