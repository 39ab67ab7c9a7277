//! The agent's audio, in the requested coding and the form in which Google sends it.

use dialbridge_core::audio::g711::{decode_mulaw, linear_to_alaw, linear_to_mulaw};
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::audio::{AudioFormat, Encoding, Resampler, SAMPLE_RATE, UnsupportedRate};

use crate::agent::script::Tone;

/// Converts mu-law at 8,000 Hz. LINEAR16 gets a WAV header, like Google's; the other codings only if `wav` is set.
///
/// # Errors
/// [`UnsupportedRate`] if the lab cannot make that rate: it makes 8,000, and for LINEAR16 16,000 and 24,000 Hz.
pub(super) fn coded(mulaw: &[u8], format: AudioFormat, wav: bool) -> Result<Vec<u8>, UnsupportedRate> {
    let data = headless(mulaw, format)?;
    let has_header = wav || format.encoding == Encoding::Linear16;
    Ok(if has_header { write_wav(1, format, &data) } else { data })
}

/// Converts mu-law at 8,000 Hz, without a header.
///
/// # Errors
/// [`UnsupportedRate`] if the lab cannot make that rate: it makes 8,000, 16,000, 24,000 and 48,000 Hz.
pub(super) fn headless(mulaw: &[u8], format: AudioFormat) -> Result<Vec<u8>, UnsupportedRate> {
    if format == AudioFormat::TELEPHONE {
        return Ok(mulaw.to_vec());
    }
    let samples = samples(mulaw, format.sample_rate)?;
    Ok(match format.encoding {
        Encoding::Linear16 => samples.iter().flat_map(|sample| sample.to_le_bytes()).collect(),
        Encoding::Mulaw => samples.iter().map(|&sample| linear_to_mulaw(sample)).collect(),
        Encoding::Alaw => samples.iter().map(|&sample| linear_to_alaw(sample)).collect(),
    })
}

fn samples(mulaw: &[u8], rate: u32) -> Result<Vec<i16>, UnsupportedRate> {
    if rate == 48_000 {
        return Ok(doubled(&samples(mulaw, 24_000)?));
    }
    let mut linear = Vec::new();
    decode_mulaw(mulaw, &mut linear);
    let mut resampler = Resampler::new(SAMPLE_RATE, rate)?;
    let mut samples = Vec::new();
    resampler.process(&linear, &mut samples);
    resampler.flush(&mut samples);
    Ok(samples)
}

/// Doubles the rate by linear interpolation, which is good enough for telephone audio.
fn doubled(samples: &[i16]) -> Vec<i16> {
    let next = samples.iter().skip(1).chain(samples.last());
    samples.iter().zip(next).flat_map(|(&sample, &next)| [sample, sample.midpoint(next)]).collect()
}

/// A tone at half of full scale, as mu-law at 8,000 Hz.
#[expect(clippy::cast_possible_truncation, reason = "a sine of half of full scale fits")]
pub(crate) fn tone(tone: Tone) -> Vec<u8> {
    let samples = tone.ms as usize * 8;
    let step = std::f64::consts::TAU * f64::from(tone.hz) / f64::from(SAMPLE_RATE);
    (0..samples).map(|n| linear_to_mulaw((16_000.0 * (step * n as f64).sin()) as i16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::audio::to_mulaw;

    #[test]
    fn every_coding_is_the_same_sound() {
        let mulaw = tone(Tone { hz: 500, ms: 100 });
        for (encoding, sample_rate) in [
            (Encoding::Mulaw, 8000),
            (Encoding::Alaw, 8000),
            (Encoding::Linear16, 8000),
            (Encoding::Linear16, 16000),
            (Encoding::Linear16, 24000),
            (Encoding::Linear16, 48000),
        ] {
            let format = AudioFormat { encoding, sample_rate };
            let coded = coded(&mulaw, format, false).unwrap();
            assert_eq!(coded.starts_with(b"RIFF"), encoding == Encoding::Linear16);
            assert_eq!(to_mulaw(format, &coded).unwrap().len(), mulaw.len());
        }
    }
}
