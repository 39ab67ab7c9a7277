//! What a caller of a load does, frame by frame: speaks, waits for the answer, listens to it, speaks again, for ever.
//! It uses neither clock nor socket.
//!
//! ```text
//! Greeting --an answer, or nobody greets--> Hearing
//! Hearing --heard out, and a pause--> Speaking --the utterance is over--> Asking --an answer--> Hearing
//! Hearing, each fourth time --after a second of it: barge-in--> Speaking
//! Asking --no answer comes--> Speaking
//! Speaking --the caller goes on, each third time--> Pausing --the utterance is over--> Breathing --40 to 160 ms--> Speaking
//! Hearing --heard out, and the load is over--> Done
//! ```

use std::collections::VecDeque;

use dialbridge_core::audio::BYTES_PER_MS;

use crate::load::code::{FRAME_MS, Kind};
use crate::load::ledger::SPEECH_FRAMES;

/// Pause between an answer and the next utterance, in microseconds.
const PAUSE_US: u64 = 500_000;

/// How far into an answer a caller interrupts it, in microseconds.
const BARGE_IN_US: u64 = 1_000_000;

/// Every how many turns the caller interrupts.
const BARGE_IN_EACH: u64 = 4;

/// Every how many utterances the caller goes on after the end of one.
const GOES_ON_EACH: u64 = 3;

/// Frames of silence that end the utterance of a caller who goes on: 600 ms.
const PAUSE_FRAMES: u32 = 30;

/// After how many frames such a caller goes on, one time after the other: 40 to 160 ms.
const GOES_ON_AFTER_FRAMES: [u32; 4] = [2, 4, 6, 8];

/// How long a caller waits for the agent's greeting, in microseconds.
const GREETING_US: u64 = 1_000_000;

/// How long a caller waits for an answer, in microseconds.
const ANSWER_US: u64 = 10_000_000;

/// One caller.
#[derive(Debug)]
pub(super) struct Caller {
    phase: Phase,
    /// When all audio so far has been played, in microseconds.
    played_us: u64,
    /// Marks that are pending, and when they are due.
    marks: VecDeque<(u64, String)>,
    turns: u64,
    utterances: u64,
    is_stopping: bool,
    /// What the caller says.
    pub(super) speech: CallerSpeech,
    pub(super) counts: Counts,
}

/// What the callers of a load say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallerSpeech {
    /// Utterances, each of which waits for its answer.
    #[default]
    Utterances,
    /// The same, but some callers go on just after the end of an utterance.
    GoesOn,
    /// Nothing: they listen.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Greeting { until_us: u64 },
    Hearing { interrupts_us: Option<u64> },
    Speaking { left: u32, goes_on: bool },
    Pausing { left: u32 },
    Breathing { left: u32 },
    Asking { until_us: u64 },
    Done,
}

/// What happened in a call.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Answers that came.
    pub(super) answers: u64,
    /// Utterances that nobody answered in time.
    pub(super) unanswered: u64,
    /// Barge-ins.
    pub(super) barge_ins: u64,
    /// How often a clear cut the playout.
    pub(super) clears: u64,
}

impl Caller {
    /// A caller whose call begins at that moment. `number` spreads the barge-ins over the calls.
    pub(super) fn new(now_us: u64, number: u16) -> Self {
        Self {
            phase: Phase::Greeting { until_us: now_us + GREETING_US },
            played_us: now_us,
            marks: VecDeque::new(),
            turns: u64::from(number),
            utterances: number.into(),
            is_stopping: false,
            speech: CallerSpeech::default(),
            counts: Counts::default(),
        }
    }

    /// The frame for this moment; `None` when the call is done. Call it every 20 ms.
    pub(super) fn frame(&mut self, now_us: u64) -> Option<Kind> {
        match self.phase {
            Phase::Done => return None,
            Phase::Greeting { until_us } => {
                if now_us >= until_us {
                    self.phase = Phase::Hearing { interrupts_us: None };
                }
            }
            Phase::Hearing { interrupts_us } => {
                let interrupts = interrupts_us.is_some_and(|at_us| now_us >= at_us) && !self.is_stopping;
                let is_barge_in = interrupts && now_us < self.played_us;
                if is_barge_in || now_us >= self.played_us + PAUSE_US {
                    self.counts.barge_ins += u64::from(is_barge_in);
                    return self.speak();
                }
            }
            Phase::Speaking { left: 0, goes_on: true } => self.phase = Phase::Pausing { left: PAUSE_FRAMES - 1 },
            Phase::Pausing { left: 0 } => {
                let turns = usize::try_from(self.utterances / GOES_ON_EACH).unwrap_or(0);
                let after = GOES_ON_AFTER_FRAMES[turns % GOES_ON_AFTER_FRAMES.len()];
                self.phase = Phase::Breathing { left: after - 1 };
                return Some(Kind::End);
            }
            Phase::Pausing { left } => self.phase = Phase::Pausing { left: left - 1 },
            Phase::Breathing { left: 0 } => {
                self.phase = Phase::Speaking { left: SPEECH_FRAMES - 1, goes_on: false };
                return Some(Kind::Speech);
            }
            Phase::Breathing { left } => self.phase = Phase::Breathing { left: left - 1 },
            Phase::Speaking { left: 0, goes_on: false } => {
                self.phase = Phase::Asking { until_us: now_us + ANSWER_US };
                return Some(Kind::End);
            }
            Phase::Speaking { left, goes_on } => {
                self.phase = Phase::Speaking { left: left - 1, goes_on };
                return Some(Kind::Speech);
            }
            Phase::Asking { until_us } => {
                if now_us >= until_us {
                    self.counts.unanswered += 1;
                    return self.speak();
                }
            }
        }
        Some(Kind::Silence)
    }

    fn speak(&mut self) -> Option<Kind> {
        if self.is_stopping {
            self.phase = Phase::Done;
            return None;
        }
        if self.speech == CallerSpeech::Nothing {
            return Some(Kind::Silence);
        }
        self.utterances += 1;
        let goes_on = self.speech == CallerSpeech::GoesOn && self.utterances.is_multiple_of(GOES_ON_EACH);
        self.phase = Phase::Speaking { left: SPEECH_FRAMES - 1, goes_on };
        Some(Kind::Speech)
    }

    /// Audio came. `begins` tells whether it is the first of an answer.
    pub(super) fn media(&mut self, now_us: u64, bytes: usize, begins: bool) {
        let began_us = self.played_us.max(now_us);
        self.played_us = began_us + (bytes / BYTES_PER_MS) as u64 * 1_000;
        if begins {
            self.counts.answers += 1;
            self.turns += 1;
            let interrupts = self.turns.is_multiple_of(BARGE_IN_EACH);
            if matches!(self.phase, Phase::Greeting { .. } | Phase::Asking { .. }) {
                self.phase = Phase::Hearing { interrupts_us: interrupts.then_some(began_us + BARGE_IN_US) };
            }
        }
    }

    /// A mark came.
    pub(super) fn mark(&mut self, now_us: u64, name: &str) {
        self.marks.push_back((self.played_us.max(now_us), name.to_owned()));
    }

    /// `clear` came: queued audio is dropped, and all marks come back.
    pub(super) fn clear(&mut self, now_us: u64) {
        self.counts.clears += 1;
        self.played_us = self.played_us.min(now_us);
        self.marks.iter_mut().for_each(|(due_us, _)| *due_us = now_us);
    }

    /// The next mark that is due by that moment.
    pub(super) fn take_mark(&mut self, now_us: u64) -> Option<String> {
        let is_due = self.marks.front().is_some_and(|(due_us, _)| *due_us <= now_us);
        if is_due { self.marks.pop_front().map(|(_, name)| name) } else { None }
    }

    /// The load is over: the caller listens to the last answer, and says nothing more.
    pub(super) fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Whether no more frames come.
    pub(super) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Ends the call at once.
    pub(super) fn give_up(&mut self) {
        self.phase = Phase::Done;
    }
}

/// How long a stopped caller goes on at most: the rest of an utterance, the wait, an answer, the pause.
pub(super) const STOP_US: u64 = (2 * SPEECH_FRAMES + 2 * PAUSE_FRAMES) as u64 * FRAME_MS * 1_000
    + ANSWER_US
    + PAUSE_US
    + super::agent::ANSWER_MS * 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// The frames of a period as runs of one kind, with the length of each.
    fn frames(caller: &mut Caller, from_us: u64, to_us: u64) -> Vec<(Option<Kind>, u32)> {
        let mut frames: Vec<(Option<Kind>, u32)> = Vec::new();
        for now_us in (from_us..to_us).step_by(20_000) {
            let kind = caller.frame(now_us);
            match frames.last_mut() {
                Some((last, count)) if *last == kind => *count += 1,
                _ => frames.push((kind, 1)),
            }
        }
        frames
    }

    #[test]
    fn a_caller_greeted_by_nobody_speaks_and_waits_for_the_answer() {
        let mut caller = Caller::new(0, 0);
        let heard = frames(&mut caller, 0, 4 * SECOND);
        assert_eq!(
            heard,
            [(Some(Kind::Silence), 51), (Some(Kind::Speech), 100), (Some(Kind::End), 1), (Some(Kind::Silence), 48)]
        );
        caller.media(4 * SECOND, 16_000, true);
        let heard = frames(&mut caller, 4 * SECOND, 7 * SECOND);
        assert_eq!(heard, [(Some(Kind::Silence), 125), (Some(Kind::Speech), 25)]);
    }

    #[test]
    fn each_fourth_answer_is_interrupted_after_a_second() {
        let mut caller = Caller::new(0, 3);
        caller.media(0, 16_000, true);
        assert_eq!(frames(&mut caller, 0, 2 * SECOND), [(Some(Kind::Silence), 50), (Some(Kind::Speech), 50)]);
        assert_eq!(caller.counts.barge_ins, 1);
    }

    #[test]
    fn marks_come_back_when_they_are_played_or_cleared() {
        let mut caller = Caller::new(0, 0);
        caller.media(0, 8_000, true);
        caller.mark(0, "a");
        caller.media(0, 8_000, false);
        caller.mark(0, "b");
        assert_eq!(caller.take_mark(SECOND - 1), None);
        assert_eq!(caller.take_mark(SECOND).as_deref(), Some("a"));
        assert_eq!(caller.take_mark(SECOND), None);
        caller.clear(SECOND + 1);
        assert_eq!(caller.take_mark(SECOND + 1).as_deref(), Some("b"));
        caller.mark(3 * SECOND, "c");
        assert_eq!(caller.take_mark(3 * SECOND).as_deref(), Some("c"), "with nothing to play it comes at once");
    }

    #[test]
    fn a_caller_who_only_listens_says_nothing_until_the_load_is_over() {
        let mut caller = Caller { speech: CallerSpeech::Nothing, ..Caller::new(0, 0) };
        assert_eq!(frames(&mut caller, 0, 4 * SECOND), [(Some(Kind::Silence), 200)]);
        caller.media(4 * SECOND, 16_000, true);
        assert_eq!(frames(&mut caller, 4 * SECOND, 8 * SECOND), [(Some(Kind::Silence), 200)]);
        caller.stop();
        frames(&mut caller, 8 * SECOND, 9 * SECOND);
        assert!(caller.is_done());
    }

    #[test]
    fn each_third_time_a_caller_goes_on_just_after_the_end_of_his_utterance() {
        let mut caller = Caller { speech: CallerSpeech::GoesOn, ..Caller::new(0, 2) };
        let heard = frames(&mut caller, 0, 9 * SECOND);
        let (silence, speech, end) = (Some(Kind::Silence), Some(Kind::Speech), (Some(Kind::End), 1));
        assert_eq!(heard[..7], [(silence, 51), (speech, 100), (silence, 30), end, (silence, 3), (speech, 100), end]);
    }

    #[test]
    fn an_utterance_without_an_answer_is_followed_by_another() {
        let mut caller = Caller::new(0, 0);
        frames(&mut caller, 0, 16 * SECOND);
        assert_eq!(caller.counts.unanswered, 1);
    }

    #[test]
    fn a_caller_who_is_stopped_hears_the_answer_out() {
        let mut caller = Caller::new(0, 3);
        frames(&mut caller, 0, 2 * SECOND);
        caller.stop();
        let heard = frames(&mut caller, 2 * SECOND, 6 * SECOND);
        assert!(heard.contains(&(Some(Kind::End), 1)), "the utterance is not cut off: {heard:?}");
        caller.media(6 * SECOND, 16_000, true);
        frames(&mut caller, 6 * SECOND, 8 * SECOND);
        assert!(!caller.is_done() && caller.counts.barge_ins == 0, "an answer that would be interrupted is heard out");
        frames(&mut caller, 8 * SECOND, 9 * SECOND);
        assert!(caller.is_done() && caller.frame(10 * SECOND).is_none());
    }
}
