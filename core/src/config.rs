//! What a call is told before it begins. All of it is plain data, so that a tape can carry it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::agent::{DigitsForm, base64_bytes};
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
    #[serde(rename = "greeting")]
    pub starting_input: StartingInput,
    /// When a caller who speaks while the agent speaks stops it.
    pub barge_in: BargeIn,
    /// Whether the agent's recogniser can be told of a prompt that still plays (CX and ES v2beta1 `barge_in_config`). Where
    /// it cannot, what is said into a prompt that may not be interrupted goes to it as silence.
    pub knows_prompts: bool,
    /// How keys are collected.
    #[serde(rename = "keys")]
    pub dtmf: DtmfConfig,
    /// What happens when the caller says nothing.
    pub no_input: NoInput,
    /// Where calls end that would not end by themselves.
    #[serde(rename = "bounds")]
    pub limits: CallLimits,
    /// Recordings of our own.
    pub fillers: Fillers,
    /// Whether tools that an agent with one stream for the whole call asks for can be run; else each is refused.
    pub has_tools: bool,
    /// Where the call goes when the agent is done.
    pub handoff: HandoffConfig,
    /// Session parameters that the agent gets in its first turn, beside those of the call itself.
    pub parameters: Map<String, Value>,
    /// Whether the agent has a stream for each turn, or one for the whole call.
    pub shape: StreamShape,
    /// The most audio the agent takes in one stream, in milliseconds: CX 120,000, ES 60,000; 0: there is no such limit.
    pub audio_limit_ms: u64,
    /// How long before that limit a new stream takes over, in milliseconds.
    pub rotation_margin_ms: u64,
    /// After so many milliseconds the call goes over to another media socket, for the platform cuts a socket after an
    /// hour; 0: never.
    #[serde(rename = "renewAfterMs")]
    pub migrate_after_ms: u64,
    /// How long the call waits for others.
    #[serde(rename = "patience")]
    pub timeouts: Timeouts,
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
            starting_input: StartingInput::default(),
            barge_in: BargeIn::default(),
            knows_prompts: true,
            dtmf: DtmfConfig::default(),
            no_input: NoInput::default(),
            limits: CallLimits::default(),
            fillers: Fillers::default(),
            has_tools: false,
            migrate_after_ms: 0,
            handoff: HandoffConfig::default(),
            parameters: Map::new(),
            shape: StreamShape::PerTurn,
            audio_limit_ms: 120_000,
            rotation_margin_ms: 10_000,
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            seed: 0,
        }
    }
}

/// How an agent is streamed to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StreamShape {
    /// A stream is a turn: it is half-closed at the end of the utterance, and ends with the answer (ES, CX).
    #[default]
    PerTurn,
    /// A stream is a call: audio goes on while the agent answers, other input goes in between, and the agent says when its
    /// voice is to stop (CES).
    #[serde(rename = "perCall")]
    PerSession,
}

/// The first turn: an event, or a text as if the caller had said it. With both, the text goes to an agent that does not
/// answer the event; with neither, the call listens first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct StartingInput {
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
    /// So many words at least. By voice there are no words to be counted.
    #[serde(rename = "leastWords")]
    pub min_words: u32,
    /// So many milliseconds of speech at least.
    #[serde(rename = "leastMs")]
    pub min_ms: u64,
    /// Transcripts of a lower confidence do not count, in percent; one that has none does.
    #[serde(rename = "leastConfidence")]
    pub min_confidence: u8,
    /// The name of a session parameter that tells the agent what was heard of a prompt that was cut; `None`: it is not
    /// told.
    pub heard_parameter: Option<String>,
}

impl Default for BargeIn {
    fn default() -> Self {
        Self { mode: BargeInMode::Speech, min_words: 1, min_ms: 0, min_confidence: 0, heard_parameter: None }
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
    /// The level of the caller's voice: some hundred milliseconds sooner, and a cough interrupts too.
    Voice,
}

/// How the keys of the telephone are collected. What the agent says about it goes before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DtmfConfig {
    /// The key that ends them; `None`: none does.
    #[serde(rename = "finish")]
    pub finish_digit: Option<char>,
    /// So many of them are all; 0: no number of them.
    #[serde(rename = "most")]
    pub max_digits: u32,
    /// After so many milliseconds without another one they are all.
    #[serde(rename = "gapMs")]
    pub interdigit_ms: u64,
    /// Where the agent expects keys: after so many milliseconds without the first one it is no input; 0: as without keys.
    #[serde(rename = "firstMs")]
    pub first_digit_ms: u64,
    /// In what form the agent takes them.
    pub form: DigitsForm,
}

impl Default for DtmfConfig {
    fn default() -> Self {
        Self { finish_digit: Some('#'), max_digits: 0, interdigit_ms: 3_000, first_digit_ms: 0, form: DigitsForm::Dtmf }
    }
}

/// What happens when the caller says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NoInput {
    /// The event that an agent gets which has no handler of its own; `None`: the agent's own no-input handling serves.
    pub event: Option<String>,
    /// After a prompt was heard and so many milliseconds of silence it gets that event.
    pub after_ms: u64,
}

/// Where calls end that would not end by themselves; 0: there is no such bound.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CallLimits {
    /// Milliseconds of a call.
    pub call_ms: u64,
    /// Milliseconds in which nobody says anything.
    pub silence_ms: u64,
    /// Turns that failed, in the whole call.
    pub failed_turns: u32,
    /// Turns in a row in which the caller said nothing.
    #[serde(rename = "silentTurns")]
    pub no_input_turns: u32,
    /// What is said to a call that one of these ends, before it goes where ended calls go.
    pub goodbye: Option<String>,
}

/// Recordings of our own, for moments in which the agent says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Fillers {
    /// Played while the agent thinks, once in a turn; the answer cuts it.
    pub thinking: Option<Clip>,
    /// When it begins, in milliseconds from the end of the input.
    pub thinking_after_ms: u64,
    /// Played when a turn has failed and is tried again, once until the agent says something.
    pub retrying: Option<Clip>,
}

/// A recording: mu-law, 8,000 Hz, mono. Clones share it.
#[derive(Clone, PartialEq, Eq)]
pub struct Clip(pub Arc<[u8]>);

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clip({} ms)", self.0.len() / crate::audio::BYTES_PER_MS)
    }
}

impl Serialize for Clip {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        base64_bytes::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Clip {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        base64_bytes::deserialize(deserializer).map(|audio| Self(audio.into()))
    }
}

/// How long the call waits, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Timeouts {
    /// For Twilio's `start`, from the beginning.
    pub start_ms: u64,
    /// For the next message of Twilio's, which sends the caller's silence too: then the socket is dead.
    pub frames_ms: u64,
    /// For the agent's answer, from the end of the utterance.
    pub answer_ms: u64,
    /// For anything at all from a stream that has the caller's clear speech: then another one takes its place; 0: for ever. It
    /// must be longer than an agent waits for speech before it says that there was none (ES: some 10 s). Where the call is one
    /// stream: only from one that has said nothing at all.
    pub stalled_ms: u64,
    /// For the first audio of an answer that came without, on a stream that stays open (ES sends it after the result).
    pub first_audio_ms: u64,
    /// For more audio of an answer, on a stream that stays open.
    pub more_audio_ms: u64,
    /// For audio that has to be fetched.
    pub fetch_ms: u64,
    /// For a gap in the conversation in which the call can be renewed.
    #[serde(rename = "renewalMs")]
    pub migration_ms: u64,
    /// For the answer to the REST update of the call, attempts included.
    pub update_ms: u64,
    /// For Twilio's `stop` after an update that was accepted.
    pub stop_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            start_ms: 10_000,
            frames_ms: 30_000,
            answer_ms: 20_000,
            stalled_ms: 15_000,
            first_audio_ms: 5_000,
            more_audio_ms: 1_000,
            fetch_ms: 5_000,
            migration_ms: 8_000,
            update_ms: 10_000,
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
    /// is shortened by up to half by chance, so that a thousand calls do not come back in the same instant. None is
    /// shorter than 1 ms.
    #[serde(rename = "firstPauseMs")]
    pub first_backoff_ms: u64,
    /// Whether a turn is tried again that failed after the half-close. The agent may then run its webhook twice.
    pub answering_turn: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self { budget_ms: 15_000, first_backoff_ms: 100, answering_turn: true }
    }
}
