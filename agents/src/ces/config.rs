//! How an agent of the Customer Engagement Suite is streamed to, beyond what every agent's settings say.

use std::time::Duration;

use dialbridge_core::audio::AudioFormat;

/// What the streams of an agent's calls are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CesConfig {
    /// The deployment that answers, by its whole name; without one it is the app's draft.
    pub deployment: Option<String>,
    /// `CES_INPUT_AUDIO`: the coding in which the caller's audio is sent. MULAW at 8,000 Hz, or LINEAR16.
    pub input: AudioFormat,
    /// `CES_OUTPUT_AUDIO`: the coding in which the agent's audio is asked for.
    pub output: AudioFormat,
    /// `CES_CHUNK_MS`: how much of the caller's audio is one message.
    pub chunk: Duration,
    /// `CES_NOISE_SUPPRESSION`: `low`, `moderate`, `high` or `very_high`; `None`: the app's own setting.
    pub noise_suppression: Option<&'static str>,
}

impl Default for CesConfig {
    fn default() -> Self {
        Self {
            deployment: None,
            input: AudioFormat::TELEPHONE,
            output: AudioFormat::TELEPHONE,
            chunk: Duration::from_millis(60),
            noise_suppression: None,
        }
    }
}
