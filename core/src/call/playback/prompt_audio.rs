//! The audio of a prompt that is not sent yet. It becomes mu-law in slices.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::audio::transcode::{ToMulaw, TranscodeError};
use crate::audio::wav::{WavEvent, WavReader};
use crate::audio::{AudioFormat, BYTES_PER_MS, Encoding, SAMPLE_RATE};
use crate::call::playback::sent::Kind;
use crate::time::CallTime;

/// We drop sent audio from the memory of a prompt when it is this long, in bytes.
const COMPACT_BYTES: usize = 256 * 1024;

/// How many bytes of G.711 at 8,000 Hz cost as much as one of other audio.
const CHEAP_BYTES: usize = 8;

/// The audio of one prompt, or of several parts that join without a gap.
///
/// Each part is kept as the agent sent it until it is mu-law. A part that is converted leaves the memory.
#[derive(Debug)]
pub(super) struct PromptAudio {
    kind: Kind,
    mulaw: Vec<u8>,
    /// How much of `mulaw` is sent, in bytes.
    sent: usize,
    conversion: Conversion,
}

#[derive(Debug)]
enum Conversion {
    /// Another part may follow.
    Open(Source),
    /// This is all.
    Closing(Source),
    /// All is mu-law.
    Done,
}

/// The audio that is not converted yet.
#[derive(Debug)]
struct Source {
    declared: AudioFormat,
    to_mulaw: ToMulaw,
    /// Bytes in a second of it. 0 if that is not known.
    bytes_per_second: usize,
    /// None of them is empty.
    parts: VecDeque<Bytes>,
    /// The bytes of all parts.
    bytes: usize,
    /// When its last part came.
    since: CallTime,
}

impl PromptAudio {
    /// Audio that is mu-law at 8,000 Hz.
    pub(super) fn mulaw(mulaw: Vec<u8>, kind: Kind) -> Self {
        Self { kind, mulaw, sent: 0, conversion: Conversion::Done }
    }

    /// Audio as the agent sent it. Cuts what is longer than `max_ms`.
    pub(super) fn new(declared: AudioFormat, bytes: Bytes, kind: Kind, now: CallTime, max_ms: u64) -> (Self, Length) {
        let bytes_per_second = bytes_per_second(declared, &bytes);
        let to_mulaw = ToMulaw::new(declared);
        let source = Source { declared, to_mulaw, bytes_per_second, parts: VecDeque::new(), bytes: 0, since: now };
        let mut audio = Self { kind, mulaw: Vec::new(), sent: 0, conversion: Conversion::Open(source) };
        let length = audio.add(bytes, now, max_ms);
        (audio, length)
    }

    /// Whether this is the next part of the same audio. A WAV is not: the header before it may have left its length
    /// open.
    pub(super) fn is_continued_by(&self, declared: AudioFormat, bytes: &[u8], kind: Kind) -> bool {
        let is_wav = bytes.starts_with(b"RIFF");
        matches!(&self.conversion, Conversion::Open(source) if source.declared == declared && self.kind == kind && !is_wav)
    }

    /// Adds the next part. Cuts what is longer than `max_ms`. Returns its length.
    pub(super) fn add(&mut self, mut bytes: Bytes, now: CallTime, max_ms: u64) -> Length {
        let Conversion::Open(source) = &mut self.conversion else { return Length::default() };
        let ms = source.ms(bytes.len());
        if ms > max_ms {
            bytes.truncate(source.bytes(max_ms));
        }
        source.add(bytes, now);
        self.mulaw.reserve(source.mulaw_bytes());
        Length { ms: ms.min(max_ms), cut_ms: ms.saturating_sub(max_ms) }
    }

    /// Nothing follows.
    pub(super) fn complete(&mut self) {
        self.conversion = match std::mem::replace(&mut self.conversion, Conversion::Done) {
            Conversion::Open(source) => Conversion::Closing(source),
            other @ (Conversion::Closing(_) | Conversion::Done) => other,
        };
    }

    /// Converts up to `max_cost` bytes of the source, more of audio that costs less. Returns the cost.
    ///
    /// # Errors
    /// [`TranscodeError`] if the rest cannot be converted. It is dropped.
    pub(super) fn convert(&mut self, max_cost: usize) -> Result<usize, TranscodeError> {
        let (source, is_closing) = match &mut self.conversion {
            Conversion::Open(source) => (source, false),
            Conversion::Closing(source) => (source, true),
            Conversion::Done => return Ok(0),
        };
        // A code of G.711 at 8,000 Hz is copied or looked up.
        let share = if source.bytes_per_second == SAMPLE_RATE as usize { CHEAP_BYTES } else { 1 };
        let before = source.bytes;
        let mut converted = source.convert(max_cost.saturating_mul(share), &mut self.mulaw);
        let cost = (before - source.bytes).div_ceil(share);
        let is_last = is_closing && source.parts.is_empty();
        if is_last {
            converted = converted.and_then(|()| source.to_mulaw.finish(&mut self.mulaw));
        }
        if is_last || converted.is_err() {
            self.conversion = Conversion::Done;
            self.mulaw.shrink_to_fit();
        }
        converted.map(|()| cost)
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Mu-law that can be sent.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.mulaw[self.sent..]
    }

    /// The first `bytes` of [`unsent`](Self::unsent) were sent.
    pub(super) fn note_sent(&mut self, bytes: usize) {
        self.sent += bytes;
        let is_all = self.sent == self.mulaw.len();
        if !is_all && (self.sent < COMPACT_BYTES || 2 * self.sent < self.mulaw.len()) {
            return;
        }
        self.mulaw.drain(..self.sent);
        self.sent = 0;
        if self.source().is_none_or(|source| source.parts.is_empty()) {
            self.mulaw.shrink_to_fit();
        }
    }

    /// Whether nothing of it is left to send, and nothing follows.
    pub(super) fn is_used_up(&self) -> bool {
        matches!(self.conversion, Conversion::Done) && self.sent == self.mulaw.len()
    }

    /// Since when there is something to convert.
    pub(super) fn converts_since(&self) -> Option<CallTime> {
        match &self.conversion {
            Conversion::Open(source) => (!source.parts.is_empty()).then_some(source.since),
            Conversion::Closing(source) => Some(source.since),
            Conversion::Done => None,
        }
    }

    /// How much memory it takes, in bytes.
    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.mulaw.capacity() + self.source().map_or(0, |source| source.bytes)
    }

    /// How much is not sent, in bytes of mu-law.
    pub(super) fn unsent_bytes(&self) -> usize {
        self.unsent().len().saturating_add(self.source().map_or(0, Source::mulaw_bytes))
    }

    fn source(&self) -> Option<&Source> {
        match &self.conversion {
            Conversion::Open(source) | Conversion::Closing(source) => Some(source),
            Conversion::Done => None,
        }
    }
}

/// The length of a part, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Length {
    pub(super) ms: u64,
    /// How much was too long, and was cut.
    pub(super) cut_ms: u64,
}

impl Source {
    fn add(&mut self, bytes: Bytes, now: CallTime) {
        self.since = now;
        self.bytes += bytes.len();
        if !bytes.is_empty() {
            self.parts.push_back(bytes);
        }
    }

    /// Takes up to `max_bytes` and appends them as mu-law.
    fn convert(&mut self, mut max_bytes: usize, mulaw: &mut Vec<u8>) -> Result<(), TranscodeError> {
        while max_bytes > 0
            && let Some(part) = self.parts.front_mut()
        {
            let slice = part.split_to(part.len().min(max_bytes));
            if part.is_empty() {
                self.parts.pop_front();
            }
            max_bytes -= slice.len();
            self.bytes -= slice.len();
            self.to_mulaw.push(&slice, mulaw)?;
        }
        Ok(())
    }

    /// How much mu-law it gives, in bytes, as far as that is known.
    fn mulaw_bytes(&self) -> usize {
        usize::try_from(self.ms(self.bytes)).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_MS)
    }

    fn ms(&self, bytes: usize) -> u64 {
        (bytes as u64 * 1_000).checked_div(self.bytes_per_second as u64).unwrap_or(0)
    }

    /// The bytes of that much audio: whole samples of all channels.
    fn bytes(&self, ms: u64) -> usize {
        let bytes = ms.saturating_mul(self.bytes_per_second as u64) / 1_000;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

/// Bytes in a second of audio, by its header if it has one. 0 if that is not known.
fn bytes_per_second(declared: AudioFormat, mut audio: &[u8]) -> usize {
    let (format, channels) = match WavReader::new().read(&mut audio) {
        Ok(Some(WavEvent::Header(header))) => (header.format, header.channels),
        Ok(Some(WavEvent::Headerless(_) | WavEvent::Data(_)) | None) | Err(_) => (declared, 1),
    };
    let rate = match (format.encoding, format.sample_rate) {
        (Encoding::Mulaw | Encoding::Alaw, 0) => SAMPLE_RATE,
        (Encoding::Mulaw | Encoding::Alaw | Encoding::Linear16, rate) => rate,
    };
    usize::from(format.encoding.bytes_per_sample()) * usize::from(channels) * rate as usize
}
