//! What the agent says and does: a TOML file, with WAV files beside it.
//!
//! ```toml
//! end_of_utterance_ms = 600        # silence after which an utterance is over
//! no_speech_ms = 5000              # silence after which the agent asks whether anybody is there; 0: never
//!
//! [start]                          # the answer to the starting event or text
//! event = "WELCOME"                # an event of another name gets no answer
//! say = "Hello."
//! audio = "hello.wav"
//!
//! [[utterance]]                    # the answer to the first utterance, then to the second, and so on
//! say = "Two loaves."
//! audio = "loaves.wav"
//! intent = "order.bread"
//! parameters = { loaves = 2 }
//!
//! [[utterance]]
//! say = "I will put you through."
//! handoff = { queue = "cakes" }    # or end = true, or transfer = "+15550123"
//!
//! [digits.1]                       # the answer to digits
//! say = "You pressed one."
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use dialbridge_core::audio::wav::{WavError, read_wav};
use dialbridge_core::audio::{AudioFormat, Encoding, TranscodeError, to_mulaw};
use serde::Deserialize;

use crate::agent::speech::tone;

/// An agent's script.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// For people.
    pub name: String,
    /// What the agent is served as where it is the embedded one: `cx` or `es`.
    pub edition: Edition,
    /// Silence after which an utterance is over, in milliseconds.
    pub end_of_utterance_ms: u64,
    /// Silence after which the agent ends the turn as no-input, in milliseconds; 0: it waits for ever.
    pub no_speech_ms: u64,
    /// How long the agent thinks about an answer that has no time of its own, in milliseconds.
    pub think_ms: u64,
    /// Whether the stream is closed after the answer, or stays open until the client half-closes it.
    pub closes: Closes,
    /// Whether the answer waits for the half-close.
    pub answers: Answers,
    /// Whether the last final transcript comes before `END_OF_SINGLE_UTTERANCE` or after it.
    pub transcripts: Transcripts,
    /// Where the answer's audio stands (ES).
    pub audio_messages: AudioMessages,
    /// How the agent sends audio: as it was asked for, or in a way of its own, as agents with fixed output settings do.
    pub output: Option<Output>,
    /// The answer to the starting event or text.
    pub start: Start,
    /// The answers to the utterances, in order. After the last one they begin anew.
    pub utterance: Vec<Reply>,
    /// The answers to digits.
    pub digits: BTreeMap<String, Reply>,
    /// The answer to silence.
    pub no_input: Reply,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            name: String::new(),
            edition: Edition::Cx,
            end_of_utterance_ms: 600,
            no_speech_ms: 0,
            think_ms: 0,
            closes: Closes::AfterAnswer,
            answers: Answers::AfterHalfClose,
            transcripts: Transcripts::BeforeEnd,
            audio_messages: AudioMessages::After,
            output: None,
            start: Start::default(),
            utterance: Vec::new(),
            digits: BTreeMap::new(),
            no_input: Reply::default(),
        }
    }
}

/// Which product's agent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edition {
    /// Dialogflow CX.
    Cx,
    /// Dialogflow ES.
    Es,
}

impl Edition {
    /// A resource name for an agent of that edition.
    #[must_use]
    pub fn agent_name(self) -> &'static str {
        match self {
            Self::Cx => "projects/lab/locations/global/agents/lab",
            Self::Es => "projects/lab/agent",
        }
    }
}

/// Where ES puts the answer's audio. Its protos promise messages after the result for v2beta1, and say nothing for v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AudioMessages {
    /// In the message with the result.
    WithResult,
    /// In one message after it.
    After,
    /// In several messages after it.
    Split,
}

/// When the server closes a stream. Both were seen from Google.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closes {
    /// Right after the answer.
    AfterAnswer,
    /// When the client half-closes, however long after the answer that is.
    AfterHalfClose,
}

/// When the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answers {
    /// When the client has half-closed.
    AfterHalfClose,
    /// When the utterance is over.
    AtOnce,
}

/// Where the last final transcript stands. Google's own tables disagree about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transcripts {
    /// Before the end of the utterance.
    BeforeEnd,
    /// After it.
    AfterEnd,
}

/// A coding of its own for the agent's audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// `linear16`, `mulaw` or `alaw`.
    pub encoding: Encoding,
    /// In hertz.
    pub sample_rate: u32,
    /// Whether there is a WAV header before mu-law and A-law too. Before LINEAR16 there always is one.
    #[serde(default)]
    pub wav: bool,
}

/// The answer to the starting event or text.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Start {
    /// The event that is known; empty: any.
    pub event: String,
    /// The answer.
    #[serde(flatten)]
    pub reply: Reply,
}

/// An answer.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// What is said.
    pub say: String,
    /// A WAV file, mono, at 8, 16 or 24 kHz: what is heard.
    pub audio: Option<String>,
    /// A tone instead of a file.
    pub tone: Option<Tone>,
    /// How long the agent thinks about it, in milliseconds.
    pub think_ms: Option<u64>,
    /// Display name of the intent.
    pub intent: String,
    /// Action of the result (ES).
    pub action: String,
    /// Parameters of the result.
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// The agent is done.
    pub end: bool,
    /// The agent asks for a person, with this metadata.
    pub handoff: Option<serde_json::Value>,
    /// The agent asks for the call to be put through to this number.
    pub transfer: Option<String>,
    /// The caller may not interrupt.
    pub protected: bool,
    /// What is said first, while the agent still works: each a partial response.
    pub first: Vec<Reply>,
    /// The audio, loaded: mu-law at 8,000 Hz.
    #[serde(skip)]
    pub(crate) mulaw: Option<Arc<[u8]>>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("say", &self.say).field("audio", &self.audio).finish_non_exhaustive()
    }
}

/// A tone: audio that needs no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tone {
    /// Frequency.
    pub hz: u32,
    /// Length in milliseconds.
    pub ms: u32,
}

/// Why a script cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScriptError {
    /// The file cannot be read.
    Read {
        /// Which file.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// The file is no script.
    Toml {
        /// Which file.
        file: String,
        /// Why.
        error: Box<toml::de::Error>,
    },
    /// A recording is no WAV that can be played.
    Audio {
        /// Which file.
        file: String,
        /// Why.
        error: AudioError,
    },
}

/// Why a recording cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AudioError {
    /// It is no WAV.
    Wav(WavError),
    /// It cannot be converted.
    Transcode(TranscodeError),
}

impl fmt::Display for AudioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wav(error) => error.fmt(f),
            Self::Transcode(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AudioError {}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, error } => write!(f, "{file}: {error}"),
            Self::Toml { file, error } => write!(f, "{file}: {}", error.to_string().trim_end().replace('\n', " ")),
            Self::Audio { file, error } => write!(f, "{file}: {error}"),
        }
    }
}

impl std::error::Error for ScriptError {}

/// The script of the embedded agent and its recordings.
const BAKERY: &str = include_str!("../../agents/bakery/agent.toml");

fn bakery_recording(name: &str) -> Option<&'static [u8]> {
    Some(match name {
        "hello.wav" => include_bytes!("../../agents/bakery/hello.wav"),
        "ordered.wav" => include_bytes!("../../agents/bakery/ordered.wav"),
        "time.wav" => include_bytes!("../../agents/bakery/time.wav"),
        "person.wav" => include_bytes!("../../agents/bakery/person.wav"),
        "again.wav" => include_bytes!("../../agents/bakery/again.wav"),
        "order.wav" => include_bytes!("../../agents/bakery/order.wav"),
        "nine.wav" => include_bytes!("../../agents/bakery/nine.wav"),
        "colleague.wav" => include_bytes!("../../agents/bakery/colleague.wav"),
        _ => return None,
    })
}

/// One of the embedded recordings of the bakery's caller, as mu-law at 8,000 Hz.
///
/// # Errors
/// [`ScriptError`] when there is no recording of that name.
pub fn bakery_caller(name: &str) -> Result<Arc<[u8]>, ScriptError> {
    load(name, &embedded)
}

impl Script {
    /// The embedded agent: a bakery.
    ///
    /// # Errors
    /// [`ScriptError`] when the embedded files are broken, which the tests would show.
    pub fn bakery() -> Result<Self, ScriptError> {
        Self::parse(BAKERY, "agent.toml", &embedded)
    }

    /// Reads a script and the recordings that it names, which stand relative to it.
    ///
    /// # Errors
    /// [`ScriptError`] with the file and the fault.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ScriptError::Read { file: file.clone(), error })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, &file, &|name| std::fs::read(folder.join(name)))
    }

    /// Reads a script from text; its recordings come from `recording`.
    ///
    /// # Errors
    /// [`ScriptError`] with the file and the fault.
    pub fn parse(
        text: &str,
        file: &str,
        recording: &dyn Fn(&str) -> std::io::Result<Vec<u8>>,
    ) -> Result<Self, ScriptError> {
        let toml = |error| ScriptError::Toml { file: file.to_owned(), error: Box::new(error) };
        let mut script: Self = toml::from_str(text).map_err(toml)?;
        for reply in script.replies_mut() {
            reply.load(recording)?;
        }
        Ok(script)
    }

    fn replies_mut(&mut self) -> impl Iterator<Item = &mut Reply> {
        let single = [&mut self.start.reply, &mut self.no_input];
        single.into_iter().chain(&mut self.utterance).chain(self.digits.values_mut())
    }
}

impl Reply {
    fn load(&mut self, recording: &dyn Fn(&str) -> std::io::Result<Vec<u8>>) -> Result<(), ScriptError> {
        for reply in &mut self.first {
            reply.load(recording)?;
        }
        self.mulaw = match (&self.audio, self.tone) {
            (Some(name), _) => Some(load(name, recording)?),
            (None, Some(tone_of)) => Some(tone(tone_of).into()),
            (None, None) => None,
        };
        Ok(())
    }
}

fn load(name: &str, recording: &dyn Fn(&str) -> std::io::Result<Vec<u8>>) -> Result<Arc<[u8]>, ScriptError> {
    let bytes = recording(name).map_err(|error| ScriptError::Read { file: name.to_owned(), error })?;
    mulaw_of(&bytes).map(Into::into).map_err(|error| ScriptError::Audio { file: name.to_owned(), error })
}

fn embedded(name: &str) -> std::io::Result<Vec<u8>> {
    bakery_recording(name).map(<[u8]>::to_vec).ok_or_else(|| std::io::ErrorKind::NotFound.into())
}

/// A WAV file as mu-law at 8,000 Hz.
///
/// # Errors
/// [`AudioError`] when it is no WAV, or one that cannot be converted.
pub fn mulaw_of(wav: &[u8]) -> Result<Vec<u8>, AudioError> {
    read_wav(wav).map_err(AudioError::Wav)?;
    to_mulaw(AudioFormat::TELEPHONE, wav).map_err(AudioError::Transcode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_agent_is_whole() {
        let script = Script::bakery().unwrap();
        assert_eq!(script.utterance.len(), 3);
        assert!(script.utterance.iter().all(|reply| reply.mulaw.is_some()));
        assert!(script.utterance[2].handoff.is_some());
        for name in ["order.wav", "nine.wav", "colleague.wav"] {
            assert!(bakery_caller(name).unwrap().len() > 8_000);
        }
    }

    #[test]
    fn a_wrong_script_says_where() {
        let none = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let error = |text| Script::parse(text, "a.toml", &none).unwrap_err().to_string();
        assert!(error("think = 3").contains("a.toml") && error("think = 3").contains("think"));
        assert!(error("[start]\naudio = \"x.wav\"").starts_with("x.wav: "));
        let lie = |_: &str| Ok(b"RIFF....WAVEfmt ".to_vec());
        assert!(
            Script::parse("[start]\naudio = \"x.wav\"", "a.toml", &lie).unwrap_err().to_string().contains("x.wav: ")
        );
    }
}
