//! The table `[ces]` of a script: settings for agents of the Customer Engagement Suite only.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use crate::agent::script::Fault;

/// How a CES agent behaves where Google's documentation leaves it open, and which of its streams break.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ces {
    /// The token that a stream must bring as `Authorization: Bearer …`; empty: none is asked for.
    pub token: String,
    /// The transports that it serves.
    pub serves: Serves,
    /// Whether a gRPC stream must name its session in the header `x-goog-request-params`, as at the global host.
    pub routing: Routing,
    /// The frame type of the server's JSON.
    pub frames: Frames,
    /// Whether the server's JSON has text and audio in one output.
    pub outputs: Outputs,
    /// Whether the server's JSON has a field that is in no published proto.
    pub unpublished_fields: bool,
    /// The deployments that exist, by the last part of their names; none: any name is accepted.
    pub deployments: Vec<String>,
    /// What happens to the streams before anything is read, in the order in which they are opened. Streams after the
    /// last entry are served.
    pub refuses: Vec<PlannedBreak>,
    /// What happens to them once their configuration has been read, in the same order.
    pub breaks: Vec<PlannedBreak>,
    /// How long it takes the app to take variables, in milliseconds. An input that comes sooner is answered without them.
    pub variables_ms: u64,
    /// How long each answer's audio is too low to be a voice before it begins, in milliseconds.
    pub lead_ms: u64,
    /// How long a stream may go without input, in milliseconds.
    pub idle_ms: u64,
    /// How it ends after that.
    pub idle: Break,
    /// The age at which a stream is told to go away, in milliseconds; 0: never.
    pub go_away_ms: u64,
    /// How long the stream stays open after that, in milliseconds.
    pub go_away_lead_ms: u64,
    /// How it ends after that.
    pub go_away: Break,
    /// Which message carries the end of the session.
    pub end_session: EndSession,
    /// Whether the end of the session comes before or after the audio of the last words.
    pub end_order: EndOrder,
    /// How long after the last audio it comes, in milliseconds.
    pub end_delay_ms: u64,
    /// Which message carries `turn_completed`.
    pub turn_completed: TurnCompleted,
    /// Whether a turn that the caller interrupts is completed.
    pub completes_interrupted: bool,
    /// What happens to unfinished speech when the client half-closes.
    pub half_close: HalfClose,
    /// What an unknown event gets.
    pub unknown_event: UnknownEvent,
    /// Whether a message may hold more than one digit.
    pub digits: Digits,
    /// The longest pause between two digits of one input, in milliseconds, if the last answer does not say.
    pub digit_gap_ms: u64,
    /// How long a tool may take, in milliseconds.
    pub tool_timeout_ms: u64,
    /// Who owns the tool calls that wait for their results.
    pub tool_calls: ToolCalls,
    /// How much audio one message holds, in milliseconds.
    pub piece_ms: u64,
    /// How many times faster than real time audio is sent.
    pub speed: u64,
    /// Whether each answer's audio begins with a WAV header.
    pub riff: bool,
    /// Whether low noise is sent while nothing is said.
    pub ambient: bool,
    /// Whether turns are counted per session or per stream.
    pub turn_index: TurnIndex,
    /// What a new stream of a session that has ended gets.
    pub after_end: AfterEnd,
    /// Whether a session survives the break of its stream.
    pub sessions: SessionState,
    /// What becomes of `historical_contexts`.
    pub history: History,
}

impl Default for Ces {
    fn default() -> Self {
        Self {
            token: String::new(),
            serves: Serves::Both,
            routing: Routing::Any,
            frames: Frames::Binary,
            outputs: Outputs::Apart,
            unpublished_fields: false,
            deployments: Vec::new(),
            refuses: Vec::new(),
            breaks: Vec::new(),
            variables_ms: 0,
            lead_ms: 0,
            idle_ms: 30_000,
            idle: Break::Close,
            go_away_ms: 0,
            go_away_lead_ms: 5_000,
            go_away: Break::Close,
            end_session: EndSession::TopLevel,
            end_order: EndOrder::AfterAudio,
            end_delay_ms: 0,
            turn_completed: TurnCompleted::Apart,
            completes_interrupted: true,
            half_close: HalfClose::Answers,
            unknown_event: UnknownEvent::Ignored,
            digits: Digits::Many,
            digit_gap_ms: 2_000,
            tool_timeout_ms: 30_000,
            tool_calls: ToolCalls::Session,
            piece_ms: 200,
            speed: 4,
            riff: false,
            ambient: false,
            turn_index: TurnIndex::Session,
            after_end: AfterEnd::Continues,
            sessions: SessionState::Kept,
            history: History::Ignored,
        }
    }
}

/// How a stream ends without an end of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Regularly: the status OK, the close code 1000.
    Close,
    /// The stream is reset, the connection of the WebSocket breaks (1006).
    Reset,
    /// It stalls: nothing comes any more.
    Stall,
    /// With a gRPC code, or the close code for it.
    Fault(Fault),
    /// With a close code or, before the upgrade, an HTTP status; over gRPC with the gRPC code for it.
    Code(u16),
}

impl<'de> Deserialize<'de> for Break {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Break;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`close`, `reset`, `stall`, a gRPC code, a close code or an HTTP status")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Break, E> {
                match name {
                    "close" => Ok(Break::Close),
                    "reset" => Ok(Break::Reset),
                    "stall" => Ok(Break::Stall),
                    code => Fault::deserialize(serde::de::value::StrDeserializer::new(code)).map(Fault::as_break),
                }
            }

            fn visit_i64<E: Error>(self, code: i64) -> Result<Break, E> {
                let known = u16::try_from(code).ok().filter(|code| matches!(code, 400..=599 | 1000..=4999));
                known.map(Break::Code).ok_or_else(|| E::custom(format!("{code} is no HTTP error and no close code")))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

/// What happens to a stream: it is served (`"served"`), or it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedBreak(pub Option<Break>);

impl<'de> Deserialize<'de> for PlannedBreak {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(served) if served == "served" => Ok(Self(None)),
            other => other.try_into().map(|of| Self(Some(of))).map_err(|error| D::Error::custom(error.to_string())),
        }
    }
}

/// The transports that the agent serves. Some hosts lack one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Serves {
    /// gRPC and WebSocket.
    Both,
    /// gRPC; the WebSocket's path is not found.
    Grpc,
    /// WebSocket; the gRPC method is not implemented.
    Websocket,
}

/// Which gRPC streams a host serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// All: a regional host.
    Any,
    /// Those that name their session in `x-goog-request-params`; others are UNIMPLEMENTED: the global host.
    Named,
}

/// The frame type of the server's JSON. Google's web client reads both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Frames {
    /// Binary.
    Binary,
    /// Text.
    Text,
}

/// How the server's JSON carries text and audio. JSON can hold both in one output, protobuf cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outputs {
    /// Each in an output of its own.
    Apart,
    /// A text in the output of the audio that follows it.
    Together,
}

/// Which message carries the end of the session. The protos have two places for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndSession {
    /// In a message of its own.
    TopLevel,
    /// In the turn's output.
    InOutput,
    /// In both.
    Both,
}

/// Whether the end of the session comes before the last audio. Both were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndOrder {
    /// After it.
    AfterAudio,
    /// Before it.
    BeforeAudio,
}

/// Which message carries `turn_completed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TurnCompleted {
    /// In a message without output.
    Apart,
    /// In the message with the last audio.
    WithAudio,
}

/// What happens to unfinished speech when the client half-closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HalfClose {
    /// It is answered.
    Answers,
    /// It is dropped.
    Drops,
}

/// What an unknown event gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownEvent {
    /// No answer.
    Ignored,
    /// `INVALID_ARGUMENT`.
    Refused,
}

/// How many digits a message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Digits {
    /// Any number.
    Many,
    /// One; more are refused.
    One,
}

/// Whether turns are counted per session or per stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TurnIndex {
    /// Per session.
    Session,
    /// Per stream: a new stream begins at 1.
    Stream,
}

/// What a new stream of a session that has ended gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterEnd {
    /// The conversation goes on.
    Continues,
    /// `FAILED_PRECONDITION`.
    Refused,
}

/// Whether a session survives the break of its stream. An announced end never loses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    /// It does.
    Kept,
    /// The next stream begins the conversation anew, unless it brings its history.
    Lost,
}

/// What becomes of `historical_contexts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum History {
    /// The session goes on where they end, whatever it was before.
    Taken,
    /// Nothing.
    Ignored,
    /// `INVALID_ARGUMENT`.
    Refused,
}

/// Who owns the tool calls that wait for their results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolCalls {
    /// The session: a later stream of it accepts the results.
    Session,
    /// The stream: when it ends, they are gone, and a later stream refuses their results.
    Stream,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_are_names_and_codes() {
        let read = |text: &str| toml::from_str::<Ces>(text);
        let ces =
            read("refuses = [\"served\", 503, \"reset\", 1012]\nbreaks = [\"UNAVAILABLE\"]\nidle = \"stall\"").unwrap();
        let breaks = [None, Some(Break::Code(503)), Some(Break::Reset), Some(Break::Code(1012))];
        assert_eq!(ces.refuses, breaks.map(PlannedBreak));
        assert_eq!((ces.breaks[0].0, ces.idle), (Some(Break::Fault(Fault::Unavailable)), Break::Stall));
        for (wrong, told) in
            [("refuses = [42]", "42"), ("idle = \"BROKEN\"", "BROKEN"), ("idle = \"served\"", "served")]
        {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
