//! The media socket, our end of it: a WebSocket whose messages can be put back.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use dialbridge_net::websocket::{self, Frame, Full, Message, WebSocket};

use crate::media::coalescing::SocketCount;
use crate::settings::Limits;

/// How long a socket may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What came over the socket.
#[derive(Debug)]
pub enum FromTwilio {
    /// A text message; whether it is UTF-8 is checked by whoever reads it.
    Text(BytesMut),
    /// A binary message.
    Binary,
    /// The socket is closed.
    Closed,
}

/// An open media socket.
#[derive(Debug)]
pub struct MediaSocket {
    socket: WebSocket,
    /// What was read already, and is to be read again.
    put_back: VecDeque<FromTwilio>,
    _socket_count: SocketCount,
}

/// The limits of a media socket.
pub(crate) fn limits(limits: &Limits) -> websocket::Limits {
    websocket::Limits {
        max_message_bytes: limits.message_bytes,
        max_queued_messages: limits.queued_messages,
        write_timeout: limits.slow,
        ping_every: None,
        echoes_close_code: false,
    }
}

impl MediaSocket {
    /// Takes a socket over. What reads and writes ends with it.
    #[must_use]
    pub fn new(socket: WebSocket) -> Self {
        Self { socket, put_back: VecDeque::new(), _socket_count: SocketCount::new() }
    }

    /// The next message; `Closed` is the last. Nothing is lost when this is dropped half-way.
    pub async fn next(&mut self) -> FromTwilio {
        if let Some(message) = self.put_back.pop_front() {
            return message;
        }
        match self.socket.next().await {
            Ok(Message::Text(text)) => FromTwilio::Text(text),
            Ok(Message::Binary(_)) => FromTwilio::Binary,
            Err(_) => FromTwilio::Closed,
        }
    }

    /// Has messages come once more, before all others.
    pub fn put_back(&mut self, messages: Vec<FromTwilio>) {
        self.put_back = messages.into();
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// [`Full`] when too many wait already.
    pub fn send(&self, text: String) -> Result<(), Full> {
        self.socket.try_send(Frame::text(text))
    }

    /// How many messages wait to be sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.socket.queued()
    }

    /// Closes the socket after what waits is sent, or at once when that takes too long.
    pub async fn close(self) {
        self.socket.close(CLOSE_TIMEOUT).await;
    }
}
