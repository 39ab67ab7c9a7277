//! The caller's audio on its way to the agent: what waits for a stream, and what we may have to send again.

mod byte_queue;

use crate::audio::{BYTES_PER_MS, MULAW_SILENCE, Position};
use crate::report::AudioAccount;
use byte_queue::ByteQueue;

/// How much audio is kept, in milliseconds: DESIGN's 30 seconds. Beyond it we drop and count the oldest.
pub const MAX_KEPT_MS: usize = 30_000;

/// How much audio that the agent already has is kept, in milliseconds, in case its stream fails before it sends a
/// transcript. A first transcript comes well within this time after the first word. A voice that the detector hears is
/// kept from its beginning: this is for what it does not hear, such as a whisper.
const PRE_ROLL_MS: usize = 3_000;

/// The caller's audio with two positions in it. Audio before `kept_from` is gone. Audio before `written` was written to
/// the open stream or to an earlier one. The rest waits for a stream.
#[derive(Debug, Default)]
pub(super) struct CallerAudio {
    kept: ByteQueue,
    kept_from: Position,
    written: Position,
    /// From here on we keep what was written, whatever is answered.
    held_from: Option<Position>,
    /// What became of it.
    account: AudioAccount,
}

impl CallerAudio {
    /// What became of all audio so far.
    pub(super) fn account(&self) -> AudioAccount {
        self.account
    }

    /// A frame came after the agent's part was over.
    pub(super) fn ignore(&mut self, frame: &[u8]) {
        self.account.received += as_position(frame.len());
        self.account.after_end += as_position(frame.len());
    }

    /// Replaces a frame by silence before it is added, because the agent may not hear it.
    pub(super) fn withhold(&mut self, frame: &mut [u8]) {
        self.account.withheld += as_position(frame.len());
        frame.fill(MULAW_SILENCE);
    }

    /// How much audio has come: the position of the next frame.
    pub(super) fn received(&self) -> Position {
        self.kept_from + as_position(self.kept.len())
    }

    /// The position of the oldest byte that is kept.
    pub(super) fn kept_from(&self) -> Position {
        self.kept_from
    }

    /// The position of the next byte for a stream.
    pub(super) fn written(&self) -> Position {
        self.written
    }

    /// Milliseconds of audio that wait for a stream.
    pub(super) fn unwritten_ms(&self) -> u64 {
        (self.received() - self.written) / as_position(BYTES_PER_MS)
    }

    /// Adds a frame. Returns how many bytes it dropped that no stream ever got.
    pub(super) fn push(&mut self, frame: &[u8]) -> u64 {
        self.account.received += as_position(frame.len());
        self.kept.push(frame);
        let over = self.kept.len().saturating_sub(MAX_KEPT_MS * BYTES_PER_MS);
        self.drop_oldest(over);
        let lost = self.kept_from.saturating_sub(self.written);
        self.written = self.written.max(self.kept_from);
        self.account.dropped += lost;
        lost
    }

    /// Takes up to `max_bytes` bytes that no stream has had, oldest first.
    pub(super) fn take_unwritten(&mut self, max_bytes: usize) -> Option<Vec<u8>> {
        let from = usize::try_from(self.written - self.kept_from).unwrap_or(usize::MAX);
        let to = self.kept.len().min(from.saturating_add(max_bytes));
        if from >= to {
            return None;
        }
        self.written += as_position(to - from);
        self.account.written += as_position(to - from);
        Some(self.kept.copy(from, to))
    }

    /// The agent has answered, so no stream needs again what was written, except for what is held.
    pub(super) fn forget_written(&mut self) {
        let before_held =
            self.held_from.map(|from| usize::try_from(from.saturating_sub(self.kept_from)).unwrap_or(usize::MAX));
        self.drop_oldest(self.written_len().min(before_held.unwrap_or(usize::MAX)));
    }

    /// Keeps what was written from that position on, until the next call.
    pub(super) fn hold(&mut self, from: Option<Position>) {
        self.held_from = from;
    }

    /// There is no transcript yet. Of what was written, keeps the pre-roll and everything from `speech` on.
    pub(super) fn keep_pre_roll(&mut self, speech: Position) {
        let before_speech = usize::try_from(speech.saturating_sub(self.kept_from)).unwrap_or(usize::MAX);
        let before_pre_roll = self.written_len().saturating_sub(PRE_ROLL_MS * BYTES_PER_MS);
        self.drop_oldest(before_pre_roll.min(before_speech));
    }

    /// The stream failed without an answer: what it got, as far as it is kept, waits for the next one. Returns how many
    /// bytes.
    pub(super) fn rewind(&mut self) -> u64 {
        self.rewind_to(self.kept_from)
    }

    /// What was written from that position on, as far as it is kept, waits for the next stream. Returns how many bytes.
    pub(super) fn rewind_to(&mut self, position: Position) -> u64 {
        let position = position.clamp(self.kept_from, self.written);
        let again = self.written - position;
        self.written = position;
        self.account.written -= again;
        self.account.resent += again;
        again
    }

    /// Drops everything because the agent's part is over.
    pub(super) fn end(&mut self) {
        self.account.after_end += self.clear();
    }

    /// Drops everything because the call is over.
    pub(super) fn close(&mut self) {
        self.account.left += self.clear();
    }

    fn clear(&mut self) -> u64 {
        let unwritten = self.received() - self.written;
        self.kept_from = self.received();
        self.written = self.kept_from;
        self.held_from = None;
        self.kept = ByteQueue::default();
        unwritten
    }

    fn written_len(&self) -> usize {
        usize::try_from(self.written - self.kept_from).unwrap_or(usize::MAX)
    }

    fn drop_oldest(&mut self, bytes: usize) {
        self.kept_from += as_position(self.kept.drop_first(bytes));
    }
}

fn as_position(bytes: usize) -> Position {
    bytes as Position
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio_of(frames: &[&[u8]]) -> CallerAudio {
        let mut audio = CallerAudio::default();
        for frame in frames {
            assert_eq!(audio.push(frame), 0);
        }
        audio
    }

    #[test]
    fn every_byte_is_handed_out_once_and_in_order() {
        let mut audio = audio_of(&[&[1, 2, 3], &[4, 5]]);
        assert_eq!(audio.take_unwritten(2), Some(vec![1, 2]));
        audio.push(&[6]);
        assert_eq!(audio.take_unwritten(100), Some(vec![3, 4, 5, 6]));
        assert_eq!(audio.take_unwritten(100), None);
        assert_eq!(audio.received(), 6);
    }

    #[test]
    fn a_failed_stream_gives_back_what_was_not_answered() {
        let mut audio = audio_of(&[&[1, 2, 3, 4]]);
        audio.take_unwritten(2);
        audio.forget_written();
        audio.take_unwritten(1);
        assert_eq!(audio.rewind(), 1);
        assert_eq!(audio.take_unwritten(100), Some(vec![3, 4]));
    }

    #[test]
    fn what_is_held_is_kept_after_an_answer_and_can_be_written_again() {
        let mut audio = audio_of(&[&[1, 2, 3, 4, 5]]);
        audio.take_unwritten(4);
        audio.hold(Some(2));
        audio.forget_written();
        assert_eq!(audio.kept_from(), 2);
        assert_eq!((audio.rewind_to(3), audio.rewind_to(4)), (1, 0));
        assert_eq!((audio.account().written, audio.account().resent), (3, 1));
        assert_eq!(audio.take_unwritten(100), Some(vec![4, 5]));
        audio.hold(None);
        audio.forget_written();
        assert_eq!(audio.rewind(), 0);
    }

    #[test]
    fn the_oldest_goes_first_and_only_what_nobody_had_counts_as_dropped() {
        let full = vec![7; MAX_KEPT_MS * BYTES_PER_MS];
        let mut audio = audio_of(&[&full]);
        audio.take_unwritten(100);
        assert_eq!(audio.push(&[8; 160]), 60);
        assert_eq!(audio.written(), 160);
        assert_eq!(audio.unwritten_ms(), 30_000);
    }

    #[test]
    fn before_the_first_word_only_a_pre_roll_is_kept() {
        let ms = |ms: usize| vec![1; ms * BYTES_PER_MS];
        let mut audio = audio_of(&[&ms(9_000)]);
        while audio.take_unwritten(16_000).is_some() {}
        audio.keep_pre_roll(9_000 * 8);
        assert_eq!(audio.rewind(), 3_000 * 8);
        assert_eq!(audio.unwritten_ms(), 3_000);
    }

    #[test]
    fn speech_that_nothing_was_said_of_is_kept_from_its_beginning() {
        let mut audio = audio_of(&[&[1; 9_000 * 8]]);
        while audio.take_unwritten(16_000).is_some() {}
        audio.keep_pre_roll(2_000 * 8);
        assert_eq!(audio.rewind(), 7_000 * 8);
    }
}
