//! CES settings of an agent, beyond those that every agent has.

use std::time::Duration;

use dialbridge_core::audio::AudioFormat;

/// The settings of an agent's CES streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CesConfig {
    /// The full name of the deployment that answers; `None`: the app's draft answers.
    pub deployment: Option<String>,
    /// `CES_INPUT_AUDIO`: the coding of the caller's audio. MULAW at 8,000 Hz, or LINEAR16.
    pub input: AudioFormat,
    /// `CES_OUTPUT_AUDIO`: the coding that we request for the agent's audio.
    pub output: AudioFormat,
    /// `CES_CHUNK_MS`: how much of the caller's audio goes into one message.
    pub chunk: Duration,
    /// `CES_ENTRY_AGENT`: the agent of the app that begins, by its id or its full name; `None`: the app's root agent.
    pub entry_agent: Option<String>,
    /// `CES_VARIABLES_MS`: how long the app has to take the variables before the kick-start.
    pub variables: Duration,
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
            entry_agent: None,
            variables: Duration::from_millis(500),
            noise_suppression: None,
        }
    }
}
