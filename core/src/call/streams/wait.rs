//! What the open stream owes us, and until when.

use crate::call::Timer;
use crate::time::CallTime;

/// What we wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing that has a deadline.
    #[default]
    Nothing,
    /// An answer, or the rest of one that the agent announced.
    Answer(CallTime),
    /// The rest of an answer that may be complete already.
    Rest(CallTime),
}

impl Wait {
    /// Waits for an answer, unless the one that came may be complete.
    pub(super) fn for_answer(&mut self, due: CallTime) {
        if !matches!(self, Self::Rest(_)) {
            *self = Self::Answer(due);
        }
    }

    /// A part of the answer has come.
    pub(super) fn part_came(&mut self) {
        if matches!(self, Self::Answer(_)) {
            *self = Self::Nothing;
        }
    }

    pub(super) fn is_for_answer(self) -> bool {
        matches!(self, Self::Answer(_))
    }

    pub(super) fn deadline(self) -> Option<(CallTime, Timer)> {
        match self {
            Self::Nothing => None,
            Self::Answer(due) => Some((due, Timer::AnswerTimeout)),
            Self::Rest(due) => Some((due, Timer::AnswerSettled)),
        }
    }
}
