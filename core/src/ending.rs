//! How the agent's part of a call ends: the status that the hand-off sends, and the limits that end a call.

use serde::{Deserialize, Serialize};

use crate::agent::AgentEnd;

/// How the agent's part ended, as `VirtualAgentStatus` in the hand-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VirtualAgentStatus {
    /// The agent is done.
    Completed,
    /// The agent asks for a live agent or a transfer.
    LiveAgentHandoff,
    /// The caller hung up, or a limit other than that of failed turns ended the call.
    Hangup,
    /// The agent pauses. The call may come back to the same session.
    Paused,
    /// The agent could not be reached, or has failed in too many turns.
    Failed,
}

impl VirtualAgentStatus {
    /// The status that belongs to the agent's ending.
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

/// A limit that ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallLimit {
    /// The call took too long.
    Call,
    /// Neither side spoke for too long.
    Silence,
    /// Too many turns have failed.
    FailedTurns,
    /// The caller did not answer in too many turns.
    NoInputTurns,
}

impl CallLimit {
    /// The status of a call that this limit has ended.
    #[must_use]
    pub fn status(self) -> VirtualAgentStatus {
        match self {
            Self::Call | Self::Silence | Self::NoInputTurns => VirtualAgentStatus::Hangup,
            Self::FailedTurns => VirtualAgentStatus::Failed,
        }
    }

    /// The reason as it stands in logs and in the hand-off.
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
