//! Audio on its way into a stream: what waits goes out as one message.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialbridge_core::agent::MAX_AUDIO_BYTES;
use tokio::sync::Notify;

/// How much audio waits for an agent that takes none, in bytes: a minute, twice what a call ever keeps.
const MOST_BYTES: usize = 60_000 * dialbridge_core::audio::BYTES_PER_MS;

/// The agent has not taken any audio for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PipeFull;

impl fmt::Display for PipeFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the agent has not taken any audio for a minute")
    }
}

impl std::error::Error for PipeFull {}

/// Between a call, which writes frames, and its stream, which takes all that is there whenever it can send.
#[derive(Debug, Default)]
pub struct AudioPipe {
    state: Mutex<State>,
    left: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: BytesMut,
    is_closed: bool,
    is_reset: bool,
    reader: Option<Waker>,
}

impl AudioPipe {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Writes audio.
    ///
    /// # Errors
    /// [`PipeFull`] when too much waits already; the audio is not taken.
    pub fn write(&self, audio: &[u8]) -> Result<(), PipeFull> {
        let mut state = self.lock();
        if state.waiting.len() + audio.len() > MOST_BYTES {
            return Err(PipeFull);
        }
        state.waiting.extend_from_slice(audio);
        wake(state);
        Ok(())
    }

    /// Nothing more will be written.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        wake(state);
    }

    /// The stream is given up: what waits is not sent.
    pub(super) fn reset(&self) {
        let mut state = self.lock();
        state.is_reset = true;
        state.waiting = BytesMut::new();
        wake(state);
    }

    pub(super) fn is_reset(&self) -> bool {
        self.lock().is_reset
    }

    /// Nothing more is wanted of the stream.
    pub fn leave(&self) {
        self.close();
        self.left.notify_one();
    }

    /// Returns when the stream was left for so long.
    pub(super) async fn left_for(&self, time: Duration) {
        self.left.notified().await;
        tokio::time::sleep(time).await;
    }

    /// All that waits, at most [`MAX_AUDIO_BYTES`]; `None` when the pipe is closed and empty.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.lock();
        if !state.waiting.is_empty() {
            let most = state.waiting.len().min(MAX_AUDIO_BYTES);
            return Poll::Ready(Some(state.waiting.split_to(most).freeze()));
        }
        if state.is_closed {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let reader = state.reader.take();
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pipe: &AudioPipe) -> Poll<Option<Bytes>> {
        pipe.poll_read(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_waits_goes_out_as_one_message() {
        let pipe = AudioPipe::new();
        assert!(read(&pipe).is_pending());
        for frame in [[1; 160], [2; 160], [3; 160]] {
            pipe.write(&frame).unwrap();
        }
        assert_eq!(read(&pipe), Poll::Ready(Some(Bytes::from([[1; 160], [2; 160], [3; 160]].concat()))));
        assert!(read(&pipe).is_pending());
        pipe.write(&[4]).unwrap();
        pipe.close();
        assert_eq!(read(&pipe), Poll::Ready(Some(Bytes::from_static(&[4]))));
        assert_eq!(read(&pipe), Poll::Ready(None));
    }

    #[test]
    fn a_message_is_never_larger_than_the_agent_takes() {
        let pipe = AudioPipe::new();
        pipe.write(&[7; 40_000]).unwrap();
        let sizes: Vec<usize> = (0..3)
            .map(|_| match read(&pipe) {
                Poll::Ready(Some(audio)) => audio.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes, [16_000, 16_000, 8_000]);
    }

    #[test]
    fn an_agent_that_takes_nothing_fills_no_memory_without_end() {
        let pipe = AudioPipe::new();
        let written = (0..10_000).take_while(|_| pipe.write(&[0; 160]).is_ok()).count();
        assert_eq!(written, MOST_BYTES / 160);
    }
}
