//! A wrong setting in one line: which setting, what is wrong, and a value that works.

use std::fmt;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    name: &'static str,
    /// What the line begins with: the setting's name, or a place in the agents' file.
    subject: String,
    fault: String,
    /// A valid setting, written as at that place. Empty: there is no example.
    example: String,
}

impl SettingError {
    /// A fault of the setting `name`. `example` is a valid value.
    #[must_use]
    pub fn new(name: &'static str, fault: impl Into<String>, example: &'static str) -> Self {
        Self { name, subject: name.to_owned(), fault: fault.into(), example: format!("{name}={example}") }
    }

    /// A fault in the agents' file that concerns no setting's value.
    pub(super) fn in_file(place: impl Into<String>, fault: impl Into<String>) -> Self {
        Self { name: "DIALBRIDGE_CONFIG", subject: place.into(), fault: fault.into(), example: String::new() }
    }

    /// The same fault for a value in the agents' file, at the key `place`.
    pub(super) fn at_key(self, place: String) -> Self {
        let (_, example) = self.example.split_once('=').unwrap_or_default();
        Self { subject: place, example: format!("{} = \"{example}\"", self.name.to_lowercase()), ..self }
    }

    /// The same fault for a value that was given for all agents and is wrong for this one.
    pub(super) fn for_agent(self, agent: &str) -> Self {
        Self { subject: format!("{agent}: {}", self.name), ..self }
    }

    /// The setting's name as an environment variable.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject, self.fault.replace(['\n', '\r'], " "))?;
        if self.example.is_empty() { Ok(()) } else { write!(f, "; for example {}", self.example) }
    }
}

impl std::error::Error for SettingError {}
