//! What the log looks like: `LOG_LEVEL` and `LOG_FORMAT`.

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

/// How the lines of the log are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person.
    Text,
    /// For Cloud Logging: one JSON object a line.
    Json,
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
