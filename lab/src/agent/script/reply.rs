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
    /// What the transcripts of the utterance say that this answers, its words coming one after the other; empty: for how
    /// long somebody spoke.
    pub heard: String,
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
    pub parameters: Map<String, Value>,
    /// It answers something that was not understood.
    pub no_match: bool,
    /// The agent is done.
    pub end: bool,
    /// The agent asks for a person, with this metadata.
    pub handoff: Option<Value>,
    /// The agent asks for the call to be put through to this number (CX, ES v2beta1).
    pub transfer: Option<String>,
    /// The caller may not interrupt (CX).
    pub protected: bool,
    /// What is said first, while the agent still works: each a partial response (CX).
    pub first: Vec<Reply>,
    /// Of a partial response: the next response cuts it.
    pub allow_cancellation: bool,
    /// Whether the audio of the last response begins with that of the partial ones.
    pub repeats_partials: bool,
    /// Custom payloads; in the file one, or a list.
    #[serde(deserialize_with = "one_or_many")]
    pub payload: Vec<Map<String, Value>>,
    /// Address of a recording that the client is to play (CX `play_audio`, ES v2beta1 `telephony_play_audio`).
    pub play: Option<String>,
    /// Segments of mixed audio (CX).
    pub mixed: Vec<Segment>,
    /// Words that the client is to have synthesised (ES v2beta1 `telephony_synthesize_speech`); with `<speak>` around them
    /// they are SSML.
    pub speech: String,
    /// A tool that the client is to run (CX, CES).
    pub tool_call: Option<ToolCall>,
    /// Others that it is to run at the same time (CES).
    pub more_tool_calls: Vec<ToolCall>,
    /// How keys are to be collected (CX `advanced_settings.dtmf_settings`).
    pub dtmf: Option<DtmfRules>,
    /// The conversation is a success (CX).
    pub success: bool,
    /// A webhook has failed with these words.
    pub webhook_fault: String,
    /// The stream fails so instead of an answer.
    pub fault: Option<Fault>,
    /// It fails while it listens, when so many milliseconds of speech have come.
    pub fault_after_ms: Option<u64>,
    /// Where it fails otherwise (CX, ES).
    pub fault_at: FaultAt,
    /// It fails so many times in a session, and then the answer is given. Without it every attempt fails at `[start]`, and
    /// of utterances the next attempt gets the next answer.
    pub fault_times: Option<u32>,
    /// For so long nobody can connect after the fault `DOWN`, in milliseconds.
    pub down_ms: Option<u64>,
    /// The stream breaks so in the middle of the answer, or while it listens where `fault_after_ms` says when (CES).
    pub breaks: Option<Break>,
    /// After this answer the stream is told to go away (CES).
    pub go_away: bool,
    /// The session ends after this answer, with this metadata (CES).
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

/// A tone: audio that needs no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tone {
    /// Frequency.
    pub hz: u32,
    /// Length in milliseconds.
    pub ms: u32,
}

/// A part of mixed audio: a recording, a tone, or an address where there is neither.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Segment {
    /// A WAV file.
    pub audio: Option<String>,
    /// A tone.
    pub tone: Option<Tone>,
    /// An address that the client is to fetch.
    pub uri: String,
    /// The caller may not interrupt.
    pub protected: bool,
    /// The audio, loaded: mu-law at 8,000 Hz.
    #[serde(skip)]
    pub(crate) mulaw: Option<Arc<[u8]>>,
}

/// A tool that the client is to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolCall {
    /// Its resource name.
    pub tool: String,
    /// Its action (CX), or the name that people know it by (CES).
    pub action: String,
    /// What it is to work with.
    pub args: Map<String, Value>,
}

impl ToolCall {
    /// Whether that is the same tool and action; a result does not repeat what it worked with.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (&self.tool, &self.action) == (&other.tool, &other.action)
    }
}

/// How keys are to be collected; what is 0 or empty is left to the client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DtmfRules {
    /// The key that ends them.
    pub finish_digit: String,
    /// So many of them are all.
    pub max_digits: i32,
    /// The longest pause between two of them, in milliseconds.
    pub interdigit_ms: u64,
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
