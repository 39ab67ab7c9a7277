//! The code in every frame of a load: whose frame it is, which one, and when it was due.
//!
//! The code stands in the audio itself, in the first 33 of a frame's 160 bytes, because audio is all that a bridge must
//! pass on unchanged. Each byte carries four bits, as the mu-law codes 0xF0 to 0xFF. Those are the softest samples
//! there are, so a silent frame is still silence to a voice detector. 33 bytes are exactly 44 characters of base64.

pub use dialbridge_core::audio::{FRAME_BYTES, FRAME_MS};

/// Bytes of a code.
pub const CODE_BYTES: usize = 33;

/// Characters of a code in base64.
pub const CODE_CHARS: usize = CODE_BYTES / 3 * 4;

/// Together with the checksum at the end, no audio begins with this by chance.
const MAGIC: u64 = 0xA5C3;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The caller is silent.
    Silence,
    /// The caller speaks.
    Speech,
    /// The first silent frame after speech: the utterance is over.
    End,
    /// A block of the agent's answer.
    Answer,
}

impl Kind {
    fn of(number: u64) -> Option<Self> {
        [Self::Silence, Self::Speech, Self::End, Self::Answer].into_iter().find(|kind| *kind as u64 == number)
    }
}

/// The code of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The kind of the frame.
    pub kind: Kind,
    /// The call that it belongs to.
    pub call: u16,
    /// The frame's number in its call, from 0, in 24 bits; in an answer the number of the utterance's last frame.
    pub number: u32,
    /// When it was due, in microseconds of [`now_us`](super::clock::now_us), in 48 bits.
    pub at_us: u64,
    /// How many microseconds after that it was sent, as far as they fit; in an answer the block's place, from 0.
    pub extra: u16,
}

/// How many groups of four bits each part takes: magic, kind, call, number, time, extra, sum.
const WIDTHS: [usize; 7] = [4, 2, 4, 6, 12, 4, 1];

impl Code {
    /// Encodes it as the first bytes of a frame.
    #[must_use]
    pub fn encode(&self) -> [u8; CODE_BYTES] {
        let mut bytes = [0; CODE_BYTES];
        let parts = [MAGIC, self.kind as u64, self.call.into(), self.number.into(), self.at_us, self.extra.into(), 0];
        let mut at = 0;
        let mut sum = 0;
        for (part, width) in parts.into_iter().zip(WIDTHS) {
            for place in (0..width).rev() {
                let nibble = (part >> (4 * place)).to_le_bytes()[0] & 0x0F;
                sum ^= nibble;
                bytes[at] = 0xF0 | nibble;
                at += 1;
            }
        }
        bytes[CODE_BYTES - 1] = 0xF0 | sum;
        bytes
    }

    /// Reads the code at the beginning of audio; `None` if there is none.
    #[must_use]
    pub fn decode(audio: &[u8]) -> Option<Self> {
        let code: &[u8; CODE_BYTES] = audio.first_chunk()?;
        let mut parts = [0_u64; 7];
        let mut at = 0;
        let mut sum = 0;
        for (part, width) in parts.iter_mut().zip(WIDTHS) {
            for &byte in &code[at..at + width] {
                if byte < 0xF0 {
                    return None;
                }
                sum ^= byte & 0x0F;
                *part = *part << 4 | u64::from(byte & 0x0F);
            }
            at += width;
        }
        let [MAGIC, kind, call, number, at_us, extra, _] = parts else { return None };
        if sum != 0 {
            return None;
        }
        Some(Self {
            kind: Kind::of(kind)?,
            call: u16::try_from(call).ok()?,
            number: u32::try_from(number).ok()?,
            at_us,
            extra: u16::try_from(extra).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::audio::g711::mulaw_to_linear;

    const CODE: Code = Code { kind: Kind::End, call: 999, number: 0xAB_CDEF, at_us: 0x1234_5678_9ABC, extra: 65_535 };

    #[test]
    fn a_code_comes_back_as_it_went() {
        for kind in [Kind::Silence, Kind::Speech, Kind::End, Kind::Answer] {
            let code = Code { kind, ..CODE };
            assert_eq!(Code::decode(&code.encode()), Some(code));
        }
    }

    #[test]
    fn what_is_no_code_or_a_broken_one_is_not_read() {
        let code = CODE.encode();
        assert_eq!(Code::decode(&code[1..]), None);
        assert_eq!(Code::decode(&[0xFF; FRAME_BYTES]), None);
        for place in 0..CODE_BYTES {
            let mut broken = code;
            broken[place] ^= 0x04;
            assert_eq!(Code::decode(&broken), None, "{place}");
        }
    }

    #[test]
    fn a_coded_frame_of_silence_is_silent() {
        let mut frame = [0xFF; FRAME_BYTES];
        frame[..CODE_BYTES].copy_from_slice(&CODE.encode());
        let sum: u64 = frame.iter().map(|&byte| u64::from(mulaw_to_linear(byte).unsigned_abs())).sum();
        assert!(sum / (FRAME_BYTES as u64) < 30, "{sum}");
    }
}
