//! A tone that says that somebody is being called: for a caller who waits where no recording and no sentence can be
//! had.
//!
//! 425 Hz for a second, as most networks ring (ITU-T E.180). It is the same on every machine: it needs no sine of the
//! platform's.

use crate::audio::SAMPLE_RATE;
use crate::audio::g711::linear_to_mulaw;

/// 2 cos(2π · 425 / 8,000).
const COEFFICIENT: f64 = 1.889_612_092_933_756;

/// The second sample: the amplitude, 20 dB below full scale, times sin(2π · 425 / 8,000).
const FIRST: f64 = 1_073.579;

/// How long the tone swells and fades, in samples.
const RAMP: usize = 160;

/// A second of the tone, in mu-law at 8,000 Hz.
#[expect(clippy::cast_possible_truncation, reason = "the amplitude is a tenth of full scale")]
#[expect(clippy::cast_precision_loss, reason = "160 at most")]
pub(super) fn waiting_tone() -> Vec<u8> {
    let samples = SAMPLE_RATE as usize;
    let (mut before, mut now) = (0.0, FIRST);
    let tone = (0..samples).map(|n| {
        let sample = before;
        (before, now) = (now, COEFFICIENT * now - before);
        let ramp = n.min(samples - 1 - n).min(RAMP) as f64 / RAMP as f64;
        linear_to_mulaw((sample * ramp) as i16)
    });
    tone.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::g711::mulaw_to_linear;

    #[test]
    fn it_is_a_second_of_425_hertz_that_neither_grows_nor_dies_away() {
        let samples: Vec<i16> = waiting_tone().iter().map(|byte| mulaw_to_linear(*byte)).collect();
        assert_eq!(samples.len(), 8_000);
        let rises = samples.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert!((423..=426).contains(&rises), "{rises}");
        for part in samples[400..7_600].chunks(800) {
            let loudest = part.iter().max().unwrap();
            assert!((3_000..3_500).contains(loudest), "{loudest}");
        }
        assert!(samples[0].abs() < 50 && samples[7_999].abs() < 50, "it does not click");
    }
}
