//! Splits audio into two bands and measures their levels.

use std::array::from_fn;

use super::BLOCK;
use crate::audio::g711::mulaw_to_linear;

/// Samples of the lower band in a block: every second one.
pub(super) const LOW_BLOCK: usize = BLOCK / 2;

/// Samples of the block before that the filters need.
const PAST: usize = 8;

/// Samples of the lower band in a block that are counted: the filter has seen nothing of the block before.
const COUNTED: usize = LOW_BLOCK - PAST / 2;

/// How loud a block is in both bands: the mean magnitude.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Levels {
    pub(super) low: u32,
    pub(super) high: u32,
}

/// The filters.
#[derive(Debug)]
pub(super) struct Bands {
    /// The end of the block before and the whole block, as wide as the filters add them up.
    samples: [i32; PAST + BLOCK],
    low: [i16; LOW_BLOCK],
}

impl Default for Bands {
    fn default() -> Self {
        Self { samples: [0; PAST + BLOCK], low: [0; LOW_BLOCK] }
    }
}

impl Bands {
    /// Takes the next block of mu-law.
    pub(super) fn push(&mut self, block: &[u8; BLOCK]) -> Levels {
        self.samples.copy_within(BLOCK.., 0);
        for (sample, &code) in self.samples[PAST..].iter_mut().zip(block) {
            *sample = mulaw_to_linear(code).into();
        }
        Levels { low: self.filter_low(), high: self.measure_high() }
    }

    /// The last block's lower band at 4,000 Hz: about 250 to 1,300 Hz, where the vowels are.
    pub(super) fn low(&self) -> &[i16; LOW_BLOCK] {
        &self.low
    }

    /// Four samples less the four before, for every second sample. It adds pairs up, and pairs of pairs: loops of a fixed
    /// length that look at many samples at once.
    fn filter_low(&mut self) -> u32 {
        let pairs = self.samples[2..].as_chunks::<2>().0;
        let pairs: [i32; LOW_BLOCK + 3] = from_fn(|at| pairs[at][0] + pairs[at][1]);
        let fours: [i32; LOW_BLOCK + 2] = from_fn(|at| pairs[at] + pairs[at + 1]);
        // The sum of 8 magnitudes of at most 32,124: an eighth fits.
        self.low = from_fn(|at| i16::try_from((fours[at + 2] - fours[at]) / 8).unwrap_or_default());
        mean(self.low[LOW_BLOCK - COUNTED..].iter().map(|low| u32::from(low.unsigned_abs())), COUNTED)
    }

    /// A quarter of the second difference: what is above about 2,000 Hz, where the consonants are.
    fn measure_high(&self) -> u32 {
        let samples = &self.samples[PAST..];
        let values: [u32; BLOCK - 2] =
            from_fn(|at| (samples[at] - 2 * samples[at + 1] + samples[at + 2]).unsigned_abs());
        mean(values.into_iter(), 4 * (BLOCK - 2))
    }
}

fn mean(values: impl Iterator<Item = u32>, count: usize) -> u32 {
    values.sum::<u32>() / u32::try_from(count).unwrap_or(u32::MAX)
}
