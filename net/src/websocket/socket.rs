//! The complete WebSocket: a future that only reads, and a task that only writes from a bounded queue.
//!
//! fastwebsockets' `read_frame` loses bytes when it is dropped midway. So the reading future does nothing else, and we
//! keep it from one message to the next and drop it only with the socket. The task of the socket's owner polls it: a
//! separate task with a queue would cost another wake-up for each message.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use fastwebsockets::Role;
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::closed::{Closed, NORMAL};
use super::fragments::Message;
use super::halves::{Frame, Incoming, Reader, split};
use super::keep_alive::KeepAlive;
use super::writing::{Frames, Pings, Queue, write};

/// The limits and options of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest message that we accept, in bytes, with all its fragments. We close with 1009 for a longer one.
    pub max_message_bytes: usize,
    /// How many messages can wait to be sent.
    pub max_queued_messages: usize,
    /// How long the peer may read nothing of what we send.
    pub write_timeout: Duration,
    /// How often we send a ping. If a peer that answers pings sends nothing from one ping to the next, it is gone.
    pub ping_every: Option<Duration>,
    /// Whether our answer to a close frame repeats its code. If not, it has 1000.
    pub echoes_close_code: bool,
}

/// Too many messages wait to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The socket sends nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// An open WebSocket. Dropping it ends the connection.
pub struct WebSocket {
    /// Ends when nothing more comes.
    reading: Option<Pin<Box<dyn Future<Output = Closed> + Send>>>,
    arrived: Arc<Slot>,
    queue: mpsc::Sender<Frame>,
    /// Why the writer gave up the peer.
    given_up: Option<oneshot::Receiver<Closed>>,
    writing: JoinSet<()>,
    /// How the reading ended.
    closed: Closed,
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").finish_non_exhaustive()
    }
}

/// A place for one message, between the reading future and the socket's owner. Both run in one task. So nobody waits
/// for the lock, and nobody needs a wake-up: the owner polls the reading future after it takes the message.
#[derive(Debug, Default)]
struct Slot(Mutex<Option<Message>>);

impl Slot {
    fn take(&self) -> Option<Message> {
        self.lock().take()
    }

    /// Puts a message in and returns after it is taken.
    async fn put(&self, message: Message) {
        *self.lock() = Some(message);
        poll_fn(|_| if self.lock().is_none() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Message>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WebSocket {
    /// Creates a socket from a connection after its handshake.
    pub fn new<S>(connection: S, role: Role, limits: &Limits) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::over(connection, role, limits, None)
    }

    /// Creates a socket from a connection after its handshake. It sends `frames` when nothing waits in the queue. A
    /// close frame ends the sending. If the frames end without one, the socket drops the connection.
    pub fn sending<S>(
        connection: S,
        role: Role,
        limits: &Limits,
        frames: impl Stream<Item = Frame> + Send + 'static,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::over(connection, role, limits, Some(Box::pin(frames)))
    }

    fn over<S>(connection: S, role: Role, limits: &Limits, frames: Option<Frames>) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (mut reader, writer) = split(connection, role, limits.max_message_bytes);
        let (queue, queued) = mpsc::channel(limits.max_queued_messages);
        let pings = limits.ping_every.map(|every| {
            let keep_alive = Arc::new(KeepAlive::default());
            reader.keep_alive = Some(keep_alive.clone());
            Pings::new(every, keep_alive)
        });
        let arrived = Arc::new(Slot::default());
        let reading = read(reader, arrived.clone(), queue.clone(), limits.echoes_close_code);
        let (give_up, given_up) = oneshot::channel();
        let mut writing = JoinSet::new();
        writing.spawn(write(writer, Queue { queued, frames, pings }, limits.write_timeout, give_up));
        let given_up = Some(given_up);
        Self { reading: Some(Box::pin(reading)), arrived, queue, given_up, writing, closed: Closed::Broken }
    }

    /// Waits for the next message. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Closed`] if nothing more comes. The peer is answered if it is there to read it.
    pub async fn next(&mut self) -> Result<Message, Closed> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`next`](Self::next), for a caller that polls.
    #[inline]
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Closed>> {
        let Some(reading) = &mut self.reading else { return Poll::Ready(Err(self.closed.clone())) };
        let mut closed = match reading.as_mut().poll(cx) {
            Poll::Ready(closed) => Some(closed),
            Poll::Pending => None,
        };
        if let Some(message) = self.arrived.take() {
            return Poll::Ready(Ok(message));
        }
        if let Some(given_up) = &mut self.given_up
            && let Poll::Ready(why) = Pin::new(given_up).poll(cx)
        {
            // If the writer ends for another reason, the reading finds out why.
            self.given_up = None;
            closed = closed.or(why.ok());
        }
        let Some(closed) = closed else { return Poll::Pending };
        self.reading = None;
        self.closed = closed.clone();
        Poll::Ready(Err(closed))
    }

    /// Queues a frame.
    ///
    /// # Errors
    /// [`Full`] if too many frames wait already.
    pub fn try_send(&self, frame: Frame) -> Result<(), Full> {
        match self.queue.try_send(frame) {
            // If the writer has ended, the reader gets its `Closed`.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Full),
        }
    }

    /// Queues a frame. Waits while too many frames wait already.
    ///
    /// # Errors
    /// [`Gone`] if the connection is gone or a close frame was sent.
    pub async fn send(&mut self, frame: Frame) -> Result<(), Gone> {
        self.queue.send(frame).await.map_err(|_| Gone)
    }

    /// How many messages wait to be sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Sends a close frame with code 1000 after the queued messages, then waits for the peer's. Drops the connection if
    /// all that takes longer than `timeout`.
    pub async fn close(mut self, timeout: Duration) {
        let closing = async {
            if self.send(Frame::close(NORMAL, "")).await.is_ok() {
                self.end().await;
            }
        };
        let _ = tokio::time::timeout(timeout, closing).await;
    }

    /// Waits until the peer has closed and is answered. Drops the connection if that takes longer than `timeout`.
    pub async fn closed(self, timeout: Duration) {
        let _ = tokio::time::timeout(timeout, self.end()).await;
    }

    async fn end(mut self) {
        while self.next().await.is_ok() {}
        drop(self.queue);
        while self.writing.join_next().await.is_some() {}
    }
}

/// Reads until nothing more comes, and queues the answers to the peer.
async fn read<S: AsyncRead + Unpin>(
    mut reader: Reader<S>,
    arrived: Arc<Slot>,
    to_writer: mpsc::Sender<Frame>,
    echoes_close_code: bool,
) -> Closed {
    let closed = loop {
        match reader.next().await {
            Ok(Incoming::Message(message)) => arrived.put(message).await,
            // A peer that pings faster than it reads gets fewer pongs.
            Ok(Incoming::Ping(payload)) => drop(to_writer.try_send(Frame::pong(payload))),
            Ok(Incoming::Pong(_)) => {}
            Err(closed) => break closed,
        }
    };
    if let Some(code) = closed.answer(echoes_close_code) {
        let _ = to_writer.try_send(Frame::close(code, ""));
    }
    closed
}
