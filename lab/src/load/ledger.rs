//! What the load agent has heard: which frames of each call came, how often, and how late.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::load::code::{Code, Kind};
use crate::load::histogram::{Histogram, Latency};

/// How many missing frames of a call are remembered, in case they come late.
const MAX_MISSING_FRAMES: usize = 4_096;

/// How many frames of silence may come again before speech that comes again: 200 ms, and 250 ms more that a voice detector may
/// take for the voice's first consonant.
const PRE_ROLL_FRAMES: u32 = 23;

/// Frames of an utterance: 2 s.
pub(super) const SPEECH_FRAMES: u32 = 100;

/// A gap that is shorter than an utterance, with silence before and after it, was silence.
const SILENT_GAP: u32 = SPEECH_FRAMES;

/// The agent's ledger.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    calls: BTreeMap<u16, ReceivedFrames>,
    window: Window,
    pub(super) counts: Counts,
    pub(super) connections: u64,
    pub(super) streams: u64,
    max_streams: u64,
}

/// What was heard of one call.
#[derive(Debug, Default)]
struct ReceivedFrames {
    /// The number of the next frame.
    next: u32,
    /// The kind of the last frame.
    last: Option<Kind>,
    /// Missing frames, and whether they were silence for certain.
    missing: BTreeMap<u32, bool>,
    /// Frames of speech that came to streams which no longer listened.
    unheard: BTreeSet<u32>,
    /// Frames of silence that have come again just now.
    again: u32,
}

/// Counts since the beginning.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    arrived: u64,
    doubled: u64,
    resent: u64,
    disordered: u64,
    /// Bytes that are in no frame.
    pub(super) strange: u64,
    /// Frames in another call's stream.
    pub(super) misrouted: u64,
    pub(super) turns: u64,
    pub(super) failed_streams: u64,
}

/// Counts since [`Ledger::begin`].
#[derive(Debug, Default)]
struct Window {
    began_us: u64,
    frames: u64,
    messages: u64,
    /// Bytes of silence that filled a gap in the caller's frames.
    filled: u64,
    scheduled: Histogram,
    sent: Histogram,
    gathered: Histogram,
    held: Histogram,
}

/// How a client sends the caller's audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// Frames as they come.
    AsItComes,
    /// Without a pause, several frames in one message.
    WithoutPause,
}

/// How a frame came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// When its stream was opened.
    pub(super) opened_us: u64,
    pub(super) now_us: u64,
    /// Whether others of its message come after it: then it had to wait for them.
    pub(super) is_gathered: bool,
    /// Whether its stream still listened.
    pub(super) is_heard: bool,
}

/// The agent's figures of a load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFigures {
    /// From the moment a frame was due to its arrival here, in the window.
    pub uplink: Latency,
    /// From the moment it was sent to its arrival.
    pub uplink_from_sending: Latency,
    /// From the moment a frame was due to its arrival, of frames that had to wait until their message was full.
    pub gathered: Latency,
    /// From the moment a frame was sent to its arrival, of frames that were sent before their turn's stream was open
    /// and had to wait for it.
    pub held: Latency,
    /// Frames of the window that arrived.
    pub frames: u64,
    /// Messages that carried them.
    pub messages: u64,
    /// Frames that arrived since the beginning, each counted once.
    pub arrived: u64,
    /// Frames that did not arrive although later ones of their call did.
    pub missing: u64,
    /// How many of them were silence for certain.
    pub missing_silence: u64,
    /// Frames of speech that came to streams which no longer listened, and to no other one.
    pub unheard: u64,
    /// Frames that came again because they had come to such a stream, and silence shortly before those.
    pub resent: u64,
    /// Other frames that came again.
    pub doubled: u64,
    /// Frames that came after later ones.
    pub disordered: u64,
    /// Frames that came in another call's stream.
    pub misrouted: u64,
    /// Bytes of audio that are no frames.
    pub strange_bytes: u64,
    /// Bytes of silence in place of missing frames, in the window: only if the audio must not pause.
    pub filled_bytes: u64,
    /// Answers given.
    pub turns: u64,
    /// Streams that broke off or sent something unreadable.
    pub failed_streams: u64,
    /// Connections that are open.
    pub connections: u64,
    /// The most streams that were open at once since the window began.
    pub streams: u64,
}

impl AgentFigures {
    /// These figures of a window, with the counts of the whole load, which were read when it was over.
    #[must_use]
    pub fn completed_by(self, in_all: &Self) -> Self {
        Self {
            arrived: in_all.arrived,
            missing: in_all.missing,
            missing_silence: in_all.missing_silence,
            unheard: in_all.unheard,
            resent: in_all.resent,
            doubled: in_all.doubled,
            disordered: in_all.disordered,
            misrouted: in_all.misrouted,
            strange_bytes: in_all.strange_bytes,
            turns: in_all.turns,
            failed_streams: in_all.failed_streams,
            ..self
        }
    }
}

impl ReceivedFrames {
    /// A frame came that had come before.
    fn note_again(&mut self, code: &Code, is_heard: bool, counts: &mut Counts) {
        if code.kind != Kind::Speech {
            self.again += 1;
            return;
        }
        let was_unheard = self.unheard.contains(&code.number);
        let before = u64::from(std::mem::take(&mut self.again));
        let is_pre_roll = was_unheard && before <= u64::from(PRE_ROLL_FRAMES);
        counts.resent += u64::from(was_unheard) + if is_pre_roll { before } else { 0 };
        counts.doubled += u64::from(!was_unheard) + if is_pre_roll { 0 } else { before };
        if is_heard {
            self.unheard.remove(&code.number);
        }
    }
}

impl Ledger {
    /// Begins the window in which latencies are measured.
    pub(super) fn begin(&mut self, now_us: u64) {
        self.window = Window { began_us: now_us, ..Window::default() };
        self.max_streams = self.streams;
    }

    pub(super) fn stream_opened(&mut self) {
        self.streams += 1;
        self.max_streams = self.max_streams.max(self.streams);
    }

    /// A message with audio has come.
    pub(super) fn message(&mut self) {
        self.window.messages += 1;
    }

    /// Silence has come in place of frames.
    pub(super) fn filled(&mut self, bytes: u64) {
        self.window.filled += bytes;
    }

    /// A frame has come.
    pub(super) fn frame(&mut self, code: &Code, arrival: &Arrival) {
        let Arrival { opened_us, now_us, is_gathered, is_heard } = *arrival;
        if !self.note(code, is_heard) {
            return;
        }
        let window = &mut self.window;
        if code.at_us < window.began_us {
            return;
        }
        window.frames += 1;
        let sent_us = code.at_us + u64::from(code.extra);
        if sent_us < opened_us {
            window.held.record(now_us.saturating_sub(sent_us));
        } else if is_gathered {
            window.gathered.record(now_us.saturating_sub(code.at_us));
        } else {
            window.scheduled.record(now_us.saturating_sub(code.at_us));
            window.sent.record(now_us.saturating_sub(sent_us));
        }
    }

    /// Notes that a frame came. Returns whether it came for the first time.
    fn note(&mut self, code: &Code, is_heard: bool) -> bool {
        let heard = self.calls.entry(code.call).or_default();
        if code.number < heard.next {
            let is_late = heard.missing.remove(&code.number).is_some();
            self.counts.disordered += u64::from(is_late);
            self.counts.arrived += u64::from(is_late);
            if !is_late {
                heard.note_again(code, is_heard, &mut self.counts);
            }
            return is_late;
        }
        self.counts.doubled += u64::from(std::mem::take(&mut heard.again));
        if code.kind == Kind::Speech && !is_heard && heard.unheard.len() < MAX_MISSING_FRAMES {
            heard.unheard.insert(code.number);
        }
        let room = MAX_MISSING_FRAMES.saturating_sub(heard.missing.len());
        let is_silent =
            heard.last == Some(Kind::Silence) && code.kind == Kind::Silence && code.number - heard.next < SILENT_GAP;
        heard.missing.extend((heard.next..code.number).map(|number| (number, is_silent)).take(room));
        heard.next = code.number + 1;
        heard.last = Some(code.kind);
        self.counts.arrived += 1;
        true
    }

    /// The figures so far.
    pub(super) fn figures(&self) -> AgentFigures {
        let (window, counts) = (&self.window, self.counts);
        let silent = self.calls.values().flat_map(|heard| heard.missing.values()).filter(|is_silent| **is_silent);
        let expected: u64 = self.calls.values().map(|heard| u64::from(heard.next)).sum();
        AgentFigures {
            uplink: window.scheduled.latency(),
            uplink_from_sending: window.sent.latency(),
            gathered: window.gathered.latency(),
            held: window.held.latency(),
            frames: window.frames,
            messages: window.messages,
            arrived: counts.arrived,
            missing: expected.saturating_sub(counts.arrived),
            missing_silence: silent.count() as u64,
            unheard: self.calls.values().map(|heard| heard.unheard.len() as u64).sum(),
            resent: counts.resent,
            doubled: counts.doubled + self.calls.values().map(|heard| u64::from(heard.again)).sum::<u64>(),
            disordered: counts.disordered,
            misrouted: counts.misrouted,
            strange_bytes: counts.strange,
            filled_bytes: window.filled,
            turns: counts.turns,
            failed_streams: counts.failed_streams,
            connections: self.connections,
            streams: self.max_streams,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u32, at_us: u64) -> Code {
        Code { kind: Kind::Speech, call: 1, number, at_us, extra: 0 }
    }

    fn at(opened_us: u64, now_us: u64) -> Arrival {
        Arrival { opened_us, now_us, is_gathered: false, is_heard: true }
    }

    fn hear(numbers: &[u32]) -> AgentFigures {
        let mut ledger = Ledger::default();
        for &number in numbers {
            ledger.frame(&frame(number, 10), &at(0, 20));
        }
        ledger.figures()
    }

    #[test]
    fn frames_are_counted_once_missing_doubled_and_out_of_order() {
        let of = |numbers| {
            let figures = hear(numbers);
            (figures.arrived, figures.missing, figures.doubled, figures.disordered)
        };
        assert_eq!(of(&[0, 1, 2]), (3, 0, 0, 0));
        assert_eq!(of(&[0, 2]), (2, 1, 0, 0));
        assert_eq!(of(&[3]), (1, 3, 0, 0));
        assert_eq!(of(&[0, 1, 1, 0]), (2, 0, 2, 0));
        assert_eq!(of(&[0, 2, 1, 3]), (4, 0, 0, 1));
        assert_eq!(of(&[0, 2, 1, 1]), (3, 0, 1, 1));
    }

    #[test]
    fn speech_that_no_stream_heard_is_unheard_until_it_comes_again_with_a_little_silence_before_it() {
        let mut ledger = Ledger::default();
        let mut come = |kind, numbers: std::ops::Range<u32>, is_heard| {
            for number in numbers {
                ledger.frame(&Code { kind, ..frame(number, 10) }, &Arrival { is_heard, ..at(0, 20) });
            }
            let figures = ledger.figures();
            (figures.unheard, figures.resent, figures.doubled)
        };
        come(Kind::Silence, 0..20, true);
        assert_eq!(come(Kind::Speech, 20..24, false), (4, 0, 0));
        assert_eq!(come(Kind::Silence, 10..20, true), (4, 0, 10), "nobody knows yet why");
        assert_eq!(come(Kind::Speech, 20..24, true), (0, 14, 0));
        assert_eq!(come(Kind::Speech, 23..25, true), (0, 14, 1), "once more is too much");
        assert_eq!(come(Kind::Silence, 25..26, true), (0, 14, 1));
    }

    #[test]
    fn a_short_gap_in_silence_is_silence_and_any_other_may_hold_words() {
        let of = |before: (u32, Kind), after: (u32, Kind)| {
            let mut ledger = Ledger::default();
            for (number, kind) in [before, after] {
                ledger.frame(&Code { kind, ..frame(number, 10) }, &at(0, 20));
            }
            let figures = ledger.figures();
            (figures.missing, figures.missing_silence)
        };
        assert_eq!(of((0, Kind::Silence), (4, Kind::Silence)), (3, 3));
        assert_eq!(of((0, Kind::Silence), (4, Kind::Speech)), (3, 0));
        assert_eq!(of((0, Kind::End), (4, Kind::Silence)), (3, 0));
        assert_eq!(of((0, Kind::Silence), (101, Kind::Silence)), (100, 0), "there was room for an utterance");
        assert_eq!(of((0, Kind::Silence), (100, Kind::Silence)), (99, 99));
    }

    #[test]
    fn a_frame_that_had_to_wait_for_its_turn_is_no_lateness_of_the_bridge() {
        let mut ledger = Ledger::default();
        ledger.begin(100);
        ledger.frame(&frame(0, 99), &at(0, 5_000));
        ledger.frame(&frame(1, 200), &at(300, 10_000));
        ledger.frame(&Code { extra: 30, ..frame(2, 400) }, &at(300, 460));
        let figures = ledger.figures();
        assert_eq!((figures.frames, figures.arrived), (2, 3), "one was sent before the window");
        assert_eq!((figures.held.count, figures.held.max_us), (1, 9_800));
        assert_eq!((figures.uplink.count, figures.uplink.max_us), (1, 60));
        assert_eq!(figures.uplink_from_sending.max_us, 30);
    }

    #[test]
    fn a_frame_that_waits_for_its_message_is_told_apart_from_the_one_that_fills_it() {
        let mut ledger = Ledger::default();
        for (number, at_us, is_gathered) in [(0, 20_000, true), (1, 40_000, true), (2, 60_000, false)] {
            ledger.frame(&frame(number, at_us), &Arrival { opened_us: 0, now_us: 60_100, is_gathered, is_heard: true });
        }
        let figures = ledger.figures();
        assert_eq!((figures.uplink.count, figures.uplink.max_us), (1, 100));
        assert_eq!((figures.gathered.count, figures.gathered.max_us), (2, 40_100));
    }
}
