//! Tapes: the inputs and outputs of one call, as JSON Lines.
//!
//! The first line is the header, every other one an input or an output:
//!
//! ```text
//! {"tape":1,"edition":"cx","config":{…}}
//! {"at_ms":0,"from":"twilio","message":{"event":"connected","protocol":"Call","version":"1.0.0"}}
//! {"at_ms":812,"from":"agent","turn":1,"message":{"event":"answer","part":"final","text":"Hello"}}
//! {"at_ms":20412,"from":"timer","message":{"timer":"mark timeout"}}
//! {"at_ms":21000,"from":"runner","message":{"updated":"accepted"}}
//! {"at_ms":812,"to":"twilio","message":{"event":"mark","streamSid":"MZ…","mark":{"name":"e0m1"}}}
//! ```
//!
//! Instead of `message`, a line from `twilio` may have `text` (a text frame that is not JSON), `"binary":true` (a
//! binary frame) or `"closed":true` (the WebSocket closed). For outgoing audio, a tape has only the length and a
//! checksum.
//!
//! A tape holds the caller's voice and words. Digits are masked unless that is turned off. The caller's audio is masked
//! on request ([`Mask`]). The call then replays as it went, but nobody can hear or read what the caller said and typed.

mod conversation;
mod known_keys;
mod mask;
mod retake;
mod write;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::AgentEvent;
use crate::call::{Input, UpdateResult};
use crate::config::CallConfig;
use crate::ids::{FetchId, StreamId, ToolsId};
use crate::time::CallTime;

pub use conversation::{Conversation, RecordedStep, StepInput};
pub use mask::Mask;
pub use retake::retake;
pub use write::TapeWriter;

/// The version of the format that this crate writes and reads.
pub const TAPE_VERSION: u32 = 1;

/// The latest time of a tape, in milliseconds: Twilio ends a call after 24 hours. A tape can name any time, and what
/// is before it is silence, which takes memory.
const MAX_MS: u64 = 24 * 3_600_000;

/// A parsed tape.
#[derive(Debug, Clone, PartialEq)]
pub struct Tape {
    /// The first line.
    pub header: Header,
    /// The inputs, in order.
    pub inputs: Vec<(CallTime, TapeInput)>,
    /// The outputs of the recorded call, one line each, as text. Empty if only inputs were recorded.
    pub outputs: Vec<String>,
    /// How many inputs stand before each output.
    pub(crate) inputs_before: Vec<usize>,
}

/// The first line of a tape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`TAPE_VERSION`].
    pub tape: u32,
    /// `es`, `cx` or `ces`.
    pub edition: String,
    /// The configuration of the call.
    #[serde(default)]
    pub config: CallConfig,
    /// Where the marks that Twilio returns come from.
    #[serde(default, skip_serializing_if = "Marks::are_recorded")]
    pub marks: Marks,
    /// The parts that are masked on this tape.
    #[serde(default, skip_serializing_if = "Mask::is_none")]
    pub mask: Mask,
    /// Where the tape comes from, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The steps of the caller of a conversation file, if the tape is its recorded run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Conversation>,
}

/// Where the marks of a tape come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Marks {
    /// They are on the tape.
    #[default]
    Recorded,
    /// The replay plays Twilio's part and returns each mark when its audio would have been played. For tapes written by
    /// hand.
    Simulated,
}

impl Marks {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn are_recorded(&self) -> bool {
        matches!(self, Self::Recorded)
    }
}

/// An input of a tape.
#[derive(Debug, Clone, PartialEq)]
pub enum TapeInput {
    /// A text frame from Twilio.
    Twilio(String),
    /// A binary frame from Twilio.
    TwilioBinary,
    /// The WebSocket closed.
    TwilioClosed,
    /// Twilio does not read what we send.
    NotReading,
    /// Another media stream has the call.
    TakenOver,
    /// Whether there is room for the call.
    Admitted(bool),
    /// As [`Input::AudioRoom`].
    AudioRoom(u64),
    /// The caller sent a text.
    Text(String),
    /// That stream of the agent sent an event.
    Agent(StreamId, AgentEvent),
    /// The REST update was answered.
    Updated(UpdateResult),
    /// Audio was fetched, or could not be.
    Fetched(FetchId, Result<Vec<u8>, String>),
    /// Tools were run.
    ToolsRun(ToolsId, Vec<Result<Map<String, Value>, String>>),
    /// The call should migrate to another media stream.
    Migrate,
    /// A deadline passed.
    Timeout,
}

impl TapeInput {
    /// The input for [`Call::handle_input`](crate::Call::handle_input).
    #[must_use]
    pub fn as_input(&self) -> Input<'_> {
        match self {
            Self::Twilio(text) => Input::Twilio(text),
            Self::TwilioBinary => Input::TwilioBinary,
            Self::TwilioClosed => Input::TwilioClosed,
            Self::NotReading => Input::NotReading,
            Self::TakenOver => Input::TakenOver,
            Self::Admitted(has_room) => Input::Admitted(*has_room),
            Self::AudioRoom(ms) => Input::AudioRoom(*ms),
            Self::Text(text) => Input::Text(text),
            Self::Agent(stream, event) => Input::Agent(*stream, event.clone()),
            Self::Updated(result) => Input::Updated(*result),
            Self::Fetched(id, audio) => Input::Fetched(*id, audio.as_deref().map_err(String::as_str)),
            Self::ToolsRun(id, results) => Input::ToolsRun(*id, results.clone()),
            Self::Migrate => Input::Migrate,
            Self::Timeout => Input::Timeout,
        }
    }
}

/// Why a text is not a tape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapeError {
    /// The line, from 1.
    pub line: usize,
    /// The fault, as a sentence.
    pub what: String,
}

impl fmt::Display for TapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the tape: {}", self.line, self.what)
    }
}

impl std::error::Error for TapeError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TapeLine {
    at_ms: u64,
    from: Option<String>,
    to: Option<String>,
    /// The stream. Tapes of version 1 call it a turn.
    turn: Option<u32>,
    message: Option<Value>,
    text: Option<String>,
    #[serde(default)]
    binary: bool,
    #[serde(default)]
    closed: bool,
}

impl Tape {
    /// Parses a tape.
    ///
    /// # Errors
    /// [`TapeError`] with the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, TapeError> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (at, first) = lines.next().ok_or_else(|| wrong(0, "there is none: the tape is empty"))?;
        let header = Header::parse(first).map_err(|what| wrong(at, what))?;
        if header.tape != TAPE_VERSION {
            return Err(wrong(at, format!("version {} is not known; this program reads {TAPE_VERSION}", header.tape)));
        }
        let mut tape = Self { header, inputs: Vec::new(), outputs: Vec::new(), inputs_before: Vec::new() };
        for (at, line) in lines {
            tape.read_line(line).map_err(|what| wrong(at, what))?;
        }
        Ok(tape)
    }

    fn read_line(&mut self, text: &str) -> Result<(), String> {
        let line: TapeLine = serde_json::from_str(text).map_err(|error| known_keys::told(&error))?;
        if line.to.is_some() {
            self.outputs.push(text.to_owned());
            self.inputs_before.push(self.inputs.len());
            return Ok(());
        }
        let at = CallTime::from_ms(line.at_ms);
        if self.inputs.last().is_some_and(|(before, _)| *before > at) {
            return Err("at_ms is smaller than in the line before".to_owned());
        }
        if line.at_ms > MAX_MS {
            return Err("at_ms is more than 24 hours".to_owned());
        }
        self.inputs.push((at, line.into_input(self.header.marks)?));
        Ok(())
    }
}

impl Header {
    /// Reads the first line of a tape.
    fn parse(line: &str) -> Result<Self, String> {
        serde_json::from_str(line).map_err(|error| format!("no header: {}", known_keys::told(&error)))
    }
}

impl TapeLine {
    /// Tapes that people write have simulated marks: nothing in their messages may be unknown.
    fn into_input(self, marks: Marks) -> Result<TapeInput, String> {
        let from = self.from.as_deref().ok_or("there is neither \"from\" nor \"to\"")?;
        match (from, self.message, self.text) {
            ("twilio", Some(message), None) => Ok(TapeInput::Twilio(message.to_string())),
            ("twilio", None, Some(text)) => Ok(TapeInput::Twilio(text)),
            ("twilio", None, None) if self.binary => Ok(TapeInput::TwilioBinary),
            ("twilio", None, None) if self.closed => Ok(TapeInput::TwilioClosed),
            ("agent", Some(message), None) => {
                let stream = self.turn.ok_or("a message of the agent's needs its \"turn\"")?;
                let event = AgentEvent::deserialize(&message).map_err(|error| known_keys::told(&error))?;
                if marks == Marks::Simulated {
                    known_keys::check(&message, &event)?;
                }
                Ok(TapeInput::Agent(StreamId(stream), event))
            }
            ("runner", Some(message), None) => from_runner(message),
            ("timer", _, _) => Ok(TapeInput::Timeout),
            ("twilio" | "agent" | "runner", _, _) => Err("its \"message\" is missing".to_owned()),
            (other, _, _) => Err(format!("\"from\" is \"{other}\"; it can be twilio, agent, runner or timer")),
        }
    }
}

/// An input from the runner.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum RunnerMessage {
    Admitted(bool),
    AudioRoom(u64),
    Updated(UpdateResult),
    Fetched {
        id: FetchId,
        audio: Option<String>,
        fault: Option<String>,
    },
    ToolsRun {
        id: ToolsId,
        results: Vec<ToolRun>,
    },
    Text(String),
    #[serde(rename = "renew")]
    Migrate {},
    NotReading {},
    TakenOver {},
}

/// The outcome of one tool.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum ToolRun {
    Result(Map<String, Value>),
    Fault(String),
}

fn from_runner(message: Value) -> Result<TapeInput, String> {
    match serde_json::from_value(message).map_err(|error| error.to_string())? {
        RunnerMessage::Admitted(has_room) => Ok(TapeInput::Admitted(has_room)),
        RunnerMessage::AudioRoom(ms) => Ok(TapeInput::AudioRoom(ms)),
        RunnerMessage::Updated(result) => Ok(TapeInput::Updated(result)),
        RunnerMessage::Text(text) => Ok(TapeInput::Text(text)),
        RunnerMessage::Migrate {} => Ok(TapeInput::Migrate),
        RunnerMessage::NotReading {} => Ok(TapeInput::NotReading),
        RunnerMessage::TakenOver {} => Ok(TapeInput::TakenOver),
        RunnerMessage::ToolsRun { id, results } => {
            let results = results.into_iter().map(|run| match run {
                ToolRun::Result(result) => Ok(result),
                ToolRun::Fault(why) => Err(why),
            });
            Ok(TapeInput::ToolsRun(id, results.collect()))
        }
        RunnerMessage::Fetched { id, audio: Some(audio), fault: None } => {
            let audio = STANDARD.decode(audio).map_err(|error| error.to_string())?;
            Ok(TapeInput::Fetched(id, Ok(audio)))
        }
        RunnerMessage::Fetched { id, audio: None, fault: Some(fault) } => Ok(TapeInput::Fetched(id, Err(fault))),
        RunnerMessage::Fetched { .. } => Err("\"fetched\" needs its audio or its fault".to_owned()),
    }
}

fn wrong(at: usize, what: impl Into<String>) -> TapeError {
    TapeError { line: at + 1, what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Transcript;

    #[test]
    fn every_input_reads_back_as_it_was_written() {
        let event = AgentEvent::Transcript(Transcript { text: "yes".to_owned(), ..Transcript::default() });
        let inputs = [
            Input::Twilio(r#"{"event":"connected"}"#),
            Input::Twilio("no json"),
            Input::TwilioBinary,
            Input::Text("yes"),
            Input::Agent(StreamId(7), event),
            Input::Agent(StreamId(7), AgentEvent::Ended),
            Input::Updated(UpdateResult::CallGone),
            Input::Fetched(FetchId(1), Ok(&[1, 2, 3])),
            Input::Fetched(FetchId(2), Err("404")),
            Input::ToolsRun(ToolsId(1), vec![Ok(Map::from_iter([("n".to_owned(), 7.into())])), Err("no".to_owned())]),
            Input::Migrate,
            Input::Timeout,
            Input::TwilioClosed,
            Input::NotReading,
            Input::TakenOver,
            Input::Admitted(true),
            Input::AudioRoom(30_000),
        ];
        let mut writer = TapeWriter::new(Mask::default());
        let mut text = writer.header("cx", &CallConfig::default());
        for (n, input) in (0..).zip(&inputs) {
            text.push('\n');
            text.push_str(&writer.input(CallTime::from_ms(n), input, Some("retry"), None));
        }
        let tape = Tape::parse(&text).unwrap();
        assert_eq!(tape.header.config, CallConfig::default());
        let read: Vec<_> = tape.inputs.iter().map(|(_, input)| input.as_input()).collect();
        assert_eq!(read, inputs);
    }

    #[test]
    fn a_tape_that_is_wrong_says_where() {
        let line_of = |text: &str| Tape::parse(text).unwrap_err().to_string();
        let header = r#"{"tape":1,"edition":"cx"}"#;
        assert!(line_of("").starts_with("line 1 of the tape: there is none"));
        assert!(line_of("{}").starts_with("line 1 of the tape: no header"));
        assert!(line_of(r#"{"tape":2,"edition":"cx"}"#).contains("version 2 is not known"));
        let second = |line: &str| line_of(&format!("{header}\n\n{line}"));
        assert!(second(r#"{"at_ms":0,"from":"moon"}"#).starts_with("line 3 of the tape: \"from\" is \"moon\""));
        assert!(second(r#"{"at_ms":0,"from":"twilio"}"#).contains("\"message\" is missing"));
        assert!(second(r#"{"at_ms":0,"from":"agent","message":{"event":"ended"}}"#).contains("needs its \"turn\""));
        assert!(second(r#"{"at_ms":86400001,"from":"timer"}"#).contains("more than 24 hours"));
        assert!(second("{\"at_ms\":5,\"from\":\"timer\"}\n{\"at_ms\":4,\"from\":\"timer\"}").contains("smaller"));
    }
}
