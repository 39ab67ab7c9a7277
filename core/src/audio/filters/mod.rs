//! The low-pass filters of [`Resampler`](super::Resampler): their taps, and how they make an output sample.

mod design;

use std::sync::OnceLock;

/// Source rate, destination rate, taps. Taps are the multiple of 8 (one SIMD register of `i16`) that spans 4 ms or just
/// above, which is what the transition from 3.4 to 4.6 kHz needs.
const CONVERSIONS: [(u32, u32, usize); 10] = [
    (24_000, 8000, 96),
    (16_000, 8000, 64),
    (48_000, 8000, 192),
    (32_000, 8000, 128),
    (12_000, 8000, 48),
    (22_050, 8000, 96),
    (44_100, 8000, 184),
    (11_025, 8000, 48),
    (8000, 16_000, 32),
    (8000, 24_000, 32),
];

/// Each is computed when a call needs it first, in less than 1 ms.
static FILTERS: [OnceLock<Filter>; CONVERSIONS.len()] = [const { OnceLock::new() }; CONVERSIONS.len()];

/// The polyphase low pass of one conversion.
#[derive(Debug)]
pub(super) struct Filter {
    /// Taps in a row: the number of source samples for one output sample. Even.
    pub(super) taps: usize,
    /// The number of phases, and the phases between two output samples: the ratio of the rates in lowest terms.
    pub(super) ratio: (usize, usize),
    /// The taps of every row sum to 2 to the power of this.
    gain_bits: u32,
    /// The rows of the first half of the phases, one after another. The other rows are these read backwards.
    rows: Vec<i16>,
}

impl Filter {
    /// The filter from one rate to another. `None` if there is none.
    pub(super) fn find(from_hz: u32, to_hz: u32) -> Option<&'static Filter> {
        let known = CONVERSIONS.iter().position(|&(from, to, _)| (from, to) == (from_hz, to_hz))?;
        Some(FILTERS[known].get_or_init(|| Self::new(from_hz, to_hz, CONVERSIONS[known].2)))
    }

    fn new(from_hz: u32, to_hz: u32, taps: usize) -> Self {
        let divisor = greatest_common_divisor(to_hz, from_hz);
        let ratio = ((to_hz / divisor) as usize, (from_hz / divisor) as usize);
        let (rows, gain_bits) = design::rows(from_hz, ratio.0, taps);
        Self { taps, ratio, gain_bits, rows }
    }

    /// The output sample that lies `phase / phases` of a source sample after `window[taps / 2 - 1]`.
    ///
    /// `window` holds `taps` source samples.
    pub(super) fn apply(&self, phase: usize, phases: usize, window: &[i16]) -> i16 {
        let sum = if phase <= phases / 2 {
            dot(window.iter(), self.row(phase).iter())
        } else {
            dot(window.iter(), self.row(phases - phase).iter().rev())
        };
        let rounded = (sum + (1 << (self.gain_bits - 1))) >> self.gain_bits;
        saturate(rounded)
    }

    fn row(&self, phase: usize) -> &[i16] {
        &self.rows[phase * self.taps..][..self.taps]
    }
}

/// The sum of products. It cannot overflow: [`design::rows`] sees to that.
fn dot<'a>(samples: impl Iterator<Item = &'a i16>, taps: impl Iterator<Item = &'a i16>) -> i32 {
    samples.zip(taps).map(|(&sample, &tap)| i32::from(sample) * i32::from(tap)).sum()
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to i16 first")]
fn saturate(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters() -> impl Iterator<Item = &'static Filter> {
        CONVERSIONS.iter().map(|&(from_hz, to_hz, _)| Filter::find(from_hz, to_hz).unwrap())
    }

    #[test]
    fn every_row_has_the_same_gain() {
        for filter in filters() {
            assert_eq!(filter.rows.len(), (filter.ratio.0 / 2 + 1) * filter.taps);
            for row in filter.rows.chunks_exact(filter.taps) {
                assert_eq!(row.iter().map(|&tap| i32::from(tap)).sum::<i32>(), 1 << filter.gain_bits);
            }
        }
    }

    #[test]
    fn every_row_fits_its_accumulator() {
        for filter in filters() {
            for row in filter.rows.chunks_exact(filter.taps) {
                let absolute: i64 = row.iter().map(|&tap| i64::from(tap).abs()).sum();
                let most = absolute * 32768 + (1 << (filter.gain_bits - 1));
                assert!(most <= i64::from(i32::MAX), "{filter:?}: {most}");
            }
        }
    }

    /// Recorded calls hold the bytes that these taps made, so other taps are other bytes.
    #[test]
    fn the_taps_are_the_same_on_every_machine() {
        // FNV-1a, 64 bits.
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let taps = filters().flat_map(|filter| filter.rows.iter().flat_map(|tap| tap.to_le_bytes()));
        assert_eq!(taps.fold(0xcbf2_9ce4_8422_2325, hash), 0x4241_8ea6_29f4_6f85);
    }

    #[test]
    fn the_taps_take_little_memory() {
        let bytes: usize = filters().map(|filter| size_of_val(filter.rows.as_slice())).sum();
        assert!(bytes < 100_000, "{bytes}");
    }
}
