//! WAV: reads it as it comes or whole, and writes it.
//!
//! RIFF/WAVE as in Microsoft's and IBM's "Multimedia Programming Interface and Data Specifications 1.0" (1991), with
//! the extensible format of `WAVEFORMATEXTENSIBLE`. Supports 16-bit PCM, A-law and mu-law. Tolerates what telephony
//! software writes: sizes that were never filled in, chunks of any kind and order, files cut short.

mod format;
mod write;

use std::error::Error;
use std::fmt;

use super::AudioFormat;
use format::{ChannelFormat, MAX_FORMAT_BYTES, MIN_FORMAT_BYTES, u32_at};

pub use write::{wav_header, write_wav};

/// The most bytes before the audio. Tags and cover notes take less. Only a stream without end has more.
pub const MAX_HEADER_BYTES: u32 = 64 * 1024;

/// `RIFF`, a size, `WAVE`.
const FORM_BYTES: usize = 12;

/// A chunk's name and its size.
const CHUNK_HEADER_BYTES: usize = 8;

/// Writers that do not know the size yet put 0 or a value from here on: 0xFFFFFFFF by most, 0x7FFFF000 by `sox`, and
/// some between. Nobody sends 2 GiB of speech.
const SIZE_UNKNOWN: u32 = 0x7FFF_F000;

/// Reads a WAV that comes in chunks of any size, or finds that it is not a WAV.
///
/// Bytes go in, events come out. The audio comes out as slices of the input. The reader holds at most 40 bytes, and
/// refuses a header of more than [`MAX_HEADER_BYTES`].
///
/// - A stream that does not begin with `RIFF....WAVE` is [`Headerless`](WavEvent::Headerless): all of it is audio.
/// - A `data` chunk whose size is 0, or 0x7FFFF000 and more, reaches to the end of the stream. The size that the RIFF
///   header states is not used.
/// - After the `data` chunk comes no audio, unless a second WAV follows the first. It gives a
///   [`Header`](WavEvent::Header) and data again.
/// - After an error, every call returns it.
///
/// ```
/// use dialbridge_core::audio::wav::{WavEvent, WavReader, write_wav};
/// use dialbridge_core::audio::AudioFormat;
///
/// let file = write_wav(1, AudioFormat::TELEPHONE, &[0xFF; 160]);
/// let (mut reader, mut audio) = (WavReader::new(), Vec::new());
/// for mut chunk in file.chunks(50) {
///     while let Some(event) = reader.read(&mut chunk)? {
///         match event {
///             WavEvent::Headerless(held) => audio.extend_from_slice(held.as_slice()),
///             WavEvent::Header(header) => assert_eq!(header.format, AudioFormat::TELEPHONE),
///             WavEvent::Data(data) => audio.extend_from_slice(data),
///         }
///     }
/// }
/// assert_eq!(audio, [0xFF; 160]);
/// # Ok::<(), dialbridge_core::audio::wav::WavError>(())
/// ```
#[derive(Clone, Debug)]
pub struct WavReader {
    state: State,
    gathered: Gathered,
    /// The content of the `fmt ` chunk, once it has come.
    format: Option<ChannelFormat>,
    /// Bytes from the beginning of the WAV to the end of the current chunk.
    header_bytes: u64,
    /// Whether the `data` chunk of this WAV has begun.
    has_data: bool,
}

/// What the next bytes are.
///
/// ```text
/// Form --RIFF....WAVE--> Chunk --fmt--> Format --> Chunk,  Chunk --data--> Data --> Chunk,  Chunk --other--> Skip --> Chunk
/// Form --anything else--> Headerless;  Chunk --RIFF after the data--> Form;  Form --no second WAV--> Ended
/// any --error--> Failed
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    /// The RIFF header.
    Form,
    /// The header of a chunk.
    Chunk,
    /// The body of a `fmt ` chunk.
    Format {
        size: u32,
    },
    /// Bytes to ignore: a chunk's body or the rest of it, with its pad byte.
    Skip {
        left: u64,
    },
    /// Audio. `left` is `None` if it goes on to the end of the stream. Also says whether a pad byte follows.
    Data {
        left: Option<u32>,
        padded: bool,
    },
    /// Audio without a header.
    Headerless,
    /// Bytes after a WAV that are neither a chunk nor a WAV.
    Ended,
    Failed(WavError),
}

/// What a [`WavReader`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WavEvent<'a> {
    /// This is not a WAV: these bytes and all later ones are audio without a header.
    Headerless(Held),
    /// The header is complete and audio follows.
    Header(WavHeader),
    /// Bytes of audio, at least one.
    Data(&'a [u8]),
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WavEnd {
    /// It was not a WAV. These last bytes are audio too; they were too few to tell before.
    Headerless(Held),
    /// It was a WAV.
    Wav {
        /// Whether there was less audio than the header says.
        truncated: bool,
    },
}

/// The content of a WAV's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WavHeader {
    /// Encoding and sample rate.
    pub format: AudioFormat,
    /// Number of channels, at least 1. Their samples are interleaved.
    pub channels: u16,
    /// Bytes of audio. `None` if the writer left the size open.
    pub data_bytes: Option<u32>,
}

impl WavReader {
    /// Makes a reader at the beginning of a stream.
    pub const fn new() -> Self {
        Self { state: State::Form, gathered: Gathered::NOTHING, format: None, header_bytes: 0, has_data: false }
    }

    /// Takes bytes from the front of `input` up to the next event. `None` if it has taken all of them.
    ///
    /// # Errors
    ///
    /// [`WavError`] for a WAV that is not supported or contradicts itself.
    pub fn read<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<WavEvent<'a>>, WavError> {
        if let State::Failed(error) = self.state {
            return Err(error);
        }
        while !input.is_empty() {
            match self.step(input) {
                Ok(None) => {}
                Ok(event) => return Ok(event),
                Err(error) => {
                    self.state = State::Failed(error);
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Returns how the stream ended, after all of it was read.
    ///
    /// # Errors
    ///
    /// [`WavError::Truncated`] if it ended before its audio began, or the error that [`read`](Self::read) returned.
    pub fn finish(&self) -> Result<WavEnd, WavError> {
        match self.state {
            State::Form if !self.has_data => Ok(WavEnd::Headerless(self.gathered.held())),
            State::Headerless => Ok(WavEnd::Headerless(Gathered::NOTHING.held())),
            State::Data { left, .. } => Ok(WavEnd::Wav { truncated: left.is_some() }),
            State::Chunk | State::Format { .. } | State::Skip { .. } if !self.has_data => Err(WavError::Truncated),
            State::Form | State::Chunk | State::Format { .. } | State::Skip { .. } | State::Ended => {
                Ok(WavEnd::Wav { truncated: false })
            }
            State::Failed(error) => Err(error),
        }
    }

    /// Takes at least one byte, or changes the state.
    fn step<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<WavEvent<'a>>, WavError> {
        match self.state {
            State::Form => self.read_form(input),
            State::Chunk => self.read_chunk_header(input),
            State::Format { size } => self.read_format(size, input),
            State::Skip { left } => {
                self.state = State::skip(left - take_front(input, left).len() as u64);
                Ok(None)
            }
            State::Data { left: None, .. } | State::Headerless => Ok(Some(WavEvent::Data(std::mem::take(input)))),
            State::Data { left: Some(left), padded } => Ok(Some(self.read_data(left, padded, input))),
            State::Ended => {
                *input = &[];
                Ok(None)
            }
            State::Failed(error) => Err(error),
        }
    }

    fn read_form<'a>(&mut self, input: &mut &[u8]) -> Result<Option<WavEvent<'a>>, WavError> {
        let complete = self.gathered.fill(FORM_BYTES, input);
        if !may_be_form(self.gathered.as_slice()) {
            let held = self.gathered.held();
            self.state = if self.has_data { State::Ended } else { State::Headerless };
            return Ok((!self.has_data).then_some(WavEvent::Headerless(held)));
        }
        if complete {
            match &self.gathered.as_slice()[..4] {
                b"RIFX" => return Err(WavError::UnsupportedContainer("RIFX")),
                b"RF64" => return Err(WavError::UnsupportedContainer("RF64")),
                _ => *self = Self { state: State::Chunk, header_bytes: FORM_BYTES as u64, ..Self::new() },
            }
        }
        Ok(None)
    }

    fn read_chunk_header<'a>(&mut self, input: &mut &[u8]) -> Result<Option<WavEvent<'a>>, WavError> {
        if !self.gathered.fill(CHUNK_HEADER_BYTES, input) {
            return Ok(None);
        }
        let (id, size) = (&self.gathered.as_slice()[..4], u32_at(self.gathered.as_slice(), 4));
        if self.has_data && id == b"RIFF" {
            // A second WAV, where a chunk would begin. Its first eight bytes stay in the buffer.
            self.state = State::Form;
            return Ok(None);
        }
        let next = match id {
            b"data" if !self.has_data => return self.begin_data(size).map(Some),
            b"fmt " if !self.has_data && size < MIN_FORMAT_BYTES => {
                return Err(WavError::Malformed { what: "size of the fmt chunk", found: size });
            }
            b"fmt " if !self.has_data => State::Format { size },
            _ => State::skip(padded(size)),
        };
        self.header_bytes += CHUNK_HEADER_BYTES as u64 + padded(size);
        if !self.has_data && self.header_bytes > u64::from(MAX_HEADER_BYTES) {
            return Err(WavError::HeaderTooLong);
        }
        self.enter(next);
        Ok(None)
    }

    fn begin_data<'a>(&mut self, size: u32) -> Result<WavEvent<'a>, WavError> {
        let ChannelFormat { format, channels } = self.format.ok_or(WavError::DataBeforeFormat)?;
        let data_bytes = (1..SIZE_UNKNOWN).contains(&size).then_some(size);
        self.has_data = true;
        self.enter(State::Data { left: data_bytes, padded: size % 2 == 1 });
        Ok(WavEvent::Header(WavHeader { format, channels, data_bytes }))
    }

    fn read_format<'a>(&mut self, size: u32, input: &mut &[u8]) -> Result<Option<WavEvent<'a>>, WavError> {
        let known = size.min(MAX_FORMAT_BYTES);
        if self.gathered.fill(known as usize, input) {
            self.format = Some(ChannelFormat::parse(self.gathered.as_slice())?);
            self.enter(State::skip(padded(size) - u64::from(known)));
        }
        Ok(None)
    }

    fn read_data<'a>(&mut self, left: u32, padded: bool, input: &mut &'a [u8]) -> WavEvent<'a> {
        let data = take_front(input, u64::from(left));
        let left = left - u32::try_from(data.len()).expect("`left` bounds what was taken");
        self.state = match left {
            0 => State::skip(u64::from(padded)),
            _ => State::Data { left: Some(left), padded },
        };
        WavEvent::Data(data)
    }

    fn enter(&mut self, state: State) {
        self.gathered = Gathered::NOTHING;
        self.state = state;
    }
}

impl Default for WavReader {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn skip(left: u64) -> State {
        if left == 0 { State::Chunk } else { State::Skip { left } }
    }
}

/// The first bytes of a stream that has no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    bytes: [u8; FORM_BYTES],
    len: usize,
}

impl Held {
    /// The bytes, at most 12.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The bytes of a header that may come in pieces.
#[derive(Clone, Copy, Debug)]
struct Gathered {
    bytes: [u8; MAX_FORMAT_BYTES as usize],
    len: usize,
}

impl Gathered {
    const NOTHING: Self = Self { bytes: [0; MAX_FORMAT_BYTES as usize], len: 0 };

    /// Takes bytes from the front of `input` until there are `wanted` bytes. Returns whether there are.
    fn fill(&mut self, wanted: usize, input: &mut &[u8]) -> bool {
        let taken = take_front(input, (wanted - self.len) as u64);
        self.bytes[self.len..][..taken.len()].copy_from_slice(taken);
        self.len += taken.len();
        self.len == wanted
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn held(&self) -> Held {
        let mut held = Held { bytes: [0; FORM_BYTES], len: self.len.min(FORM_BYTES) };
        held.bytes[..held.len].copy_from_slice(&self.bytes[..held.len]);
        held
    }
}

/// Whether these bytes begin with a WAV header.
#[must_use]
pub fn is_wav(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|form: &[u8; FORM_BYTES]| may_be_form(form))
}

/// Whether these first bytes of a stream, at most 12, can be a WAV's RIFF header. Includes its larger and big-endian
/// variants, which are then refused by name.
fn may_be_form(bytes: &[u8]) -> bool {
    let (container, form) = (&bytes[..bytes.len().min(4)], bytes.get(8..).unwrap_or_default());
    [b"RIFF", b"RIFX", b"RF64"].iter().any(|name| name.starts_with(container)) && b"WAVE".starts_with(form)
}

/// The bytes that a chunk's body takes. Chunks begin at even offsets.
fn padded(size: u32) -> u64 {
    u64::from(size) + u64::from(size % 2)
}

fn take_front<'a>(input: &mut &'a [u8], max_bytes: u64) -> &'a [u8] {
    let count = usize::try_from(max_bytes).map_or(input.len(), |max_bytes| max_bytes.min(input.len()));
    let (front, rest) = input.split_at(count);
    *input = rest;
    front
}

/// A whole WAV. Its audio is a slice of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wav<'a> {
    /// Encoding and sample rate.
    pub format: AudioFormat,
    /// Number of channels, at least 1. Their samples are interleaved.
    pub channels: u16,
    /// The audio. It may end within a sample if the file does.
    pub data: &'a [u8],
    /// Whether there was less audio than the header says.
    pub truncated: bool,
}

/// Reads a whole WAV, like [`WavReader`]. Ignores what follows its audio.
///
/// # Errors
///
/// [`WavError`] for bytes that are not a WAV, and for a WAV that is not supported, contradicts itself or ends before
/// its audio.
pub fn read_wav(bytes: &[u8]) -> Result<Wav<'_>, WavError> {
    let (mut reader, mut rest, mut wav) = (WavReader::new(), bytes, None);
    while let Some(event) = reader.read(&mut rest)? {
        match event {
            WavEvent::Headerless(_) => return Err(WavError::NotWav),
            WavEvent::Header(WavHeader { format, channels, data_bytes }) => {
                wav = Some(Wav { format, channels, data: &[], truncated: data_bytes.is_some() });
            }
            WavEvent::Data(data) => {
                let truncated = reader.finish()? == WavEnd::Wav { truncated: true };
                return wav.map(|wav| Wav { data, truncated, ..wav }).ok_or(WavError::Truncated);
            }
        }
    }
    match reader.finish()? {
        WavEnd::Headerless(_) => Err(WavError::NotWav),
        WavEnd::Wav { .. } => wav.ok_or(WavError::Truncated),
    }
}

/// Why a WAV cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WavError {
    /// The bytes do not begin like a WAV.
    NotWav,
    /// A valid WAV of a kind that we do not support: big-endian `RIFX`, or `RF64` with its 64-bit sizes.
    UnsupportedContainer(&'static str),
    /// A valid WAV of a kind that we do not support.
    Unsupported {
        /// What is not supported, such as "format tag".
        what: &'static str,
        /// Its value in the file.
        found: u32,
    },
    /// The WAV contradicts itself or the specification.
    Malformed {
        /// What is wrong, such as "block align".
        what: &'static str,
        /// Its value in the file.
        found: u32,
    },
    /// The `data` chunk comes before the `fmt ` chunk, or there is no `fmt ` chunk.
    DataBeforeFormat,
    /// More than [`MAX_HEADER_BYTES`] come before the audio.
    HeaderTooLong,
    /// The WAV ends before its audio begins.
    Truncated,
}

impl fmt::Display for WavError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WavError::NotWav => write!(f, "not a WAV: it does not begin with RIFF and WAVE"),
            WavError::UnsupportedContainer(name) => write!(f, "unsupported WAV: its container is {name}"),
            WavError::Unsupported { what, found } => write!(f, "unsupported WAV: its {what} is {found}"),
            WavError::Malformed { what, found } => write!(f, "malformed WAV: its {what} is {found}"),
            WavError::DataBeforeFormat => write!(f, "malformed WAV: its data chunk has no fmt chunk before it"),
            WavError::HeaderTooLong => {
                write!(f, "unsupported WAV: more than {MAX_HEADER_BYTES} bytes come before its audio")
            }
            WavError::Truncated => write!(f, "truncated WAV: it ends before its audio begins"),
        }
    }
}

impl Error for WavError {}

#[cfg(test)]
mod tests;
