//! The steps of the caller of a conversation file, as the header of its recorded run has it: enough to tell whether the tape
//! still fits the file.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A call that a conversation file describes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Conversation {
    /// The caller's number.
    pub from: String,
    /// The called number.
    pub to: String,
    /// The agent's name in the agents' file; empty: the default one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub agent: String,
    /// The language that the voice-url asks for; empty: the agent's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub language: String,
    /// The session parameters of the voice-url.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// The settings of this call alone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// The steps of the caller, in order.
    pub steps: Vec<RecordedStep>,
}

/// A step of the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedStep {
    /// The step itself.
    #[serde(flatten)]
    pub input: StepInput,
    /// Where it begins, in milliseconds of the caller's audio. `None`: he never came to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// Where it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<u64>,
}

/// One thing that a caller does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "camelCase")]
pub enum StepInput {
    /// Says a recording.
    #[serde(rename_all = "camelCase")]
    Audio {
        /// How long it is, in milliseconds.
        ms: u64,
        /// Its checksum.
        sum: String,
    },
    /// Presses keys.
    Digits {
        /// Which ones.
        digits: String,
    },
    /// Sends a text.
    Text {
        /// The text.
        text: String,
    },
    /// Says nothing.
    Wait {
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// Hangs up.
    HangUp,
}

impl fmt::Display for StepInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audio { ms, sum } => write!(f, "a recording of {ms} ms, {sum}"),
            Self::Digits { digits } => write!(f, "the digits {digits}"),
            Self::Text { text } => write!(f, "the text \"{text}\""),
            Self::Wait { ms } => write!(f, "a wait of {ms} ms"),
            Self::HangUp => f.write_str("the end of the call"),
        }
    }
}

impl Conversation {
    /// The first thing in which a call differs from this one, as a sentence; `None` if the caller does the same in both.
    #[must_use]
    pub fn difference(&self, now: &Self) -> Option<String> {
        let named = [
            ("from", &self.from, &now.from),
            ("to", &self.to, &now.to),
            ("agent", &self.agent, &now.agent),
            ("language", &self.language, &now.language),
        ];
        if let Some((name, then, now)) = named.into_iter().find(|(_, then, now)| then != now) {
            return Some(format!("{name} is \"{now}\" and was \"{then}\""));
        }
        if self.params != now.params {
            return Some("params are not those of the recording".to_owned());
        }
        if let Some(name) = self.settings.keys().find(|name| !now.settings.contains_key(*name)) {
            return Some(format!("settings.{name} is gone, and the recording was made with it"));
        }
        let steps = self.steps.iter().zip(&now.steps).enumerate();
        if let Some((n, (then, now))) = steps.into_iter().find(|(_, (then, now))| then.input != now.input) {
            return Some(format!("step {} of the caller is {} and was {}", n + 1, now.input, then.input));
        }
        (self.steps.len() != now.steps.len())
            .then(|| format!("the caller takes {} steps and took {}", now.steps.len(), self.steps.len()))
    }
}
