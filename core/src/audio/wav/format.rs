//! The `fmt ` chunk.

use super::WavError;
use crate::audio::{AudioFormat, Encoding};

/// The `fmt ` chunk's shortest form, `WAVEFORMAT` with the bits per sample, and its longest, `WAVEFORMATEXTENSIBLE`.
pub(super) const MIN_FORMAT_BYTES: u32 = 16;
pub(super) const MAX_FORMAT_BYTES: u32 = 40;

/// Format tags (RFC 2361).
pub(super) const TAG_PCM: u16 = 1;
pub(super) const TAG_ALAW: u16 = 6;
pub(super) const TAG_MULAW: u16 = 7;
const TAG_EXTENSIBLE: u16 = 0xFFFE;

/// The bytes after the format tag in the sub-format GUID of an extensible format (`KSDATAFORMAT_SUBTYPE_WAVEFORMATEX`).
const SUBFORMAT_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

/// The content of a `fmt ` chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChannelFormat {
    pub(super) format: AudioFormat,
    pub(super) channels: u16,
}

impl ChannelFormat {
    /// Reads the first 16 to 40 bytes of a `fmt ` chunk. The byte rate at offset 8 is redundant and often wrong.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, WavError> {
        let encoding = encoding_of(bytes)?;
        let (channels, sample_rate) = (u16_at(bytes, 2), u32_at(bytes, 4));
        let (block_align, bits) = (u32::from(u16_at(bytes, 12)), u32::from(u16_at(bytes, 14)));
        let sample_bytes = u32::from(encoding.bytes_per_sample());
        if bits != 8 * sample_bytes {
            return Err(WavError::Unsupported { what: "bits per sample", found: bits });
        }
        if channels == 0 {
            return Err(WavError::Malformed { what: "number of channels", found: 0 });
        }
        if sample_rate == 0 {
            return Err(WavError::Malformed { what: "sample rate", found: 0 });
        }
        if block_align != u32::from(channels) * sample_bytes {
            return Err(WavError::Malformed { what: "block align", found: block_align });
        }
        Ok(Self { format: AudioFormat { encoding, sample_rate }, channels })
    }
}

fn encoding_of(format: &[u8]) -> Result<Encoding, WavError> {
    let tag = match u16_at(format, 0) {
        TAG_EXTENSIBLE => match format.get(24..40) {
            Some(guid) if guid[2..] == SUBFORMAT_TAIL => u16_at(guid, 0),
            Some(guid) => return Err(WavError::Unsupported { what: "sub-format", found: u32_at(guid, 0) }),
            None => {
                let found = u32::try_from(format.len()).expect("at most 40");
                return Err(WavError::Malformed { what: "size of the extensible fmt chunk", found });
            }
        },
        tag => tag,
    };
    match tag {
        TAG_PCM => Ok(Encoding::Linear16),
        TAG_ALAW => Ok(Encoding::Alaw),
        TAG_MULAW => Ok(Encoding::Mulaw),
        other => Err(WavError::Unsupported { what: "format tag", found: u32::from(other) }),
    }
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes([bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]])
}
