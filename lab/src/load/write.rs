//! What a simulated Twilio sends in a load: masked WebSocket frames, written by hand into a buffer that is sent at
//! once.
//!
//! The text of a frame is prepared but for its counters and its code, so a frame costs some hundred nanoseconds.

use std::io::Write;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_core::audio::MULAW_SILENCE;
use dialbridge_core::audio::g711::linear_to_mulaw;
use serde_json::{Map, Value, json};

use crate::load::code::{CODE_BYTES, CODE_CHARS, Code, FRAME_BYTES, FRAME_MS, Kind};

/// The opcodes of a text and a close frame, each with the FIN bit.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// Header of a frame of 126 to 65,535 bytes: opcode, length, mask.
const HEAD_BYTES: usize = 8;

/// The audio after the code, as base64, for all calls.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    silence: Arc<str>,
    speech: Arc<str>,
}

impl Bodies {
    pub(super) fn new() -> Self {
        let speech = speech();
        Self {
            silence: STANDARD.encode([MULAW_SILENCE; FRAME_BYTES - CODE_BYTES]).into(),
            speech: STANDARD.encode(&speech[CODE_BYTES..]).into(),
        }
    }
}

/// A frame that a voice detector takes for speech: a square wave of 500 Hz, about -20 dB of full scale.
pub(super) fn speech() -> [u8; FRAME_BYTES] {
    std::array::from_fn(|sample| linear_to_mulaw(if sample % 16 < 8 { 3_000 } else { -3_000 }))
}

/// The frames of one stream.
#[derive(Debug)]
pub(super) struct Frames {
    bodies: Bodies,
    /// The JSON string of the stream's id, and the end of the message.
    tail: String,
    stream_sid: String,
    sequence: u64,
    mask: u32,
}

impl Frames {
    pub(super) fn new(stream_sid: &str, bodies: Bodies) -> Self {
        let tail = format!(r#""}},"streamSid":"{stream_sid}"}}"#);
        Self { bodies, tail, stream_sid: stream_sid.to_owned(), sequence: 0, mask: 0x9E37_79B9 }
    }

    /// `connected` and `start`.
    pub(super) fn begin(&mut self, out: &mut Vec<u8>, call_sid: &str, parameters: &[(String, String)]) {
        let connected = json!({ "event": "connected", "protocol": "Call", "version": "1.0.0" });
        self.text(out, |text| text.extend_from_slice(connected.to_string().as_bytes()));
        let parameters: Map<String, Value> =
            parameters.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let start = json!({
            "accountSid": format!("AC{:032x}", 0xD1A1), "streamSid": self.stream_sid, "callSid": call_sid,
            "tracks": ["inbound"], "customParameters": parameters,
            "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
        });
        self.event(out, "start", &start);
    }

    /// A frame of the caller's audio.
    pub(super) fn media(&mut self, out: &mut Vec<u8>, code: &Code) {
        self.sequence += 1;
        let (sequence, number) = (self.sequence, code.number);
        let timestamp = u64::from(number) * FRAME_MS;
        let mut chars = [0; CODE_CHARS];
        // 33 bytes are 44 characters.
        let _ = STANDARD.encode_slice(code.encode(), &mut chars);
        let body = match code.kind {
            Kind::Speech => self.bodies.speech.clone(),
            Kind::Silence | Kind::End | Kind::Answer => self.bodies.silence.clone(),
        };
        let tail = std::mem::take(&mut self.tail);
        self.text(out, |text| {
            text.extend_from_slice(br#"{"event":"media","sequenceNumber":""#);
            push_number(text, sequence);
            text.extend_from_slice(br#"","media":{"track":"inbound","chunk":""#);
            push_number(text, u64::from(number) + 1);
            text.extend_from_slice(br#"","timestamp":""#);
            push_number(text, timestamp);
            text.extend_from_slice(br#"","payload":""#);
            text.extend_from_slice(&chars);
            text.extend_from_slice(body.as_bytes());
            text.extend_from_slice(tail.as_bytes());
        });
        self.tail = tail;
    }

    /// A mark that comes back.
    pub(super) fn mark(&mut self, out: &mut Vec<u8>, name: &str) {
        self.event(out, "mark", &json!({ "name": name }));
    }

    /// The end of the stream: `stop`, and a close frame.
    pub(super) fn end(&mut self, out: &mut Vec<u8>, call_sid: &str) {
        self.event(out, "stop", &json!({ "accountSid": format!("AC{:032x}", 0xD1A1), "callSid": call_sid }));
        out.extend_from_slice(&[CLOSE, 0x80 | 2, 0, 0, 0, 0]);
        out.extend_from_slice(&1000_u16.to_be_bytes());
    }

    fn event(&mut self, out: &mut Vec<u8>, name: &str, content: &Value) {
        self.sequence += 1;
        let message = json!({
            "event": name, "sequenceNumber": self.sequence.to_string(), "streamSid": self.stream_sid, name: content,
        });
        self.text(out, |text| text.extend_from_slice(message.to_string().as_bytes()));
    }

    /// Appends a text frame whose text `write` writes: 126 bytes or more, so that the header has one form. Shorter
    /// texts are padded with blanks.
    fn text(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let begin = out.len();
        out.resize(begin + HEAD_BYTES, 0);
        write(out);
        let min_len = begin + HEAD_BYTES + 126;
        if out.len() < min_len {
            out.resize(min_len, b' ');
        }
        let length = u16::try_from(out.len() - begin - HEAD_BYTES).unwrap_or(u16::MAX);
        // RFC 6455 wants unpredictable masks; here nobody but the service could predict them.
        self.mask = self.mask.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mask = self.mask.to_ne_bytes();
        let (head, text) = out[begin..].split_at_mut(HEAD_BYTES);
        head[0] = TEXT;
        head[1] = 0x80 | 126;
        head[2..4].copy_from_slice(&length.to_be_bytes());
        head[4..].copy_from_slice(&mask);
        let mut words = text.chunks_exact_mut(4);
        for word in &mut words {
            for (byte, key) in word.iter_mut().zip(mask) {
                *byte ^= key;
            }
        }
        for (byte, key) in words.into_remainder().iter_mut().zip(mask) {
            *byte ^= key;
        }
    }
}

/// Appends a frame of a server: unfragmented, without a mask (RFC 6455, section 5.2).
pub(super) fn push_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..126), _) => out.push(length),
        (_, Ok(length)) => {
            out.push(126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

fn push_number(text: &mut Vec<u8>, number: u64) {
    // Writing to a vector does not fail.
    let _ = write!(text, "{number}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::twilio::{Inbound, parse};

    /// The texts of masked frames.
    fn texts(mut bytes: &[u8]) -> Vec<String> {
        let mut texts = Vec::new();
        while let [TEXT, 0xFE, high, low, rest @ ..] = bytes {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let (mask, rest) = rest.split_at(4);
            let text = rest[..length].iter().enumerate().map(|(place, byte)| byte ^ mask[place % 4]).collect();
            texts.push(String::from_utf8(text).unwrap());
            bytes = &rest[length..];
        }
        texts
    }

    #[test]
    fn a_servers_frame_is_read_again_whatever_its_length() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let mut out = Vec::new();
            push_frame(&mut out, 2, &vec![7; length]);
            let frame = crate::load::read::take_frame(&mut out[..].into()).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.payload.len()), (2, length));
        }
    }

    #[test]
    fn a_stream_is_what_the_service_reads_as_twilios() {
        let mut frames = Frames::new("MZ1", Bodies::new());
        let mut out = Vec::new();
        frames.begin(&mut out, "CA1", &[("from".to_owned(), "\"me\"".to_owned())]);
        let code = Code { kind: Kind::Speech, call: 7, number: 12, at_us: 1, extra: 0 };
        frames.media(&mut out, &code);
        frames.mark(&mut out, "e0m1");
        let texts = texts(&out);
        assert_eq!(parse(&texts[0]).unwrap(), Inbound::Connected);
        let Inbound::Start(start) = parse(&texts[1]).unwrap() else { panic!() };
        assert_eq!((start.call_sid.as_str(), start.custom_parameters["from"].as_str()), ("CA1", "\"me\""));
        let Inbound::Media(media) = parse(&texts[2]).unwrap() else { panic!() };
        assert!(texts[2].contains(r#""chunk":"13","timestamp":"240","#), "{}", texts[2]);
        let mut audio = Vec::new();
        media.decode(&mut audio).unwrap();
        assert_eq!((audio.len(), Code::decode(&audio)), (FRAME_BYTES, Some(code)));
        assert_eq!(audio[CODE_BYTES..], speech()[CODE_BYTES..]);
        let Inbound::Mark { name } = parse(&texts[3]).unwrap() else { panic!() };
        assert_eq!(&*name, "e0m1");
    }
}
