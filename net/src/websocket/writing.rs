//! The task that writes. All waiting frames go out together.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::io::AsyncWrite;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::closed::Closed;
use super::halves::{Frame, OpCode, Writer};
use super::keep_alive::KeepAlive;

/// How many bytes are collected before a write when many messages wait.
const MAX_BATCH_BYTES: usize = 64 * 1024;

/// Frames that the writer pulls by itself.
pub(super) type Frames = Pin<Box<dyn Stream<Item = Frame> + Send>>;

/// The sources of frames, in order of priority.
pub(super) struct Queue {
    /// Queued frames, including answers to the peer.
    pub(super) queued: mpsc::Receiver<Frame>,
    /// Frames that the writer pulls when nothing is queued.
    pub(super) frames: Option<Frames>,
    /// Pings that go out when there is nothing else.
    pub(super) pings: Option<Pings>,
}

/// When the next ping is due.
pub(super) struct Pings {
    interval: Interval,
    keep_alive: Arc<KeepAlive>,
}

impl Pings {
    pub(super) fn new(every: Duration, keep_alive: Arc<KeepAlive>) -> Self {
        let mut interval = interval_at(Instant::now() + every, every);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval, keep_alive }
    }
}

impl Queue {
    /// The next frame. `Err` if there is none left, with the reason if the peer was given up.
    #[inline]
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame, Option<Closed>>> {
        if let Poll::Ready(frame) = self.queued.poll_recv(cx) {
            return Poll::Ready(frame.ok_or(None));
        }
        if let Some(frames) = &mut self.frames
            && let Poll::Ready(frame) = frames.as_mut().poll_next(cx)
        {
            return Poll::Ready(frame.ok_or(Some(Closed::Broken)));
        }
        if let Some(pings) = &mut self.pings
            && pings.interval.poll_tick(cx).is_ready()
        {
            let is_gone = pings.keep_alive.is_gone();
            return Poll::Ready(if is_gone { Err(Some(Closed::Silent)) } else { Ok(Frame::ping()) });
        }
        Poll::Pending
    }
}

/// Writes until a close frame is written or the connection is gone. Gives up a peer that reads nothing for `timeout`.
pub(super) async fn write<S: AsyncWrite + Unpin>(
    mut writer: Writer<S>,
    mut queue: Queue,
    timeout: Duration,
    give_up: oneshot::Sender<Closed>,
) {
    let why = loop {
        let mut next = match poll_fn(|cx| queue.poll_next(cx)).await {
            Ok(frame) => Some(frame),
            Err(why) => break why,
        };
        let (mut bytes, mut is_last) = (0, false);
        while let Some(frame) = next.take() {
            is_last = frame.opcode == OpCode::Close;
            bytes += frame.payload.len();
            // The frame goes into the batch without waiting.
            if writer.add(frame).await.is_err() {
                return;
            }
            next = if is_last || bytes >= MAX_BATCH_BYTES { None } else { queue.queued.try_recv().ok() };
        }
        match tokio::time::timeout(timeout, writer.flush()).await {
            Ok(Ok(())) if !is_last => {}
            // If the connection is gone, the reading finds out, after it has read the reason.
            Ok(_) => return,
            Err(_) => break Some(Closed::Stalled),
        }
    };
    if let Some(why) = why {
        let _ = give_up.send(why);
    }
}
