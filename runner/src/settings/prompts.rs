//! How recordings and texts of an agent become audio.

/// How audio is fetched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PromptsConfig {
    /// The most bytes of one recording.
    pub max_bytes: usize,
    /// Cloud Storage's JSON API.
    pub storage_endpoint: String,
    /// Cloud Text-to-Speech.
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
