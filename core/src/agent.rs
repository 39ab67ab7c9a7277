//! The agent's side of a call, in terms that fit ES, CX and CES.
//!
//! ES and CX have one stream for each turn: [`AgentCommand::Open`], audio, [`AgentCommand::HalfClose`], the answer,
//! [`AgentEvent::Ended`]. CES has one stream for the whole call. It stays open, and other input goes in between the
//! audio ([`AgentCommand::Send`]). Each answer ends with [`AnswerPart::Final`]. Only CES sends
//! [`AgentEvent::Interrupted`] and [`AgentEvent::GoAway`]. This module holds no wire type: the runner converts.

mod answer;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use answer::{
    AgentEnd, Answer, AnswerPart, DtmfRules, Enqueue, Intent, Matched, Prompt, SpeechRules, ToolCall, Transfer,
};

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
    /// Whether the caller is in the middle of what he says, by our voice detector (CES). Comes when that changes; a
    /// stream begins with `false`. While he is, late audio must not be replaced by silence: the agent would take it for
    /// the end of the utterance.
    CallerSpeaks(bool),
    /// Half-close the stream: we send nothing more and wait for the answer.
    HalfClose,
    /// Reset the stream: we do not use anything it would still send.
    Cancel,
    /// The answer is complete, or the stream is over. It may end when it likes; we do not use what it still sends.
    Done,
}

/// The most audio in one [`AgentCommand::Audio`], in bytes: two seconds. Cloud Speech takes at most 25 kB in a message.
pub const MAX_AUDIO_BYTES: usize = 16_000;

/// The longest text that an agent takes, in characters (ES `TextInput.text`; CX does not document a limit).
pub const MAX_TEXT_CHARS: usize = 256;

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
    /// What a generative agent is told of the caller in every turn (CX `end_user_metadata`).
    pub end_user: Map<String, Value>,
    /// The page at which the session goes on, without its earlier state (CX `current_page`).
    pub page: Option<String>,
    /// What was said in the session so far, for a server that may have lost it (CES `historical_contexts`).
    pub past_turns: Vec<PastTurn>,
    /// The prompt that still plays while this turn listens, if there is one.
    pub barge_in: Option<BargeInWindow>,
    /// Whether the agent's recogniser ends the utterance, and says when the caller is silent for too long
    /// (`single_utterance`). For audio alone.
    pub agent_ends: bool,
}

impl TurnStart {
    /// A turn that begins with this input and brings nothing else.
    #[must_use]
    pub fn new(input: TurnInput) -> Self {
        Self {
            input,
            parameters: Map::new(),
            known_parameters: Map::new(),
            payload: Map::new(),
            end_user: Map::new(),
            page: None,
            past_turns: Vec::new(),
            barge_in: None,
            agent_ends: true,
        }
    }
}

/// What was said in an earlier turn. Personal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PastTurn {
    /// What the agent understood the caller to say. Empty if the agent spoke first.
    pub caller: String,
    /// What the agent answered.
    pub agent: String,
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
