//! The deadlines of a call: one slot for each reason to wake up.

use std::fmt;

use crate::time::CallTime;

/// Why a deadline was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Timer {
    /// No `start` came from Twilio.
    StartTimeout,
    /// Checks whether frames still come. Twilio sends them in silence too.
    FramesTimeout,
    /// The agent has not answered.
    AnswerTimeout,
    /// An answer came, but the stream stayed open and no more of it followed.
    AnswerSettled,
    /// The agent has had long enough for its last words.
    LastWordsTimeout,
    /// The backoff before a retry is over.
    Retry,
    /// More of a prompt must be converted, or sent to Twilio.
    Playout,
    /// A mark has not come back.
    MarkTimeout,
    /// Audio to be fetched has not come.
    FetchTimeout,
    /// No further digit came: the input is complete.
    DigitsComplete,
    /// The caller has said nothing.
    NoInput,
    /// The agent has thought so long that the caller should hear something.
    Thinking,
    /// The agent should have understood what followed the words that it has not answered.
    AskAgain,
    /// The agent has not greeted the caller, who has heard nothing for some seconds.
    Greeting,
    /// The call took too long.
    CallTooLong,
    /// Neither side spoke for too long.
    SilenceTooLong,
    /// The call should migrate to another media stream.
    Migration,
    /// No gap came in which the call could migrate.
    MigrationTimeout,
    /// The REST update of the call was not answered.
    UpdateTimeout,
    /// No `stop` from Twilio followed the update.
    StopTimeout,
}

impl Timer {
    const ALL: [Self; 20] = [
        Self::StartTimeout,
        Self::FramesTimeout,
        Self::AnswerTimeout,
        Self::AnswerSettled,
        Self::LastWordsTimeout,
        Self::Retry,
        Self::Playout,
        Self::MarkTimeout,
        Self::FetchTimeout,
        Self::DigitsComplete,
        Self::NoInput,
        Self::Thinking,
        Self::AskAgain,
        Self::Greeting,
        Self::CallTooLong,
        Self::SilenceTooLong,
        Self::Migration,
        Self::MigrationTimeout,
        Self::UpdateTimeout,
        Self::StopTimeout,
    ];
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StartTimeout => "start timeout",
            Self::FramesTimeout => "frames timeout",
            Self::AnswerTimeout => "answer timeout",
            Self::AnswerSettled => "answer settled",
            Self::LastWordsTimeout => "last words timeout",
            Self::Retry => "retry",
            Self::Playout => "playout",
            Self::MarkTimeout => "mark timeout",
            Self::FetchTimeout => "fetch timeout",
            Self::DigitsComplete => "digits complete",
            Self::NoInput => "no input",
            Self::Thinking => "thinking",
            Self::AskAgain => "ask again",
            Self::Greeting => "greeting late",
            Self::CallTooLong => "call too long",
            Self::SilenceTooLong => "silence too long",
            Self::Migration => "migration",
            Self::MigrationTimeout => "migration timeout",
            Self::UpdateTimeout => "update timeout",
            Self::StopTimeout => "stop timeout",
        })
    }
}

/// At most one deadline for each [`Timer`].
#[derive(Debug, Clone, Default)]
pub(super) struct Timers([Option<CallTime>; Timer::ALL.len()]);

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, at: CallTime) {
        self.0[timer as usize] = Some(at);
    }

    /// Sets the deadline, or clears it with `None`.
    pub(super) fn put(&mut self, timer: Timer, at: Option<CallTime>) {
        self.0[timer as usize] = at;
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn stop_all(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    /// The earliest deadline. Of two at the same time, the one that stands first in [`Timer`].
    pub(super) fn earliest(&self) -> Option<(CallTime, Timer)> {
        Timer::ALL.into_iter().filter_map(|timer| Some((self.0[timer as usize]?, timer))).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_timer_has_the_slot_of_its_place() {
        for (place, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, place);
        }
    }

    #[test]
    fn deadlines_come_in_order_and_once() {
        let mut timers = Timers::default();
        timers.set(Timer::MarkTimeout, CallTime::from_ms(20));
        timers.set(Timer::Retry, CallTime::from_ms(10));
        timers.set(Timer::AnswerTimeout, CallTime::from_ms(10));
        let due = std::iter::from_fn(|| {
            let earliest = timers.earliest()?;
            timers.stop(earliest.1);
            Some(earliest)
        });
        let due: Vec<_> = due.map(|(at, timer)| (at.as_ms(), timer)).collect();
        assert_eq!(due, [(10, Timer::AnswerTimeout), (10, Timer::Retry), (20, Timer::MarkTimeout)]);
        assert_eq!(timers.earliest(), None);
    }
}
