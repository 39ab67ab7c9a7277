//! Telephone audio: G.711, WAV and sample rates, down to the 8 kHz mu-law that Twilio plays.
//!
//! Samples are integers, and operations that IEEE 754 fixes give the filters' taps, so the same input gives the same
//! bytes on every machine. Everything streams: audio in chunks gives, bit for bit, the same output as the whole audio at
//! once.

mod filters;
pub mod g711;
pub mod level;
pub mod resample;
mod stereo;
pub mod transcode;
pub mod voice;
pub mod wav;

use serde::{Deserialize, Serialize};

pub use resample::{Resampler, UnsupportedRate};
pub use transcode::{ToMulaw, TranscodeError, to_mulaw};

/// Samples per second on Twilio's side (Media Streams: `audio/x-mulaw`, rate 8000, one channel).
pub const SAMPLE_RATE: u32 = 8000;

/// Bytes in a millisecond of 8 kHz mu-law.
pub const BYTES_PER_MS: usize = 8;

/// The audio of one of Twilio's frames, in milliseconds.
pub const FRAME_MS: u64 = 20;

/// The audio of one of Twilio's frames, in bytes of mu-law.
pub const FRAME_BYTES: usize = 20 * BYTES_PER_MS;

/// A position in a speaker's audio: mu-law bytes (samples at 8,000 Hz) since its beginning.
pub type Position = u64;

/// The bytes of that many milliseconds of mu-law.
pub(crate) const fn bytes(ms: u64) -> Position {
    ms.saturating_mul(BYTES_PER_MS as u64)
}

/// The mu-law byte of silence: positive zero (ITU-T G.711 table 2a).
pub const MULAW_SILENCE: u8 = 0xFF;

/// How samples are encoded as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Signed 16-bit samples, little-endian.
    Linear16,
    /// One byte per sample, ITU-T G.711 mu-law.
    Mulaw,
    /// One byte per sample, ITU-T G.711 A-law.
    Alaw,
}

impl Encoding {
    /// Bytes per sample of one channel.
    pub const fn bytes_per_sample(self) -> u16 {
        match self {
            Encoding::Linear16 => 2,
            Encoding::Mulaw | Encoding::Alaw => 1,
        }
    }
}

/// Encoding and sample rate of a stretch of audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AudioFormat {
    /// How samples are encoded as bytes.
    pub encoding: Encoding,
    /// Samples per second. 0 if unknown.
    pub sample_rate: u32,
}

impl AudioFormat {
    /// The format on Twilio's side: mu-law at 8000 Hz.
    pub const TELEPHONE: AudioFormat = AudioFormat { encoding: Encoding::Mulaw, sample_rate: SAMPLE_RATE };
}

/// What takes the place of speech in a test: a square wave in 8 kHz mu-law, as loud as a voice, with this many samples in
/// a period. Every second frame is softer, because the level of a voice is never the same.
pub(crate) fn buzz(ms: u64, period: usize) -> Vec<u8> {
    let samples = usize::try_from(ms).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_MS);
    let sample = |n: usize| {
        let level = if (n / FRAME_BYTES).is_multiple_of(2) { 6_000 } else { 4_500 };
        g711::linear_to_mulaw(if n % period < period / 2 { level } else { -level })
    };
    (0..samples).map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_lower_case_names() {
        let json = serde_json::to_string(&AudioFormat::TELEPHONE).unwrap();
        assert_eq!(json, r#"{"encoding":"mulaw","sample_rate":8000}"#);
        let read: AudioFormat = serde_json::from_str(r#"{"encoding":"linear16","sample_rate":24000}"#).unwrap();
        assert_eq!(read, AudioFormat { encoding: Encoding::Linear16, sample_rate: 24000 });
    }

    #[test]
    fn a_millisecond_and_silence_are_what_they_say() {
        assert_eq!(SAMPLE_RATE as usize / 1000, BYTES_PER_MS);
        assert_eq!(bytes(FRAME_MS), FRAME_BYTES as Position);
        assert_eq!(g711::mulaw_to_linear(MULAW_SILENCE), 0);
    }
}
