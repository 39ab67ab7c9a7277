//! What became of a call, as the page says it.

use dialbridge_core::CloseReason;
use dialbridge_core::ending::VirtualAgentStatus;

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallOutcome {
    /// The agent was done.
    Completed,
    /// A person was asked for, and the call went on.
    Person,
    /// A person was asked for, and the call was hung up, because no TwiML was set that leads to one.
    PersonMissed,
    /// The agent paused.
    Paused,
    /// The call goes on over another media stream.
    Continues,
    /// The caller hung up.
    HungUp,
    /// A limit ended the call.
    Limit,
    /// There was no room for it.
    TurnedAway,
    /// The agent could not be had.
    Failed,
    /// The call broke off.
    Broken,
}

impl CallOutcome {
    /// The outcome of a call with this status, this end and this last TwiML. `None` where there was none; a call without
    /// an end broke off.
    pub(super) fn of(status: Option<VirtualAgentStatus>, reason: Option<CloseReason>, twiml: LastTwimlKind) -> Self {
        match (status, reason) {
            (Some(VirtualAgentStatus::Completed), _) => Self::Completed,
            (Some(VirtualAgentStatus::LiveAgentHandoff), _) if twiml == LastTwimlKind::HangsUp => Self::PersonMissed,
            (Some(VirtualAgentStatus::LiveAgentHandoff), _) => Self::Person,
            (Some(VirtualAgentStatus::Paused), _) => Self::Paused,
            (Some(VirtualAgentStatus::Hangup), _) => Self::Limit,
            (Some(VirtualAgentStatus::Failed), _) => Self::Failed,
            (None, Some(CloseReason::Stop)) => Self::HungUp,
            (None, Some(CloseReason::Migrated | CloseReason::TakenOver)) => Self::Continues,
            (None, Some(_) | None) => Self::Broken,
        }
    }

    /// Whether the call did not get what it was there for.
    pub(super) fn is_failure(self) -> bool {
        matches!(self, Self::TurnedAway | Self::Failed | Self::Broken)
    }

    /// The word for the page.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Person => "person",
            Self::PersonMissed => "person-missed",
            Self::Paused => "paused",
            Self::Continues => "continues",
            Self::HungUp => "hung-up",
            Self::Limit => "limit",
            Self::TurnedAway => "turned-away",
            Self::Failed => "failed",
            Self::Broken => "broken",
        }
    }
}

/// What the last TwiML of a call does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum LastTwimlKind {
    /// The call goes on, or has no such TwiML yet.
    #[default]
    GoesOn,
    /// It hangs up.
    HangsUp,
}

impl LastTwimlKind {
    pub(super) fn of(twiml: &str) -> Self {
        if twiml.contains("<Hangup") { Self::HangsUp } else { Self::GoesOn }
    }
}
