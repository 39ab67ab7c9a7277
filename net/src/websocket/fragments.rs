//! Messages of a WebSocket that come in several frames. fastwebsockets' own collector does not bound their sum.

use bytes::BytesMut;
use fastwebsockets::{Frame, OpCode};

use super::closed::Fault;

/// A message.
#[derive(Debug)]
pub enum Message {
    /// A text. Nobody has checked yet that one in fragments is UTF-8.
    Text(Payload),
    /// A binary message.
    Binary(Payload),
}

/// The bytes of a message.
#[derive(Debug)]
pub enum Payload {
    /// As they came.
    Whole(BytesMut),
    /// Put together from fragments.
    Joined(Vec<u8>),
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Joined(bytes) => bytes,
        }
    }
}

impl From<Message> for Payload {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(payload) | Message::Binary(payload) => payload,
        }
    }
}

/// The fragments of a message, until it is whole.
#[derive(Debug)]
pub(super) struct Fragments {
    begun: Option<(OpCode, Vec<u8>)>,
    max_bytes: usize,
}

impl Fragments {
    /// Collects messages of at most so many bytes.
    pub(super) fn up_to(max_bytes: usize) -> Self {
        Self { begun: None, max_bytes }
    }

    /// Adds a frame of data; gives the message when it is whole. Fails when the message is too large, and when the frame is
    /// none of it.
    pub(super) fn add(&mut self, frame: Frame<'_>) -> Result<Option<Message>, Fault> {
        let is_continuation = frame.opcode == OpCode::Continuation;
        match (&mut self.begun, is_continuation) {
            (None, false) if frame.fin => Ok(Some(message(frame.opcode, whole(frame.payload)))),
            (None, false) => {
                self.begun = Some((frame.opcode, frame.payload.to_vec()));
                Ok(None)
            }
            (Some((_, joined)), true) => {
                joined.extend_from_slice(&frame.payload);
                if joined.len() > self.max_bytes {
                    return Err(Fault::TooBig);
                }
                let begun = if frame.fin { self.begun.take() } else { None };
                Ok(begun.map(|(opcode, joined)| message(opcode, Payload::Joined(joined))))
            }
            (None, true) => Err(Fault::Protocol("a fragment continues no message".to_owned())),
            (Some(_), false) => Err(Fault::Protocol("a message begins within another".to_owned())),
        }
    }
}

fn message(opcode: OpCode, payload: Payload) -> Message {
    if opcode == OpCode::Text { Message::Text(payload) } else { Message::Binary(payload) }
}

fn whole(payload: fastwebsockets::Payload<'_>) -> Payload {
    match payload {
        fastwebsockets::Payload::Bytes(bytes) => Payload::Whole(bytes),
        other => Payload::Joined(other.to_vec()),
    }
}
