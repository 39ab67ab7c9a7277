//! Audio that was sent to Twilio, in chunks with marks, so that we know which chunks were heard.

use std::collections::VecDeque;

use crate::audio::{BYTES_PER_MS, Position};
use crate::call::playback::{CHUNK_BYTES, CHUNK_MS, Moment, PlaybackOutput};
use crate::ids::{MarkName, TurnId};
use crate::time::CallTime;
use crate::twilio::TwilioMessage;

/// How long we wait for a mark after its audio should have been played, in milliseconds.
pub(super) const MARK_GRACE_MS: u64 = 3_000;

/// How much audio lies at Twilio ahead of its time, in milliseconds. We send more when only the first is left, or with
/// a mark that comes back, up to the second. A call whose marks do not come back has no gap either.
const AHEAD_MS: (u64, u64) = (5_000, 10_000);

/// The same for audio that a later response may cut: little of it has to be cut at Twilio.
const CANCELLABLE_AHEAD_MS: (u64, u64) = (2 * CHUNK_MS, 3 * CHUNK_MS);

/// The kind of audio. Audio of different kinds never shares a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// The turn that it answers. `None` for a filler.
    pub(super) turn: Option<TurnId>,
    pub(super) interruptible: bool,
    pub(super) cancellable: bool,
}

impl Kind {
    pub(super) fn is_protected(self) -> bool {
        !self.interruptible && !self.cancellable
    }

    fn ahead_ms(self) -> (u64, u64) {
        if self.cancellable { CANCELLABLE_AHEAD_MS } else { AHEAD_MS }
    }
}

/// The audio that was sent but not yet heard, and how much was heard.
#[derive(Debug, Default)]
pub(super) struct Sent {
    epoch: u32,
    marks: u32,
    /// Oldest first.
    chunks: VecDeque<Chunk>,
    /// The chunk that has no mark yet.
    open: Option<OpenChunk>,
    /// When the last of the queued audio should have been played.
    ends_at: CallTime,
    /// How much of the caller's audio had come when this playout began.
    began: Option<Position>,
    /// How much was heard since then, in bytes.
    played_bytes: usize,
    /// The turn whose audio was sent last.
    last_turn: Option<TurnId>,
    /// What the playout asks for, in order.
    pub(super) outputs: VecDeque<PlaybackOutput>,
}

#[derive(Debug, Clone, Copy)]
struct Chunk {
    mark: MarkName,
    bytes: usize,
    kind: Kind,
    /// Whether it is the first chunk of its turn.
    is_first: bool,
}

#[derive(Debug, Clone, Copy)]
struct OpenChunk {
    bytes: usize,
    kind: Kind,
    is_first: bool,
}

/// What a returned mark means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::call) enum ReturnedMark {
    /// The audio before it was heard. More is queued.
    Played {
        /// The turn whose first audio this was, and its length in milliseconds.
        first_of: Option<(TurnId, u64)>,
    },
    /// The audio before it was heard. It was the last.
    AllPlayed {
        /// As above.
        first_of: Option<(TurnId, u64)>,
    },
    /// A `clear` returned it, or it came too late, or it is not ours.
    Nothing,
}

impl Sent {
    pub(super) fn is_sounding(&self) -> bool {
        !self.chunks.is_empty() || self.open.is_some()
    }

    pub(super) fn began(&self) -> Option<Position> {
        self.began
    }

    pub(super) fn remaining_ms(&self, now: CallTime) -> u64 {
        if self.is_sounding() { self.ends_at.ms_since(now) } else { 0 }
    }

    /// Milliseconds until the last audio without barge-in has been played.
    pub(super) fn protected_ms(&self, now: CallTime) -> u64 {
        if self.is_interruptible() {
            return 0;
        }
        let open = self.open.iter().map(|chunk| (chunk.bytes, chunk.kind));
        let backwards = open.chain(self.chunks.iter().rev().map(|chunk| (chunk.bytes, chunk.kind)));
        let after: usize = backwards.take_while(|(_, kind)| kind.interruptible).map(|(bytes, _)| bytes).sum();
        self.remaining_ms(now).saturating_sub((after / BYTES_PER_MS) as u64)
    }

    pub(super) fn is_interruptible(&self) -> bool {
        self.kinds().all(|kind| kind.interruptible)
    }

    pub(super) fn is_protected(&self) -> bool {
        self.kinds().any(Kind::is_protected)
    }

    /// Whether there is audio and all of it is cancellable.
    pub(super) fn is_all_cancellable(&self) -> bool {
        self.is_sounding() && self.kinds().all(|kind| kind.cancellable)
    }

    pub(super) fn mark_deadline(&self) -> Option<CallTime> {
        self.is_sounding().then(|| self.ends_at + MARK_GRACE_MS)
    }

    /// When more of that kind must go to Twilio.
    pub(super) fn refill_at(&self, kind: Kind) -> CallTime {
        let at_ms = self.ends_at.as_ms().saturating_sub(kind.ahead_ms().0);
        if self.is_sounding() { CallTime::from_ms(at_ms) } else { CallTime::START }
    }

    /// How much of that kind may go to Twilio now, in bytes: whole chunks.
    pub(super) fn room(&self, kind: Kind, now: CallTime) -> usize {
        let room_ms = kind.ahead_ms().1.saturating_sub(self.remaining_ms(now));
        usize::try_from(room_ms / CHUNK_MS).unwrap_or(usize::MAX) * CHUNK_BYTES
    }

    fn unplayed_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes).sum::<usize>() + self.open.map_or(0, |chunk| chunk.bytes)
    }

    pub(super) fn played_ms(&self) -> u64 {
        (self.played_bytes / BYTES_PER_MS) as u64
    }

    pub(super) fn on_mark(&mut self, name: MarkName, now: CallTime) -> ReturnedMark {
        let is_ours = name.epoch == self.epoch && self.chunks.iter().any(|chunk| chunk.mark == name);
        if !is_ours {
            return ReturnedMark::Nothing;
        }
        let mut first_of = None;
        // Twilio returns marks in order, so the audio of earlier marks that are still out was heard too.
        while let Some(chunk) = self.chunks.pop_front() {
            self.played_bytes += chunk.bytes;
            if chunk.is_first {
                first_of = chunk.kind.turn.map(|turn| (turn, (chunk.bytes / BYTES_PER_MS) as u64));
            }
            if chunk.mark == name {
                break;
            }
        }
        // Twilio may have begun later than we thought, or have lost audio.
        self.ends_at = now + (self.unplayed_bytes() / BYTES_PER_MS) as u64;
        self.settled(first_of)
    }

    pub(super) fn give_up_marks(&mut self) -> ReturnedMark {
        self.played_bytes += self.unplayed_bytes();
        self.chunks.clear();
        self.open = None;
        self.settled(None)
    }

    /// Forgets what was sent. Returns how many bytes were heard since the playout began, and how many were not.
    pub(super) fn clear(&mut self) -> (usize, usize) {
        let result = (self.played_bytes, self.unplayed_bytes());
        self.epoch = self.epoch.wrapping_add(1);
        self.chunks.clear();
        self.open = None;
        self.began = None;
        result
    }

    pub(super) fn queue(&mut self, mut audio: &[u8], kind: Kind, moment: Moment) {
        if audio.is_empty() {
            return;
        }
        if !self.is_sounding() {
            self.began = Some(moment.position);
            self.played_bytes = 0;
            self.ends_at = moment.now;
        }
        self.ends_at = self.ends_at.max(moment.now) + (audio.len() / BYTES_PER_MS) as u64;
        while !audio.is_empty() {
            if self.open.is_some_and(|chunk| chunk.kind != kind) {
                self.mark_open_chunk();
            }
            let is_first = kind.turn.is_some() && self.last_turn != kind.turn;
            if let Some(turn) = kind.turn.filter(|_| is_first) {
                self.outputs.push_back(PlaybackOutput::Begins(turn));
            }
            self.last_turn = kind.turn.or(self.last_turn);
            let open = self.open.get_or_insert(OpenChunk { bytes: 0, kind, is_first });
            let (piece, rest) = audio.split_at(audio.len().min(CHUNK_BYTES - open.bytes));
            open.bytes += piece.len();
            let is_full = open.bytes == CHUNK_BYTES;
            self.outputs.push_back(PlaybackOutput::Twilio(TwilioMessage::Media(piece.to_vec())));
            if is_full {
                self.mark_open_chunk();
            }
            audio = rest;
        }
    }

    pub(super) fn mark_open_chunk(&mut self) {
        let Some(OpenChunk { bytes, kind, is_first }) = self.open.take() else { return };
        self.marks = self.marks.wrapping_add(1);
        let mark = MarkName { epoch: self.epoch, number: self.marks };
        self.chunks.push_back(Chunk { mark, bytes, kind, is_first });
        self.outputs.push_back(PlaybackOutput::Twilio(TwilioMessage::Mark(mark)));
    }

    fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.chunks.iter().map(|chunk| chunk.kind).chain(self.open.map(|chunk| chunk.kind))
    }

    fn settled(&mut self, first_of: Option<(TurnId, u64)>) -> ReturnedMark {
        if self.is_sounding() { ReturnedMark::Played { first_of } } else { ReturnedMark::AllPlayed { first_of } }
    }
}
