//! An open WebSocket to CES.
//!
//! A WebSocket cannot be half-closed like a gRPC stream. Our close frame says that we send nothing more, and we read
//! what the server sends before its own close frame.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use dialbridge_core::agent::AgentFault;
use dialbridge_net::websocket::{Closed, Fault, Frame, Limits, NORMAL, Role, WebSocket};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::Code;

use super::convert;
use super::fault::{closed, fault, fault_of_error};
use super::json::{self, FromWebSocket};
use super::outgoing::Outgoing;
use crate::codec::MAX_BYTES;

/// The queue holds only pongs and the answer to a close frame. A ping every ten seconds finds a dead server. Without
/// pings, audio would vanish in buffers for minutes before a write failed.
const LIMITS: Limits = Limits {
    max_message_bytes: MAX_BYTES,
    max_queued_messages: 8,
    write_timeout: Duration::from_secs(10),
    ping_every: Some(Duration::from_secs(10)),
    echoes_close_code: true,
};

/// How long writing the answer to the server's close frame may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

/// An open socket. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct CesSocket {
    /// `None` when the stream has ended.
    socket: Option<WebSocket>,
    is_leaving: Arc<AtomicBool>,
    /// Messages that came together with the last one.
    read: VecDeque<convert::Message>,
}

/// The messages as frames, with a close frame at the end.
struct Frames {
    outgoing: Outgoing,
    is_leaving: Arc<AtomicBool>,
}

impl Stream for Frames {
    type Item = Frame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        Pin::new(&mut self.outgoing).poll_next(cx).map(|message| match message {
            Some(message) => Some(Frame::text(json::write(&message))),
            None => {
                self.is_leaving.store(true, Ordering::Release);
                Some(Frame::close(NORMAL, ""))
            }
        })
    }
}

impl CesSocket {
    /// Takes a connection after its handshake and sends `outgoing` over it.
    pub(super) fn over<S>(connection: S, outgoing: Outgoing) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let is_leaving = Arc::new(AtomicBool::new(false));
        let frames = Frames { outgoing, is_leaving: is_leaving.clone() };
        let socket = Some(WebSocket::sending(connection, Role::Client, &LIMITS, frames));
        Self { socket, is_leaving, read: VecDeque::new() }
    }

    /// The next message; `None` if the server closed the socket without an error. Dropping the future loses nothing.
    pub(super) async fn message(&mut self) -> Result<Option<convert::Message>, AgentFault> {
        let why = loop {
            if let Some(message) = self.read.pop_front() {
                return Ok(Some(message));
            }
            let Some(socket) = &mut self.socket else { return Err(broken()) };
            match socket.next().await {
                Ok(message) => self.read = read(&message.into_bytes())?,
                Err(why) => break why,
            }
        };
        if let Some(socket) = self.socket.take() {
            socket.close(CLOSE_TIMEOUT).await;
        }
        // If we are already leaving, the server's close is not an error.
        let is_leaving = self.is_leaving.load(Ordering::Acquire);
        let fault = match why {
            Closed::ByPeer { .. } | Closed::Broken if is_leaving => None,
            Closed::ByPeer { code, reason } => closed(code, &reason),
            Closed::Broken => Some(broken()),
            Closed::Fault(Fault::TooBig) => Some(fault(Code::Internal, "the server's message is too large")),
            Closed::Fault(Fault::Protocol(why)) => Some(fault(Code::Internal, &why)),
            Closed::Stalled => Some(fault(Code::Unavailable, "the server takes nothing")),
            Closed::Silent => Some(fault(Code::Unavailable, "the server gives no sign of life")),
        };
        fault.map_or(Ok(None), Err)
    }
}

fn read(message: &[u8]) -> Result<VecDeque<convert::Message>, AgentFault> {
    match json::read(message) {
        Ok(FromWebSocket::Messages(messages)) => Ok(messages),
        Ok(FromWebSocket::Error(error)) => Err(fault_of_error(&error)),
        // The parser's message might repeat the caller's words.
        Err(error) => {
            let why = format!("the server's message cannot be read, in column {}", error.column());
            Err(fault(Code::Internal, &why))
        }
    }
}

fn broken() -> AgentFault {
    fault(Code::Unavailable, "the connection has broken")
}
