//! The configuration of one call. All of it is plain data, so that a tape can hold it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::agent::{DigitsForm, TurnInput};
use crate::base64_bytes;
use crate::call_facts::CallParameter;
use crate::carried::{CarriedOver, Opening, StandIn};
use crate::handoff::HandoffConfig;
use crate::ids::CallSid;
use crate::parameters::NameCase;
use crate::turn_data::TurnData;
use crate::words::OwnWords;

/// Configures one call. `CallConfig::default()` is a call to a CX agent that listens first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CallConfig {
    /// The call that the media stream was opened for. A `start` of another call closes the stream. `None` accepts every
    /// call.
    pub call_sid: Option<CallSid>,
    /// Resource name of the Dialogflow session. The hand-off contains it if `session` is among its fields.
    pub session: String,
    /// What the agent gets before the caller says anything, if it has to greet him.
    #[serde(rename = "greeting")]
    pub starting_input: StartingInput,
    /// When a caller who speaks during a prompt stops it.
    pub barge_in: BargeIn,
    /// Whether the agent's recogniser can be told that a prompt is still playing (CX and ES v2beta1 `barge_in_config`).
    /// If not, what the caller says during a prompt without barge-in is sent to it as silence.
    pub knows_prompts: bool,
    /// How DTMF digits are collected.
    #[serde(rename = "keys")]
    pub dtmf: DtmfConfig,
    /// Who ends an utterance, if the agent takes one in a stream (ES, CX).
    pub end_of_utterance: EndOfUtterance,
    /// What happens when the caller says nothing.
    pub no_input: NoInput,
    /// Limits that end a call.
    #[serde(rename = "bounds")]
    pub limits: CallLimits,
    /// What Twilio says in our own words.
    pub words: OwnWords,
    /// Our own recordings for moments in which the agent is silent.
    pub fillers: Fillers,
    /// Whether the driver can run tools for the agent. If not, every tool call is refused.
    pub has_tools: bool,
    /// Where the call goes when the agent is done.
    pub handoff: HandoffConfig,
    /// Session parameters that the agent gets in its first turn, in addition to those of the call itself.
    pub parameters: Map<String, Value>,
    /// Which facts of the call the agent is told, and under which names.
    pub call_parameters: Vec<CallParameter>,
    /// How the agent compares the names of its session parameters.
    pub parameter_names: NameCase,
    /// What a turn brings to the agent besides them.
    #[serde(skip_serializing_if = "TurnData::is_default")]
    pub turn_data: TurnData,
    /// Whether the agent has one stream for each turn or one for the whole call.
    pub shape: StreamShape,
    /// The most audio that the agent takes in one stream, in milliseconds. CX: 120,000; ES: 60,000; 0: no limit.
    pub audio_limit_ms: u64,
    /// How long before that limit a new stream takes over, in milliseconds.
    pub rotation_margin_ms: u64,
    /// How much of the agent's audio may wait to be heard, in milliseconds. What is longer is cut and reported.
    pub max_answer_ms: u64,
    /// After how many milliseconds the call migrates to another media stream, because the platform cuts a WebSocket
    /// after an hour. 0: never.
    #[serde(rename = "renewAfterMs")]
    pub migrate_after_ms: u64,
    /// How long the call waits for Twilio and for the agent.
    #[serde(rename = "patience")]
    pub timeouts: Timeouts,
    /// What happens when the agent fails.
    pub retry: Retry,
    /// Seed for the random part of the backoff.
    pub seed: u64,
    /// TwiML for a call that there is no room for. The driver is asked ([`Output::Admit`](crate::Output)) when the media
    /// stream starts. `None`: it is not asked, and has room for every call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<String>,
    /// What the call brings along from its earlier media streams.
    #[serde(skip_serializing_if = "CarriedOver::is_nothing")]
    pub carried: CarriedOver,
    /// The same call at the agent that takes over if this one cannot be had: its backup. A backup's own backup is never
    /// used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Box<CallConfig>>,
    /// Set if this agent is the backup of another one. The hand-off tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stands_in: Option<StandIn>,
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
            end_of_utterance: EndOfUtterance::default(),
            no_input: NoInput::default(),
            limits: CallLimits::default(),
            words: OwnWords::default(),
            fillers: Fillers::default(),
            has_tools: false,
            max_answer_ms: 1_800_000,
            migrate_after_ms: 0,
            handoff: HandoffConfig::default(),
            parameters: Map::new(),
            call_parameters: CallParameter::defaults(),
            parameter_names: NameCase::default(),
            turn_data: TurnData::default(),
            shape: StreamShape::PerTurn,
            audio_limit_ms: 120_000,
            rotation_margin_ms: 10_000,
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            seed: 0,
            busy: None,
            carried: CarriedOver::default(),
            backup: None,
            stands_in: None,
        }
    }
}

impl CallConfig {
    /// What the agent gets before the caller says anything in this media stream.
    pub(crate) fn first_input(&self) -> StartingInput {
        match &self.carried.opening {
            Opening::Greet => self.starting_input.clone(),
            Opening::Resume => StartingInput::default(),
            Opening::Event(event) => StartingInput { event: Some(event.clone()), text: None },
        }
    }

    /// How long this media stream may last, in milliseconds. `None` if there is no limit.
    pub(crate) fn call_limit_ms(&self) -> Option<u64> {
        let limit = self.limits.call_ms;
        // A call that is over its limit already ends at once, but ends as any other.
        (limit > 0).then(|| limit.saturating_sub(self.carried.elapsed_ms).max(1))
    }
}

/// How long a stream to the agent lasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StreamShape {
    /// One stream for each turn. We half-close it at the end of the utterance, and it ends with the answer (ES, CX).
    #[default]
    PerTurn,
    /// One stream for the whole call. Audio goes on while the agent answers, other input goes in between, and the agent
    /// says when its prompt must stop (CES).
    #[serde(rename = "perCall")]
    PerSession,
}

/// The input of the first turn: an event, or a text as if the caller had said it. If both are set, the text goes to an
/// agent that does not answer the event. If neither is set, the call listens first.
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
    /// What counts as a barge-in.
    pub mode: BargeInMode,
    /// How many words it takes. Does not apply to `Voice`, which has no words to count.
    #[serde(rename = "leastWords")]
    pub min_words: u32,
    /// How many milliseconds of speech it takes.
    #[serde(rename = "leastMs")]
    pub min_ms: u64,
    /// Transcripts of a lower confidence do not count, in percent. A transcript without a confidence counts.
    #[serde(rename = "leastConfidence")]
    pub min_confidence: u8,
    /// The session parameter that tells the agent how much of a cut prompt the caller heard. `None`: the agent is not
    /// told.
    pub heard_parameter: Option<String>,
    /// Whether the agent's own words that come back are told from the caller's.
    pub echo_guard: bool,
    /// Words and phrases that alone do not interrupt. `None`: those of the call's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<Vec<String>>,
}

impl Default for BargeIn {
    fn default() -> Self {
        Self {
            mode: BargeInMode::Speech,
            min_words: 1,
            min_ms: 0,
            min_confidence: 0,
            heard_parameter: None,
            echo_guard: true,
            ignore: None,
        }
    }
}

/// What counts as a barge-in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BargeInMode {
    /// Keys alone. What the caller says during a prompt is the next turn.
    Off,
    /// A transcript.
    #[default]
    Speech,
    /// The caller's voice: some hundred milliseconds sooner, but a cough counts too.
    Voice,
}

/// How DTMF digits are collected. Rules from the agent override these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DtmfConfig {
    /// The finish digit, which ends the input. `None`: no digit ends it.
    #[serde(rename = "finish")]
    pub finish_digit: Option<char>,
    /// The number of digits that completes the input. 0: any number.
    #[serde(rename = "most")]
    pub max_digits: u32,
    /// The digits are complete after this many milliseconds without another one.
    #[serde(rename = "gapMs")]
    pub interdigit_ms: u64,
    /// If the agent expects digits, no-input follows after this many milliseconds without the first one. 0: the same as
    /// without digits.
    #[serde(rename = "firstMs")]
    pub first_digit_ms: u64,
    /// The form in which the agent gets the digits.
    pub form: DigitsForm,
}

impl Default for DtmfConfig {
    fn default() -> Self {
        Self { finish_digit: Some('#'), max_digits: 0, interdigit_ms: 3_000, first_digit_ms: 0, form: DigitsForm::Dtmf }
    }
}

/// Who ends an utterance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndOfUtterance {
    /// The agent's recogniser. If it does not, a final transcript without another one, or a long silence.
    #[default]
    Agent,
    /// We, as soon as the caller is silent and his words are known. A text that ends no thought gets more time.
    Quick,
    /// We, after this many milliseconds of silence.
    After(u64),
}

impl EndOfUtterance {
    /// The durations that make sense, in milliseconds.
    pub const MS: std::ops::RangeInclusive<u64> = 200..=20_000;

    /// An agent's recogniser may end an utterance after this much silence, in milliseconds.
    const AGENT_WAITS_MS: u64 = 1_000;

    /// Reads `agent`, `quick`, or a duration such as `800ms` and `2.5s`.
    ///
    /// # Errors
    /// What is wrong with the text, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "agent" => return Ok(Self::Agent),
            "quick" => return Ok(Self::Quick),
            _ => {}
        }
        let ms = duration_ms(text.trim()).ok_or("is none of agent, quick, and a duration such as 800ms or 2.5s")?;
        if Self::MS.contains(&ms) { Ok(Self::After(ms)) } else { Err("must be from 200ms to 20s".to_owned()) }
    }

    /// Whether the agent's recogniser may end an utterance too, and notices by itself that the caller says nothing. It
    /// would end one too soon for a longer duration.
    #[must_use]
    pub fn agent_may_end(self) -> bool {
        !matches!(self, Self::After(ms) if ms > Self::AGENT_WAITS_MS)
    }
}

/// Milliseconds of a duration with its unit: `800ms`, `2.5s`. At most three decimals.
fn duration_ms(text: &str) -> Option<u64> {
    let (number, unit_ms) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s')?, 1_000),
    };
    let (whole, decimals) = number.trim_end().split_once('.').unwrap_or((number.trim_end(), ""));
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()) && part.len() <= 6;
    if whole.is_empty() || !is_number(whole) || !is_number(decimals) || decimals.len() > 3 {
        return None;
    }
    let thousandths: u64 = format!("{decimals:0<3}").parse().ok()?;
    Some((whole.parse::<u64>().ok()? * 1_000 + thousandths) * unit_ms / 1_000)
}

/// What happens when the caller says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NoInput {
    /// The event for an agent that does not handle no-input itself. `None`: the agent handles it.
    pub event: Option<String>,
    /// How much silence must follow a prompt before the agent gets that event, in milliseconds.
    pub after_ms: u64,
}

impl NoInput {
    /// Whether this input is the event by which we tell the agent that the caller says nothing.
    pub(crate) fn is_event(&self, input: &TurnInput) -> bool {
        matches!(input, TurnInput::Event(event) if self.event.as_ref() == Some(event))
    }
}

/// Limits that end a call. 0: no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CallLimits {
    /// Length of the call, in milliseconds.
    pub call_ms: u64,
    /// Milliseconds in which neither side speaks.
    pub silence_ms: u64,
    /// Failed turns in the whole call.
    pub failed_turns: u32,
    /// No-input turns in a row.
    #[serde(rename = "silentTurns")]
    pub no_input_turns: u32,
}

/// Our own recordings for moments in which the agent is silent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Fillers {
    /// Played while the agent thinks, once in a turn. The answer cuts it.
    pub thinking: Option<Clip>,
    /// When it begins, in milliseconds after the end of the input.
    pub thinking_after_ms: u64,
    /// Played when a failed turn is retried, once until the agent answers.
    pub retrying: Option<Clip>,
    /// After how much silence at the beginning of a call the caller hears something while the agent has not greeted
    /// him, in milliseconds. 0: never.
    pub greeting_after_ms: u64,
}

impl Fillers {
    /// A recording that fits any wait.
    pub(crate) fn for_any_wait(&self) -> Option<Clip> {
        self.retrying.clone().or_else(|| self.thinking.clone())
    }
}

/// A recording in mu-law, 8,000 Hz, mono. Clones share the bytes.
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
        base64_bytes::deserialize(deserializer).map(|audio: Vec<u8>| Self(audio.into()))
    }
}

/// How long the call waits, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Timeouts {
    /// For Twilio's `start`, from the beginning of the call.
    pub start_ms: u64,
    /// For Twilio's next message. Twilio sends the caller's silence too, so a quiet stream is dead.
    pub frames_ms: u64,
    /// For the agent's answer, after the end of the utterance.
    pub answer_ms: u64,
    /// For the end of the utterance or another transcript, after a final one.
    pub final_settle_ms: u64,
    /// For any response from a stream that got clear speech of the caller. Then we replace the stream. 0: forever. It
    /// must be longer than the time after which an agent reports no-input (ES: some 10 s). An agent with one stream for
    /// the whole call: only for a stream that has never responded.
    pub stalled_ms: u64,
    /// For the first audio of an answer that came without audio, on a stream that stays open (ES sends audio after the
    /// result).
    pub first_audio_ms: u64,
    /// For more audio of an answer on a stream that stays open.
    pub more_audio_ms: u64,
    /// For audio that the driver fetches.
    pub fetch_ms: u64,
    /// For a gap in the conversation in which the call can migrate.
    #[serde(rename = "renewalMs")]
    pub migration_ms: u64,
    /// For the answer to the REST update of the call, retries included.
    pub update_ms: u64,
    /// For Twilio's `stop` after Twilio accepted an update.
    pub stop_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            start_ms: 10_000,
            frames_ms: 30_000,
            answer_ms: 20_000,
            final_settle_ms: 1_000,
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

/// What happens when a stream to the agent fails with a transient error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Retry {
    /// How long we retry, in milliseconds from the first failure. Then the call gets the fallback.
    pub budget_ms: u64,
    /// The first backoff, in milliseconds. Each further one is twice as long, at most 2 s. Each is shortened at random
    /// by up to half, so that a thousand calls do not retry in the same instant. None is shorter than 1 ms.
    #[serde(rename = "firstPauseMs")]
    pub first_backoff_ms: u64,
    /// Whether to retry a turn that failed after the half-close. The agent may then run its webhook twice.
    pub answering_turn: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self { budget_ms: 15_000, first_backoff_ms: 100, answering_turn: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_utterance_is_read_as_people_write_it() {
        let good = [
            ("agent", EndOfUtterance::Agent),
            (" quick ", EndOfUtterance::Quick),
            ("800ms", EndOfUtterance::After(800)),
            ("2.5s", EndOfUtterance::After(2_500)),
            ("3 s", EndOfUtterance::After(3_000)),
            ("0.25s", EndOfUtterance::After(250)),
        ];
        for (text, read) in good {
            assert_eq!(EndOfUtterance::parse(text), Ok(read), "{text}");
        }
        for text in ["", "Quick", "800", "s", ".5s", "1.2345s", "-1s", "199ms", "21s", "9999999999s", "NaNs"] {
            assert!(EndOfUtterance::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_agent_ends_no_utterance_for_which_we_wait_longer() {
        let may_end = |text| EndOfUtterance::parse(text).unwrap().agent_may_end();
        assert_eq!(["agent", "quick", "800ms", "1s", "1.1s"].map(may_end), [true, true, true, true, false]);
    }
}
