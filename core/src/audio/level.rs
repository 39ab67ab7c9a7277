//! Measures how loud audio is, to tell voice from silence.

use super::g711::{alaw_to_linear, mulaw_magnitude};
use super::wav::{is_wav, read_wav};
use super::{AudioFormat, Encoding, SAMPLE_RATE};

/// The mean level of 20 ms below which nothing is voice, in units of 16-bit samples: about -47 dB of full scale.
pub const MIN_VOICE_LEVEL: u32 = 150;

/// How many stretches of that length a second has.
const STRETCHES_A_SECOND: usize = 50;

/// The mean level of mu-law audio, in units of 16-bit samples. 0 if there is none.
#[must_use]
pub fn mulaw_level(mulaw: &[u8]) -> u32 {
    mean(mulaw.iter().map(|&code| u64::from(mulaw_magnitude(code))), mulaw.len())
}

/// Whether nobody speaks in this audio, with or without a WAV header: no stretch of 20 ms is as loud as a voice.
#[must_use]
pub fn is_quiet(declared: AudioFormat, audio: &[u8]) -> bool {
    if !is_wav(audio) {
        return is_quiet_in(declared, audio);
    }
    read_wav(audio).is_ok_and(|wav| is_quiet_in(wav.format, wav.data))
}

fn is_quiet_in(format: AudioFormat, audio: &[u8]) -> bool {
    let rate = if format.sample_rate == 0 { SAMPLE_RATE } else { format.sample_rate };
    let samples = (rate as usize / STRETCHES_A_SECOND).max(1);
    audio.chunks(samples * usize::from(format.encoding.bytes_per_sample())).all(|stretch| {
        let level = match format.encoding {
            Encoding::Mulaw => mulaw_level(stretch),
            Encoding::Alaw => {
                mean(stretch.iter().map(|&code| u64::from(alaw_to_linear(code).unsigned_abs())), stretch.len())
            }
            Encoding::Linear16 => {
                let (samples, _) = stretch.as_chunks::<2>();
                mean(samples.iter().map(|&bytes| u64::from(i16::from_le_bytes(bytes).unsigned_abs())), samples.len())
            }
        };
        level <= MIN_VOICE_LEVEL
    })
}

fn mean(levels: impl Iterator<Item = u64>, count: usize) -> u32 {
    u32::try_from(levels.sum::<u64>() / count.max(1) as u64).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::g711::{linear_to_alaw, linear_to_mulaw};
    use super::super::wav::write_wav;
    use super::*;

    /// A second of a square wave with 40 ms of another amplitude in its middle.
    fn audio(format: AudioFormat, amplitude: i16, middle: i16) -> Vec<u8> {
        let rate = format.sample_rate as usize;
        let samples = (0..rate).map(|n| {
            let level = if (rate / 2..rate / 2 + rate / 25).contains(&n) { middle } else { amplitude };
            if n % 8 < 4 { level } else { -level }
        });
        match format.encoding {
            Encoding::Mulaw => samples.map(linear_to_mulaw).collect(),
            Encoding::Alaw => samples.map(linear_to_alaw).collect(),
            Encoding::Linear16 => samples.flat_map(i16::to_le_bytes).collect(),
        }
    }

    #[test]
    fn a_word_is_found_in_every_coding_with_and_without_a_header() {
        for (encoding, sample_rate) in [
            (Encoding::Mulaw, 8_000),
            (Encoding::Alaw, 8_000),
            (Encoding::Linear16, 8_000),
            (Encoding::Linear16, 24_000),
            (Encoding::Linear16, 48_000),
        ] {
            let format = AudioFormat { encoding, sample_rate };
            for (middle, expected) in [(60, true), (600, false)] {
                let audio = audio(format, 60, middle);
                assert_eq!(is_quiet(format, &audio), expected, "{format:?}");
                assert_eq!(is_quiet(AudioFormat::TELEPHONE, &write_wav(1, format, &audio)), expected, "{format:?}");
            }
        }
        assert!(is_quiet(AudioFormat::TELEPHONE, &[]));
    }
}
