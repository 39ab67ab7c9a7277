//! Cloud Text-to-Speech: `POST /v1/text:synthesize`
//! (<https://docs.cloud.google.com/text-to-speech/docs/reference/rest/v1/text/synthesize>). It knows no voice: what it says
//! is a tone, as long as the words would take.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::wav::write_wav;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::agent::script::Tone;
use crate::agent::speech::tone;

/// How long a character takes, in milliseconds.
const MS_PER_CHAR: u32 = 60;

/// The tone's frequency.
const HZ: u32 = 700;

/// The longest request, in bytes: Google takes 5,000 of words.
const MOST_BYTES: usize = 8 * 1024;

/// The service. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct TextToSpeech(Arc<Mutex<Vec<Synthesized>>>);

/// Words that were synthesised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synthesized {
    /// The words, or SSML.
    pub words: String,
    /// Whether it is SSML.
    pub is_ssml: bool,
    /// In which language.
    pub language: String,
    /// How long it took to say them, in milliseconds.
    pub ms: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Body {
    input: Input,
    voice: Voice,
    audio_config: AudioConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Input {
    Text(String),
    Ssml(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Voice {
    language_code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AudioConfig {
    audio_encoding: String,
    sample_rate_hertz: u32,
}

impl TextToSpeech {
    /// What was synthesised so far, in order.
    #[must_use]
    pub fn synthesized(&self) -> Vec<Synthesized> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves one connection.
    pub async fn serve(&self, connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        super::serve(connection, |request| self.answer(request)).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() != "/v1/text:synthesize" || request.method() != Method::POST {
            return of(StatusCode::NOT_FOUND, &json!({ "error": { "code": 404, "status": "NOT_FOUND" } }));
        }
        let body = Limited::new(request.into_body(), MOST_BYTES).collect().await.map(|body| body.to_bytes());
        let body: Option<Body> = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
        match body.and_then(|body| self.synthesize(body)) {
            Some(wav) => of(StatusCode::OK, &json!({ "audioContent": STANDARD.encode(wav) })),
            None => {
                let error = json!({ "error": { "code": 400, "status": "INVALID_ARGUMENT" } });
                of(StatusCode::BAD_REQUEST, &error)
            }
        }
    }

    /// The words as mu-law at 8,000 Hz in a WAV, as Google's has one; `None` for what the lab cannot make.
    fn synthesize(&self, body: Body) -> Option<Vec<u8>> {
        let AudioConfig { audio_encoding, sample_rate_hertz } = body.audio_config;
        let (words, is_ssml) = match body.input {
            Input::Text(words) => (words, false),
            Input::Ssml(words) => (words, true),
        };
        let language = body.voice.language_code;
        if audio_encoding != "MULAW" || sample_rate_hertz != 8_000 || words.is_empty() || language.is_empty() {
            return None;
        }
        let ms = u32::try_from(words.chars().count()).unwrap_or(u32::MAX).saturating_mul(MS_PER_CHAR);
        let wav = write_wav(1, AudioFormat::TELEPHONE, &tone(Tone { hz: HZ, ms }));
        let mut synthesized = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        synthesized.push(Synthesized { words, is_ssml, language, ms });
        Some(wav)
    }
}

fn of(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::audio::to_mulaw;

    fn body(value: serde_json::Value) -> Option<Body> {
        serde_json::from_value(value).ok()
    }

    #[test]
    fn words_become_audio_of_their_length() {
        let service = TextToSpeech::default();
        let asked = json!({
            "input": { "text": "good morning" }, "voice": { "languageCode": "en-US" },
            "audioConfig": { "audioEncoding": "MULAW", "sampleRateHertz": 8000 },
        });
        let wav = service.synthesize(body(asked).unwrap()).unwrap();
        assert_eq!(to_mulaw(AudioFormat::TELEPHONE, &wav).unwrap().len(), 12 * 60 * 8);
        assert_eq!(service.synthesized()[0].words, "good morning");
    }

    #[test]
    fn what_is_not_as_google_wants_it_is_refused() {
        let service = TextToSpeech::default();
        let voice = json!({ "languageCode": "en" });
        let coding = json!({ "audioEncoding": "MULAW", "sampleRateHertz": 8000 });
        let other = json!({ "audioEncoding": "MP3", "sampleRateHertz": 8000 });
        for asked in [
            json!({ "input": { "text": "" }, "voice": voice, "audioConfig": coding }),
            json!({ "input": { "text": "a" }, "voice": voice, "audioConfig": other }),
            json!({ "input": { "text": "a" }, "voice": {}, "audioConfig": coding }),
            json!({ "input": { "text": "a", "ssml": "b" }, "voice": voice, "audioConfig": coding }),
        ] {
            assert!(body(asked).and_then(|body| service.synthesize(body)).is_none());
        }
    }
}
