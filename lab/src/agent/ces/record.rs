//! What the lab's CES agent was sent, stream by stream, for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dialbridge_core::audio::AudioFormat;
use serde_json::{Map, Value};

/// The longest pause between two audio messages that is not a gap, in milliseconds.
pub(super) const GAP_MS: u64 = 500;

/// What was received on one stream of a session, and what happened to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamRecord {
    /// `grpc` or `websocket`.
    pub transport: &'static str,
    /// The session's whole name.
    pub session: String,
    /// The deployment; empty: the draft.
    pub deployment: String,
    /// The caller's time zone.
    pub time_zone: String,
    /// `noise_suppression_level`.
    pub noise_suppression: String,
    /// The coding of the caller's audio; `None`: a text session.
    pub input: Option<AudioFormat>,
    /// The coding of the agent's audio.
    pub output: Option<AudioFormat>,
    /// `remote_dialogflow_query_parameters.payload`.
    pub payload: Map<String, Value>,
    /// `remote_dialogflow_query_parameters.end_user_metadata`.
    pub end_user: Map<String, Value>,
    /// `historical_contexts`, in order.
    pub history: Vec<PastMessage>,
    /// The header `X-Goog-User-Project`.
    pub user_project: Option<String>,
    /// Whether the header `Authorization` held a token.
    pub has_token: bool,
    /// Messages with variables, in order.
    pub variables: Vec<Map<String, Value>>,
    /// The variables that the app had taken when the first text or event came.
    pub known_at_kick_start: Option<Map<String, Value>>,
    /// Texts, events and digits, in order.
    pub inputs: Vec<InputRecord>,
    /// Answers to tool calls, in order.
    pub tool_answers: Vec<ToolAnswer>,
    /// All audio, in order.
    pub audio: Vec<u8>,
    /// The length of each audio message, in bytes.
    pub messages: Vec<usize>,
    /// Pauses of more than 500 ms between the configuration, the audio messages and the end of the stream, while the
    /// session was open.
    pub gaps: Vec<Gap>,
    /// Bytes of audio that came after the end of the session and are not in `audio`.
    pub ignored_audio: usize,
    /// How many turns were completed.
    pub turns_completed: usize,
    /// The interruptions that were signalled; `true` for those by the caller.
    pub interruptions: Vec<bool>,
    /// Whether the end of the session was sent.
    pub end_session: bool,
    /// Whether the client was told to go away.
    pub go_away: bool,
    /// Whether the client half-closed (gRPC).
    pub half_closed: bool,
    /// The client's close code (WebSocket).
    pub closed: Option<u16>,
    /// Whether the client broke off without either.
    pub broke_off: bool,
    /// The error that the client was told.
    pub refused: Option<String>,
}

impl StreamRecord {
    /// How many kick-starts there were: texts and events.
    #[must_use]
    pub fn kick_starts(&self) -> usize {
        self.inputs.iter().filter(|input| matches!(input.kind, "text" | "event")).count()
    }

    /// All digits, in order.
    #[must_use]
    pub fn digits(&self) -> String {
        self.inputs.iter().filter(|input| input.kind == "dtmf").map(|input| input.text.as_str()).collect()
    }
}

/// What was said before the stream, as the client tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMessage {
    /// Who said it.
    pub role: Role,
    /// The text.
    pub text: String,
}

/// The role of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `user`: the caller.
    User,
    /// `agent`.
    Agent,
}

/// An input other than audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputRecord {
    /// `text`, `event` or `dtmf`.
    pub kind: &'static str,
    /// The text, the event's name or the digits.
    pub text: String,
    /// Milliseconds after the configuration.
    pub at_ms: u64,
}

/// The answer to a tool call.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolAnswer {
    /// The call's id.
    pub id: String,
    /// The tool's whole name.
    pub tool: String,
    /// The result.
    pub response: Map<String, Value>,
}

/// A pause without audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// When it began, in milliseconds after the configuration.
    pub at_ms: u64,
    /// How long it was, in milliseconds.
    pub ms: u64,
}

/// The streams of all sessions. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub(in crate::agent) struct Streams {
    keeps: bool,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By the last part of the session's name.
    sessions: BTreeMap<String, Vec<StreamRecord>>,
    open: u32,
    /// Streams that were refused before they had a session, and why.
    refusals: Vec<String>,
}

/// A place in the record.
#[derive(Debug)]
pub(super) struct StreamEntry {
    streams: Streams,
    session: String,
    number: usize,
}

impl Streams {
    pub(in crate::agent) fn keeping() -> Self {
        Self { keeps: true, ..Self::default() }
    }

    pub(in crate::agent) fn of(&self, session: &str) -> Vec<StreamRecord> {
        self.lock().sessions.get(session).cloned().unwrap_or_default()
    }

    pub(in crate::agent) fn open(&self) -> u32 {
        self.lock().open
    }

    pub(in crate::agent) fn refusals(&self) -> Vec<String> {
        self.lock().refusals.clone()
    }

    /// A stream was refused before it had a session.
    pub(super) fn refuse(&self, why: &str) {
        if self.keeps {
            self.lock().refusals.push(why.to_owned());
        }
    }

    pub(super) fn begin(&self, session: &str, stream: StreamRecord) -> StreamEntry {
        let mut inner = self.lock();
        inner.open += 1;
        let mut number = 0;
        if self.keeps {
            let streams = inner.sessions.entry(session.to_owned()).or_default();
            number = streams.len();
            streams.push(stream);
        }
        StreamEntry { streams: self.clone(), session: session.to_owned(), number }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamEntry {
    pub(super) fn change(&self, change: impl FnOnce(&mut StreamRecord)) {
        let mut inner = self.streams.lock();
        if let Some(stream) = inner.sessions.get_mut(&self.session).and_then(|streams| streams.get_mut(self.number)) {
            change(stream);
        }
    }
}

impl Drop for StreamEntry {
    fn drop(&mut self) {
        self.streams.lock().open -= 1;
    }
}
