//! The low-pass filters of [`Resampler`](super::Resampler): constant tables, and how they make an output sample.
//!
//! `core/filters/make_filters.py` makes the tables and explains how.

mod from_11025;
mod from_22050;
mod from_44100;
mod multiples;

static FILTERS: [&Filter; 10] = [
    &multiples::FROM_24000_TO_8000,
    &multiples::FROM_16000_TO_8000,
    &multiples::FROM_48000_TO_8000,
    &multiples::FROM_32000_TO_8000,
    &multiples::FROM_12000_TO_8000,
    &from_22050::FROM_22050_TO_8000,
    &from_44100::FROM_44100_TO_8000,
    &from_11025::FROM_11025_TO_8000,
    &multiples::FROM_8000_TO_16000,
    &multiples::FROM_8000_TO_24000,
];

/// The polyphase low pass of one conversion.
#[derive(Debug)]
pub(super) struct Filter {
    from_hz: u32,
    to_hz: u32,
    /// Taps in a row: the number of source samples for one output sample. Even.
    pub(super) taps: usize,
    /// The taps of every row sum to 2 to the power of this.
    gain_bits: u32,
    /// The rows of the first half of the phases, one after another. The other rows are these read backwards.
    rows: &'static [i16],
}

impl Filter {
    /// The filter from one rate to another. `None` if there is none.
    pub(super) fn find(from_hz: u32, to_hz: u32) -> Option<&'static Filter> {
        FILTERS.into_iter().find(|filter| filter.from_hz == from_hz && filter.to_hz == to_hz)
    }

    /// The number of phases, and the phases between two output samples: the ratio of the rates in lowest terms.
    pub(super) fn ratio(&self) -> (usize, usize) {
        let divisor = greatest_common_divisor(self.to_hz, self.from_hz);
        ((self.to_hz / divisor) as usize, (self.from_hz / divisor) as usize)
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

    fn row(&self, phase: usize) -> &'static [i16] {
        &self.rows[phase * self.taps..][..self.taps]
    }
}

/// The sum of products. It cannot overflow: the test `every_row_fits_its_accumulator` checks the tables.
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

    fn rows(filter: &Filter) -> impl Iterator<Item = &'static [i16]> {
        filter.rows.chunks_exact(filter.taps)
    }

    #[test]
    fn every_row_has_the_same_gain() {
        for filter in FILTERS {
            assert_eq!(filter.rows.len() % filter.taps, 0);
            for row in rows(filter) {
                assert_eq!(row.iter().map(|&tap| i32::from(tap)).sum::<i32>(), 1 << filter.gain_bits);
            }
        }
    }

    #[test]
    fn every_row_fits_its_accumulator() {
        for filter in FILTERS {
            for row in rows(filter) {
                let absolute: i64 = row.iter().map(|&tap| i64::from(tap).abs()).sum();
                let worst = absolute * 32768 + (1 << (filter.gain_bits - 1));
                assert!(worst <= i64::from(i32::MAX), "{} Hz to {} Hz: {worst}", filter.from_hz, filter.to_hz);
            }
        }
    }

    #[test]
    fn the_tables_are_small() {
        let bytes: usize = FILTERS.iter().map(|filter| size_of_val(filter.rows)).sum();
        println!("filter tables: {bytes} bytes");
        assert!(bytes < 100_000);
    }

    #[cfg(not(target_family = "wasm"))]
    #[test]
    fn the_tables_are_what_their_script_makes() {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/filters/make_filters.py");
        match std::process::Command::new("python3").args([script, "--check"]).output() {
            Ok(check) => assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr)),
            Err(missing) => println!("skipped: python3 does not run here ({missing})"),
        }
    }
}
