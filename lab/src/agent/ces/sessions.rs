//! What a session keeps from one stream to the next, apart from its place in the script.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tonic::Status;

use crate::agent::ces::check::{Answered, invalid};

/// How many sessions are remembered; a further one displaces the first by name.
const MAX_SESSIONS: usize = 10_000;

/// All sessions. Clones share them.
#[derive(Debug, Clone, Default)]
pub(in crate::agent) struct CesSessions(Arc<Mutex<BTreeMap<String, Session>>>);

#[derive(Debug, Default)]
struct Session {
    turns: i32,
    calls: u64,
    open_tool_calls: Vec<OpenToolCall>,
    /// Whether a call that is already answered failed.
    has_error: bool,
    has_ended: bool,
    /// Whether its last stream broke without notice.
    has_broken: bool,
}

/// A tool call that waits for its result.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OpenToolCall {
    id: String,
    tool: String,
}

/// The state of the tool calls after some results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ToolOutcome {
    /// More results are to come.
    More,
    /// All results are there.
    All {
        /// Whether one of them is an error.
        is_error: bool,
    },
}

impl CesSessions {
    /// The number of the next turn, from 1.
    pub(super) fn next_turn(&self, session: &str) -> i32 {
        self.at(session, |session| {
            session.turns += 1;
            session.turns
        })
    }

    /// The number of the last turn; 0: there was none.
    pub(super) fn turn(&self, session: &str) -> i32 {
        self.at(session, |session| session.turns)
    }

    /// Adds a tool call; returns its id.
    pub(super) fn ask(&self, session: &str, tool: &str) -> String {
        self.at(session, |session| {
            session.calls += 1;
            let id = format!("call-{}", session.calls);
            session.open_tool_calls.push(OpenToolCall { id: id.clone(), tool: tool.to_owned() });
            id
        })
    }

    /// Whether a tool's result is awaited.
    pub(super) fn is_asking(&self, session: &str) -> bool {
        self.at(session, |session| !session.open_tool_calls.is_empty())
    }

    /// Takes results of tool calls.
    pub(super) fn answered(&self, session: &str, answers: &[Answered]) -> Result<ToolOutcome, Status> {
        self.at(session, |session| {
            for answer in answers {
                let place = session.open_tool_calls.iter().position(|asked| asked.id == answer.id);
                let place = place.ok_or_else(|| invalid("A tool_response answers no tool_call that is open."))?;
                if session.open_tool_calls[place].tool != answer.tool {
                    return Err(invalid("A tool_response names another tool than its tool_call."));
                }
                session.open_tool_calls.remove(place);
                session.has_error |= answer.response.contains_key("error");
            }
            if !session.open_tool_calls.is_empty() {
                return Ok(ToolOutcome::More);
            }
            Ok(ToolOutcome::All { is_error: std::mem::take(&mut session.has_error) })
        })
    }

    /// Stops waiting for results.
    pub(super) fn give_up_tools(&self, session: &str) {
        self.at(session, |session| session.open_tool_calls.clear());
    }

    pub(super) fn end(&self, session: &str) {
        self.at(session, |session| session.has_ended = true);
    }

    pub(super) fn has_ended(&self, session: &str) -> bool {
        self.at(session, |session| session.has_ended)
    }

    /// A stream of it breaks without notice.
    pub(super) fn note_break(&self, session: &str) {
        self.at(session, |session| session.has_broken = true);
    }

    /// Whether its last stream broke without notice. Asks once.
    pub(super) fn take_break(&self, session: &str) -> bool {
        self.at(session, |session| std::mem::take(&mut session.has_broken))
    }

    /// Forgets all of it.
    pub(super) fn forget(&self, session: &str) {
        self.at(session, |session| *session = Session::default());
    }

    fn at<T>(&self, session: &str, then: impl FnOnce(&mut Session) -> T) -> T {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= MAX_SESSIONS && !sessions.contains_key(session) {
            sessions.pop_first();
        }
        then(sessions.entry(session.to_owned()).or_default())
    }
}
