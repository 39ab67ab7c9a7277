//! Messages of a WebSocket that come in several frames. fastwebsockets' own collector does not bound their sum.

use bytes::BytesMut;
use fastwebsockets::{Frame, OpCode, Payload};

/// A protocol error (RFC 6455 section 7.4.1).
pub const PROTOCOL_ERROR: u16 = 1002;
/// A message that is too big (RFC 6455 section 7.4.1).
pub const TOO_BIG: u16 = 1009;

/// The bytes of a message.
#[derive(Debug)]
pub enum Message {
    /// As they came.
    Whole(BytesMut),
    /// Put together from fragments.
    Joined(Vec<u8>),
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Joined(bytes) => bytes,
        }
    }
}

/// The pieces of a message, until it is whole.
#[derive(Debug)]
pub struct Fragments {
    begun: Option<(OpCode, Vec<u8>)>,
    most_bytes: usize,
}

impl Fragments {
    /// Collects messages of at most so many bytes.
    pub fn up_to(most_bytes: usize) -> Self {
        Self { begun: None, most_bytes }
    }

    /// Adds a frame of data; gives the message when it is whole, with the opcode that says whether it is a text, or the
    /// code to close the socket with.
    pub fn add(&mut self, frame: Frame<'_>) -> Result<Option<(OpCode, Message)>, u16> {
        let is_continuation = frame.opcode == OpCode::Continuation;
        match (&mut self.begun, is_continuation) {
            (None, false) if frame.fin => Ok(Some((frame.opcode, whole(frame.payload)))),
            (None, false) => {
                self.begun = Some((frame.opcode, frame.payload.to_vec()));
                Ok(None)
            }
            (Some((_, joined)), true) => {
                joined.extend_from_slice(&frame.payload);
                if joined.len() > self.most_bytes {
                    return Err(TOO_BIG);
                }
                let begun = if frame.fin { self.begun.take() } else { None };
                Ok(begun.map(|(opcode, joined)| (opcode, Message::Joined(joined))))
            }
            (None, true) | (Some(_), false) => Err(PROTOCOL_ERROR),
        }
    }
}

fn whole(payload: Payload<'_>) -> Message {
    match payload {
        Payload::Bytes(bytes) => Message::Whole(bytes),
        other => Message::Joined(other.to_vec()),
    }
}
