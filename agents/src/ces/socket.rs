//! An open WebSocket to CES: a task that only reads, a task that only writes, and bounded queues between them.
//!
//! fastwebsockets' `read_frame` loses bytes when it is dropped half-way, so nothing else happens in the task that reads.
//! A WebSocket cannot be half-closed as a gRPC stream can: its close frame says that nothing more is sent, and what the
//! server still sends before its own is read.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dialbridge_core::agent::AgentFault;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket, WebSocketError, WebSocketRead, WebSocketWrite};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tonic::Code;

use super::convert;
use super::fault::{closed, fault, told_error};
use super::json::{self, FromWebSocket};
use super::outgoing::Outgoing;
use super::transport::MOST_BYTES;
use dialbridge_net::websocket::{Fragments, PROTOCOL_ERROR, TOO_BIG};

/// How many messages of the server's wait. It waits when there are more.
const INBOUND_QUEUE: usize = 16;

/// How many pongs wait. A server that pings faster than it reads gets fewer.
const CONTROL_QUEUE: usize = 8;

/// How long a frame may take to be written: then the server is taken for dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the answer to the server's close frame may take to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

/// How often the server is probed. One that has answered probes, and says nothing at all until the next one, is gone: audio
/// would vanish in buffers for minutes before a write failed.
const PROBE_EVERY: Duration = Duration::from_secs(10);

/// RFC 6455 section 7.4.1.
const NORMAL: u16 = 1000;

/// How a socket ended: well, or with a fault.
type End = Option<AgentFault>;

/// An open socket; dropping it closes the connection.
#[derive(Debug)]
pub(super) struct CesSocket {
    inbound: mpsc::Receiver<Result<convert::Message, End>>,
    _tasks: JoinSet<()>,
}

/// What goes out beside the messages.
#[derive(Debug)]
enum Control {
    Pong(Vec<u8>),
    Close(u16),
}

/// The server's signs of life.
#[derive(Debug, Default)]
struct Life {
    /// Whether anything has come since the last probe.
    is_heard: AtomicBool,
    /// Whether it answers probes. One that never has may just be one that does not.
    answers: AtomicBool,
}

impl Life {
    fn heard(&self, opcode: OpCode) {
        self.is_heard.store(true, Ordering::Relaxed);
        if opcode == OpCode::Pong {
            self.answers.store(true, Ordering::Relaxed);
        }
    }

    /// Another probe is due: whether there was none since the last one, though there should have been.
    fn is_gone(&self) -> bool {
        !self.is_heard.swap(false, Ordering::Relaxed) && self.answers.load(Ordering::Relaxed)
    }
}

impl CesSocket {
    /// Takes a connection over whose handshake is done, and sends what goes out over it.
    pub(super) fn over<S>(connection: S, outgoing: Outgoing) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut socket = WebSocket::after_handshake(connection, Role::Client);
        socket.set_max_message_size(MOST_BYTES + 1); // fastwebsockets' bound is exclusive
        socket.set_auto_close(false);
        socket.set_auto_pong(false);
        socket.set_writev(false); // its vectored write can spin when a write returns 0
        let (reader, writer) = socket.split(tokio::io::split);
        let (sender, inbound) = mpsc::channel(INBOUND_QUEUE);
        let (control, controls) = mpsc::channel(CONTROL_QUEUE);
        let (is_leaving, life) = (Arc::new(AtomicBool::new(false)), Arc::new(Life::default()));
        let mut tasks = JoinSet::new();
        let writing = Writing { to_stream: sender.clone(), is_leaving: is_leaving.clone(), life: life.clone() };
        tasks.spawn(Reading { to_stream: sender, control, is_leaving, life }.run(reader));
        tasks.spawn(writing.run(writer, outgoing, controls));
        Self { inbound, _tasks: tasks }
    }

    /// The next message; `None` when the server has closed the socket, and all was well. Nothing is lost when this is
    /// dropped half-way.
    pub(super) async fn message(&mut self) -> Result<Option<convert::Message>, AgentFault> {
        match self.inbound.recv().await {
            Some(Ok(message)) => Ok(Some(message)),
            Some(Err(None)) => Ok(None),
            Some(Err(Some(fault))) => Err(fault),
            None => Err(fault(Code::Unavailable, "the connection is gone")),
        }
    }
}

/// The task that reads.
struct Reading {
    to_stream: mpsc::Sender<Result<convert::Message, End>>,
    control: mpsc::Sender<Control>,
    is_leaving: Arc<AtomicBool>,
    life: Arc<Life>,
}

impl Reading {
    /// Reads until the socket ends, and tells how.
    async fn run<S: AsyncRead + Unpin>(self, mut socket: WebSocketRead<ReadHalf<S>>) {
        let mut fragments = Fragments::up_to(MOST_BYTES);
        let end = loop {
            let frame = match socket.read_frame::<_, WebSocketError>(&mut |_| async { Ok(()) }).await {
                Ok(frame) => frame,
                Err(error) => break self.broken(&error).await,
            };
            self.life.heard(frame.opcode);
            let message = match frame.opcode {
                OpCode::Close => break self.closed_by_server(&frame.payload).await,
                OpCode::Ping => {
                    let _ = self.control.try_send(Control::Pong(frame.payload.to_vec()));
                    continue;
                }
                OpCode::Pong => continue,
                OpCode::Text | OpCode::Binary | OpCode::Continuation => match fragments.add(frame) {
                    Ok(Some((_, message))) => message,
                    Ok(None) => continue,
                    Err(code) => break self.fail(code, "the server's frames make no message").await,
                },
            };
            match json::read(message.as_ref()) {
                Ok(FromWebSocket::Message(message)) => {
                    if self.to_stream.send(Ok(message)).await.is_err() {
                        return;
                    }
                }
                Ok(FromWebSocket::Error(error)) => break Some(told_error(&error)),
                // What it says of the message might repeat the caller's words.
                Err(error) => {
                    let why = format!("the server's message cannot be read, in column {}", error.column());
                    break Some(fault(Code::Internal, &why));
                }
            }
        };
        let _ = self.to_stream.send(Err(end)).await;
    }

    /// The server's close frame, which is answered by one.
    async fn closed_by_server(&self, payload: &[u8]) -> End {
        let (code, reason) = match payload {
            [high, low, reason @ ..] => (Some(u16::from_be_bytes([*high, *low])), String::from_utf8_lossy(reason)),
            _ => (None, "".into()),
        };
        self.close(code.unwrap_or(NORMAL)).await;
        // Whoever has said that he leaves is not told that he may not.
        if self.is_leaving.load(Ordering::Acquire) { None } else { closed(code, &reason) }
    }

    async fn broken(&self, error: &WebSocketError) -> End {
        match error {
            WebSocketError::UnexpectedEOF | WebSocketError::IoError(_) | WebSocketError::ConnectionClosed => {
                let is_leaving = self.is_leaving.load(Ordering::Acquire);
                (!is_leaving).then(|| fault(Code::Unavailable, "the connection has broken"))
            }
            WebSocketError::FrameTooLarge => self.fail(TOO_BIG, "the server's message is too large").await,
            other => self.fail(PROTOCOL_ERROR, &other.to_string()).await,
        }
    }

    /// The server breaks the protocol.
    async fn fail(&self, code: u16, why: &str) -> End {
        self.close(code).await;
        Some(fault(Code::Internal, why))
    }

    async fn close(&self, code: u16) {
        let _ = self.control.try_send(Control::Close(code));
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.control.closed()).await;
    }
}

/// The task that writes.
struct Writing {
    to_stream: mpsc::Sender<Result<convert::Message, End>>,
    is_leaving: Arc<AtomicBool>,
    life: Arc<Life>,
}

impl Writing {
    /// Writes until a close frame is written or the connection is gone.
    async fn run<S: AsyncWrite + Unpin>(
        self,
        mut socket: WebSocketWrite<WriteHalf<S>>,
        mut outgoing: Outgoing,
        mut controls: mpsc::Receiver<Control>,
    ) {
        let mut probes = interval_at(Instant::now() + PROBE_EVERY, PROBE_EVERY);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (frame, is_last) = tokio::select! {
                // A server that has closed is sent nothing more but the answer to it; a probe waits for a moment without a message.
                biased;
                Some(control) = controls.recv() => match control {
                    Control::Pong(payload) => (Frame::pong(payload.into()), false),
                    Control::Close(code) => (Frame::close(code, b""), true),
                },
                message = next(&mut outgoing) => match message {
                    Some(message) => (Frame::text(Payload::Owned(json::write(&message).into_bytes())), false),
                    None => {
                        self.is_leaving.store(true, Ordering::Release);
                        (Frame::close(NORMAL, b""), true)
                    }
                },
                _ = probes.tick() => {
                    if self.life.is_gone() {
                        return self.give_up("the server gives no sign of life").await;
                    }
                    (Frame::new(true, OpCode::Ping, None, Payload::Borrowed(b"")), false)
                }
            };
            let writing = async {
                socket.write_frame(frame).await?;
                socket.flush().await
            };
            match tokio::time::timeout(WRITE_TIMEOUT, writing).await {
                Ok(Ok(())) if !is_last => {}
                // Where the connection is gone, the task that reads notices, after it has read why.
                Ok(_) => return,
                Err(_) => return self.give_up("the server takes nothing").await,
            }
        }
    }

    async fn give_up(&self, why: &str) {
        let _ = self.to_stream.send(Err(Some(fault(Code::Unavailable, why)))).await;
    }
}

async fn next(outgoing: &mut Outgoing) -> Option<super::request::Message> {
    std::future::poll_fn(|cx| Pin::new(&mut *outgoing).poll_next(cx)).await
}
