//! What a call is told before it begins. All of it is plain data, so that a tape can carry it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::handoff::HandoffConfig;
use crate::ids::CallSid;

/// Everything that steers one call. `CallConfig::default()` is a call to a CX agent that listens first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CallConfig {
    /// The call that the socket was opened for; a `start` of another call ends the socket. `None` takes every call.
    pub call_sid: Option<CallSid>,
    /// Resource name of the Dialogflow session, told in the hand-off where `session` is among its fields.
    pub session: String,
    /// What the agent gets before the caller has said anything. A resumed call has none.
    pub greeting: Greeting,
    /// When a caller who speaks while the agent speaks stops it.
    pub barge_in: BargeIn,
    /// Where the call goes when the agent is done.
    pub handoff: HandoffConfig,
    /// Session parameters that the agent gets in its first turn, beside those of the call itself.
    pub parameters: Map<String, Value>,
    /// The most audio the agent takes in one stream, in milliseconds: CX 120,000, ES 60,000.
    pub audio_limit_ms: u64,
    /// How long before that limit a new stream takes over, in milliseconds.
    pub rotation_margin_ms: u64,
    /// How long the call waits for others.
    pub patience: Patience,
    /// What happens when the agent fails.
    pub retry: Retry,
    /// Where the pauses between attempts take their chance from.
    pub seed: u64,
}

impl Default for CallConfig {
    fn default() -> Self {
        Self {
            call_sid: None,
            session: String::new(),
            greeting: Greeting::default(),
            barge_in: BargeIn::default(),
            handoff: HandoffConfig::default(),
            parameters: Map::new(),
            audio_limit_ms: 120_000,
            rotation_margin_ms: 10_000,
            patience: Patience::default(),
            retry: Retry::default(),
            seed: 0,
        }
    }
}

/// The first turn: an event, or a text as if the caller had said it. With both, the text goes to an agent that does not
/// answer the event; with neither, the call listens first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Greeting {
    /// `DIALOGFLOW_STARTING_EVENT_NAME`.
    pub event: Option<String>,
    /// `DIALOGFLOW_STARTING_TEXT`.
    pub text: Option<String>,
}

/// The rule for barge-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BargeIn {
    /// What counts as an interruption.
    pub mode: BargeInMode,
    /// So many words at least.
    pub least_words: u32,
    /// So many milliseconds of speech at least.
    pub least_ms: u64,
}

impl Default for BargeIn {
    fn default() -> Self {
        Self { mode: BargeInMode::Speech, least_words: 1, least_ms: 0 }
    }
}

/// What counts as an interruption.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BargeInMode {
    /// Nothing: every prompt is played to its end, and what is said meanwhile is the next turn.
    Off,
    /// A transcript.
    #[default]
    Speech,
}

/// How long the call waits, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Patience {
    /// For Twilio's `start`, from the beginning.
    pub start_ms: u64,
    /// For the agent's answer, from the end of the utterance.
    pub answer_ms: u64,
    /// For the first audio of an answer that came without, on a stream that stays open (ES sends it after the result).
    pub first_audio_ms: u64,
    /// For more audio of an answer, on a stream that stays open.
    pub more_audio_ms: u64,
    /// For the answer to the REST update of the call, attempts included.
    pub update_ms: u64,
    /// For Twilio's `stop` after an update that was accepted.
    pub stop_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            start_ms: 10_000,
            answer_ms: 30_000,
            first_audio_ms: 5_000,
            more_audio_ms: 1_000,
            update_ms: 30_000,
            stop_ms: 5_000,
        }
    }
}

/// What happens when a stream to the agent fails in a way that may pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Retry {
    /// For so long, in milliseconds from the first failure, new streams are tried; then the fallback.
    pub budget_ms: u64,
    /// The first pause before another attempt, in milliseconds; each further one is twice as long, 2 s at most, and each
    /// is shortened by up to half by chance, so that a thousand calls do not come back in the same instant.
    pub first_pause_ms: u64,
    /// Whether a turn is tried again that failed after the half-close. The agent may then run its webhook twice.
    pub answering_turn: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self { budget_ms: 15_000, first_pause_ms: 100, answering_turn: true }
    }
}
