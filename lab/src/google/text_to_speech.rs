//! Cloud Text-to-Speech: `POST /v1/text:synthesize`
//! (<https://docs.cloud.google.com/text-to-speech/docs/reference/rest/v1/text/synthesize>). It has no voice: it plays a
//! tone for as long as the words would take. It refuses the same voice settings as Google.

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

/// The profiles that there are.
const EFFECTS: [&str; 8] = [
    "wearable-class-device",
    "handset-class-device",
    "headphone-class-device",
    "small-bluetooth-speaker-class-device",
    "medium-bluetooth-speaker-class-device",
    "large-home-entertainment-class-device",
    "large-automotive-class-device",
    "telephony-class-application",
];

/// The longest request, in bytes: Google accepts 5,000 bytes of words.
const MAX_BYTES: usize = 8 * 1024;

/// The service. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct TextToSpeech(Arc<Mutex<Vec<Synthesized>>>);

/// Words that were synthesised.
#[derive(Debug, Clone, PartialEq)]
pub struct Synthesized {
    /// The words, or SSML.
    pub words: String,
    /// Whether it is SSML.
    pub is_ssml: bool,
    /// The language.
    pub language: String,
    /// The voice's name, or its gender; empty if none was named.
    pub voice: String,
    /// The requested sound.
    pub sound: Sound,
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
    #[serde(default)]
    name: String,
    ssml_gender: Option<Gender>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Gender {
    Male,
    Female,
    Neutral,
}

impl Voice {
    /// A named voice must belong to the requested language: its name begins with the language's tag.
    fn is_there(&self) -> bool {
        let (language, name) = (self.language_code.to_ascii_lowercase(), self.name.to_ascii_lowercase());
        let own = name.match_indices('-').nth(1).map_or("", |(at, _)| &name[..at]);
        !language.is_empty() && (name.is_empty() || own == language)
    }

    fn gender(&self) -> &'static str {
        match self.ssml_gender {
            None => "",
            Some(Gender::Male) => "MALE",
            Some(Gender::Female) => "FEMALE",
            Some(Gender::Neutral) => "NEUTRAL",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct AudioConfig {
    audio_encoding: String,
    sample_rate_hertz: u32,
    #[serde(default)]
    speaking_rate: f64,
    #[serde(default)]
    pitch: f64,
    #[serde(default)]
    volume_gain_db: f64,
    #[serde(default)]
    effects_profile_id: Vec<String>,
}

/// How the words are to sound. 0 stands for a value that was not set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sound {
    /// 0.25 to 2.
    pub speaking_rate: f64,
    /// -20 to 20 semitones.
    pub pitch: f64,
    /// -96 to 16.
    pub volume_gain_db: f64,
    /// Profiles of the devices that play it.
    pub effects: Vec<String>,
}

impl Sound {
    /// Whether Google accepts these settings for that voice: the newest voices have no pitch.
    fn can_be_made(&self, voice: &str) -> bool {
        let has_pitch = self.pitch == 0.0 || !voice.to_ascii_lowercase().contains("-chirp");
        let rate = self.speaking_rate == 0.0 || (0.25..=2.0).contains(&self.speaking_rate);
        let levels = (-20.0..=20.0).contains(&self.pitch) && (-96.0..=16.0).contains(&self.volume_gain_db);
        has_pitch && rate && levels && self.effects.iter().all(|effect| EFFECTS.contains(&effect.as_str()))
    }
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
        let body = Limited::new(request.into_body(), MAX_BYTES).collect().await.map(|body| body.to_bytes());
        let body: Option<Body> = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
        match body.and_then(|body| self.synthesize(body)) {
            Some(wav) => of(StatusCode::OK, &json!({ "audioContent": STANDARD.encode(wav) })),
            None => {
                let error = json!({ "error": { "code": 400, "status": "INVALID_ARGUMENT" } });
                of(StatusCode::BAD_REQUEST, &error)
            }
        }
    }

    /// The words as mu-law at 8,000 Hz in a WAV, like Google's; `None` if the lab cannot make it.
    fn synthesize(&self, body: Body) -> Option<Vec<u8>> {
        let AudioConfig { audio_encoding, sample_rate_hertz, speaking_rate, pitch, volume_gain_db, effects_profile_id } =
            body.audio_config;
        let sound = Sound { speaking_rate, pitch, volume_gain_db, effects: effects_profile_id };
        let (words, is_ssml) = match body.input {
            Input::Text(words) => (words, false),
            Input::Ssml(words) => (words, true),
        };
        let voice = body.voice;
        let is_telephones = audio_encoding == "MULAW" && sample_rate_hertz == 8_000;
        if !is_telephones || words.is_empty() || !voice.is_there() || !sound.can_be_made(&voice.name) {
            return None;
        }
        let named = if voice.name.is_empty() { voice.gender().to_owned() } else { voice.name };
        let ms = u32::try_from(words.chars().count()).unwrap_or(u32::MAX).saturating_mul(MS_PER_CHAR);
        let wav = write_wav(1, AudioFormat::TELEPHONE, &tone(Tone { hz: HZ, ms }));
        let mut synthesized = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        synthesized.push(Synthesized { words, is_ssml, language: voice.language_code, voice: named, sound, ms });
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

    fn says(voice: &serde_json::Value, sound: &serde_json::Value) -> bool {
        let mut coding = json!({ "audioEncoding": "MULAW", "sampleRateHertz": 8000 });
        for (name, value) in sound.as_object().unwrap() {
            coding[name] = value.clone();
        }
        let asked = json!({ "input": { "text": "a" }, "voice": voice, "audioConfig": coding });
        body(asked).and_then(|body| TextToSpeech::default().synthesize(body)).is_some()
    }

    #[test]
    fn a_voice_speaks_the_language_that_its_name_begins_with_and_no_other() {
        let speaks = |language: &str, name: &str| says(&json!({ "languageCode": language, "name": name }), &json!({}));
        assert!(speaks("en-US", "en-US-Neural2-F") && speaks("sr-RS", "sr-rs-Standard-A"));
        for (language, name) in [("en", "en-US-Neural2-F"), ("de-DE", "en-US-Neural2-F"), ("en-US", "Kore"), ("", "")] {
            assert!(!speaks(language, name), "{language} {name}");
        }
    }

    #[test]
    fn a_sound_is_within_googles_limits() {
        let voice = json!({ "languageCode": "en-US", "ssmlGender": "FEMALE" });
        let chirp = json!({ "languageCode": "en-US", "name": "en-US-Chirp3-HD-Kore" });
        let good = json!({
            "speakingRate": 2, "pitch": -20, "volumeGainDb": 16, "effectsProfileId": ["telephony-class-application"],
        });
        assert!(says(&voice, &good) && says(&chirp, &json!({ "speakingRate": 0.25, "volumeGainDb": -96 })));
        for wrong in [
            json!({ "speakingRate": 2.1 }),
            json!({ "speakingRate": 0.2 }),
            json!({ "pitch": 20.5 }),
            json!({ "volumeGainDb": 17 }),
            json!({ "effectsProfileId": ["telephone"] }),
            json!({ "volume": 1 }),
        ] {
            assert!(!says(&voice, &wrong), "{wrong}");
        }
        assert!(!says(&chirp, &json!({ "pitch": 1 })), "its newest voices have no pitch");
        assert!(!says(&json!({ "languageCode": "en-US", "ssmlGender": "female" }), &json!({})));
    }
}
