//! The two halves of a WebSocket, each for one task: one reads messages, the other sends frames.

use std::io;
use std::sync::Arc;

use fastwebsockets::{Role, WebSocketError, WebSocketRead, WebSocketWrite, after_handshake_split};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};

pub use fastwebsockets::OpCode;

use super::batched::Batched;
use super::closed::Closed;
use super::fragments::{Fragments, Message};
use super::frame_check::FrameCheck;
use super::keep_alive::KeepAlive;

/// An outgoing frame. The constructors make valid ones. A simulator that must misbehave sets the fields itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Whether it is the last frame of its message.
    pub is_final: bool,
    /// Its kind.
    pub opcode: OpCode,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Frame {
    fn whole(opcode: OpCode, payload: Vec<u8>) -> Self {
        Self { is_final: true, opcode, payload }
    }

    /// A text message.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::whole(OpCode::Text, text.into().into_bytes())
    }

    /// A binary message.
    #[must_use]
    pub fn binary(payload: Vec<u8>) -> Self {
        Self::whole(OpCode::Binary, payload)
    }

    /// A ping without a payload.
    #[must_use]
    pub fn ping() -> Self {
        Self::whole(OpCode::Ping, Vec::new())
    }

    /// The pong for a ping with that payload.
    #[must_use]
    pub fn pong(payload: Vec<u8>) -> Self {
        Self::whole(OpCode::Pong, payload)
    }

    /// A close frame. The reason may have at most 123 bytes.
    #[must_use]
    pub fn close(code: u16, reason: &str) -> Self {
        Self::whole(OpCode::Close, [&code.to_be_bytes(), reason.as_bytes()].concat())
    }
}

/// What the peer sent.
#[derive(Debug)]
pub enum Incoming {
    /// A message.
    Message(Message),
    /// A ping. The pong must carry its payload.
    Ping(Vec<u8>),
    /// A pong with the payload of its ping.
    Pong(Vec<u8>),
}

/// The half that reads.
pub struct Reader<S> {
    socket: WebSocketRead<FrameCheck<ReadHalf<S>>>,
    fragments: Fragments,
    pub(super) keep_alive: Option<Arc<KeepAlive>>,
}

/// The half that writes.
pub struct Writer<S>(WebSocketWrite<Batched<WriteHalf<S>>>);

/// Splits a connection after its handshake. A message has at most `max_message_bytes`, with all its fragments.
pub fn split<S>(connection: S, role: Role, max_message_bytes: usize) -> (Reader<S>, Writer<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (reader, writer) = tokio::io::split(connection);
    let (mut reader, mut writer) = after_handshake_split(FrameCheck::new(reader, role), Batched::new(writer), role);
    reader.set_max_message_size(max_message_bytes + 1); // fastwebsockets' limit is exclusive
    reader.set_auto_close(false);
    reader.set_auto_pong(false);
    writer.set_writev(false); // its vectored write can loop forever when a write returns 0
    (Reader { socket: reader, fragments: Fragments::up_to(max_message_bytes), keep_alive: None }, Writer(writer))
}

impl<S: AsyncRead + Unpin> Reader<S> {
    /// Waits for the next message, ping or pong. Dropping the future loses bytes.
    ///
    /// # Errors
    /// [`Closed`] if nothing more comes. The caller must still answer the peer.
    pub async fn next(&mut self) -> Result<Incoming, Closed> {
        loop {
            let frame = self.socket.read_frame::<_, WebSocketError>(&mut |_| async { Ok(()) }).await?;
            if let Some(keep_alive) = &self.keep_alive {
                keep_alive.heard(frame.opcode == OpCode::Pong);
            }
            match frame.opcode {
                OpCode::Close => return Err(Closed::by_peer(&frame.payload)),
                OpCode::Ping => return Ok(Incoming::Ping(frame.payload.into())),
                OpCode::Pong => return Ok(Incoming::Pong(frame.payload.into())),
                OpCode::Text | OpCode::Binary | OpCode::Continuation => {
                    if let Some(message) = self.fragments.add(frame)? {
                        return Ok(Incoming::Message(message));
                    }
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Writer<S> {
    /// Adds a frame to the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// If a close frame was added before.
    pub async fn add(&mut self, frame: Frame) -> io::Result<()> {
        let Frame { is_final, opcode, payload } = frame;
        let frame = fastwebsockets::Frame::new(is_final, opcode, None, fastwebsockets::Payload::Owned(payload));
        self.0.write_frame(frame).await.map_err(io::Error::other)
    }

    /// Sends the added frames in one write.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.0.flush().await.map_err(io::Error::other)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// If the connection is gone, or a close frame was sent before.
    pub async fn send(&mut self, frame: Frame) -> io::Result<()> {
        self.add(frame).await?;
        self.flush().await
    }
}
