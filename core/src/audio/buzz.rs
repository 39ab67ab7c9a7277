//! A sound that takes the place of speech in a test.

use super::BYTES_PER_MS;
use super::g711::linear_to_mulaw;

/// Samples of 20 ms.
const FRAME_SAMPLES: usize = 160;

/// A square wave in 8 kHz mu-law, as loud as a voice, with this many samples in a period. Every second frame is softer,
/// because the level of a voice is never the same.
pub(crate) fn buzz(ms: u64, period: usize) -> Vec<u8> {
    let samples = usize::try_from(ms).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_MS);
    let sample = |n: usize| {
        let level = if (n / FRAME_SAMPLES).is_multiple_of(2) { 6_000 } else { 4_500 };
        linear_to_mulaw(if n % period < period / 2 { level } else { -level })
    };
    (0..samples).map(sample).collect()
}
