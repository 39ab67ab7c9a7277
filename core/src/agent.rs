//! The agent's side of a call, in words that hold for ES, CX and CES alike.
//!
//! ES and CX have one stream for each turn: [`AgentCommand::Open`], audio, [`AgentCommand::HalfClose`], the answer,
//! [`AgentEvent::Ended`]. CES has one stream for the whole call: it stays open, what else the agent gets goes in between
//! ([`AgentCommand::Send`]), each answer ends with [`AnswerPart::Final`], and [`AgentEvent::Interrupted`] and
//! [`AgentEvent::GoAway`] exist only there. No type of a wire format appears here: the runner converts.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::audio::AudioFormat;

/// What the call asks of the stream to the agent that has the [`TurnId`](crate::TurnId) beside it.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentCommand {
    /// Opens the stream; always the first command of a turn.
    Open(Box<TurnStart>),
    /// The caller's audio: mu-law, 8,000 Hz, mono, at most [`MAX_AUDIO_BYTES`] of it.
    Audio(Vec<u8>),
    /// Other input, between the audio of a stream that lasts for the whole call (CES). Never [`TurnInput::Audio`].
    Send(TurnInput),
    /// Session parameters that have changed, into a stream that lasts for the whole call (CES).
    Parameters(Map<String, Value>),
    /// Half-closes the stream: nothing more will be sent, the answer is awaited.
    HalfClose,
    /// Resets the stream: whatever it would still say is not wanted.
    Cancel,
    /// The answer is complete. The stream may end in its own time; what it still says is not used.
    Done,
}

/// The most audio in one [`AgentCommand::Audio`]: two seconds. Cloud Speech takes at most 25 kB in a message.
pub const MAX_AUDIO_BYTES: usize = 16_000;

/// How a turn begins.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnStart {
    /// What the agent gets. In a stream that lasts for the whole call it is what the agent begins with, and audio follows.
    pub input: TurnInput,
    /// Session parameters that go along: with the first turn of a call all that is known of it, later those that changed.
    pub parameters: Map<String, Value>,
    /// All that is known of the call, for an agent that keeps no session parameters (ES).
    pub known_parameters: Map<String, Value>,
    /// What the agent's webhook gets with every turn: `telephony.caller_id`, as Google's own telephone gateway sends it.
    pub payload: Map<String, Value>,
    /// The playout that this turn listens beside, when there is one.
    pub barge_in: Option<BargeInWindow>,
}

/// What the agent gets in a turn. All but audio is the whole input of its turn.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnInput {
    /// The caller's audio, in [`AgentCommand::Audio`]s that follow.
    Audio,
    /// An event by its name.
    Event(String),
    /// A text as if the caller had said it.
    Text(String),
    /// Keys that the caller pressed, in the form in which the agent takes them.
    Digits(Digits, DigitsForm),
    /// What came of tools that the agent asked its client for. An agent with a stream for each turn gets one at a time.
    ToolResults(Vec<ToolResult>),
}

impl TurnInput {
    /// A word for logs and traces.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Event(_) => "event",
            Self::Text(_) => "text",
            Self::Digits(..) => "digits",
            Self::ToolResults(_) => "tool result",
        }
    }
}

/// Keys that the caller pressed: `0` to `9`, `*`, `#`, `A` to `D`. They may be a card number or a PIN, so they are printed
/// as `…`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Digits {
    /// The keys, without the one that ended them.
    pub digits: String,
    /// The key that ended them, where one did.
    pub finish_digit: Option<char>,
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digits(…)")
    }
}

/// The name under which keys are a parameter of an event.
pub const DIGITS_PARAMETER: &str = "digits";

/// In what form an agent takes keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DigitsForm {
    /// As an input of its own (CX `query_input.dtmf`, ES `v2beta1` `query_input.dtmf`).
    #[default]
    Dtmf,
    /// As a text (ES).
    Text,
    /// As an event of that name, with the keys as its parameter [`DIGITS_PARAMETER`].
    Event(String),
}

/// A tool that the agent wants its client to run (CX `ResponseMessage.tool_call`, CES `SessionOutput.tool_calls`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ToolCall {
    /// What the agent knows this call of the tool by (CES).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Resource name of the tool; of a tool in a toolset, that of the toolset.
    pub tool: String,
    /// The tool's action (CX), or its name in the toolset (CES).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// The name that people gave it (CES).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What the tool is given. Personal.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub arguments: Map<String, Value>,
}

/// What came of a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult {
    /// Of which call.
    pub call: ToolCall,
    /// What came of it.
    pub outcome: ToolOutcome,
}

/// What came of a tool.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolOutcome {
    /// This client runs no tools.
    Refused,
    /// It could not be run, or has failed: a sentence for the agent.
    Failed(String),
    /// Its result.
    Done(Map<String, Value>),
}

/// How long the agent still speaks while it listens already, in milliseconds of this turn's audio
/// (CX `BargeInConfig`: both durations count from the start of the stream's input).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BargeInWindow {
    /// `no_barge_in_duration`: for so long nothing that is said counts as speech.
    pub protected_ms: u64,
    /// `total_duration`: for so long silence is no no-input. Never less than `protected_ms`.
    pub total_ms: u64,
}

/// What the stream to the agent says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum AgentEvent {
    /// What the agent has understood so far.
    Transcript(Transcript),
    /// The caller has stopped speaking and the agent takes no more audio in this turn
    /// (`END_OF_SINGLE_UTTERANCE`). With no transcript before it, nothing was said for too long.
    EndOfUtterance,
    /// An answer, or a part of one.
    Answer(Box<Answer>),
    /// The agent wants its own voice stopped now: the caller interrupts, or a newer answer replaces the old one (CES).
    #[serde(rename_all = "camelCase")]
    Interrupted {
        /// Whether it was the caller.
        barge_in: bool,
    },
    /// The stream will be cut soon; a new one should carry on (CES).
    GoAway,
    /// The server has closed the stream, and all was well.
    Ended,
    /// The stream broke, or was refused.
    Failed(AgentFault),
}

impl AgentEvent {
    /// Whether the stream is over with it: nothing follows.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Ended | Self::Failed(_))
    }
}

/// A recognition result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Transcript {
    /// The words so far. A later result of the same utterance replaces it.
    pub text: String,
    /// Whether the recogniser will not change it any more.
    pub is_final: bool,
    /// From 0 to 1, where the recogniser gave one (0 on the wire means that it did not).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// Where the first word begins, in milliseconds of this stream's audio, where words were timed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    /// Where the recognised speech ends, in milliseconds of this stream's audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<u64>,
}

/// What the agent answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Answer {
    /// Whether more of it is to come.
    pub part: AnswerPart,
    /// What the agent took the caller to have said (`query_text`, `transcript`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query_text: String,
    /// What the agent says, as text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// What the agent says, as audio, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<Prompt>,
    /// The coding of audio that came and cannot be played, e.g. MP3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unplayable: Option<String>,
    /// The intent that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// `parameters` of the result: the session's (CX) or the intent's (ES).
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// `action` of the result (ES).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// What the result says of the match.
    pub matched: Matched,
    /// The agent is done with the call: nothing is listened for after this answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<AgentEnd>,
    /// Custom payloads, in order. What stands under `dialbridge` in one is for this service ([`payload`](crate::payload)).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<Value>,
    /// How the agent wants keys collected from now on (CX `advanced_settings.dtmf_settings`).
    #[serde(rename = "keys", skip_serializing_if = "Option::is_none")]
    pub dtmf_rules: Option<DtmfRules>,
    /// Tools that the agent wants run before it goes on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The agent says that the conversation is a success (CX `conversation_success`). It does not end the call.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub succeeded: bool,
    /// Webhooks that failed in this turn, each by its status. The agent has answered all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhook_faults: Vec<String>,
}

/// How an agent wants keys collected; what it leaves open is for the settings to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DtmfRules {
    /// The key that ends them.
    #[serde(rename = "finish", skip_serializing_if = "Option::is_none")]
    pub finish_digit: Option<char>,
    /// So many of them are all.
    #[serde(rename = "most", skip_serializing_if = "Option::is_none")]
    pub max_digits: Option<u32>,
    /// The longest pause between two of them, in milliseconds.
    #[serde(rename = "gapMs", skip_serializing_if = "Option::is_none")]
    pub interdigit_ms: Option<u64>,
}

impl Answer {
    /// Whether it is audio and nothing else, as ES sends it after the query result.
    #[must_use]
    pub fn is_audio_only(&self) -> bool {
        !self.prompts.is_empty()
            && self.text.is_empty()
            && self.query_text.is_empty()
            && self.intent.is_none()
            && self.end.is_none()
    }

    /// Whether there is nothing in it that a caller would notice. An event that the agent does not know is answered so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
            && self.prompts.is_empty()
            && self.end.is_none()
            && self.payloads.is_empty()
            && self.tool_calls.is_empty()
    }
}

/// Which part of an answer has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AnswerPart {
    /// More may come until the stream ends (ES: audio may follow the query result).
    #[default]
    Open,
    /// A first part while the agent still works (CX partial response); a final one follows.
    Partial,
    /// The last part (CX `FINAL`, CES `turn_completed`).
    Final,
}

/// Audio that the agent wants played.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// What the stream says of its coding; a WAV header inside is believed more.
    pub format: AudioFormat,
    /// The bytes as they came, with or without a WAV header. Empty where `uri` says where they are.
    #[serde(with = "base64_bytes", default, skip_serializing_if = "Vec::is_empty")]
    pub audio: Vec<u8>,
    /// Where the audio is to be fetched from: `https:` or `gs:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Whether the caller may interrupt it.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub interruptible: bool,
    /// Whether a later response of the same turn cuts it, such as music while the agent works
    /// (CX `DetectIntentResponse.allow_cancellation`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancellable: bool,
}

impl Prompt {
    /// Audio that is there and that the caller may interrupt.
    #[must_use]
    pub fn new(format: AudioFormat, audio: Vec<u8>) -> Self {
        Self { format, audio, uri: None, interruptible: true, cancellable: false }
    }

    /// Audio that has to be fetched and that the caller may interrupt.
    #[must_use]
    pub fn at(uri: impl Into<String>) -> Self {
        Self { uri: Some(uri.into()), ..Self::new(AudioFormat::TELEPHONE, Vec::new()) }
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_yes(flag: &bool) -> bool {
    *flag
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt")
            .field("format", &self.format)
            .field("bytes", &self.audio.len())
            .field("uri", &self.uri.is_some())
            .field("interruptible", &self.interruptible)
            .field("cancellable", &self.cancellable)
            .finish()
    }
}

/// An intent: its resource name and the name that people gave it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Intent {
    /// Resource name, or just its last part.
    pub name: String,
    /// Name in the console.
    pub display_name: String,
}

/// What an answer says of the match (CX `Match.match_type`; ES has only the first two).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Matched {
    /// Something matched, or nothing is said about it.
    #[default]
    Yes,
    /// The agent did not understand.
    NoMatch,
    /// Nothing was said for too long.
    NoInput,
}

/// How the agent ends its part in the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum AgentEnd {
    /// The agent is done.
    EndInteraction,
    /// The agent asks for a person; the metadata is the agent's own.
    LiveAgentHandoff {
        /// Free form.
        metadata: Value,
    },
    /// The agent asks for the call to be put through.
    Transfer(Transfer),
    /// The agent asks for the call to be queued, e.g. for Twilio Flex.
    Enqueue(Enqueue),
    /// The agent pauses: the call does something else and may come back to the same session.
    Pause {
        /// Free form.
        parameters: Value,
    },
}

impl AgentEnd {
    /// Whether it only says that the agent is done.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::EndInteraction)
    }
}

/// Where a call is put through to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Transfer {
    /// E.164 number, or a SIP address with `sip:` or `sips:`.
    pub to: String,
    /// The number that is shown; where it is not set, that of the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<String>,
    /// How long the other side is rung, in seconds; where it is not set, that of the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
}

impl Transfer {
    /// To that number or address, all else as the settings say.
    #[must_use]
    pub fn to(to: impl Into<String>) -> Self {
        Self { to: to.into(), ..Self::default() }
    }
}

/// Where a call is queued.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Enqueue {
    /// A TaskRouter workflow (`WW…`), for a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_sid: Option<String>,
    /// A queue by its name, where there is no workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Attributes of the task.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub attributes: Value,
}

/// Why a stream failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentFault {
    /// The gRPC code's name, e.g. `UNAVAILABLE`.
    pub code: String,
    /// What the server said about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Whether another attempt may succeed.
    pub transient: bool,
}

impl fmt::Display for AgentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() { f.write_str(&self.code) } else { write!(f, "{}: {}", self.code, self.message) }
    }
}

/// Bytes as base64 in JSON.
pub(crate) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_over_when_it_has_ended_or_failed() {
        let fault = AgentFault { code: "UNAVAILABLE".to_owned(), message: String::new(), transient: true };
        assert!(AgentEvent::Failed(fault).is_last() && AgentEvent::Ended.is_last());
        for more in [AgentEvent::GoAway, AgentEvent::EndOfUtterance, AgentEvent::Answer(Box::default())] {
            assert!(!more.is_last(), "{more:?}");
        }
    }
}
