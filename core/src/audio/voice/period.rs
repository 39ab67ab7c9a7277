//! Looks for the period of a voice: 70 to 400 Hz.

use super::bands::LOW_BLOCK;

/// The periods, in samples at 4,000 Hz.
const MIN_PERIOD: usize = 10;
const MAX_PERIOD: usize = 57;

/// The audio that is compared with what was a period before: the last block. In a longer window the pitch of a lively voice
/// moves too far.
const WINDOW: usize = LOW_BLOCK;

/// The last blocks that are kept.
const KEPT: usize = 3 * LOW_BLOCK;

/// The bits of the largest magnitude that is compared. The products of a window then fit in 27 bits.
const MAX_BITS: u32 = 10;

/// How alike a period and the next one are, as the square of their correlation in 64ths: a correlation of 0.75.
const MIN_LIKENESS: u64 = 36;

/// The last moments of the lower band.
#[derive(Debug)]
pub(super) struct LastPeriods {
    samples: [i16; KEPT],
}

impl Default for LastPeriods {
    fn default() -> Self {
        Self { samples: [0; KEPT] }
    }
}

impl LastPeriods {
    /// Adds the next block.
    pub(super) fn push(&mut self, low: &[i16; LOW_BLOCK]) {
        self.samples.copy_within(LOW_BLOCK.., 0);
        self.samples[KEPT - LOW_BLOCK..].copy_from_slice(low);
    }

    /// Whether the last 10 ms are what was a period before.
    pub(super) fn is_periodic(&self) -> bool {
        let samples = self.scaled();
        let (past, now) = samples.split_at(KEPT - WINDOW);
        let power = product(now, now);
        let mut before = &samples[past.len() - MIN_PERIOD..][..WINDOW];
        let mut power_before = product(before, before);
        for period in MIN_PERIOD..=MAX_PERIOD {
            let common = product(now, before);
            if common > 0
                && square(common) * 64
                    > u64::from(power.unsigned_abs()) * u64::from(power_before.unsigned_abs()) * MIN_LIKENESS
            {
                return true;
            }
            let start = past.len() - period - 1;
            let (first, last) = (i32::from(samples[start]), i32::from(samples[start + WINDOW]));
            power_before += first * first - last * last;
            before = &samples[start..][..WINDOW];
        }
        false
    }

    /// The samples, so soft that all sums fit.
    fn scaled(&self) -> [i16; KEPT] {
        let peak = self.samples.iter().map(|sample| sample.unsigned_abs()).fold(0, u16::max);
        let bits = (u16::BITS - peak.leading_zeros()).saturating_sub(MAX_BITS);
        self.samples.map(|sample| sample >> bits)
    }
}

fn product(one: &[i16], other: &[i16]) -> i32 {
    one.iter().zip(other).map(|(&one, &other)| i32::from(one) * i32::from(other)).sum()
}

fn square(value: i32) -> u64 {
    u64::from(value.unsigned_abs()).pow(2)
}
