//! Reads what a bridge sends in a load, only as far as the load needs it: which event, which mark, how much audio, and
//! the code at the beginning of the audio.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BytesMut};
use memchr::memmem;

use crate::load::code::{CODE_BYTES, CODE_CHARS, Code, FRAME_BYTES};

/// The longest frame that is accepted, in bytes: a whole answer may be one message.
const MAX_BYTES: usize = 1 << 20;

/// A WebSocket frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) opcode: u8,
    pub(super) payload: BytesMut,
}

/// Opcodes of RFC 6455.
pub(super) const TEXT: u8 = 1;
pub(super) const CLOSE: u8 = 8;

/// The bit of the second byte that announces a mask, and the mask's length.
const MASKED: u8 = 0x80;
const MASK_BYTES: usize = 4;

/// Takes the next whole frame out of the buffer; `None` if there is none yet.
///
/// # Errors
/// If a frame is fragmented, masked or too long.
pub(super) fn take_frame(bytes: &mut BytesMut) -> Result<Option<Frame>, &'static str> {
    match bytes.get(1) {
        Some(second) if second & MASKED != 0 => Err("a masked frame"),
        _ => take(bytes, 0),
    }
}

/// Takes the next frame of a client, which is masked (RFC 6455, section 5.3).
///
/// # Errors
/// If a frame is fragmented, not masked or too long.
pub(super) fn take_masked_frame(bytes: &mut BytesMut) -> Result<Option<Frame>, &'static str> {
    if bytes.get(1).is_some_and(|second| second & MASKED == 0) {
        return Err("a frame without a mask");
    }
    let Some(mut frame) = take(bytes, MASK_BYTES)? else { return Ok(None) };
    let mask = frame.payload.split_to(MASK_BYTES);
    for (byte, key) in frame.payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    Ok(Some(frame))
}

/// Takes a frame, with `mask_bytes` before its payload.
fn take(bytes: &mut BytesMut, mask_bytes: usize) -> Result<Option<Frame>, &'static str> {
    let [first, second, rest @ ..] = &bytes[..] else { return Ok(None) };
    if first & 0x80 == 0 {
        return Err("a fragmented frame");
    }
    let (head, length) = match (second & !MASKED, rest) {
        (127, [a, b, c, d, e, f, g, h, ..]) => (10, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])),
        (126, [high, low, ..]) => (4, u64::from(u16::from_be_bytes([*high, *low]))),
        (126 | 127, _) => return Ok(None),
        (short, _) => (2, u64::from(short)),
    };
    let opcode = first & 0x0F;
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_BYTES).ok_or("a frame too long")?;
    let length = length + mask_bytes;
    if bytes.len() < head + length {
        return Ok(None);
    }
    bytes.advance(head);
    Ok(Some(Frame { opcode, payload: bytes.split_to(length) }))
}

/// A message of the service.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// Audio: how many bytes, and the code at its beginning.
    Media { bytes: usize, code: Option<Code> },
    /// A mark.
    Mark(&'a str),
    /// `clear`.
    Clear,
    /// Anything else.
    Other,
}

/// Reads a message.
pub(super) fn understand(text: &[u8]) -> Message<'_> {
    match string_after(text, b"\"event\":\"") {
        Some(b"media") => string_after(text, b"\"payload\":\"").map_or(Message::Other, media),
        Some(b"mark") => {
            let name = string_after(text, b"\"name\":\"").and_then(|name| std::str::from_utf8(name).ok());
            name.map_or(Message::Other, Message::Mark)
        }
        Some(b"clear") => Message::Clear,
        Some(_) | None => Message::Other,
    }
}

fn media(payload: &[u8]) -> Message<'_> {
    let padding = payload.iter().rev().take_while(|&&byte| byte == b'=').count();
    let bytes = (payload.len() / 4 * 3).saturating_sub(padding);
    let mut audio = [0; CODE_BYTES];
    let decoded = payload.first_chunk::<CODE_CHARS>().and_then(|chars| STANDARD.decode_slice(chars, &mut audio).ok());
    Message::Media { bytes, code: decoded.and_then(|_| Code::decode(&audio)) }
}

/// The string that begins after `key`. Neither base64 nor a mark's name contains an escape.
fn string_after<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let rest = &text[memmem::find(text, key)? + key.len()..];
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

/// How much of the answers reached one call, and in what order.
#[derive(Debug, Default)]
pub(super) struct AnswerBlocks {
    /// The end of the utterance that is being answered, and the next expected block.
    current: Option<(u32, u64)>,
    /// Missing blocks.
    pub(super) lost: u64,
    /// Repeated blocks.
    pub(super) doubled: u64,
    /// Bytes of audio that are no part of an answer to this call.
    pub(super) strange: u64,
}

/// A chunk of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// When the agent sent it, in microseconds.
    pub(super) sent_us: u64,
    /// Whether it is the first one.
    pub(super) is_first: bool,
}

impl AnswerBlocks {
    /// The playout was cut: the rest of an answer with `whole` blocks does not come.
    pub(super) fn cut(&mut self, whole: u64) {
        if let Some((_, next)) = &mut self.current {
            *next = whole;
        }
    }

    /// Takes a chunk of audio, of an answer that has `whole` blocks.
    pub(super) fn add(&mut self, call: u16, bytes: usize, code: Option<Code>, whole: u64) -> Option<Piece> {
        let Some(code) = code.filter(|code| code.call == call) else {
            self.strange += bytes as u64;
            return None;
        };
        let blocks = (bytes / FRAME_BYTES) as u64;
        let place = u64::from(code.extra);
        let expected = match self.current {
            Some((number, next)) if number == code.number => next,
            Some((_, next)) => {
                self.lost += whole - next.min(whole);
                0
            }
            None => 0,
        };
        self.lost += place.saturating_sub(expected);
        self.doubled += expected.saturating_sub(place).min(blocks);
        let is_first = !matches!(self.current, Some((number, _)) if number == code.number);
        self.current = Some((code.number, expected.max(place + blocks)));
        Some(Piece { sent_us: code.at_us, is_first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::code::Kind;

    const CODE: Code = Code { kind: Kind::Answer, call: 3, number: 40, at_us: 5, extra: 0 };

    #[test]
    fn frames_come_out_whole_however_they_came_in() {
        let mut bytes = vec![0x81, 2, b'h', b'i', 0x81, 126, 0, 130];
        bytes.extend([b'x'; 130]);
        bytes.extend([0x88, 0]);
        let mut came = BytesMut::new();
        let mut frames = Vec::new();
        for byte in bytes {
            came.extend_from_slice(&[byte]);
            while let Some(frame) = take_frame(&mut came).unwrap() {
                frames.push((frame.opcode, frame.payload.len()));
            }
        }
        assert_eq!(frames, [(TEXT, 2), (TEXT, 130), (CLOSE, 0)]);
        assert!(take_frame(&mut BytesMut::from(&[0x01, 2, 1, 1][..])).is_err());
        assert!(take_frame(&mut BytesMut::from(&[0x81, 0xFF, 0, 0][..])).is_err());
    }

    #[test]
    fn a_masked_frame_comes_out_as_it_was() {
        let mut bytes = BytesMut::from(&[0x81, 0x80 | 3, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2, b'c' ^ 3, 0x88, 0x80][..]);
        let frame = take_masked_frame(&mut bytes).unwrap().unwrap();
        assert_eq!((frame.opcode, &frame.payload[..]), (TEXT, &b"abc"[..]));
        assert_eq!(take_masked_frame(&mut bytes), Ok(None));
        bytes.extend_from_slice(&[9, 9, 9, 9]);
        assert_eq!(take_masked_frame(&mut bytes).unwrap().unwrap().opcode, CLOSE);
        assert!(take_masked_frame(&mut BytesMut::from(&[0x81, 2, b'h', b'i'][..])).is_err());
    }

    #[test]
    fn events_marks_and_codes_are_found() {
        let audio: Vec<u8> = CODE.encode().into_iter().chain([0x80; FRAME_BYTES - CODE_BYTES]).collect();
        let media =
            format!(r#"{{"event":"media","streamSid":"M","media":{{"payload":"{}"}}}}"#, STANDARD.encode(&audio));
        assert_eq!(understand(media.as_bytes()), Message::Media { bytes: FRAME_BYTES, code: Some(CODE) });
        let short = br#"{"media":{"payload":"AQL/"},"event":"media"}"#;
        assert_eq!(understand(short), Message::Media { bytes: 3, code: None });
        assert_eq!(understand(br#"{"event":"mark","mark":{"name":"e0m7"}}"#), Message::Mark("e0m7"));
        assert_eq!(understand(br#"{"event":"clear","streamSid":"M"}"#), Message::Clear);
        assert_eq!(understand(b"hello"), Message::Other);
    }

    #[test]
    fn an_answer_that_comes_in_pieces_is_whole() {
        let mut blocks = AnswerBlocks::default();
        let mut add = |number, place, count: usize| {
            let code = Code { number, extra: place, ..CODE };
            blocks.add(3, count * FRAME_BYTES, Some(code), 100).map(|piece| piece.is_first)
        };
        assert_eq!([add(40, 0, 60), add(40, 60, 40), add(90, 0, 100)], [Some(true), Some(false), Some(true)]);
        assert_eq!((blocks.lost, blocks.doubled, blocks.strange), (0, 0, 0));
    }

    #[test]
    fn blocks_that_are_missing_or_come_twice_are_counted() {
        let mut blocks = AnswerBlocks::default();
        let at = |number, place| Some(Code { number, extra: place, ..CODE });
        blocks.add(3, 20 * FRAME_BYTES, at(40, 0), 100);
        blocks.add(3, 20 * FRAME_BYTES, at(40, 0), 100);
        blocks.add(3, 20 * FRAME_BYTES, at(40, 30), 100);
        blocks.add(3, 20 * FRAME_BYTES, at(90, 0), 100);
        assert_eq!((blocks.lost, blocks.doubled), (10 + 50, 20));
        blocks.cut(100);
        blocks.add(3, 100 * FRAME_BYTES, at(120, 0), 100);
        assert_eq!((blocks.lost, blocks.doubled), (10 + 50, 20), "nobody waits for the rest of what was cut");
        assert_eq!(blocks.add(4, FRAME_BYTES, at(90, 20), 100), None);
        assert_eq!(blocks.add(3, FRAME_BYTES, None, 100), None);
        assert_eq!(blocks.strange, 2 * FRAME_BYTES as u64);
    }
}
