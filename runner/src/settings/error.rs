//! A wrong setting, told in one line: which one, what is wrong with it, and how it would be right.

use std::fmt;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    name: &'static str,
    /// What is wrong, as people know it: a name, or a place in the agents' file.
    subject: String,
    fault: String,
    /// A value that would do, as it is written there. Empty: none.
    example: String,
}

impl SettingError {
    /// The setting of that name has that fault; `example` is a value that would do.
    #[must_use]
    pub fn new(name: &'static str, fault: impl Into<String>, example: &'static str) -> Self {
        Self { name, subject: name.to_owned(), fault: fault.into(), example: format!("{name}={example}") }
    }

    /// Something in the agents' file has that fault, and is no value of a setting.
    pub(super) fn in_file(place: impl Into<String>, fault: impl Into<String>) -> Self {
        Self { name: "DIALBRIDGE_CONFIG", subject: place.into(), fault: fault.into(), example: String::new() }
    }

    /// The value stands in the agents' file, at that key.
    pub(super) fn at_key(self, place: String) -> Self {
        let (_, example) = self.example.split_once('=').unwrap_or_default();
        Self { subject: place, example: format!("{} = \"{example}\"", self.name.to_lowercase()), ..self }
    }

    /// The value was given for all agents, and is wrong for that one.
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
