//! What the lab's agent was sent, for tests. Only an agent that was created for it records; any other only counts its
//! open turns.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::agent::ces::{StreamRecord, Streams};
use crate::agent::requested_config::RequestedConfig;

/// What was received in one turn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TurnRecord {
    /// `audio`, `event`, `text`, `dtmf` or `tool_call_result`.
    pub input: &'static str,
    /// The event, the text, the digits or the tool.
    pub text: String,
    /// The key that ended the digits (CX).
    pub finish: String,
    /// Whether the result of a tool is an error.
    pub is_error: bool,
    /// All audio, in order.
    pub audio: Vec<u8>,
    /// How many bytes of it the recogniser heard: all that came before it ended the utterance.
    pub heard: usize,
    /// How many messages the audio came in.
    pub messages: usize,
    /// The session parameters (CX) or the event's parameters (ES).
    pub parameters: serde_json::Map<String, Value>,
    /// The payload for webhooks.
    pub payload: serde_json::Map<String, Value>,
    /// The language.
    pub language: String,
    /// The other requested settings.
    pub requested: RequestedConfig,
    /// `no_barge_in_duration` and `total_duration`, in milliseconds.
    pub barge_in: Option<(u64, u64)>,
    /// Whether words get times.
    pub word_info: bool,
    /// Whether the client half-closed.
    pub half_closed: bool,
    /// Whether it was answered.
    pub answered: bool,
}

/// The turns of all sessions. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct Record {
    keeps: bool,
    sessions: Arc<Mutex<Sessions>>,
    streams: Streams,
}

#[derive(Debug, Default)]
struct Sessions {
    turns: BTreeMap<String, Vec<TurnRecord>>,
    open: BTreeMap<String, u32>,
    overlaps: u32,
}

/// A place in the record.
#[derive(Debug)]
pub(crate) struct TurnEntry {
    record: Record,
    session: String,
    number: usize,
    is_open: bool,
}

impl Record {
    /// A record that keeps every turn, for as long as it lives.
    pub(crate) fn keeping() -> Self {
        Self { keeps: true, streams: Streams::keeping(), ..Self::default() }
    }

    /// The turns of a session so far, by the last part of its name.
    #[must_use]
    pub fn turns(&self, session: &str) -> Vec<TurnRecord> {
        self.lock().turns.get(session).cloned().unwrap_or_default()
    }

    /// The sessions so far, each by the last part of its name.
    #[must_use]
    pub fn sessions(&self) -> Vec<String> {
        self.lock().turns.keys().cloned().collect()
    }

    /// How many turns were opened while another turn of the same session had no answer yet.
    #[must_use]
    pub fn overlaps(&self) -> u32 {
        self.lock().overlaps
    }

    /// How many turns wait for their answer.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.lock().open.values().sum()
    }

    /// The streams of a CES session so far, by the last part of its name.
    #[must_use]
    pub fn streams(&self, session: &str) -> Vec<StreamRecord> {
        self.streams.of(session)
    }

    /// How many CES streams are open.
    #[must_use]
    pub fn open_streams(&self) -> u32 {
        self.streams.open()
    }

    /// CES streams that were refused before they had a session, and why.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        self.streams.refusals()
    }

    /// The record of CES streams.
    pub(super) fn ces(&self) -> &Streams {
        &self.streams
    }

    pub(crate) fn begin(&self, session: &str, turn: TurnRecord) -> TurnEntry {
        let mut sessions = self.lock();
        let open = sessions.open.entry(session.to_owned()).or_default();
        *open += 1;
        sessions.overlaps += u32::from(sessions.open[session] > 1);
        let mut number = 0;
        if self.keeps {
            let turns = sessions.turns.entry(session.to_owned()).or_default();
            number = turns.len();
            turns.push(turn);
        }
        TurnEntry { record: self.clone(), session: session.to_owned(), number, is_open: true }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnEntry {
    pub(crate) fn change(&self, change: impl FnOnce(&mut TurnRecord)) {
        let mut sessions = self.record.lock();
        if let Some(turn) = sessions.turns.get_mut(&self.session).and_then(|turns| turns.get_mut(self.number)) {
            change(turn);
        }
    }

    /// The turn is over for the client: it has its answer.
    pub(crate) fn answered(&mut self) {
        self.change(|turn| turn.answered = true);
        self.close();
    }

    fn close(&mut self) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let mut sessions = self.record.lock();
        if let Some(open) = sessions.open.get_mut(&self.session) {
            *open -= 1;
            if *open == 0 {
                sessions.open.remove(&self.session);
            }
        }
    }
}

impl Drop for TurnEntry {
    fn drop(&mut self) {
        self.close();
    }
}
