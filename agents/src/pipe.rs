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

/// Takes a stream's input at once, in the call's own task. A task of the stream would have to wake for each frame.
pub(super) trait Sink: fmt::Debug + Send {
    /// Waits until the agent takes some of a message with about so many bytes of audio. False if it takes none any more.
    fn poll_room(&mut self, bytes: usize, cx: &mut Context<'_>) -> Poll<bool>;
    /// Sends a message.
    fn send(&mut self, input: StreamInput);
    /// Half-closes the stream, which needs no room. A sink that is dropped without it resets the stream.
    fn end(&mut self);
}

/// Connects a call to its stream. The call writes frames; the stream takes all that waits when it can send.
#[derive(Debug, Default)]
pub struct InputPipe {
    state: Mutex<State>,
    left: Notify,
    caller_speaks: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// The audio before the first other input.
    audio: BytesMut,
    /// Other inputs, each with the audio after it.
    others: VecDeque<(StreamInput, BytesMut)>,
    is_closed: bool,
    reader: Reader,
    /// The minimum audio in a message, in bytes. The last message, and one before other input, may have less.
    chunk: usize,
}

/// Who takes the input.
#[derive(Debug, Default)]
enum Reader {
    /// Nobody yet, or nobody any more.
    #[default]
    Nobody,
    /// A task that waits for more.
    Waits(Waker),
    /// A sink, and the task to wake when it has room again.
    Sink(Box<dyn Sink>, Waker),
}

impl InputPipe {
    /// Creates a pipe whose messages have at least `chunk_ms` milliseconds of audio, except before other input and at
    /// the end. If `chunk_ms` is at most 20, audio does not wait.
    pub(super) fn new(chunk_ms: usize) -> Arc<Self> {
        let chunk = if chunk_ms > FRAME_MS { chunk_ms * BYTES_PER_MS } else { 0 };
        Arc::new(Self { state: Mutex::new(State { chunk, ..State::default() }), ..Self::default() })
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
        if state.is_ready() {
            deliver(state);
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
        deliver(state);
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
        deliver(state);
    }

    /// Sends all input through `sink` from here on. `cx` is that of the task that calls [`send_waiting`](Self::send_waiting).
    pub(super) fn send_through(&self, sink: impl Sink + 'static, cx: &Context<'_>) {
        let mut state = self.lock();
        state.reader = Reader::Sink(Box::new(sink), cx.waker().clone());
        deliver(state);
    }

    /// Sends what has waited for room.
    pub(super) fn send_waiting(&self, cx: &Context<'_>) {
        let mut state = self.lock();
        if let Reader::Sink(_, task) = &mut state.reader {
            task.clone_from(cx.waker());
            state.send();
        }
    }

    /// Gives the sink up, which resets the stream, and discards waiting input.
    pub(super) fn reset(&self) {
        let mut state = self.lock();
        state.audio = BytesMut::new();
        state.others = VecDeque::new();
        state.reader = Reader::Nobody;
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
        if state.is_ready() {
            return Poll::Ready(state.next());
        }
        state.reader = Reader::Waits(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether there is something to send now, or nothing will come any more.
    fn is_ready(&self) -> bool {
        let has_chunk = !self.audio.is_empty() && self.audio.len() >= self.chunk;
        has_chunk || self.is_closed || !self.others.is_empty()
    }

    /// Up to [`MAX_AUDIO_BYTES`] of audio, or one other input; `None` if nothing waits.
    fn next(&mut self) -> Option<StreamInput> {
        if !self.audio.is_empty() {
            let most = self.audio.len().min(MAX_AUDIO_BYTES);
            return Some(StreamInput::Audio(self.audio.split_to(most).freeze()));
        }
        let (input, audio) = self.others.pop_front()?;
        self.audio = audio;
        Some(input)
    }

    /// Sends through the sink, as long as there is room.
    fn send(&mut self) {
        while self.is_ready() {
            let bytes = self.audio.len().min(MAX_AUDIO_BYTES);
            let has_next = bytes > 0 || !self.others.is_empty();
            let Reader::Sink(sink, task) = &mut self.reader else { return };
            match has_next.then(|| sink.poll_room(bytes, &mut Context::from_waker(task))) {
                Some(Poll::Pending) => return,
                Some(Poll::Ready(true)) => self.send_next(),
                Some(Poll::Ready(false)) => self.reader = Reader::Nobody,
                None => {
                    sink.end();
                    self.reader = Reader::Nobody;
                }
            }
        }
    }

    fn send_next(&mut self) {
        if let Some(input) = self.next()
            && let Reader::Sink(sink, _) = &mut self.reader
        {
            sink.send(input);
        }
    }
}

/// Tells the reader that there is something to send.
fn deliver(mut state: MutexGuard<'_, State>) {
    match &mut state.reader {
        Reader::Nobody => {}
        Reader::Sink(..) => state.send(),
        Reader::Waits(_) => {
            let reader = std::mem::take(&mut state.reader);
            drop(state);
            if let Reader::Waits(task) = reader {
                task.wake();
            }
        }
    }
}

/// Resets a pipe's stream when its task ends for any reason. After the half-close the sink is gone.
pub(super) struct ResetOnDrop(pub(super) Arc<InputPipe>);

impl Drop for ResetOnDrop {
    fn drop(&mut self) {
        self.0.reset();
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
