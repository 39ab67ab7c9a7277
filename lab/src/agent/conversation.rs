//! The script's course: which answer comes next, for each session. It knows no wire format.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::agent::script::{Reply, Script};

/// How many sessions are remembered; the first by name is forgotten for another one.
const MOST_SESSIONS: usize = 10_000;

/// What came from the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// A starting text, or a text as if the caller had said it.
    Text(String),
    /// An event.
    Event(String),
    /// Something was spoken.
    Utterance {
        /// For so long, pauses included.
        spoken_ms: u64,
    },
    /// Keys were pressed.
    Digits {
        /// Which ones.
        digits: String,
        /// The one that ended them, where there was one (CX).
        finish: String,
    },
    /// Nothing was said.
    Nothing,
}

impl Said {
    /// What stands in for the words of an utterance: the lab knows none, and says so.
    pub(super) fn transcript(&self) -> String {
        match self {
            Self::Utterance { spoken_ms } => format!("[{}.{} s of speech]", spoken_ms / 1000, spoken_ms % 1000 / 100),
            Self::Text(_) | Self::Event(_) | Self::Digits { .. } | Self::Nothing => String::new(),
        }
    }
}

/// All conversations of one agent. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Conversations {
    script: Arc<Script>,
    positions: Arc<Mutex<BTreeMap<String, Position>>>,
}

#[derive(Debug, Clone, Default)]
struct Position {
    started: bool,
    utterances: usize,
    /// The session's parameters (CX).
    parameters: Map<String, Value>,
}

impl Conversations {
    pub(super) fn new(script: Arc<Script>) -> Self {
        Self { script, positions: Arc::default() }
    }

    /// The answer; `None` where the agent has none.
    pub(super) fn answer(&self, session: &str, said: &Said) -> Option<Reply> {
        self.at(session, |position| self.reply(position, said))
    }

    /// The session's parameters once these have come to it; null takes one away
    /// (`google.cloud.dialogflow.cx.v3.QueryParameters.parameters`).
    pub(super) fn collect(&self, session: &str, more: &Map<String, Value>) -> Map<String, Value> {
        self.at(session, |position| {
            position.parameters.extend(more.clone());
            position.parameters.retain(|_, value| !value.is_null());
            position.parameters.clone()
        })
    }

    fn at<T>(&self, session: &str, then: impl FnOnce(&mut Position) -> T) -> T {
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        if positions.len() >= MOST_SESSIONS && !positions.contains_key(session) {
            positions.pop_first();
        }
        then(positions.entry(session.to_owned()).or_default())
    }

    fn reply(&self, position: &mut Position, said: &Said) -> Option<Reply> {
        match said {
            Said::Event(name) => {
                let start = &self.script.start;
                let is_known = start.event.is_empty() || start.event == *name;
                position.started |= is_known;
                is_known.then(|| start.reply.clone())
            }
            Said::Text(_) if !position.started => {
                position.started = true;
                Some(self.script.start.reply.clone())
            }
            Said::Text(_) | Said::Utterance { .. } => {
                let replies = &self.script.utterance;
                let reply = replies.get(position.utterances % replies.len().max(1));
                position.utterances += 1;
                reply.cloned()
            }
            Said::Digits { digits, .. } => self.script.digits.get(digits).cloned(),
            Said::Nothing => Some(self.script.no_input.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn agent(text: &str) -> Conversations {
        let script = Script::parse(text, "agent.toml", &|_| Err(std::io::ErrorKind::NotFound.into())).unwrap();
        Conversations::new(Arc::new(script))
    }

    #[test]
    fn utterances_are_answered_in_order_and_each_session_has_its_own() {
        let agent = agent("[[utterance]]\nsay = \"a\"\n[[utterance]]\nsay = \"b\"");
        let say = |session| agent.answer(session, &Said::Utterance { spoken_ms: 700 }).unwrap().say;
        assert_eq!([say("1"), say("1"), say("2"), say("1")], ["a", "b", "a", "a"]);
    }

    #[test]
    fn an_event_that_is_not_known_has_no_answer() {
        let agent = agent("[start]\nevent = \"WELCOME\"\nsay = \"hello\"");
        assert_eq!(agent.answer("1", &Said::Event("OTHER".to_owned())), None);
        assert_eq!(agent.answer("1", &Said::Event("WELCOME".to_owned())).unwrap().say, "hello");
    }

    #[test]
    fn digits_have_answers_of_their_own() {
        let agent = agent("[digits.12]\nsay = \"twelve\"");
        let digits = |digits: &str| Said::Digits { digits: digits.to_owned(), finish: String::new() };
        assert_eq!(agent.answer("1", &digits("12")).unwrap().say, "twelve");
        assert_eq!(agent.answer("1", &digits("3")), None);
    }

    #[test]
    fn a_sessions_parameters_are_collected_until_they_are_taken_away() {
        let agent = agent("");
        let collect = |session: &str, more: Value| Value::Object(agent.collect(session, more.as_object().unwrap()));
        assert_eq!(collect("1", json!({ "a": 1, "b": 2 })), json!({ "a": 1, "b": 2 }));
        assert_eq!(collect("1", json!({ "a": null, "c": 3 })), json!({ "b": 2, "c": 3 }));
        assert_eq!(collect("2", json!({})), json!({}));
    }
}
