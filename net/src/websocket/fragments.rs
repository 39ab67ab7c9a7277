//! Messages of a WebSocket that come in several frames. fastwebsockets' own collector does not limit their total size.

use bytes::BytesMut;
use fastwebsockets::{Frame, OpCode, Payload};

use super::closed::Fault;

/// A message.
#[derive(Debug)]
pub enum Message {
    /// A text message. If it came in fragments, nobody has checked that it is UTF-8.
    Text(BytesMut),
    /// A binary message.
    Binary(BytesMut),
}

impl Message {
    /// The bytes of either kind.
    #[must_use]
    pub fn into_bytes(self) -> BytesMut {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        }
    }
}

/// Collects the fragments of a message until it is complete.
#[derive(Debug)]
pub(super) struct Fragments {
    begun: Option<(OpCode, BytesMut)>,
    max_bytes: usize,
}

impl Fragments {
    /// Accepts messages of at most `max_bytes`.
    pub(super) fn up_to(max_bytes: usize) -> Self {
        Self { begun: None, max_bytes }
    }

    /// Adds a data frame and returns the message when it is complete. Fails if the message is too large, or if the
    /// frame does not continue it.
    pub(super) fn add(&mut self, frame: Frame<'_>) -> Result<Option<Message>, Fault> {
        let is_continuation = frame.opcode == OpCode::Continuation;
        match (&mut self.begun, is_continuation) {
            (None, false) if frame.fin => Ok(Some(message(frame.opcode, bytes_of(frame.payload)))),
            (None, false) => {
                self.begun = Some((frame.opcode, bytes_of(frame.payload)));
                Ok(None)
            }
            (Some((_, joined)), true) => {
                joined.extend_from_slice(&frame.payload);
                if joined.len() > self.max_bytes {
                    return Err(Fault::TooBig);
                }
                let begun = if frame.fin { self.begun.take() } else { None };
                Ok(begun.map(|(opcode, joined)| message(opcode, joined)))
            }
            (None, true) => Err(Fault::Protocol("a fragment continues no message".to_owned())),
            (Some(_), false) => Err(Fault::Protocol("a message begins within another".to_owned())),
        }
    }
}

fn message(opcode: OpCode, bytes: BytesMut) -> Message {
    if opcode == OpCode::Text { Message::Text(bytes) } else { Message::Binary(bytes) }
}

fn bytes_of(payload: Payload<'_>) -> BytesMut {
    match payload {
        Payload::Bytes(bytes) => bytes,
        other => BytesMut::from(&*other),
    }
}
