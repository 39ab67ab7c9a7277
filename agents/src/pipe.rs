//! Input on its way into a stream. Waiting audio goes out together, and other input keeps its order.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialbridge_core::agent::{MAX_AUDIO_BYTES, TurnInput};
use dialbridge_core::audio::BYTES_PER_MS;
use serde_json::{Map, Value};
use tokio::sync::Notify;

/// The maximum audio that waits for a stalled agent, in bytes: a minute, twice what a call keeps.
const MAX_BYTES: usize = 60_000 * BYTES_PER_MS;

/// The audio in one of Twilio's frames, in milliseconds.
const FRAME_MS: usize = 20;

/// How many other inputs can wait for the agent.
const MAX_INPUTS: usize = 64;

/// The agent has not taken any input for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PipeFull;

impl fmt::Display for PipeFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the agent takes no input: its queue is full")
    }
}

impl std::error::Error for PipeFull {}

/// One message into a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamInput {
    /// The caller's audio: mu-law at 8,000 Hz, at most [`MAX_AUDIO_BYTES`].
    Audio(Bytes),
    /// Other input, for a stream that lasts for the whole call.
    Input(TurnInput),
    /// Session parameters, for a stream that lasts for the whole call.
    Parameters(Map<String, Value>),
}

/// Connects a call to its stream. The call writes frames; the stream takes all that waits when it can send.
#[derive(Debug, Default)]
pub struct InputPipe {
    state: Mutex<State>,
    left: Notify,
    caller_speaks: AtomicBool,
    /// The minimum audio in a message, in bytes. The last message, and one before other input, may have less.
    chunk: usize,
}

#[derive(Debug, Default)]
struct State {
    /// The audio before the first other input.
    audio: BytesMut,
    /// Other inputs, each with the audio after it.
    others: VecDeque<(StreamInput, BytesMut)>,
    is_closed: bool,
    is_reset: bool,
    reader: Option<Waker>,
}

impl InputPipe {
    /// Creates a pipe whose messages have at least `chunk_ms` milliseconds of audio, except before other input and at
    /// the end. If `chunk_ms` is at most 20, audio does not wait.
    pub(super) fn new(chunk_ms: usize) -> Arc<Self> {
        let chunk = if chunk_ms > FRAME_MS { chunk_ms * BYTES_PER_MS } else { 0 };
        Arc::new(Self { chunk, ..Self::default() })
    }

    /// Writes audio.
    ///
    /// # Errors
    /// [`PipeFull`] if too much audio waits already. The audio is then not queued.
    pub fn write(&self, audio: &[u8]) -> Result<(), PipeFull> {
        let mut state = self.lock();
        let waiting = state.audio.len() + state.others.iter().map(|(_, audio)| audio.len()).sum::<usize>();
        if waiting + audio.len() > MAX_BYTES {
            return Err(PipeFull);
        }
        match state.others.back_mut() {
            Some((_, after)) => after.extend_from_slice(audio),
            None => state.audio.extend_from_slice(audio),
        }
        if state.audio.len() >= self.chunk {
            wake(state);
        }
        Ok(())
    }

    /// Writes other input in its place among the audio.
    ///
    /// # Errors
    /// [`PipeFull`] if too much input waits already. The input is then not queued.
    pub fn put(&self, input: StreamInput) -> Result<(), PipeFull> {
        let mut state = self.lock();
        if state.others.len() >= MAX_INPUTS {
            return Err(PipeFull);
        }
        state.others.push_back((input, BytesMut::new()));
        wake(state);
        Ok(())
    }

    /// Notes whether the caller speaks.
    pub(super) fn set_caller_speaks(&self, speaks: bool) {
        self.caller_speaks.store(speaks, Ordering::Relaxed);
    }

    pub(super) fn caller_speaks(&self) -> bool {
        self.caller_speaks.load(Ordering::Relaxed)
    }

    /// Ends the input.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        wake(state);
    }

    /// Gives the stream up and discards waiting input.
    pub(super) fn reset(&self) {
        let mut state = self.lock();
        state.is_reset = true;
        state.audio = BytesMut::new();
        state.others = VecDeque::new();
        wake(state);
    }

    pub(super) fn is_reset(&self) -> bool {
        self.lock().is_reset
    }

    /// Tells the stream that the call needs nothing more from it.
    pub fn leave(&self) {
        self.close();
        self.left.notify_one();
    }

    /// Returns `time` after the call has left the stream.
    pub(super) async fn left_for(&self, time: Duration) {
        self.left.notified().await;
        tokio::time::sleep(time).await;
    }

    /// The next input: up to [`MAX_AUDIO_BYTES`] of audio, or one other input; `None` if the pipe is closed and empty.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>) -> Poll<Option<StreamInput>> {
        let mut state = self.lock();
        let is_enough = state.audio.len() >= self.chunk || state.is_closed || !state.others.is_empty();
        if !state.audio.is_empty() && is_enough {
            let most = state.audio.len().min(MAX_AUDIO_BYTES);
            return Poll::Ready(Some(StreamInput::Audio(state.audio.split_to(most).freeze())));
        }
        if let Some((input, audio)) = state.others.pop_front() {
            state.audio = audio;
            return Poll::Ready(Some(input));
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

    fn read(pipe: &InputPipe) -> Poll<Option<StreamInput>> {
        pipe.poll_read(&mut Context::from_waker(Waker::noop()))
    }

    fn audio(audio: &[u8]) -> Poll<Option<StreamInput>> {
        Poll::Ready(Some(StreamInput::Audio(Bytes::copy_from_slice(audio))))
    }

    #[test]
    fn what_waits_goes_out_as_one_message() {
        let pipe = InputPipe::new(0);
        assert!(read(&pipe).is_pending());
        for frame in [[1; 160], [2; 160], [3; 160]] {
            pipe.write(&frame).unwrap();
        }
        assert_eq!(read(&pipe), audio(&[[1; 160], [2; 160], [3; 160]].concat()));
        assert!(read(&pipe).is_pending());
        pipe.write(&[4]).unwrap();
        pipe.close();
        assert_eq!(read(&pipe), audio(&[4]));
        assert_eq!(read(&pipe), Poll::Ready(None));
    }

    #[test]
    fn a_chunk_is_waited_for_but_not_at_the_end_and_not_before_other_input() {
        let pipe = InputPipe::new(40);
        pipe.write(&[1; 160]).unwrap();
        assert!(read(&pipe).is_pending());
        pipe.write(&[2; 160]).unwrap();
        assert_eq!(read(&pipe), audio(&[[1; 160], [2; 160]].concat()));
        pipe.write(&[3; 160]).unwrap();
        pipe.put(StreamInput::Input(TurnInput::Audio)).unwrap();
        assert_eq!(read(&pipe), audio(&[3; 160]));
        assert_eq!(read(&pipe), Poll::Ready(Some(StreamInput::Input(TurnInput::Audio))));
        pipe.write(&[4; 160]).unwrap();
        assert!(read(&pipe).is_pending());
        pipe.close();
        assert_eq!(read(&pipe), audio(&[4; 160]));
        assert_eq!(read(&pipe), Poll::Ready(None));
    }

    #[test]
    fn other_input_keeps_its_place_between_the_audio() {
        let pipe = InputPipe::new(0);
        let event = |name: &str| StreamInput::Input(TurnInput::Event(name.to_owned()));
        pipe.write(&[1]).unwrap();
        pipe.put(event("a")).unwrap();
        pipe.put(event("b")).unwrap();
        pipe.write(&[2]).unwrap();
        pipe.write(&[3]).unwrap();
        assert_eq!(read(&pipe), audio(&[1]));
        assert_eq!(read(&pipe), Poll::Ready(Some(event("a"))));
        assert_eq!(read(&pipe), Poll::Ready(Some(event("b"))));
        pipe.write(&[4]).unwrap();
        assert_eq!(read(&pipe), audio(&[2, 3, 4]));
    }

    #[test]
    fn a_message_is_never_larger_than_the_agent_takes() {
        let pipe = InputPipe::new(0);
        pipe.write(&[7; 40_000]).unwrap();
        let sizes: Vec<usize> = (0..3)
            .map(|_| match read(&pipe) {
                Poll::Ready(Some(StreamInput::Audio(audio))) => audio.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes, [16_000, 16_000, 8_000]);
    }

    #[test]
    fn an_agent_that_takes_nothing_fills_no_memory_without_end() {
        let pipe = InputPipe::new(0);
        let written = (0..10_000).take_while(|_| pipe.write(&[0; 160]).is_ok()).count();
        assert_eq!(written, MAX_BYTES / 160);
        let put = (0..10_000).take_while(|_| pipe.put(StreamInput::Input(TurnInput::Audio)).is_ok()).count();
        assert_eq!(put, MAX_INPUTS);
    }
}
