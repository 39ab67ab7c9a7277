//! How the agent's part of a call ends: the status that the hand-off sends, and the limits that end a call.

use serde::{Deserialize, Serialize};

use crate::agent::AgentEnd;

/// How the agent's part ended: `VirtualAgentStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VirtualAgentStatus {
    /// The agent is done.
    Completed,
    /// The agent asks for a person or a transfer.
    LiveAgentHandoff,
    /// The caller or a limit of ours ended the call.
    Hangup,
    /// The agent pauses; the call may come back to the same session.
    Paused,
    /// The agent could not be had.
    Failed,
}

impl VirtualAgentStatus {
    /// The status of a call whose agent ended its part so.
    pub(crate) fn of(end: &AgentEnd) -> Self {
        match end {
            AgentEnd::EndInteraction => Self::Completed,
            AgentEnd::LiveAgentHandoff { .. } | AgentEnd::Transfer(_) | AgentEnd::Enqueue(_) => Self::LiveAgentHandoff,
            AgentEnd::Pause { .. } => Self::Paused,
        }
    }

    /// The value as Twilio's connector sends it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::LiveAgentHandoff => "live-agent-handoff",
            Self::Hangup => "hangup",
            Self::Paused => "paused",
            Self::Failed => "failed",
        }
    }
}

/// A bound that ends a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallLimit {
    /// The call is too long.
    Call,
    /// Nobody has said anything for too long.
    Silence,
    /// Too many turns have failed.
    FailedTurns,
    /// The caller said nothing in too many turns.
    NoInputTurns,
}

impl CallLimit {
    /// The reason as logs and the hand-off have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call-too-long",
            Self::Silence => "silence",
            Self::FailedTurns => "failed-turns",
            Self::NoInputTurns => "no-input",
        }
    }
}
