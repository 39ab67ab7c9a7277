//! A wrong setting, told in one line: which one, what is wrong with it, and how it would be right.

use std::fmt;

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    name: &'static str,
    place: Place,
    fault: String,
    example: &'static str,
}

/// Where the wrong value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// It is a flag or an environment variable.
    Given,
    /// It is one, and wrong for an agent of the configuration's file: the file and the agent.
    GivenFor(String),
    /// In the configuration's file: the file and the key.
    File(String),
}

impl SettingError {
    /// The setting of that name has that fault; `example` is a value that would do.
    #[must_use]
    pub fn new(name: &'static str, fault: impl Into<String>, example: &'static str) -> Self {
        Self { name, place: Place::Given, fault: fault.into(), example }
    }

    /// Something in the file that `DIALBRIDGE_CONFIG` names has that fault, and is no value of a setting.
    pub(super) fn in_file(place: impl Into<String>, fault: impl Into<String>) -> Self {
        Self { name: "DIALBRIDGE_CONFIG", place: Place::File(place.into()), fault: fault.into(), example: "" }
    }

    /// The value stands in the configuration's file, at that key.
    pub(super) fn at_key(self, place: impl Into<String>) -> Self {
        Self { place: Place::File(place.into()), ..self }
    }

    /// The value was given for all agents, and is wrong for that one.
    pub(super) fn for_agent(self, agent: impl Into<String>) -> Self {
        Self { place: Place::GivenFor(agent.into()), ..self }
    }

    /// What is wrong with the value.
    pub(super) fn fault(&self) -> &str {
        &self.fault
    }

    /// The setting's name as an environment variable.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = self.fault.replace(['\n', '\r'], " ");
        let (name, example) = (self.name, self.example);
        match &self.place {
            Place::Given => write!(f, "{name} {fault}; for example {name}={example}"),
            Place::GivenFor(agent) => write!(f, "{agent}: {name} {fault}; for example {name}={example}"),
            Place::File(place) if example.is_empty() => write!(f, "{place} {fault}"),
            Place::File(place) => write!(f, "{place} {fault}; for example {} = \"{example}\"", name.to_lowercase()),
        }
    }
}

impl std::error::Error for SettingError {}
