//! Our end of a media stream: a WebSocket whose messages can be put back.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use dialbridge_net::websocket::{self, Closed, Frame, Full, Message, WebSocket};

use crate::media::coalescing::SocketCount;
use crate::settings::Limits;

/// How long the WebSocket may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What came from Twilio.
#[derive(Debug)]
pub enum FromTwilio {
    /// A text message. The reader checks whether it is UTF-8.
    Text(BytesMut),
    /// A binary message.
    Binary,
    /// The WebSocket is closed.
    Closed,
    /// Twilio has read nothing of what we send for too long. The WebSocket is given up.
    Stalled,
}

/// An open media stream.
#[derive(Debug)]
pub struct MediaSocket {
    socket: WebSocket,
    /// Messages that were read and are to be read again.
    put_back: VecDeque<FromTwilio>,
    _socket_count: SocketCount,
}

/// The limits of a media stream.
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
    /// Takes over a WebSocket. Its tasks end when this is dropped.
    #[must_use]
    pub fn new(socket: WebSocket) -> Self {
        Self { socket, put_back: VecDeque::new(), _socket_count: SocketCount::new() }
    }

    /// The next message; `Closed` or `Stalled` is the last. Nothing is lost when the future is dropped early.
    pub async fn next(&mut self) -> FromTwilio {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`next`](Self::next), for a caller that polls.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<FromTwilio> {
        if let Some(message) = self.put_back.pop_front() {
            return Poll::Ready(message);
        }
        self.socket.poll_next(cx).map(|message| match message {
            Ok(Message::Text(text)) => FromTwilio::Text(text),
            Ok(Message::Binary(_)) => FromTwilio::Binary,
            Err(Closed::Stalled) => FromTwilio::Stalled,
            Err(_) => FromTwilio::Closed,
        })
    }

    /// Puts messages back in front of all others.
    pub fn put_back(&mut self, messages: Vec<FromTwilio>) {
        self.put_back = messages.into();
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// [`Full`] when too many messages are queued.
    pub fn send(&self, text: String) -> Result<(), Full> {
        self.socket.try_send(Frame::text(text))
    }

    /// How many messages are queued.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.socket.queued()
    }

    /// Closes the WebSocket after the queued messages are sent, or after a timeout.
    pub async fn close(self) {
        self.socket.close(CLOSE_TIMEOUT).await;
    }
}
