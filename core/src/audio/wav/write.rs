//! Writes WAV.

use super::format::{TAG_ALAW, TAG_MULAW, TAG_PCM};
use crate::audio::{AudioFormat, Encoding};

/// Writes a WAV: the [`wav_header`], the audio, and a pad byte if the audio's length is odd.
///
/// It reads back the same if `channels` and the sample rate are not 0.
pub fn write_wav(channels: u16, format: AudioFormat, data: &[u8]) -> Vec<u8> {
    let mut wav = wav_header(channels, format, u32::try_from(data.len()).unwrap_or(u32::MAX));
    wav.extend_from_slice(data);
    wav.resize(wav.len() + data.len() % 2, 0);
    wav
}

/// Makes the header for `data_bytes` bytes of audio. It has 44 bytes for [`Encoding::Linear16`], and 58 for
/// [`Encoding::Mulaw`] and [`Encoding::Alaw`], whose `fmt ` chunk has 18 bytes and is followed by a `fact` chunk.
///
/// `u32::MAX` means that the length is not known yet. After an odd number of bytes, the writer must add a pad byte.
pub fn wav_header(channels: u16, format: AudioFormat, data_bytes: u32) -> Vec<u8> {
    let AudioFormat { encoding, sample_rate } = format;
    let sample_bytes = encoding.bytes_per_sample();
    let block_align = channels.saturating_mul(sample_bytes);
    let (tag, is_pcm) = match encoding {
        Encoding::Linear16 => (TAG_PCM, true),
        Encoding::Alaw => (TAG_ALAW, false),
        Encoding::Mulaw => (TAG_MULAW, false),
    };
    let after_size = if is_pcm { 36 } else { 50 };

    let mut header = Vec::with_capacity(58);
    header.extend_from_slice(b"RIFF");
    header.extend_from_slice(&data_bytes.saturating_add(after_size + data_bytes % 2).to_le_bytes());
    header.extend_from_slice(b"WAVEfmt ");
    header.extend_from_slice(&(if is_pcm { 16_u32 } else { 18 }).to_le_bytes());
    header.extend_from_slice(&tag.to_le_bytes());
    header.extend_from_slice(&channels.to_le_bytes());
    header.extend_from_slice(&sample_rate.to_le_bytes());
    header.extend_from_slice(&sample_rate.saturating_mul(u32::from(block_align)).to_le_bytes());
    header.extend_from_slice(&block_align.to_le_bytes());
    header.extend_from_slice(&(8 * sample_bytes).to_le_bytes());
    if !is_pcm {
        // No extension of the format; then the number of samples per channel.
        header.extend_from_slice(&0_u16.to_le_bytes());
        header.extend_from_slice(b"fact");
        header.extend_from_slice(&4_u32.to_le_bytes());
        let samples = if data_bytes == u32::MAX { u32::MAX } else { data_bytes / u32::from(block_align.max(1)) };
        header.extend_from_slice(&samples.to_le_bytes());
    }
    header.extend_from_slice(b"data");
    header.extend_from_slice(&data_bytes.to_le_bytes());
    header
}
