//! Our messages to CES, in order: the first messages, then the caller's audio in messages of equal length, with other
//! input in its place between them.
//!
//! CES wants audio without a pause, even while nobody speaks. If Twilio stalls and no audio comes for a while, we send
//! silence in real time until the audio is back. The silence does not count as the caller's audio: core does not know
//! of it, and none of the caller's audio is dropped for it.
//!
//! Silence in the middle of a word would end the utterance: the agent would answer half of it, and then the rest, which
//! comes in a burst. Core tells whether the caller speaks. While he does, late audio is waited for, and the agent hears
//! the word whole.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialbridge_core::agent::TurnStart;
use dialbridge_core::audio::g711::decode_mulaw;
use dialbridge_core::audio::{
    AudioFormat, BYTES_PER_MS, Encoding, MULAW_SILENCE, Resampler, SAMPLE_RATE, UnsupportedRate,
};
use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::config::CesConfig;
use super::request::{self, Message};
use crate::pipe::{InputPipe, StreamInput};
use crate::session::SessionContext;

/// How long the caller's audio may be missing before silence replaces it.
const SILENCE_AFTER: Duration = Duration::from_millis(200);

/// The same while the caller speaks. A stall of some seconds passes; a longer one ends what he says.
const SILENCE_AFTER_SPEECH: Duration = Duration::from_secs(4);

/// The longest silence in a row. After that the call is over.
const MAX_SILENCE: Duration = Duration::from_secs(30);

/// The messages of one stream. It ends with the pipe.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Messages that go out before all audio.
    next: VecDeque<Message>,
    kick_start: Option<KickStart>,
    /// Caller audio that does not fill a message yet: mu-law at 8,000 Hz.
    pending: BytesMut,
    chunk: usize,
    encoder: Encoder,
    pipe: Arc<InputPipe>,
    is_done: bool,
    fill: SilenceFill,
}

/// The input that makes the agent speak first. An app may need a moment to take the variables: an answer before that
/// would not know them. The caller's audio goes on meanwhile. Other input waits behind the kick-start, and so does the end of
/// the stream.
#[derive(Debug)]
struct KickStart {
    messages: Vec<Message>,
    wait: Duration,
    /// Runs from the moment in which the variables went out.
    timer: Option<Pin<Box<Sleep>>>,
}

/// Sends silence while no audio comes.
#[derive(Debug)]
struct SilenceFill {
    /// When the next silence is due, unless audio comes first.
    timer: Pin<Box<Sleep>>,
    last_audio: Instant,
    is_wanted: Arc<AtomicBool>,
    /// How much more silence may follow in a row.
    left: Duration,
}

/// Stops the silence. The reader of the agent's messages holds it, because it knows when the agent takes no more input.
#[derive(Debug, Clone)]
pub(super) struct SilenceSwitch(Arc<AtomicBool>);

impl SilenceSwitch {
    /// Stops the silence: the agent takes no more input.
    pub(super) fn stop(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Outgoing {
    /// Must run where a timer can be created.
    ///
    /// # Errors
    /// [`UnsupportedRate`] if we cannot resample the telephone's audio to that rate.
    pub(super) fn new(
        context: &SessionContext,
        start: &TurnStart,
        pipe: Arc<InputPipe>,
    ) -> Result<(Self, SilenceSwitch), UnsupportedRate> {
        let CesConfig { input, chunk, variables, .. } = &*context.ces;
        let messages = request::input(&start.input);
        let wait = if start.parameters.is_empty() { Duration::ZERO } else { *variables };
        let is_wanted = Arc::new(AtomicBool::new(true));
        let now = Instant::now();
        let outgoing = Self {
            next: request::first(context, start).into(),
            kick_start: (!messages.is_empty()).then_some(KickStart { messages, wait, timer: None }),
            pending: BytesMut::new(),
            chunk: bytes_of(*chunk),
            encoder: Encoder::new(*input)?,
            pipe,
            is_done: false,
            fill: SilenceFill {
                timer: Box::pin(sleep_until(now + SILENCE_AFTER)),
                last_audio: now,
                is_wanted: is_wanted.clone(),
                left: MAX_SILENCE,
            },
        };
        Ok((outgoing, SilenceSwitch(is_wanted)))
    }

    /// Sends the kick-start when it is due. Returns whether it goes out now.
    fn poll_kick_start(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(KickStart { wait, timer, .. }) = &mut self.kick_start else { return false };
        let is_due = wait.is_zero() || {
            let wait = *wait;
            timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + wait))).as_mut().poll(cx).is_ready()
        };
        if is_due && let Some(KickStart { messages, .. }) = self.kick_start.take() {
            // Less audio than a message may wait: its place beside the kick-start does not matter.
            self.next.extend(messages);
        }
        is_due
    }

    fn take(&mut self, input: Option<StreamInput>) {
        match input {
            Some(StreamInput::Audio(audio)) => {
                self.pending.extend_from_slice(&audio);
                self.fill.last_audio = Instant::now();
                self.fill.left = MAX_SILENCE;
            }
            Some(StreamInput::Input(input)) => match &mut self.kick_start {
                Some(kick_start) => kick_start.messages.extend(request::input(&input)),
                None => self.put_after_audio(request::input(&input)),
            },
            Some(StreamInput::Parameters(parameters)) => {
                self.put_after_audio(request::parameters(&parameters).into_iter().collect());
            }
            None => {
                self.is_done = true;
                if self.is_listened_to() {
                    self.put_after_audio(Vec::new());
                    self.next.extend(self.encoder.finish().map(request::audio));
                } else {
                    self.pending.clear();
                    self.kick_start = None;
                }
            }
        }
    }

    fn is_listened_to(&self) -> bool {
        self.fill.is_wanted.load(Ordering::Relaxed)
    }

    /// Sends pending audio before other input, even if it does not fill a message.
    fn put_after_audio(&mut self, messages: Vec<Message>) {
        let rest = self.pending.split().freeze();
        self.next.extend(self.encoder.encode(rest).map(request::audio));
        self.next.extend(messages);
    }

    /// A full message of audio, if there is enough.
    fn whole_chunk(&mut self) -> Option<Message> {
        while self.pending.len() >= self.chunk {
            let chunk = self.pending.split_to(self.chunk).freeze();
            if let Some(audio) = self.encoder.encode(chunk) {
                return Some(request::audio(audio));
            }
        }
        None
    }

    /// When silence is due, fills the pending audio up to a full message.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if !self.is_listened_to() || self.fill.left.is_zero() {
                return Poll::Pending;
            }
            if self.fill.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let due = self.fill.timer.deadline();
            let from = self.fill.last_audio + SILENCE_AFTER;
            if from > due {
                self.fill.timer.as_mut().reset(from);
                continue;
            }
            if self.pipe.caller_speaks() && self.fill.last_audio + SILENCE_AFTER_SPEECH > due {
                self.fill.timer.as_mut().reset(due + SILENCE_AFTER);
                continue;
            }
            let chunk = Duration::from_millis((self.chunk / BYTES_PER_MS) as u64);
            self.fill.timer.as_mut().reset(due + chunk);
            self.fill.left = self.fill.left.saturating_sub(chunk);
            self.pending.resize(self.chunk.max(self.pending.len()), MULAW_SILENCE);
            return Poll::Ready(());
        }
    }
}

fn bytes_of(duration: Duration) -> usize {
    usize::try_from(duration.as_millis()).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_MS).max(1)
}

impl Stream for Outgoing {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        loop {
            if let Some(message) = self.next.pop_front() {
                return Poll::Ready(Some(message));
            }
            if self.poll_kick_start(cx) {
                continue;
            }
            if let Some(message) = self.whole_chunk() {
                return Poll::Ready(Some(message));
            }
            if self.is_done {
                return if self.kick_start.is_some() { Poll::Pending } else { Poll::Ready(None) };
            }
            match self.pipe.poll_read(cx) {
                Poll::Ready(input) => self.take(input),
                Poll::Pending => match self.poll_silence(cx) {
                    Poll::Ready(()) => {}
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }
}

/// Converts the telephone's audio to the agent's input coding.
#[derive(Debug)]
enum Encoder {
    /// Unchanged.
    Mulaw,
    /// LINEAR16 at another rate.
    Linear16(Box<Resampler>),
}

impl Encoder {
    fn new(format: AudioFormat) -> Result<Self, UnsupportedRate> {
        match format.encoding {
            Encoding::Linear16 => Ok(Self::Linear16(Box::new(Resampler::new(SAMPLE_RATE, format.sample_rate)?))),
            // No setting gives A-law, or mu-law at another rate.
            Encoding::Mulaw | Encoding::Alaw => Ok(Self::Mulaw),
        }
    }

    /// Encodes the audio so far; `None` if it gives no output yet.
    fn encode(&mut self, mulaw: Bytes) -> Option<Bytes> {
        let audio = match self {
            Self::Mulaw => mulaw,
            Self::Linear16(resampler) => {
                let (mut samples, mut resampled) = (Vec::new(), Vec::new());
                decode_mulaw(&mulaw, &mut samples);
                resampler.process(&samples, &mut resampled);
                little_endian(&resampled)
            }
        };
        (!audio.is_empty()).then_some(audio)
    }

    /// The rest of the output, after the last audio.
    fn finish(&mut self) -> Option<Bytes> {
        match self {
            Self::Mulaw => None,
            Self::Linear16(resampler) => {
                let mut rest = Vec::new();
                resampler.flush(&mut rest);
                (!rest.is_empty()).then(|| little_endian(&rest))
            }
        }
    }
}

fn little_endian(samples: &[i16]) -> Bytes {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}
