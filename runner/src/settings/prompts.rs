//! How we turn an agent's recordings and texts into audio.

/// How we fetch audio.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PromptsConfig {
    /// The maximum size of a recording, in bytes.
    pub max_bytes: usize,
    /// Base URL of Cloud Storage's JSON API.
    pub storage_endpoint: String,
    /// Base URL of Cloud Text-to-Speech.
    pub text_to_speech_endpoint: String,
}

impl Default for PromptsConfig {
    fn default() -> Self {
        Self {
            max_bytes: 5 << 20,
            storage_endpoint: "https://storage.googleapis.com".to_owned(),
            text_to_speech_endpoint: "https://texttospeech.googleapis.com".to_owned(),
        }
    }
}
