//! The settings of how an agent hears and speaks, and of what its webhook is told.

use std::collections::BTreeMap;

use super::value::{Shown, boolean, choice, decimal, list, number, set, text};
use super::{Product, Secret, SettingError, Settings};
use dialbridge_agents::{ModelVariant, SpeechConfig, VoiceGender};

/// Dialogflow's bounds for phrase hints (Cloud Speech's of a request): how many, and how long each one, in characters.
const MOST_PHRASES: usize = 5_000;
const MOST_PHRASE_CHARS: usize = 100;

/// Audio in one of Twilio's frames, in milliseconds.
const FRAME_MS: usize = 20;

/// Headers that Google refuses (`google.cloud.dialogflow.cx.v3.QueryParameters.webhook_headers`).
const REFUSED_HEADERS: [&str; 9] = [
    "host",
    "content-length",
    "connection",
    "from",
    "user-agent",
    "accept-encoding",
    "if-modified-since",
    "if-none-match",
    "x-forwarded-for",
];

impl Settings {
    /// What the requests say of speech and of the query.
    pub(super) fn speech(&self, product: Product) -> Result<SpeechConfig, SettingError> {
        let genders = [("male", VoiceGender::Male), ("female", VoiceGender::Female), ("neutral", VoiceGender::Neutral)];
        let variants = [
            ("best", ModelVariant::BestAvailable),
            ("standard", ModelVariant::Standard),
            ("enhanced", ModelVariant::Enhanced),
        ];
        Ok(SpeechConfig {
            voice_name: text(&self.voice_name),
            voice_gender: choice("VOICE_GENDER", set(&self.voice_gender), &genders)?,
            speaking_rate: decimal("SPEAKING_RATE", set(&self.speaking_rate), 0.25..=4.0, "1.2")?,
            pitch: decimal("PITCH", set(&self.pitch), -20.0..=20.0, "-2.5")?,
            volume_gain_db: decimal("VOLUME_GAIN_DB", set(&self.volume_gain_db), -96.0..=16.0, "6")?,
            effects: list(set(&self.effects_profile)),
            model: text(&self.speech_model),
            model_variant: choice("SPEECH_MODEL_VARIANT", set(&self.speech_model_variant), &variants)?,
            phrase_hints: self.phrases()?,
            sentiment: boolean("SENTIMENT", self.sentiment.as_deref(), false)?,
            time_zone: time_zone(set(&self.time_zone))?,
            webhook_headers: headers(&list(set(&self.webhook_headers)))?,
            flow_versions: self.versions(product)?,
            audio_chunk_ms: audio_chunk(set(&self.audio_chunk_ms))?,
        })
    }

    fn phrases(&self) -> Result<Vec<String>, SettingError> {
        let wrong = |fault: String| SettingError::new("PHRASE_HINTS", fault, "rye bread,sourdough");
        let phrases = list(set(&self.phrase_hints));
        if phrases.len() > MOST_PHRASES {
            return Err(wrong(format!("has {} phrases, of which {MOST_PHRASES} are taken", phrases.len())));
        }
        if let Some(long) = phrases.iter().find(|phrase| phrase.chars().count() > MOST_PHRASE_CHARS) {
            let begin: String = long.chars().take(30).collect();
            let fault =
                format!("has a phrase of more than {MOST_PHRASE_CHARS} characters, which begins with \"{begin}\"");
            return Err(wrong(fault));
        }
        Ok(phrases)
    }

    fn versions(&self, product: Product) -> Result<Vec<String>, SettingError> {
        let example = "projects/p/locations/l/agents/a/flows/f/versions/1";
        let wrong = |fault: String| SettingError::new("FLOW_VERSIONS", fault, example);
        let versions = list(set(&self.flow_versions));
        if product != Product::Cx && !versions.is_empty() {
            return Err(wrong("is set, and only Dialogflow CX has flows".to_owned()));
        }
        let is_version = |name: &str| {
            let parts: Vec<&str> = name.split('/').collect();
            matches!(parts[..], ["projects", _, "locations", _, "agents", _, "flows", _, "versions", _])
                && !parts.contains(&"")
        };
        match versions.iter().find(|name| !is_version(name)) {
            Some(name) => Err(wrong(format!("names {}, which is no version of a flow", Shown(name)))),
            None => Ok(versions),
        }
    }

    /// What a part of a voice does to the rest of it.
    pub(super) fn speech_notice(&self, product: Product, speech: &SpeechConfig) -> Option<String> {
        let names_voice = speech.voice_name.is_some() || speech.voice_gender.is_some();
        let replaces = product == Product::Cx && speech.sets_voice() && !names_voice;
        let text = "SPEAKING_RATE, PITCH, VOLUME_GAIN_DB and EFFECTS_PROFILE replace the whole voice of a CX agent, \
                    unless VOICE_NAME or VOICE_GENDER names one";
        replaces.then(|| text.to_owned())
    }
}

/// Only the form is looked at: the tz database is Google's.
/// Twilio's frames are whole in it.
fn audio_chunk(value: Option<&str>) -> Result<usize, SettingError> {
    let ms = number("AUDIO_CHUNK_MS", value, FRAME_MS, 20..=200, "40")?;
    if ms % FRAME_MS == 0 {
        return Ok(ms);
    }
    Err(SettingError::new("AUDIO_CHUNK_MS", format!("is {ms}, which is not so many frames of {FRAME_MS} ms"), "40"))
}

fn time_zone(value: Option<&str>) -> Result<Option<String>, SettingError> {
    let Some(zone) = value else { return Ok(None) };
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+');
    let is_part = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.bytes().all(is_plain);
    let is_zone = zone == "UTC" || (zone.contains('/') && zone.split('/').all(is_part));
    let fault = || format!("is {}; it must be UTC, or Area/City as in the tz database", Shown(zone));
    if is_zone { Ok(Some(zone.to_owned())) } else { Err(SettingError::new("TIME_ZONE", fault(), "Europe/Berlin")) }
}

/// Headers by their names. A value may be a secret, so that no fault shows one.
fn headers(items: &[String]) -> Result<BTreeMap<String, Secret>, SettingError> {
    let wrong = |fault: String| SettingError::new("WEBHOOK_HEADERS", fault, "X-Tenant: north, X-Shop: 7");
    let mut headers: BTreeMap<String, Secret> = BTreeMap::new();
    for (n, item) in items.iter().enumerate() {
        let (name, value) = item.split_once(':').map_or(("", ""), |(name, value)| (name.trim(), value.trim()));
        let is_header = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
            && http::HeaderValue::from_str(value).is_ok()
            && value.is_ascii();
        if !is_header {
            return Err(wrong(format!("has no header in the form Name: value at place {} of its list", n + 1)));
        }
        if REFUSED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(wrong(format!("names {name}, which Google does not let a request set")));
        }
        if headers.keys().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(wrong(format!("names {name} twice")));
        }
        headers.insert(name.to_owned(), Secret::new(value));
    }
    Ok(headers)
}
