//! Speech settings beyond the agent's own. The agent decides everything that is not set.

use std::collections::BTreeMap;

use dialbridge_net::Secret;

/// The speech and query settings in the requests of an agent's calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SpeechConfig {
    /// `VOICE_NAME`.
    pub voice_name: Option<String>,
    /// `VOICE_GENDER`.
    pub voice_gender: Option<VoiceGender>,
    /// `SPEAKING_RATE`, 0.25 to 4.
    pub speaking_rate: Option<f64>,
    /// `PITCH`, -20 to 20 semitones.
    pub pitch: Option<f64>,
    /// `VOLUME_GAIN_DB`, -96 to 16.
    pub volume_gain_db: Option<f64>,
    /// `EFFECTS_PROFILE`.
    pub effects: Vec<String>,
    /// `SPEECH_MODEL`.
    pub model: Option<String>,
    /// `SPEECH_MODEL_VARIANT`.
    pub model_variant: Option<ModelVariant>,
    /// `PHRASE_HINTS`.
    pub phrase_hints: Vec<String>,
    /// `SENTIMENT`.
    pub sentiment: bool,
    /// `TIME_ZONE`, from the tz database.
    pub time_zone: Option<String>,
    /// `WEBHOOK_HEADERS`; their values may be credentials.
    pub webhook_headers: BTreeMap<String, Secret>,
    /// `FLOW_VERSIONS` (CX).
    pub flow_versions: Vec<String>,
    /// `CHANNEL` (CX): the channel whose messages the agent answers with.
    pub channel: Option<String>,
    /// `SESSION_TTL_MINUTES` (CX): how long the session is kept after its last request.
    pub session_ttl_minutes: Option<u64>,
    /// `AUDIO_CHUNK_MS`: the minimum audio in a message, in milliseconds. Up to 20, audio does not wait.
    pub audio_chunk_ms: usize,
}

impl SpeechConfig {
    /// The headers for a request, with their values readable.
    pub(super) fn exposed_headers(&self) -> BTreeMap<String, String> {
        self.webhook_headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect()
    }

    /// Whether any voice setting is set. In CX, a request that sets a part of the voice replaces all of the agent's
    /// own.
    #[must_use]
    pub fn sets_voice(&self) -> bool {
        self.voice_name.is_some()
            || self.voice_gender.is_some()
            || self.speaking_rate.is_some()
            || self.pitch.is_some()
            || self.volume_gain_db.is_some()
            || !self.effects.is_empty()
    }
}

/// The voice's gender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoiceGender {
    /// `male`.
    Male,
    /// `female`.
    Female,
    /// `neutral`.
    Neutral,
}

/// The variant of a speech model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelVariant {
    /// `best`: the best available.
    BestAvailable,
    /// `standard`.
    Standard,
    /// `enhanced`.
    Enhanced,
}
