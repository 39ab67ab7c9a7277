//! How loud the last seconds of audio were, 20 ms by 20 ms.

use std::ops::Range;

use crate::audio::level::{MIN_VOICE_LEVEL, mulaw_level};
use crate::audio::{BYTES_PER_MS, FRAME_BYTES, Position};

/// The audio of one level, in bytes: a frame.
const SLOT_BYTES: Position = FRAME_BYTES as Position;

/// The loudness of a stretch is the mean level of its loudest part of this length, in levels: 200 ms. So pauses do not
/// count.
const WINDOW: usize = 10;

/// The levels of the last audio. What was not added counts as silence.
#[derive(Debug)]
pub(super) struct LevelHistory {
    /// A ring. Empty until the first level that is not silence.
    levels: Vec<u16>,
    slots: usize,
    /// The first slot that has no level yet.
    end: Position,
}

impl LevelHistory {
    /// Keeps that many milliseconds.
    pub(super) fn new(ms: usize) -> Self {
        Self { levels: Vec::new(), slots: ms * BYTES_PER_MS / FRAME_BYTES, end: 0 }
    }

    /// Adds mu-law that begins at `position`. Audio before the end of what was added before changes nothing earlier
    /// than the last 20 ms.
    pub(super) fn add(&mut self, position: Position, mulaw: &[u8]) {
        let first = position / SLOT_BYTES;
        for (slot, part) in (first..).zip(mulaw.chunks(FRAME_BYTES)) {
            self.set(slot, u16::try_from(mulaw_level(part)).unwrap_or(u16::MAX));
        }
    }

    fn set(&mut self, slot: Position, level: u16) {
        if level == 0 && self.levels.is_empty() {
            self.end = slot + 1;
            return;
        }
        if self.levels.is_empty() {
            self.levels = vec![0; self.slots];
        }
        if slot + 1 > self.end {
            // Slots that were jumped over are silent, at most a whole ring of them.
            let from = self.end.max((slot + 1).saturating_sub(self.slots as Position));
            for skipped in from..slot {
                let at = self.at(skipped);
                self.levels[at] = 0;
            }
            self.end = slot + 1;
            let at = self.at(slot);
            self.levels[at] = level;
        } else if slot + 1 == self.end {
            let at = self.at(slot);
            self.levels[at] = self.levels[at].max(level);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "less than the ring's length")]
    fn at(&self, slot: Position) -> usize {
        (slot % self.slots as Position) as usize
    }

    /// Forgets all that was added from `position` on.
    pub(super) fn cut(&mut self, position: Position) {
        let slot = position.div_ceil(SLOT_BYTES);
        for gone in slot.max(self.end.saturating_sub(self.slots as Position))..self.end {
            if !self.levels.is_empty() {
                let at = self.at(gone);
                self.levels[at] = 0;
            }
        }
        self.end = self.end.min(slot);
    }

    /// How much of a stretch is not silence, in bytes, as far as it is kept.
    pub(super) fn sounding(&self, stretch: Range<Position>) -> Position {
        SLOT_BYTES * self.kept(stretch).filter(|level| *level > MIN_VOICE_LEVEL).count() as Position
    }

    fn kept(&self, stretch: Range<Position>) -> impl Iterator<Item = u32> {
        self.slots_of(&stretch).map(|slot| u32::from(self.levels[self.at(slot)]))
    }

    fn slots_of(&self, stretch: &Range<Position>) -> Range<Position> {
        let first = (stretch.start / SLOT_BYTES).max(self.end.saturating_sub(self.slots as Position));
        let last = stretch.end.div_ceil(SLOT_BYTES).min(self.end);
        if self.levels.is_empty() || stretch.is_empty() { 0..0 } else { first..last }
    }

    /// The loudness of a stretch, as far as it is kept. 0: silence.
    pub(super) fn loudness(&self, stretch: Range<Position>) -> u32 {
        self.loudness_where(stretch, |_| true)
    }

    /// The same, if only some parts count. The others are silence.
    pub(super) fn loudness_where(&self, stretch: Range<Position>, counts: impl Fn(Range<Position>) -> bool) -> u32 {
        let level = |slot: Position| {
            let part = slot * SLOT_BYTES..(slot + 1) * SLOT_BYTES;
            if counts(part) { u32::from(self.levels[self.at(slot)]) } else { 0 }
        };
        let (mut last, mut sum, mut count, mut loudest) = ([0; WINDOW], 0, 0, 0);
        for new in self.slots_of(&stretch).map(level) {
            let oldest = std::mem::replace(&mut last[count % WINDOW], new);
            sum = sum + new - oldest;
            count += 1;
            loudest = loudest.max(sum);
        }
        loudest / u32::try_from(count.clamp(1, WINDOW)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::g711::linear_to_mulaw;

    fn audio(amplitude: i16, ms: usize) -> Vec<u8> {
        (0..ms * 8).map(|n| linear_to_mulaw(if n % 8 < 4 { amplitude } else { -amplitude })).collect()
    }

    fn is_near(level: u32, expected: u32) -> bool {
        level.abs_diff(expected) <= expected / 20
    }

    #[test]
    fn a_stretch_is_as_loud_as_its_loudest_200_milliseconds() {
        let mut levels = LevelHistory::new(2_000);
        levels.add(0, &audio(1_000, 400));
        levels.add(3_200, &audio(0, 600));
        levels.add(8_000, &audio(4_000, 200));
        assert!(is_near(levels.loudness(0..8_000), 1_000));
        assert!(is_near(levels.loudness(0..9_600), 4_000));
        assert_eq!((levels.loudness(3_200..8_000), levels.sounding(0..9_600)), (0, 4_800));
        assert!(is_near(levels.loudness(8_000..8_320), 4_000), "a short stretch has its own mean");
        assert_eq!((levels.loudness(8_000..8_000), levels.loudness(90_000..99_000)), (0, 0));
    }

    #[test]
    fn only_the_last_seconds_are_kept_and_gaps_are_silent() {
        let mut levels = LevelHistory::new(1_000);
        levels.add(0, &audio(1_000, 1_000));
        levels.add(16_000, &audio(2_000, 200));
        assert_eq!(levels.loudness(0..8_000), 0);
        assert_eq!(levels.loudness(9_600..16_000), 0);
        assert!(is_near(levels.loudness(0..u64::MAX), 2_000));
    }

    #[test]
    fn what_is_cut_was_never_there() {
        let mut levels = LevelHistory::new(1_000);
        levels.add(0, &audio(1_000, 800));
        levels.cut(3_200);
        assert!(is_near(levels.loudness(0..6_400), 1_000));
        assert_eq!(levels.loudness(3_200..6_400), 0);
        levels.add(3_200, &audio(3_000, 200));
        assert!(is_near(levels.loudness(0..6_400), 3_000));
    }

    #[test]
    fn frames_shorter_than_a_level_share_it() {
        let mut levels = LevelHistory::new(1_000);
        for part in 0..40_u64 {
            levels.add(part * 80, &audio(1_000, 10));
        }
        assert!(is_near(levels.loudness(0..3_200), 1_000));
    }
}
