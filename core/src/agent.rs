//! The agent's side of a call, in terms that fit ES, CX and CES.
//!
//! ES and CX have one stream for each turn: [`AgentCommand::Open`], audio, [`AgentCommand::HalfClose`], the answer,
//! [`AgentEvent::Ended`]. CES has one stream for the whole call. It stays open, and other input goes in between the
//! audio ([`AgentCommand::Send`]). Each answer ends with [`AnswerPart::Final`]. Only CES sends
//! [`AgentEvent::Interrupted`] and [`AgentEvent::GoAway`]. This module holds no wire type: the runner converts.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::audio::{AudioFormat, level};

/// A command for the stream of the [`StreamId`](crate::StreamId) that comes with it.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentCommand {
    /// Open the stream. Always the first command of a stream.
    Open(Box<TurnStart>),
    /// The caller's audio: mu-law, 8,000 Hz, mono, at most [`MAX_AUDIO_BYTES`].
    Audio(Vec<u8>),
    /// Send other input between the audio of a stream that lasts for the whole call (CES). Never [`TurnInput::Audio`].
    Send(TurnInput),
    /// Send session parameters that have changed to a stream that lasts for the whole call (CES).
    Parameters(Map<String, Value>),
    /// Whether the caller is in the middle of what he says, by the level of his voice (CES). Comes when that changes; a
    /// stream begins with `false`. While he is, late audio must not be replaced by silence: the agent would take it for
    /// the end of the utterance.
    CallerSpeaks(bool),
    /// Half-close the stream: we send nothing more and wait for the answer.
    HalfClose,
    /// Reset the stream: we do not use anything it would still send.
    Cancel,
    /// The answer is complete. The stream may end when it likes; we do not use what it still sends.
    Done,
}

/// The most audio in one [`AgentCommand::Audio`], in bytes: two seconds. Cloud Speech takes at most 25 kB in a message.
pub const MAX_AUDIO_BYTES: usize = 16_000;

/// How a turn begins.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnStart {
    /// What the agent gets. A stream that lasts for the whole call begins with this input, and audio follows.
    pub input: TurnInput,
    /// Session parameters to send with it: in the first turn of a call all that we know of it, later those that
    /// changed.
    pub parameters: Map<String, Value>,
    /// All that is known of the call, for an agent that keeps no session parameters (ES).
    pub known_parameters: Map<String, Value>,
    /// What the agent's webhook gets in every turn: `telephony.caller_id`, as Google's own telephony gateway sends it.
    pub payload: Map<String, Value>,
    /// The prompt that still plays while this turn listens, if there is one.
    pub barge_in: Option<BargeInWindow>,
    /// Whether the agent's recogniser ends the utterance, and says when the caller is silent for too long
    /// (`single_utterance`). For audio alone.
    pub agent_ends: bool,
}

/// What the agent gets in a turn. Except for audio, this is the turn's whole input.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnInput {
    /// The caller's audio, in [`AgentCommand::Audio`]s that follow.
    Audio,
    /// An event's name.
    Event(String),
    /// A text as if the caller had said it.
    Text(String),
    /// DTMF digits, in the form in which the agent takes them.
    Digits(Digits, DigitsForm),
    /// Results of tools that the agent asked its client to run. An agent with one stream for each turn gets one at a
    /// time.
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

/// DTMF digits: `0` to `9`, `*`, `#`, `A` to `D`. They may be a card number or a PIN, so `Debug` prints them as `…`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Digits {
    /// The digits without the finish digit.
    pub digits: String,
    /// The finish digit, if one ended the input.
    pub finish_digit: Option<char>,
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digits(…)")
    }
}

/// The name of the event parameter that holds the digits.
pub const DIGITS_PARAMETER: &str = "digits";

/// The form in which an agent takes digits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DigitsForm {
    /// As DTMF input (CX `query_input.dtmf`, ES `v2beta1` `query_input.dtmf`).
    #[default]
    Dtmf,
    /// As a text (ES).
    Text,
    /// As an event of that name, with the digits in the parameter [`DIGITS_PARAMETER`].
    Event(String),
}

/// A tool that the agent wants its client to run (CX `ResponseMessage.tool_call`, CES `SessionOutput.tool_calls`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ToolCall {
    /// The agent's id for this call of the tool (CES).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Resource name of the tool, or of its toolset if it belongs to one.
    pub tool: String,
    /// The tool's action (CX), or its name in the toolset (CES).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// The tool's display name (CES).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// The tool's arguments. Personal.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub arguments: Map<String, Value>,
}

/// A tool call and its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult {
    /// The call.
    pub call: ToolCall,
    /// Its outcome.
    pub outcome: ToolOutcome,
}

/// How a tool call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolOutcome {
    /// This client runs no tools.
    Refused,
    /// The tool could not be run, or it failed. The text is a sentence for the agent.
    Failed(String),
    /// Its result.
    Done(Map<String, Value>),
}

/// How long the agent's prompt still plays after this turn begins to listen. In milliseconds of this turn's audio (CX
/// `BargeInConfig`: both durations count from the start of the stream's input).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BargeInWindow {
    /// `no_barge_in_duration`: for this long, nothing that the caller says counts as speech.
    pub protected_ms: u64,
    /// `total_duration`: for this long, silence is not no-input. Never less than `protected_ms`.
    pub total_ms: u64,
}

/// What the stream to the agent sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum AgentEvent {
    /// What the agent has understood so far.
    Transcript(Transcript),
    /// The caller has stopped speaking. The agent takes no more audio in this turn (`END_OF_SINGLE_UTTERANCE`). If no
    /// transcript came before it, the caller said nothing for too long.
    #[serde(rename_all = "camelCase")]
    EndOfUtterance {
        /// Where the recognised speech ends, in milliseconds of this stream's audio. Google says it of transcripts only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end_ms: Option<u64>,
    },
    /// An answer, or a part of one.
    Answer(Box<Answer>),
    /// Stop the prompt: the caller interrupts, or a newer answer replaces the old one (CES).
    #[serde(rename_all = "camelCase")]
    Interrupted {
        /// Whether the caller interrupted.
        barge_in: bool,
    },
    /// The server will soon cut the stream. A new one should carry on (CES).
    GoAway,
    /// The server has closed the stream without an error.
    Ended,
    /// The stream broke, or the server refused it.
    Failed(AgentFault),
}

impl AgentEvent {
    /// Whether this is the last event of its stream.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Ended | Self::Failed(_))
    }
}

/// A recognition result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Transcript {
    /// What the caller has said so far. A later result of the same utterance replaces it.
    pub text: String,
    /// Whether the transcript is final.
    pub is_final: bool,
    /// From 0 to 1. `None` if the recogniser gave none, which is 0 on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// Where the first word begins, in milliseconds of this stream's audio. `None` without word times.
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
    /// Whether more of the answer follows.
    pub part: AnswerPart,
    /// What the agent understood the caller to say (`query_text`, `transcript`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query_text: String,
    /// What the agent says, as text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Whether the caller may not barge in on the text, if we must synthesise it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_protected: bool,
    /// What the agent says, as audio, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<Prompt>,
    /// Why audio that came cannot be played: the name of its coding, e.g. MP3, or a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unplayable: Option<String>,
    /// The intent that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// `parameters` of the result: those of the session (CX) or of the intent (ES).
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// `action` of the result (ES).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// How the input matched.
    pub matched: Matched,
    /// The agent is done with the call. We do not listen after this answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<AgentEnd>,
    /// Custom payloads, in order. The `dialbridge` part of each is for this service ([`payload`](crate::payload)).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<Value>,
    /// How the agent wants DTMF digits collected from now on (CX `advanced_settings.dtmf_settings`).
    #[serde(rename = "keys", skip_serializing_if = "Option::is_none")]
    pub dtmf_rules: Option<DtmfRules>,
    /// How the agent wants the caller's speech ended from now on (CX `advanced_settings.speech_settings`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech_rules: Option<SpeechRules>,
    /// Tools that the agent wants run before it goes on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The agent says that the conversation is a success (CX `conversation_success`). It does not end the call.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub succeeded: bool,
    /// Why the transfer that the agent asks for is none. Another end takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_transfer: Option<String>,
    /// Places that are no custom payload and have a `dialbridge` part in them. We do not act on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub misplaced: Vec<String>,
    /// The statuses of webhooks that failed in this turn. The agent answered all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhook_faults: Vec<String>,
}

/// How an agent wants DTMF digits collected. The settings decide what it leaves open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DtmfRules {
    /// The finish digit.
    #[serde(rename = "finish", skip_serializing_if = "Option::is_none")]
    pub finish_digit: Option<char>,
    /// The number of digits that completes the input.
    #[serde(rename = "most", skip_serializing_if = "Option::is_none")]
    pub max_digits: Option<u32>,
    /// The longest pause between two of them, in milliseconds.
    #[serde(rename = "gapMs", skip_serializing_if = "Option::is_none")]
    pub interdigit_ms: Option<u64>,
}

/// When an agent wants the caller's speech to end. The settings decide what it leaves open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpeechRules {
    /// The silence that ends an utterance, in milliseconds (`use_timeout_based_endpointing`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<u64>,
    /// The silence after which the caller has said nothing, in milliseconds (`no_speech_timeout`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_speech_ms: Option<u64>,
}

impl Answer {
    /// Whether the answer holds audio and nothing else. ES sends such an answer after the query result.
    #[must_use]
    pub fn is_audio_only(&self) -> bool {
        !self.prompts.is_empty()
            && self.text.is_empty()
            && self.query_text.is_empty()
            && self.intent.is_none()
            && self.end.is_none()
    }

    /// Whether it is a part with nothing but audio in which nobody speaks.
    #[must_use]
    pub fn is_quiet_audio(&self) -> bool {
        let is_quiet = |prompt: &Prompt| prompt.uri.is_none() && level::is_quiet(prompt.format, &prompt.audio);
        let has_more = !self.payloads.is_empty() || !self.tool_calls.is_empty() || !self.parameters.is_empty();
        self.part == AnswerPart::Open && self.is_audio_only() && !has_more && self.prompts.iter().all(is_quiet)
    }

    /// Whether the caller would notice nothing of it. An agent answers so to an event that it does not know.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
            && self.prompts.is_empty()
            && self.end.is_none()
            && self.unplayable.is_none()
            && self.payloads.is_empty()
            && self.tool_calls.is_empty()
    }
}

/// Which part of an answer has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AnswerPart {
    /// More may follow until the stream ends (ES: audio may follow the query result).
    #[default]
    Open,
    /// A first part while the agent still works (CX partial response). A final one follows.
    Partial,
    /// The last part (CX `FINAL`, CES `turn_completed`).
    Final,
}

/// Audio that the agent wants played.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// The coding that the stream announces. A WAV header inside the audio takes precedence.
    pub format: AudioFormat,
    /// The bytes as they came, with or without a WAV header. Empty if `uri` is set.
    #[serde(with = "base64_bytes", default, skip_serializing_if = "Vec::is_empty")]
    pub audio: Vec<u8>,
    /// The address to fetch the audio from: `https:` or `gs:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Whether the caller may barge in.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub interruptible: bool,
    /// Whether a later response of the same turn cuts it, e.g. music while the agent works (CX
    /// `DetectIntentResponse.allow_cancellation`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancellable: bool,
}

impl Prompt {
    /// A prompt with its audio. The caller may barge in.
    #[must_use]
    pub fn new(format: AudioFormat, audio: Vec<u8>) -> Self {
        Self { format, audio, uri: None, interruptible: true, cancellable: false }
    }

    /// A prompt whose audio has to be fetched. The caller may barge in.
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

/// An intent: its resource name and its display name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Intent {
    /// Resource name, or just its last part.
    pub name: String,
    /// Name in the console.
    pub display_name: String,
}

/// How the input matched (CX `Match.match_type`; ES has only the first two).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Matched {
    /// An intent matched, or the answer does not say.
    #[default]
    Yes,
    /// The agent did not understand.
    NoMatch,
    /// The caller said nothing for too long.
    NoInput,
}

/// How the agent ends its part of the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum AgentEnd {
    /// The agent is done.
    EndInteraction,
    /// The agent asks for a live agent. The metadata is the agent's own.
    LiveAgentHandoff {
        /// Any JSON.
        metadata: Value,
    },
    /// The agent asks for a transfer.
    Transfer(Transfer),
    /// The agent asks to queue the call, e.g. for Twilio Flex.
    Enqueue(Enqueue),
    /// The agent pauses: the call does something else and may come back to the same session.
    Pause {
        /// Any JSON.
        parameters: Value,
    },
}

impl AgentEnd {
    /// Whether it says only that the agent is done.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::EndInteraction)
    }
}

/// The target of a transfer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Transfer {
    /// A number or an address, as the agent writes it ([`DialTarget`](crate::dial_target::DialTarget)).
    pub to: String,
    /// The digits to press when the number has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// The caller ID to show. `None`: the one in the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<String>,
    /// How long to ring, in seconds. `None`: as the settings say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
}

impl Transfer {
    /// A transfer to that number or address, otherwise as the settings say.
    #[must_use]
    pub fn to(to: impl Into<String>) -> Self {
        Self { to: to.into(), ..Self::default() }
    }
}

/// The queue for a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Enqueue {
    /// The TaskRouter workflow (`WW…`) that gets the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_sid: Option<String>,
    /// The name of a queue, if there is no workflow.
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
    /// The server's message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Whether a retry may succeed.
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
    fn an_end_of_utterance_without_its_place_is_read() {
        let read = |json| serde_json::from_str::<AgentEvent>(json).unwrap();
        assert_eq!(read(r#"{"event":"endOfUtterance"}"#), AgentEvent::EndOfUtterance { end_ms: None });
        assert_eq!(read(r#"{"event":"endOfUtterance","endMs":7}"#), AgentEvent::EndOfUtterance { end_ms: Some(7) });
    }

    #[test]
    fn a_stream_is_over_when_it_has_ended_or_failed() {
        let fault = AgentFault { code: "UNAVAILABLE".to_owned(), message: String::new(), transient: true };
        assert!(AgentEvent::Failed(fault).is_last() && AgentEvent::Ended.is_last());
        for more in
            [AgentEvent::GoAway, AgentEvent::EndOfUtterance { end_ms: None }, AgentEvent::Answer(Box::default())]
        {
            assert!(!more.is_last(), "{more:?}");
        }
    }
}
