//! What a call brings along from its earlier media streams, and what it leaves to the next one.
//!
//! A call gets a new media stream when it migrates, when its WebSocket breaks, and after a `<Dial>`.

use serde::{Deserialize, Serialize};

/// What a call brings along from its earlier media streams.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CarriedOver {
    /// How long the call has lasted, in milliseconds. Counts towards the longest call.
    pub elapsed_ms: u64,
    /// How many turns failed. Counts towards the most failed turns.
    pub failed_turns: u32,
    /// How this stream begins.
    pub opening: Opening,
}

/// How a media stream begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Opening {
    /// The agent greets the caller.
    #[default]
    Greet,
    /// The agent has the call already. It listens to the caller.
    Resume,
    /// The agent has the call already and gets this event.
    Event(String),
}

/// How far a call has come, for its next media stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallProgress {
    /// How many turns have failed, in this stream and the earlier ones.
    pub failed_turns: u32,
    /// Whether the agent should greet the caller and has not said anything yet. An empty answer says nothing.
    pub awaits_greeting: bool,
    /// Whether the backup has the call ([`CallConfig::backup`](crate::CallConfig)).
    pub on_backup: bool,
}

/// A backup that has the call: by which names the settings know both agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StandIn {
    /// The backup.
    pub agent: String,
    /// The agent that could not be had.
    pub backup_of: String,
}

impl CarriedOver {
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}
