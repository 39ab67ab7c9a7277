//! Tells a steady tone from a voice by its level.

/// How far the level of a tone strays: 1 dB, as a ratio in 128ths.
const MAX_RATIO: u32 = 144;

/// How many blocks in a row are alike in a tone.
const MIN_BLOCKS: u32 = 4;

/// What is louder is a voice, steady or not, as no line hums so loudly: a mean
/// magnitude of 600, about -30 dB of full scale.
const MAX_HUM: u32 = 600;

/// After so many blocks a loud tone is no voice either: 15 s.
const MAX_BLOCKS: u32 = 1_500;

/// The last stretch in which the level was the same.
#[derive(Debug, Default)]
pub(super) struct Steadiness {
    before: u32,
    lowest: u32,
    highest: u32,
    blocks: u32,
}

impl Steadiness {
    /// Adds the level of the next block. Returns whether it is part of a steady tone.
    pub(super) fn push(&mut self, level: u32) -> bool {
        let smooth = self.before.midpoint(level);
        self.before = level;
        self.lowest = self.lowest.min(smooth);
        self.highest = self.highest.max(smooth);
        self.blocks += 1;
        if u64::from(self.highest) * 128 > u64::from(self.lowest) * u64::from(MAX_RATIO) {
            (self.lowest, self.highest, self.blocks) = (smooth, smooth, 1);
        }
        self.blocks >= if smooth > MAX_HUM { MAX_BLOCKS } else { MIN_BLOCKS }
    }
}
