//! The media socket, our end of it: a future that only reads, and a task that only writes what waits in a bounded queue.
//!
//! fastwebsockets' `read_frame` loses bytes when it is dropped half-way, so the future that reads does nothing else, is kept
//! from one message to the next and dropped with the socket alone. The call's own task polls it: a task of its own, and a
//! queue between the two, would cost each frame another wake-up.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use fastwebsockets::{Frame, OpCode, Payload, WebSocket, WebSocketError, WebSocketRead, WebSocketWrite};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::media::coalescing::Counted;
use crate::settings::Limits;
use dialbridge_net::websocket::Batched;
use dialbridge_net::websocket::FrameWatch;
pub use dialbridge_net::websocket::Message;
use dialbridge_net::websocket::{Fragments, PROTOCOL_ERROR, TOO_BIG};

/// How many bytes are gathered before they are written, when many messages wait.
const MOST_BATCH_BYTES: usize = 64 * 1024;

/// How long a socket may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// RFC 6455 section 7.4.1.
const NORMAL: u16 = 1000;

/// What came over the socket.
#[derive(Debug)]
pub enum FromTwilio {
    /// A text message; whether it is UTF-8 is checked by whoever reads it.
    Text(Message),
    /// A binary message.
    Binary,
    /// The socket is closed.
    Closed,
}

#[derive(Debug)]
enum ToTwilio {
    Text(String),
    Pong(Vec<u8>),
    Close(u16),
}

/// The socket does not take what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowReader;

/// An open media socket.
pub struct MediaSocket {
    /// Ends when the socket does.
    reading: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    arrived: Arc<Slot>,
    outbound: mpsc::Sender<ToTwilio>,
    /// The writer tells that the socket takes nothing.
    given_up: Option<oneshot::Receiver<()>>,
    tasks: JoinSet<()>,
    /// What was read already, and is to be read again.
    put_back: VecDeque<FromTwilio>,
    _counted: Counted,
}

impl fmt::Debug for MediaSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaSocket").finish_non_exhaustive()
    }
}

/// A place for one message, between the reading and the call. Both are in one task, so nobody waits for the lock, and
/// nobody need be woken: who takes the message out polls the reading next.
#[derive(Debug, Default)]
struct Slot(Mutex<Option<FromTwilio>>);

impl Slot {
    fn take(&self) -> Option<FromTwilio> {
        self.lock().take()
    }

    /// Puts a message in, and returns when it is taken.
    async fn put(&self, message: FromTwilio) {
        *self.lock() = Some(message);
        poll_fn(|_| if self.lock().is_none() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn lock(&self) -> MutexGuard<'_, Option<FromTwilio>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MediaSocket {
    /// Takes a socket over. What reads and writes ends with it.
    pub fn new<S>(mut socket: WebSocket<S>, limits: &Limits) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        socket.set_max_message_size(limits.message_bytes + 1); // fastwebsockets' bound is exclusive
        socket.set_auto_close(false);
        socket.set_auto_pong(false);
        socket.set_writev(false); // its vectored write can spin when a write returns 0
        let (reader, writer) = socket.split(|connection| {
            let (reader, writer) = tokio::io::split(FrameWatch::new(connection));
            (reader, Batched::new(writer))
        });
        let (outbound, from_call) = mpsc::channel(limits.queued_messages);
        let arrived = Arc::new(Slot::default());
        let reading = read(reader, Fragments::up_to(limits.message_bytes), arrived.clone(), outbound.clone());
        let (give_up, given_up) = oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(write(writer, limits.slow, from_call, give_up));
        Self {
            reading: Some(Box::pin(reading)),
            arrived,
            outbound,
            given_up: Some(given_up),
            tasks,
            put_back: VecDeque::new(),
            _counted: Counted::new(),
        }
    }

    /// The next message; `Closed` is the last. Nothing is lost when this is dropped half-way.
    pub async fn next(&mut self) -> FromTwilio {
        if let Some(message) = self.put_back.pop_front() {
            return message;
        }
        poll_fn(|cx| self.poll_message(cx)).await
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<FromTwilio> {
        let Some(reading) = &mut self.reading else { return Poll::Ready(FromTwilio::Closed) };
        let has_ended = reading.as_mut().poll(cx).is_ready();
        if let Some(message) = self.arrived.take() {
            return Poll::Ready(message);
        }
        let is_given_up = match &mut self.given_up {
            Some(given_up) => match Pin::new(given_up).poll(cx) {
                Poll::Ready(Ok(())) => true,
                Poll::Ready(Err(_)) => {
                    // The writer has ended otherwise: the reading ends too, or the call has it closed.
                    self.given_up = None;
                    false
                }
                Poll::Pending => false,
            },
            None => false,
        };
        if has_ended || is_given_up {
            self.reading = None;
            return Poll::Ready(FromTwilio::Closed);
        }
        Poll::Pending
    }

    /// Has messages come once more, before all others.
    pub fn put_back(&mut self, messages: Vec<FromTwilio>) {
        self.put_back = messages.into();
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// [`SlowReader`] when too many wait already.
    pub fn send(&self, text: String) -> Result<(), SlowReader> {
        match self.outbound.try_send(ToTwilio::Text(text)) {
            // A writer that has ended has told the reader's end too: `Closed` comes.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(SlowReader),
        }
    }

    /// How many messages wait to be sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.outbound.max_capacity() - self.outbound.capacity()
    }

    /// Closes the socket after what waits is sent, or at once when that takes too long.
    pub async fn close(mut self) {
        let goodbye = async {
            if self.outbound.send(ToTwilio::Close(NORMAL)).await.is_err() {
                return;
            }
            // Twilio answers a close with a close: until then the reader reads on.
            while !matches!(self.next().await, FromTwilio::Closed) {}
            drop(self.outbound);
            while self.tasks.join_next().await.is_some() {}
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
    }
}

/// Reads until the socket ends.
async fn read<S: AsyncRead + Unpin>(
    mut socket: WebSocketRead<ReadHalf<FrameWatch<S>>>,
    mut fragments: Fragments,
    arrived: Arc<Slot>,
    to_writer: mpsc::Sender<ToTwilio>,
) {
    let code = loop {
        let frame = match socket.read_frame::<_, WebSocketError>(&mut |_| async { Ok(()) }).await {
            Ok(frame) => frame,
            Err(error) => break close_code(&error),
        };
        let message = match frame.opcode {
            OpCode::Close => break Some(NORMAL),
            OpCode::Ping => {
                // A peer that pings faster than it reads gets fewer pongs.
                let _ = to_writer.try_send(ToTwilio::Pong(frame.payload.to_vec()));
                continue;
            }
            OpCode::Pong => continue,
            OpCode::Text | OpCode::Binary | OpCode::Continuation => match fragments.add(frame) {
                Ok(Some(message)) => from_twilio(message),
                Ok(None) => continue,
                Err(code) => break Some(code),
            },
        };
        arrived.put(message).await;
    };
    if let Some(code) = code {
        let _ = to_writer.try_send(ToTwilio::Close(code));
    }
}

/// Which close answers a fault; `None` where the connection is gone.
fn close_code(error: &WebSocketError) -> Option<u16> {
    match error {
        WebSocketError::IoError(error) if error.kind() == io::ErrorKind::InvalidData => Some(PROTOCOL_ERROR),
        WebSocketError::UnexpectedEOF | WebSocketError::IoError(_) | WebSocketError::ConnectionClosed => None,
        WebSocketError::FrameTooLarge | WebSocketError::PingFrameTooLarge => Some(TOO_BIG),
        _ => Some(PROTOCOL_ERROR),
    }
}

fn from_twilio((opcode, message): (OpCode, Message)) -> FromTwilio {
    if opcode == OpCode::Text { FromTwilio::Text(message) } else { FromTwilio::Binary }
}

/// Writes until the close is written or the socket is gone; what waits goes out together. A socket that takes nothing for
/// too long is given up.
async fn write<S: AsyncWrite + Unpin>(
    mut socket: WebSocketWrite<Batched<WriteHalf<FrameWatch<S>>>>,
    patience: Duration,
    mut from_call: mpsc::Receiver<ToTwilio>,
    give_up: oneshot::Sender<()>,
) {
    while let Some(first) = from_call.recv().await {
        let (mut next, mut bytes, mut is_last) = (Some(first), 0, false);
        while let Some(message) = next.take() {
            is_last = matches!(message, ToTwilio::Close(_));
            bytes += message.bytes();
            // It goes into the batch, and so without waiting.
            if socket.write_frame(message.frame()).await.is_err() {
                return;
            }
            next = if is_last || bytes >= MOST_BATCH_BYTES { None } else { from_call.try_recv().ok() };
        }
        match tokio::time::timeout(patience, socket.flush()).await {
            Ok(Ok(())) if !is_last => {}
            // The reader notices that the connection is gone, and tells.
            Ok(_) => return,
            Err(_) => {
                let _ = give_up.send(());
                return;
            }
        }
    }
}

impl ToTwilio {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Pong(payload) => payload.len(),
            Self::Close(_) => 0,
        }
    }

    fn frame(self) -> Frame<'static> {
        match self {
            Self::Text(text) => Frame::text(Payload::Owned(text.into_bytes())),
            Self::Pong(payload) => Frame::pong(Payload::Owned(payload)),
            Self::Close(code) => Frame::close(code, b""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastwebsockets::Role;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    /// A masked client frame.
    fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first_byte];
        match u16::try_from(payload.len()) {
            Ok(len @ 0..126) => bytes.push(0x80 | u8::try_from(len).unwrap()),
            Ok(len) => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&len.to_be_bytes());
            }
            Err(_) => {
                bytes.push(0x80 | 127);
                bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(payload);
        bytes
    }

    const TEXT: u8 = 0x81;
    const TEXT_BEGINS: u8 = 0x01;
    const CONTINUES: u8 = 0x00;
    const CONTINUES_LAST: u8 = 0x80;
    const CLOSE: u8 = 0x88;
    const PING: u8 = 0x89;

    fn open() -> (DuplexStream, MediaSocket) {
        let (theirs, ours) = tokio::io::duplex(1 << 20);
        (theirs, MediaSocket::new(WebSocket::after_handshake(ours, Role::Server), &Limits::default()))
    }

    async fn next_text(socket: &mut MediaSocket) -> String {
        match socket.next().await {
            FromTwilio::Text(message) => String::from_utf8(message.as_ref().to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The code of the close frame that comes next.
    async fn closed_with(mut theirs: DuplexStream) -> u16 {
        let mut frame = [0; 4];
        theirs.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame[0], CLOSE);
        u16::from_be_bytes([frame[2], frame[3]])
    }

    #[tokio::test]
    async fn a_message_in_fragments_arrives_whole_and_a_ping_between_them_does_no_harm() {
        let (mut theirs, mut socket) = open();
        theirs.write_all(&frame(TEXT_BEGINS, b"hel")).await.unwrap();
        theirs.write_all(&frame(PING, b"x")).await.unwrap();
        theirs.write_all(&frame(CONTINUES, b"l")).await.unwrap();
        theirs.write_all(&frame(CONTINUES_LAST, b"o")).await.unwrap();
        theirs.write_all(&frame(TEXT, b"again")).await.unwrap();
        assert_eq!(next_text(&mut socket).await, "hello");
        assert_eq!(next_text(&mut socket).await, "again");
        let mut pong = [0; 3];
        theirs.read_exact(&mut pong).await.unwrap();
        assert_eq!(pong, [0x8A, 1, b'x']);
    }

    #[tokio::test]
    async fn a_message_over_the_limit_is_closed_with_1009() {
        let (mut theirs, mut socket) = open();
        let most_bytes = Limits::default().message_bytes;
        theirs.write_all(&frame(TEXT, &vec![b'x'; most_bytes])).await.unwrap();
        assert_eq!(next_text(&mut socket).await.len(), most_bytes, "just the limit is taken");
        theirs.write_all(&frame(TEXT, &vec![b'x'; most_bytes + 1])).await.unwrap();
        assert!(matches!(socket.next().await, FromTwilio::Closed));
        assert_eq!(closed_with(theirs).await, TOO_BIG);
    }

    #[tokio::test]
    async fn fragments_count_together() {
        let (mut theirs, mut socket) = open();
        theirs.write_all(&frame(TEXT_BEGINS, &[b'x'; 1000])).await.unwrap();
        for _ in 0..70 {
            theirs.write_all(&frame(CONTINUES, &[b'x'; 1000])).await.unwrap();
        }
        assert!(matches!(socket.next().await, FromTwilio::Closed));
        assert_eq!(closed_with(theirs).await, TOO_BIG);
    }

    #[tokio::test]
    async fn frames_that_make_no_message_are_a_protocol_error() {
        for faults in [
            vec![frame(CONTINUES_LAST, b"x")],
            vec![frame(TEXT_BEGINS, b"x"), frame(TEXT, b"y")],
            vec![frame(0x83, b"reserved opcode")],
            vec![frame(0xC1, b"reserved bit")],
            vec![vec![TEXT, 2, b'h', b'i']],
            vec![frame(0x8A, &[b'x'; 126])],
        ] {
            let (mut theirs, mut socket) = open();
            theirs.write_all(&faults.concat()).await.unwrap();
            assert!(matches!(socket.next().await, FromTwilio::Closed));
            assert_eq!(closed_with(theirs).await, PROTOCOL_ERROR);
        }
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_noticed() {
        let (_theirs, socket) = open();
        let sent = (0..100_000).take_while(|_| socket.send("x".repeat(4_000)).is_ok()).count();
        assert!(sent <= Limits::default().queued_messages + 1, "{sent}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_is_written_after_what_waits_and_does_not_wait_for_ever() {
        let (mut theirs, socket) = open();
        socket.send("last words".to_owned()).unwrap();
        socket.close().await;
        let mut bytes = Vec::new();
        theirs.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, [&[TEXT, 10][..], b"last words", &[CLOSE, 2, 3, 232]].concat());
    }
}
