//! The least severity that is logged: `LOG_LEVEL`.

/// The severity of a line, in Cloud Logging's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For somebody who looks for a fault. May contain transcripts.
    Debug,
    /// What happened.
    Info,
    /// Something is wrong, and the service continues.
    Warning,
    /// Something failed.
    Error,
}

impl Severity {
    /// Reads `debug`, `info`, `warning` or `error`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "debug" => Some(Self::Debug),
            "info" => Some(Self::Info),
            "warning" | "warn" => Some(Self::Warning),
            "error" => Some(Self::Error),
            _ => None,
        }
    }
}
