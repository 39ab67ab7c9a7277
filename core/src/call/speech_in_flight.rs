//! Speech in flight: what the caller says between the end of an utterance at the agent's recogniser and the moment in
//! which we know of it.
//!
//! Google is 20 to 120 ms away. What we write meanwhile goes into a stream that no longer listens, and audio that
//! waited for a stream goes there all at once. If a voice begins in it, the next stream gets it from [`PRE_ROLL`]
//! before that voice on, and nothing from before the end of what the recogniser understood.
//!
//! Where that end is, the recogniser's own times say. Without them a voice was not heard any more if it still sounded
//! when the end came, because a recogniser ends an utterance after silence, or if it came after a long pause.

use std::collections::VecDeque;
use std::ops::Range;

use crate::agent::{Matched, Transcript};
use crate::audio::{Position, bytes};
use crate::call::utterance::END_TOLERANCE;
use crate::report::EndFoundBy;
use crate::time::CallTime;

/// How much audio before a voice goes to the next stream with it.
pub(super) const PRE_ROLL: Position = bytes(200);

/// How long the end of an utterance takes to reach us at most, in milliseconds: the way there and back, and the time
/// that the recogniser needs. What was written earlier was heard.
const MAX_FLIGHT_MS: u64 = 1_000;

/// How often we note how much was written, in milliseconds.
const MARK_MS: u64 = 100;

/// The shortest silence after which a recogniser ends an utterance.
const MIN_SILENCE: Position = bytes(300);

/// The silence after which a recogniser has ended an utterance for certain.
const MAX_SILENCE: Position = bytes(1_000);

/// What we know of the last stream that got the caller's audio.
#[derive(Debug, Default)]
pub(super) struct SpeechInFlight {
    /// Where its audio began.
    began: Position,
    /// Where what it has not answered begins.
    turn_began: Position,
    /// How much was written when, in the last [`MAX_FLIGHT_MS`], oldest first. The first mark is older.
    marks: VecDeque<(CallTime, Position)>,
    understood: Understood,
    ended_by: EndedBy,
    /// The audio that it may not have heard. Set when it gets no more.
    flight: Option<Range<Position>>,
    /// What was on its way when the turn's last transcript came.
    at_transcript: Option<Range<Position>>,
    /// Where the last speech began that went to a second stream. Nothing up to there goes to a third one for the same
    /// reason, so that noise does not go from stream to stream for ever.
    resent: Option<Position>,
}

/// What the recogniser has understood, and where that ends by its own times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Understood {
    #[default]
    Nothing,
    /// Words without times.
    Untimed,
    /// Words that end there, and perhaps more.
    Interim(Position),
    /// All words end there.
    Final(Position),
}

/// Who ended the utterance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum EndedBy {
    /// We did: the recogniser heard all that was written.
    #[default]
    Us,
    /// Its recogniser said so.
    Agent,
    /// The agent did not say so: it answered, or nothing followed a final transcript.
    Unannounced,
}

impl Understood {
    fn until(self) -> Option<Position> {
        match self {
            Self::Nothing | Self::Untimed => None,
            Self::Interim(until) | Self::Final(until) => Some(until),
        }
    }

    fn add(&mut self, is_final: bool, until: Option<Position>) {
        *self = match (until.max(self.until()), *self) {
            (None, _) => Self::Untimed,
            // An answer repeats the words without their times.
            (Some(_), known) if until.is_none() => known,
            (Some(until), _) if is_final => Self::Final(until),
            (Some(until), Self::Final(known)) if until <= known => Self::Final(known),
            (Some(until), _) => Self::Interim(until),
        };
    }
}

impl SpeechInFlight {
    /// A stream gets the caller's audio from `began` on.
    pub(super) fn listens(&mut self, began: Position, now: CallTime) {
        let (marks, resent) = (VecDeque::from([(now, began)]), self.resent);
        *self = Self { began, turn_began: began, marks, resent, ..Self::default() };
    }

    /// So much was written by now.
    pub(super) fn wrote(&mut self, written: Position, now: CallTime) {
        if self.marks.back().is_none_or(|(at, _)| now.ms_since(*at) >= MARK_MS) {
            self.marks.push_back((now, written));
        }
        while self.marks.get(1).is_some_and(|(at, _)| now.ms_since(*at) >= MAX_FLIGHT_MS) {
            self.marks.pop_front();
        }
    }

    /// What may be on its way.
    pub(super) fn on_its_way(&self, written: Position) -> Range<Position> {
        self.marks.front().map_or(written, |(_, position)| *position)..written
    }

    /// A transcript came, or the words in an answer.
    pub(super) fn understand(&mut self, transcript: &Transcript, written: Position) {
        if transcript.text.trim().is_empty() {
            return;
        }
        let until = self.position(transcript.end_ms, written);
        self.understood.add(transcript.is_final, until);
        // The words in an answer are no news.
        if self.ended_by != EndedBy::Unannounced {
            self.at_transcript = Some(self.on_its_way(written));
        }
    }

    /// The recogniser has ended the utterance, perhaps after we did.
    pub(super) fn end_by_agent(&mut self, end_ms: Option<u64>, written: Position) {
        self.ended_by = EndedBy::Agent;
        if let Some(until) = self.position(end_ms, written) {
            self.understood.add(true, Some(until));
        }
    }

    /// The utterance is over.
    pub(super) fn end_found(&mut self, found_by: EndFoundBy) {
        match found_by {
            EndFoundBy::Answer | EndFoundBy::Final => self.ended_by = EndedBy::Unannounced,
            EndFoundBy::Agent
            | EndFoundBy::Quick
            | EndFoundBy::Silence
            | EndFoundBy::Digits
            | EndFoundBy::AudioLimit => {}
        }
    }

    /// The agent answers. An answer that matches is one to words, even if no transcript of them came.
    pub(super) fn note_matched(&mut self, matched: Matched) {
        if matched == Matched::Yes && self.understood == Understood::Nothing {
            self.understood = Understood::Untimed;
        }
    }

    /// The next turn of a stream that goes on begins.
    pub(super) fn turn_over(&mut self) {
        self.understood = Understood::Nothing;
        self.ended_by = EndedBy::Us;
        self.at_transcript = None;
    }

    /// A time of the stream's audio as a position. `None` if it lies beyond what was written.
    fn position(&self, ms: Option<u64>, written: Position) -> Option<Position> {
        let at = self.began.saturating_add(bytes(ms?));
        (at <= written).then_some(at)
    }

    /// Whether the next stream begins with what this one did not hear, whatever becomes of it.
    pub(super) fn is_kept(&self) -> bool {
        self.flight.is_some()
    }

    /// The stream gets no more. Returns the first position that may have to be written again.
    pub(super) fn end(&mut self, written: Position) -> Position {
        let flight = self.on_its_way(written);
        let kept_from = flight.start.saturating_sub(PRE_ROLL).max(self.began);
        self.flight = Some(flight);
        kept_from
    }

    /// Where the audio begins that the next stream must get again. `voices`: the stretches of voice in the caller's
    /// audio. `next`: where that stream begins otherwise. If it is a retry, that is before what was in flight.
    pub(super) fn unheard_from(
        &mut self,
        voices: impl Iterator<Item = Range<Position>>,
        next: Position,
    ) -> Option<Position> {
        let mut flight = self.flight.take()?;
        let written = flight.end;
        if let (EndedBy::Unannounced, Some(at_transcript)) = (self.ended_by, &self.at_transcript) {
            // Then the end is as old as the last words.
            flight = at_transcript.clone();
        }
        let begins = self.first_unheard(voices.take_while(|voice| voice.start < written), &flight)?;
        let earliest = self.understood.until().unwrap_or_default().max(self.began);
        let from = begins.saturating_sub(PRE_ROLL).max(earliest);
        if from >= next {
            return None;
        }
        self.resent = Some(begins);
        Some(from)
    }

    /// The agent answers, and its stream goes on. Where what the answer cannot be to begins.
    pub(super) fn end_by_answer(
        &mut self,
        voices: impl Iterator<Item = Range<Position>>,
        written: Position,
    ) -> Option<Position> {
        self.ended_by = EndedBy::Unannounced;
        let flight = self.at_transcript.clone().unwrap_or_else(|| self.on_its_way(written));
        let begins = self.first_unheard(voices, &flight);
        self.turn_began = begins.unwrap_or(written);
        Some(begins?.saturating_sub(PRE_ROLL).max(self.began))
    }

    /// Where the first voice begins that the recogniser did not hear, or the unheard part of it.
    fn first_unheard(
        &self,
        voices: impl Iterator<Item = Range<Position>>,
        flight: &Range<Position>,
    ) -> Option<Position> {
        let mut last: Option<Range<Position>> = None;
        for voice in voices.filter(|voice| voice.end > self.turn_began) {
            let begins = self.unheard_part(&voice, last.as_ref(), flight);
            let is_new = |begins: &Position| self.resent.is_none_or(|resent| *begins > resent);
            if let Some(begins) = begins.filter(is_new) {
                return Some(begins);
            }
            last = Some(voice);
        }
        None
    }

    /// Where the part of a voice begins that the recogniser did not hear. `last`: the voice before it in this stream.
    fn unheard_part(
        &self,
        voice: &Range<Position>,
        last: Option<&Range<Position>>,
        flight: &Range<Position>,
    ) -> Option<Position> {
        let sounds = voice.end + MIN_SILENCE >= flight.end;
        let is_in_flight = voice.start >= flight.start;
        match self.understood {
            _ if voice.start >= flight.end => Some(voice.start),
            Understood::Final(until) if voice.start >= until => is_in_flight.then_some(voice.start),
            Understood::Final(until) => {
                (sounds && until >= flight.start && voice.end >= until + END_TOLERANCE).then_some(until)
            }
            Understood::Nothing | Understood::Untimed | Understood::Interim(_) => {
                let after_pause = last.is_some_and(|last| voice.start >= last.end + MAX_SILENCE);
                // Words that were understood are at least those of the first voice.
                let is_understood = self.understood != Understood::Nothing && last.is_none();
                let is_unheard = is_in_flight && !is_understood && (sounds || after_pause);
                (is_unheard && self.ended_by != EndedBy::Us).then_some(voice.start)
            }
        }
    }
}
