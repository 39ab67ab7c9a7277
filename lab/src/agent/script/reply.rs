//! One answer of a script.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::agent::script::{Break, Fault, FaultAt};

/// An answer.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reply {
    /// The transcript of the utterance that this answers, revealed word by word; empty: the transcript names the length
    /// of the speech.
    pub heard: String,
    /// The text of the answer.
    pub say: String,
    /// The audio: a WAV file, mono, at 8, 16 or 24 kHz.
    pub audio: Option<String>,
    /// A tone in place of a file.
    pub tone: Option<Tone>,
    /// How long the agent thinks about it, in milliseconds.
    pub think_ms: Option<u64>,
    /// Display name of the intent.
    pub intent: String,
    /// Display name of the page that the conversation is on then (CX).
    pub page: String,
    /// Display name of its flow (CX).
    pub flow: String,
    /// Action of the result (ES).
    pub action: String,
    /// Parameters of the result.
    pub parameters: Map<String, Value>,
    /// Whether it answers something that was not understood (no-match).
    pub no_match: bool,
    /// Whether the agent ends the call.
    pub end: bool,
    /// The agent asks for a live agent, with this metadata.
    pub handoff: Option<Value>,
    /// The agent asks for a transfer of the call to this number (CX, ES v2beta1).
    pub transfer: Option<String>,
    /// Whether the caller may not interrupt (CX).
    pub protected: bool,
    /// What the agent says first, while it still works: each is a partial response (CX).
    pub first: Vec<Reply>,
    /// For a partial response: whether the next response cuts it.
    pub allow_cancellation: bool,
    /// Whether the last response's audio begins with the audio of the partial responses.
    pub repeats_partials: bool,
    /// Custom payloads; the file has one, or a list.
    #[serde(deserialize_with = "one_or_many")]
    pub payload: Vec<Map<String, Value>>,
    /// Address of a recording for the client to play (CX `play_audio`, ES v2beta1 `telephony_play_audio`).
    pub play: Option<String>,
    /// Segments of mixed audio (CX).
    pub mixed: Vec<Segment>,
    /// Words for the client to synthesise (ES v2beta1 `telephony_synthesize_speech`); with `<speak>` around them they
    /// are SSML.
    pub speech: String,
    /// A tool for the client to run (CX, CES).
    pub tool_call: Option<ToolCall>,
    /// More tools for the client to run at the same time (CES).
    pub more_tool_calls: Vec<ToolCall>,
    /// How the client collects digits (CX `advanced_settings.dtmf_settings`).
    pub dtmf: Option<DtmfRules>,
    /// Whether the conversation is a success (CX).
    pub success: bool,
    /// The error of a failed webhook.
    pub webhook_fault: String,
    /// The fault of the stream, in place of an answer.
    pub fault: Option<Fault>,
    /// After how many milliseconds of speech the stream fails while it listens.
    pub fault_after_ms: Option<u64>,
    /// Where the stream fails otherwise (CX, ES).
    pub fault_at: FaultAt,
    /// How many attempts of a session fail before the answer is given. Without it every attempt fails at `[start]`;
    /// after a failed utterance the next attempt gets the next answer.
    pub fault_times: Option<u32>,
    /// How long nobody can connect after the fault `DOWN`, in milliseconds.
    pub down_ms: Option<u64>,
    /// How the stream breaks in the middle of the answer, or while it listens if `fault_after_ms` is set (CES).
    pub breaks: Option<Break>,
    /// Whether the stream is told to go away after this answer (CES).
    pub go_away: bool,
    /// Ends the session after this answer, with this metadata (CES).
    pub end_session: Option<Map<String, Value>>,
    /// The audio, loaded: mu-law at 8,000 Hz.
    #[serde(skip)]
    pub(crate) mulaw: Option<Arc<[u8]>>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("say", &self.say).field("audio", &self.audio).finish_non_exhaustive()
    }
}

impl Reply {
    /// How long its audio is, in milliseconds.
    pub(crate) fn audio_ms(&self) -> u64 {
        self.mulaw.as_ref().map_or(0, |mulaw| mulaw.len() as u64 / 8)
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

/// A part of mixed audio: a recording, a tone, or else an address.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Segment {
    /// A WAV file.
    pub audio: Option<String>,
    /// A tone.
    pub tone: Option<Tone>,
    /// An address for the client to fetch.
    pub uri: String,
    /// Whether the caller may not interrupt.
    pub protected: bool,
    /// The audio, loaded: mu-law at 8,000 Hz.
    #[serde(skip)]
    pub(crate) mulaw: Option<Arc<[u8]>>,
}

/// A tool for the client to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolCall {
    /// Its resource name.
    pub tool: String,
    /// Its action (CX), or its display name (CES).
    pub action: String,
    /// Its arguments.
    pub args: Map<String, Value>,
}

impl ToolCall {
    /// Whether it is the same tool and action; a result does not repeat the arguments.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (&self.tool, &self.action) == (&other.tool, &other.action)
    }
}

/// How the client collects digits; 0 or empty leaves the value to the client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DtmfRules {
    /// The digit that ends them.
    pub finish_digit: String,
    /// The most digits of an input.
    pub max_digits: i32,
    /// The longest pause between two digits, in milliseconds.
    pub interdigit_ms: u64,
    /// The pause after which digits are complete, in milliseconds (CX).
    pub endpointing_ms: u64,
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Map<String, Value>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(Map<String, Value>),
        Many(Vec<Map<String, Value>>),
    }
    Ok(match Given::deserialize(deserializer)? {
        Given::One(payload) => vec![payload],
        Given::Many(payloads) => payloads,
    })
}
