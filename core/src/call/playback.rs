//! What the caller hears: which audio is queued at Twilio, how much of it was heard, and what a `clear` cuts off.
//!
//! ```text
//! Silent --media--> Playing --last mark back, or overdue--> Silent
//!                   Playing --clear--> Silent, and the epoch is one more
//! ```
//!
//! The state is not stored: the caller is being played to while something is queued whose mark is not back.
//!
//! Audio goes to Twilio as fast as the agent gives it; Twilio queues it. After each [`CHUNK_MS`] of audio goes a mark.
//! Twilio returns a mark when all before it was played, and returns all marks at once after a `clear`: so a mark's
//! name carries the number of `clear`s before it (the epoch), and one of an old epoch was not heard.

use std::collections::VecDeque;

use crate::agent::Prompt;
use crate::audio::transcode::{ToMulaw, TranscodeError};
use crate::audio::{AudioFormat, BYTES_PER_MS};
use crate::call::caller_audio::Position;
use crate::ids::MarkName;
use crate::time::CallTime;
use crate::twilio::TwilioMessage;

/// How much audio lies between two marks, in milliseconds: what is known of the heard time is that fine.
pub const CHUNK_MS: u64 = 400;

/// How long a mark may stay out after the audio before it should have been played, in milliseconds.
const MARK_GRACE_MS: u64 = 3_000;

#[expect(clippy::cast_possible_truncation, reason = "3,200")]
const CHUNK_BYTES: usize = CHUNK_MS as usize * BYTES_PER_MS;

/// The play-out of one call.
#[derive(Debug)]
pub(super) struct Playback {
    epoch: u32,
    marks: u32,
    /// Sent and not yet known to be heard, oldest first.
    chunks: VecDeque<Chunk>,
    /// The chunk that has no mark yet.
    open: Option<OpenChunk>,
    /// When the last of the queued audio should have been played.
    ends_at: CallTime,
    /// Where the caller's audio stood when the caller last heard silence.
    began: Position,
    /// How much was heard since.
    heard_bytes: usize,
    converter: Option<Converter>,
}

#[derive(Debug, Clone, Copy)]
struct Chunk {
    mark: MarkName,
    bytes: usize,
    interruptible: bool,
}

#[derive(Debug, Clone, Copy)]
struct OpenChunk {
    bytes: usize,
    interruptible: bool,
}

#[derive(Debug)]
struct Converter {
    declared: AudioFormat,
    to_mulaw: ToMulaw,
    interruptible: bool,
}

/// What a mark that came back means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkBack {
    /// The audio before it was heard, and there is more.
    Heard,
    /// The audio before it was heard, and it was the last.
    AllHeard,
    /// It was returned by a `clear`, or its time was over already, or it is not ours.
    Nothing,
}

/// What a `clear` cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Milliseconds the caller has heard since the play-out began.
    pub(super) heard_ms: u64,
    /// Milliseconds that were queued and not heard.
    pub(super) cut_ms: u64,
}

impl Playback {
    pub(super) fn new() -> Self {
        Self {
            epoch: 0,
            marks: 0,
            chunks: VecDeque::new(),
            open: None,
            ends_at: CallTime::START,
            began: 0,
            heard_bytes: 0,
            converter: None,
        }
    }

    pub(super) fn is_playing(&self) -> bool {
        !self.chunks.is_empty() || self.open.is_some()
    }

    /// Where in the caller's audio the play-out began that is running.
    pub(super) fn began_position(&self) -> Position {
        self.began
    }

    /// Milliseconds that are still to be played, by the clock.
    pub(super) fn remaining_ms(&self, now: CallTime) -> u64 {
        if self.is_playing() { self.ends_at.ms_since(now) } else { 0 }
    }

    /// Whether nothing that is queued forbids an interruption.
    pub(super) fn is_interruptible(&self) -> bool {
        self.chunks.iter().all(|chunk| chunk.interruptible) && self.open.is_none_or(|chunk| chunk.interruptible)
    }

    /// When the last mark is overdue.
    pub(super) fn overdue_at(&self) -> Option<CallTime> {
        self.is_playing().then(|| self.ends_at + MARK_GRACE_MS)
    }

    /// Plays a prompt after what is queued; pieces of one stream of audio in the same coding join without a seam.
    /// `position` is where the caller's audio stands. Returns how many milliseconds of audio went out.
    ///
    /// # Errors
    /// [`TranscodeError`] when the audio is of a kind that cannot be played; what could be converted before is queued.
    pub(super) fn play(
        &mut self,
        prompt: &Prompt,
        position: Position,
        now: CallTime,
        out: &mut impl FnMut(TwilioMessage),
    ) -> Result<u64, TranscodeError> {
        // A WAV of its own does not join what came before: that one's length may have been left open.
        let is_wav = prompt.audio.starts_with(b"RIFF");
        if self.converter.as_ref().is_some_and(|converter| is_wav || converter.declared != prompt.format) {
            self.flush_converter(position, now, out)?;
        }
        let converter = self.converter.get_or_insert_with(|| Converter {
            declared: prompt.format,
            to_mulaw: ToMulaw::new(prompt.format),
            interruptible: prompt.interruptible,
        });
        converter.interruptible = prompt.interruptible;
        let mut audio = Vec::new();
        let result = converter.to_mulaw.push(&prompt.audio, &mut audio);
        self.queue(&audio, prompt.interruptible, position, now, out);
        result.map(|()| (audio.len() / BYTES_PER_MS) as u64)
    }

    /// An answer is complete: plays what the converter still holds and puts a mark behind the last audio.
    ///
    /// # Errors
    /// [`TranscodeError`] when the audio ended where no audio can end.
    pub(super) fn finish_answer(
        &mut self,
        position: Position,
        now: CallTime,
        out: &mut impl FnMut(TwilioMessage),
    ) -> Result<(), TranscodeError> {
        let result = self.flush_converter(position, now, out);
        self.mark_open_chunk(out);
        result
    }

    /// A mark came back.
    pub(super) fn on_mark(&mut self, name: MarkName) -> MarkBack {
        let is_ours = name.epoch == self.epoch && self.chunks.iter().any(|chunk| chunk.mark == name);
        if !is_ours {
            return MarkBack::Nothing;
        }
        // Twilio returns marks in order, so an earlier one that is still out was heard as well.
        while let Some(chunk) = self.chunks.pop_front() {
            self.heard_bytes += chunk.bytes;
            if chunk.mark == name {
                break;
            }
        }
        self.settle()
    }

    /// The last mark should have come back: its time is over, so all of it counts as heard.
    pub(super) fn give_up_marks(&mut self) -> MarkBack {
        self.heard_bytes += self.queued_bytes();
        self.chunks.clear();
        self.open = None;
        self.settle()
    }

    /// Drops all that is queued here and at Twilio, with the converter's memory of it; the `clear` goes out even where
    /// nothing waits here, for it is Twilio's queue that holds the audio.
    pub(super) fn clear(&mut self, out: &mut impl FnMut(TwilioMessage)) -> Cut {
        out(TwilioMessage::Clear);
        let cut = Cut {
            heard_ms: (self.heard_bytes / BYTES_PER_MS) as u64,
            cut_ms: (self.queued_bytes() / BYTES_PER_MS) as u64,
        };
        self.epoch = self.epoch.wrapping_add(1);
        self.chunks.clear();
        self.open = None;
        self.converter = None;
        cut
    }

    /// Milliseconds heard since the play-out began.
    pub(super) fn heard_ms(&self) -> u64 {
        (self.heard_bytes / BYTES_PER_MS) as u64
    }

    fn settle(&self) -> MarkBack {
        if self.is_playing() { MarkBack::Heard } else { MarkBack::AllHeard }
    }

    fn queued_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes).sum::<usize>() + self.open.map_or(0, |chunk| chunk.bytes)
    }

    fn flush_converter(
        &mut self,
        position: Position,
        now: CallTime,
        out: &mut impl FnMut(TwilioMessage),
    ) -> Result<(), TranscodeError> {
        let Some(mut converter) = self.converter.take() else { return Ok(()) };
        let mut tail = Vec::new();
        let result = converter.to_mulaw.finish(&mut tail);
        self.queue(&tail, converter.interruptible, position, now, out);
        result
    }

    fn queue(
        &mut self,
        mut audio: &[u8],
        interruptible: bool,
        position: Position,
        now: CallTime,
        out: &mut impl FnMut(TwilioMessage),
    ) {
        if audio.is_empty() {
            return;
        }
        if !self.is_playing() {
            self.began = position;
            self.heard_bytes = 0;
            self.ends_at = now;
        }
        self.ends_at = self.ends_at.max(now) + (audio.len() / BYTES_PER_MS) as u64;
        while !audio.is_empty() {
            // What forbids an interruption shares no mark with what allows it.
            if self.open.is_some_and(|chunk| chunk.interruptible != interruptible) {
                self.mark_open_chunk(out);
            }
            let open = self.open.get_or_insert(OpenChunk { bytes: 0, interruptible });
            let (piece, rest) = audio.split_at(audio.len().min(CHUNK_BYTES - open.bytes));
            open.bytes += piece.len();
            let is_full = open.bytes == CHUNK_BYTES;
            out(TwilioMessage::Media(piece.to_vec()));
            if is_full {
                self.mark_open_chunk(out);
            }
            audio = rest;
        }
    }

    fn mark_open_chunk(&mut self, out: &mut impl FnMut(TwilioMessage)) {
        let Some(open) = self.open.take() else { return };
        self.marks = self.marks.wrapping_add(1);
        let mark = MarkName { epoch: self.epoch, number: self.marks };
        self.chunks.push_back(Chunk { mark, bytes: open.bytes, interruptible: open.interruptible });
        out(TwilioMessage::Mark(mark));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Encoding;

    const NOW: CallTime = CallTime::from_ms(1_000);

    fn prompt(ms: usize) -> Prompt {
        let format = AudioFormat { encoding: Encoding::Mulaw, sample_rate: 8000 };
        Prompt { format, audio: vec![0x12; ms * BYTES_PER_MS], interruptible: true }
    }

    fn play(playback: &mut Playback, prompt: &Prompt) -> Vec<TwilioMessage> {
        let mut sent = Vec::new();
        playback.play(prompt, 0, NOW, &mut |message| sent.push(message)).unwrap();
        playback.finish_answer(0, NOW, &mut |message| sent.push(message)).unwrap();
        sent
    }

    fn marks(sent: &[TwilioMessage]) -> Vec<MarkName> {
        sent.iter()
            .filter_map(|message| if let TwilioMessage::Mark(name) = message { Some(*name) } else { None })
            .collect()
    }

    #[test]
    fn an_answer_goes_out_whole_in_chunks_with_a_mark_behind_each() {
        let mut playback = Playback::new();
        let sent = play(&mut playback, &prompt(1_000));
        let sizes: Vec<_> = sent
            .iter()
            .map(|message| match message {
                TwilioMessage::Media(audio) => audio.len(),
                TwilioMessage::Mark(_) | TwilioMessage::Clear => 0,
            })
            .collect();
        assert_eq!(sizes, [3200, 0, 3200, 0, 1600, 0]);
        assert_eq!(playback.remaining_ms(NOW), 1_000);
    }

    #[test]
    fn heard_time_grows_with_each_mark_and_the_last_one_ends_the_play_out() {
        let mut playback = Playback::new();
        let marks = marks(&play(&mut playback, &prompt(1_000)));
        assert_eq!(playback.on_mark(marks[0]), MarkBack::Heard);
        assert_eq!(playback.heard_ms(), 400);
        assert_eq!(playback.on_mark(marks[2]), MarkBack::AllHeard);
        assert_eq!(playback.heard_ms(), 1_000);
        assert!(!playback.is_playing());
        assert_eq!(playback.on_mark(marks[2]), MarkBack::Nothing, "a mark settles once");
    }

    #[test]
    fn marks_that_a_clear_returned_were_not_heard() {
        let mut playback = Playback::new();
        let old = marks(&play(&mut playback, &prompt(1_000)));
        playback.on_mark(old[0]);
        let cut = playback.clear(&mut |_| {});
        assert_eq!(cut, Cut { heard_ms: 400, cut_ms: 600 });
        let new = marks(&play(&mut playback, &prompt(400)));
        assert_eq!(playback.on_mark(old[1]), MarkBack::Nothing);
        assert_eq!(playback.on_mark(old[2]), MarkBack::Nothing);
        assert!(playback.is_playing());
        assert_eq!(playback.on_mark(new[0]), MarkBack::AllHeard);
        assert_eq!(playback.heard_ms(), 400);
    }

    #[test]
    fn a_clear_goes_out_even_when_nothing_waits_here() {
        let mut playback = Playback::new();
        let mut sent = Vec::new();
        playback.clear(&mut |message| sent.push(message));
        assert_eq!(sent, [TwilioMessage::Clear]);
    }

    #[test]
    fn pieces_of_one_answer_join_and_a_small_piece_waits_for_no_mark() {
        let mut playback = Playback::new();
        let mut sent = Vec::new();
        for _ in 0..3 {
            playback.play(&prompt(100), 0, NOW, &mut |message| sent.push(message)).unwrap();
        }
        assert_eq!(sent.len(), 3, "audio goes out at once, the mark when the chunk is full or the answer complete");
        playback.finish_answer(0, NOW, &mut |message| sent.push(message)).unwrap();
        assert_eq!(marks(&sent).len(), 1);
        assert_eq!(playback.remaining_ms(NOW), 300);
    }

    #[test]
    fn a_mark_that_never_comes_back_does_not_hold_the_call() {
        let mut playback = Playback::new();
        play(&mut playback, &prompt(1_000));
        assert_eq!(playback.overdue_at(), Some(NOW + 1_000 + MARK_GRACE_MS));
        assert_eq!(playback.give_up_marks(), MarkBack::AllHeard);
        assert_eq!(playback.heard_ms(), 1_000);
        assert_eq!(playback.overdue_at(), None);
    }

    #[test]
    fn a_prompt_that_may_not_be_interrupted_protects_until_it_was_heard() {
        let mut playback = Playback::new();
        let mut both = Vec::new();
        let fixed = Prompt { interruptible: false, ..prompt(300) };
        playback.play(&fixed, 0, NOW, &mut |message| both.push(message)).unwrap();
        playback.play(&prompt(300), 0, NOW, &mut |message| both.push(message)).unwrap();
        playback.finish_answer(0, NOW, &mut |message| both.push(message)).unwrap();
        assert!(!playback.is_interruptible());
        playback.on_mark(marks(&both)[0]);
        assert!(playback.is_interruptible());
    }
}
