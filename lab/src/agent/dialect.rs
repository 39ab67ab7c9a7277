//! The messages of each edition, apart from the course of a turn: each edition has its dialect.

use bytes::Bytes;
use dialbridge_core::audio::{AudioFormat, Encoding};
use serde_json::{Map, Value};
use tonic::Status;

use crate::agent::conversation::CallerInput;
use crate::agent::requested_config::RequestedConfig;
use crate::agent::script::{Output, Reply, Script};

/// The longest id of a session (ES and CX) or of a user (ES), in characters.
const ID_CHARS: usize = 36;

/// The longest text, in characters.
const TEXT_CHARS: usize = 256;

/// The messages of one edition.
pub(super) trait Dialect: Clone + Send + Sync + 'static {
    /// Full name of the gRPC service.
    const SERVICE: &'static str;
    /// Whether a result has all parameters of the session, or only those of the answer.
    const COLLECTS_PARAMETERS: bool;
    /// The most audio in one stream, in milliseconds, and the error beyond it.
    const AUDIO_LIMIT: (u64, &'static str);
    /// What the client sends.
    type Request: prost::Message + Default + 'static;
    /// What the server sends.
    type Response: prost::Message + Default + 'static;

    /// Reads the first message.
    fn open(first: Self::Request) -> Result<Opened, Status>;
    /// Reads a later message.
    fn later(later: Self::Request) -> Result<Later, Status>;
    /// A recognition result.
    fn transcript(heard: Recognised) -> Self::Response;
    /// The end of the utterance. `end_ms`: the end of its speech, in milliseconds of the stream.
    fn end_of_utterance(end_ms: Option<u64>) -> Self::Response;
    /// An answer, or a part of one, in as many messages as the edition needs.
    fn answer(answer: &Answered<'_>) -> Vec<Self::Response>;
}

/// A turn as its first message opens it.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    /// The session's whole name: another agent's session with the same id is a different one.
    pub(super) name: String,
    /// The session's id, the last part of its name.
    pub(super) session: String,
    pub(super) language: String,
    pub(super) input: Opening,
    /// The requested coding; `None`: no audio.
    pub(super) output: Option<Output>,
    pub(super) partial_responses: bool,
    pub(super) parameters: Map<String, Value>,
    pub(super) payload: Map<String, Value>,
    pub(super) requested: RequestedConfig,
}

/// A message after the first one, in a turn that listens.
#[derive(Debug)]
pub(super) enum Later {
    Audio(Bytes),
    /// The client changed its mind: a text replaces everything that was heard.
    Instead(CallerInput),
}

/// How a turn begins.
#[derive(Debug, Clone)]
pub(super) enum Opening {
    Listen(Listening),
    Input(CallerInput),
}

/// How a turn listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listening {
    pub(super) format: AudioFormat,
    pub(super) single_utterance: bool,
    /// Whether words get times.
    pub(super) word_info: bool,
    /// `no_barge_in_duration` and `total_duration`, in milliseconds.
    pub(super) barge_in: Option<(u64, u64)>,
}

/// A recognition result.
#[derive(Debug, Clone)]
pub(super) struct Recognised {
    pub(super) text: String,
    pub(super) is_final: bool,
    /// 0: none is given.
    pub(super) confidence: f32,
    /// The end of the speech so far, in milliseconds of the stream.
    pub(super) end_ms: Option<u64>,
    /// The words with their beginning and end, in milliseconds of the stream; empty: without times.
    pub(super) words: Vec<(String, u64, u64)>,
}

/// An answer to write.
pub(super) struct Answered<'a> {
    pub(super) opened: &'a Opened,
    pub(super) said: &'a CallerInput,
    pub(super) reply: &'a Reply,
    /// Whether the script has an answer to this input.
    pub(super) is_matched: bool,
    /// Unique among all responses of this agent.
    pub(super) response_id: String,
    pub(super) parameters: &'a Map<String, Value>,
    /// The reply's audio in its coding, and that coding.
    pub(super) audio: Option<(Bytes, Output)>,
    /// The audio of the reply's segments of mixed audio, coded.
    pub(super) segments: Vec<Option<Bytes>>,
    pub(super) script: &'a Script,
    pub(super) is_partial: bool,
}

pub(super) fn invalid(text: impl Into<String>) -> Status {
    Status::invalid_argument(text)
}

/// Checks the id of a session or, in ES, of a user.
pub(super) fn checked_id(id: &str) -> Result<String, Status> {
    if id.is_empty() || id.chars().count() > ID_CHARS {
        return Err(invalid(format!("the id of a session or a user has 1 to {ID_CHARS} characters")));
    }
    Ok(id.to_owned())
}

/// Checks a text.
pub(super) fn checked_text(text: &str) -> Result<CallerInput, Status> {
    if text.is_empty() {
        return Err(invalid("the text is empty"));
    }
    if text.chars().count() > TEXT_CHARS {
        return Err(invalid(format!("a text has at most {TEXT_CHARS} characters")));
    }
    Ok(CallerInput::Text(text.to_owned()))
}

/// Checks an event's name.
pub(super) fn checked_event(name: &str, parameters: &Map<String, Value>) -> Result<CallerInput, Status> {
    if name.is_empty() {
        return Err(invalid("the event has no name"));
    }
    let digits = parameters.get("digits").and_then(Value::as_str).map(ToOwned::to_owned);
    Ok(CallerInput::Event { name: name.to_owned(), digits })
}

/// A coding that a request names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Coding {
    /// The lab knows it.
    Known(Encoding),
    /// Google knows it, the lab does not.
    Other,
    /// None is named, or it is not a coding.
    Unspecified,
}

impl Coding {
    fn known(self) -> Result<Encoding, Status> {
        match self {
            Self::Known(encoding) => Ok(encoding),
            Self::Other => Err(Status::unimplemented("the lab does not know that audio_encoding")),
            Self::Unspecified => Err(invalid("audio_encoding is required")),
        }
    }
}

/// Checks the coding of the caller's audio.
pub(super) fn checked_format(coding: Coding, sample_rate: i32) -> Result<AudioFormat, Status> {
    let encoding = coding.known()?;
    let sample_rate = u32::try_from(sample_rate).unwrap_or(0);
    if !(8_000..=48_000).contains(&sample_rate) {
        return Err(invalid("sample_rate_hertz must be from 8000 to 48000"));
    }
    Ok(AudioFormat { encoding, sample_rate })
}

/// Checks the requested coding of the agent's audio.
pub(super) fn checked_output(coding: Coding, sample_rate: i32) -> Result<Output, Status> {
    let encoding = coding.known()?;
    let rate = u32::try_from(sample_rate).unwrap_or(0);
    let default = if encoding == Encoding::Linear16 { 24_000 } else { 8_000 };
    Ok(Output { encoding, sample_rate: if rate == 0 { default } else { rate }, wav: false, announced: None })
}
