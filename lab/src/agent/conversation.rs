//! Keeps each session's place in the script: which answer comes next. It knows no wire format.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use dialbridge_core::parameters::NameCase;
use serde_json::{Map, Value};

use crate::agent::own_words::OwnWords;
use crate::agent::script::{Fault, Reply, Script, ToolCall};

/// How many sessions are remembered; a further one displaces the first by name.
const MAX_SESSIONS: usize = 10_000;

/// An input from the caller, or from the client on his behalf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallerInput {
    /// A starting text, or a text in place of speech.
    Text(String),
    /// An event.
    Event {
        /// Its name.
        name: String,
        /// Its parameter `digits`: DTMF.
        digits: Option<String>,
    },
    /// Speech.
    Utterance {
        /// Its transcript.
        transcript: String,
    },
    /// DTMF.
    Digits {
        /// Which ones.
        digits: String,
        /// The digit that ended them, if there was one (CX).
        finish: String,
    },
    /// The result of a tool.
    ToolResult {
        /// Which one.
        call: ToolCall,
        /// Whether it is an error.
        is_error: bool,
    },
    /// No-input.
    Nothing,
}

impl CallerInput {
    /// The transcript of an utterance.
    pub(super) fn transcript(&self) -> String {
        match self {
            Self::Utterance { transcript } => transcript.clone(),
            Self::Text(_) | Self::Event { .. } | Self::Digits { .. } | Self::ToolResult { .. } | Self::Nothing => {
                String::new()
            }
        }
    }
}

/// Why the agent refuses an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutOfPlace {
    /// It waits for the result of a tool.
    ToolResultExpected,
    /// It did not ask for that result.
    ToolResultUnasked,
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
    /// How many times the next answer has failed so far.
    failed: u32,
    /// The tool whose result must come next.
    tool: Option<ToolCall>,
    /// What it said last.
    own_words: Option<OwnWords>,
    /// The session's parameters (CX).
    parameters: Map<String, Value>,
}

impl Conversations {
    pub(super) fn new(script: Arc<Script>) -> Self {
        Self { script, positions: Arc::default() }
    }

    /// Checks whether the session accepts that input at this point.
    pub(super) fn check(&self, session: &str, said: Option<&CallerInput>) -> Result<(), OutOfPlace> {
        self.at(session, |position| match (&position.tool, said) {
            (None, Some(CallerInput::ToolResult { .. })) => Err(OutOfPlace::ToolResultUnasked),
            (Some(asked), Some(CallerInput::ToolResult { call, .. })) if !asked.is(call) => {
                Err(OutOfPlace::ToolResultUnasked)
            }
            (None, _) | (Some(_), Some(CallerInput::ToolResult { .. })) => Ok(()),
            (Some(_), _) => Err(OutOfPlace::ToolResultExpected),
        })
    }

    /// The answer that the next utterance will get, if there is one.
    pub(super) fn next_utterance(&self, session: &str) -> Option<Reply> {
        self.at(session, |position| self.take_utterance(&mut position.clone()))
    }

    /// The answer that this input would get; the session's place does not change.
    pub(super) fn next_answer(&self, session: &str, said: &CallerInput) -> Option<Reply> {
        self.at(session, |position| self.reply(&mut position.clone(), said))
    }

    /// The answer to this input, which moves the session on; `None` if the agent has none.
    pub(super) fn answer(&self, session: &str, said: &CallerInput) -> Option<Reply> {
        self.at(session, |position| {
            let reply = self.reply(position, said);
            position.tool = reply.as_ref().and_then(|reply| reply.tool_call.clone());
            let think_ms = |reply: &Reply| reply.think_ms.unwrap_or(self.script.think_ms);
            position.own_words = reply.as_ref().and_then(|reply| OwnWords::of(reply, think_ms(reply)));
            reply
        })
    }

    /// The agent's last words, if its recogniser understands them when they come back.
    pub(super) fn own_words(&self, session: &str) -> Option<OwnWords> {
        self.at(session, |position| position.own_words.clone()).filter(|_| self.script.understands_itself)
    }

    /// Adds parameters to the session's and returns them all; null removes one
    /// (`google.cloud.dialogflow.cx.v3.QueryParameters.parameters`). Names are compared without regard to case.
    pub(super) fn collect(&self, session: &str, more: &Map<String, Value>) -> Map<String, Value> {
        self.at(session, |position| {
            NameCase::Ignored.extend(&mut position.parameters, more.clone());
            position.parameters.retain(|_, value| !value.is_null());
            let names = self.script.parameter_names;
            position.parameters.iter().map(|(name, value)| (names.spelled(name), value.clone())).collect()
        })
    }

    /// The session begins anew. The script still knows how many times its next answer has failed.
    pub(super) fn forget(&self, session: &str) {
        self.at(session, |position| *position = Position { failed: position.failed, ..Position::default() });
    }

    /// The session has no parameters any more.
    pub(super) fn forget_parameters(&self, session: &str) {
        self.at(session, |position| position.parameters.clear());
    }

    /// The session goes on after this many utterances.
    pub(super) fn go_on_after(&self, session: &str, utterances: usize) {
        self.at(session, |position| {
            position.started = true;
            position.utterances = utterances;
        });
    }

    fn at<T>(&self, session: &str, then: impl FnOnce(&mut Position) -> T) -> T {
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        if positions.len() >= MAX_SESSIONS && !positions.contains_key(session) {
            positions.pop_first();
        }
        then(positions.entry(session.to_owned()).or_default())
    }

    fn reply(&self, position: &mut Position, said: &CallerInput) -> Option<Reply> {
        match said {
            CallerInput::Event { name, digits } => self.event(position, name, digits.as_deref()),
            CallerInput::Text(_) if !position.started => self.take_start(position),
            CallerInput::Text(text) if are_digits(text) => {
                self.digits(text).cloned().or_else(|| self.take_utterance(position))
            }
            CallerInput::Text(_) | CallerInput::Utterance { .. } | CallerInput::ToolResult { .. } => {
                self.take_utterance(position)
            }
            CallerInput::Digits { digits, .. } => self.digits(digits).cloned(),
            CallerInput::Nothing => Some(self.script.no_input.clone()),
        }
    }

    fn event(&self, position: &mut Position, name: &str, digits: Option<&str>) -> Option<Reply> {
        let script = &self.script;
        if let Some(reply) = script.event.get(name) {
            return Some(reply.clone());
        }
        if let Some(digits) = digits {
            return self.digits(digits).cloned();
        }
        let is_known = script.start.event.is_empty() || script.start.event == name;
        if is_known { self.take_start(position) } else { None }
    }

    fn take_start(&self, position: &mut Position) -> Option<Reply> {
        let (reply, is_over) = attempt(self.script.start.reply.clone(), &mut position.failed);
        position.started |= is_over;
        Some(reply)
    }

    fn digits(&self, digits: &str) -> Option<&Reply> {
        // If digits come one by one (ES), the one that ended them is among them.
        let ended = || digits.strip_suffix(['#', '*']).and_then(|digits| self.script.digits.get(digits));
        self.script.digits.get(digits).or_else(ended).or(self.script.other_digits.as_ref())
    }

    fn utterance(&self, position: &Position) -> Option<&Reply> {
        let replies = &self.script.utterance;
        replies.get(position.utterances % replies.len().max(1))
    }

    fn take_utterance(&self, position: &mut Position) -> Option<Reply> {
        let (reply, is_over) = attempt(self.utterance(position)?.clone(), &mut position.failed);
        position.utterances += usize::from(is_over);
        Some(reply)
    }
}

/// The answer at this attempt, and whether the next attempt gets the next answer. `failed` counts the failed attempts,
/// if the script limits them.
fn attempt(mut reply: Reply, failed: &mut u32) -> (Reply, bool) {
    let Some(times) = reply.fault_times.filter(|_| reply.fault.is_some_and(Fault::fails_stream)) else {
        return (reply, true);
    };
    if *failed < times {
        *failed += 1;
        return (reply, false);
    }
    *failed = 0;
    reply.fault = None;
    (reply, true)
}

/// Whether a text consists of DTMF digits.
fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|key| matches!(key, '0'..='9' | '*' | '#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn agent(text: &str) -> Conversations {
        let script = Script::parse(text, "agent.toml", &|_| Err(std::io::ErrorKind::NotFound.into())).unwrap();
        Conversations::new(Arc::new(script))
    }

    fn spoken() -> CallerInput {
        CallerInput::Utterance { transcript: "hm".to_owned() }
    }

    fn event(name: &str, digits: Option<&str>) -> CallerInput {
        CallerInput::Event { name: name.to_owned(), digits: digits.map(ToOwned::to_owned) }
    }

    #[test]
    fn utterances_are_answered_in_order_and_each_session_has_its_own() {
        let agent = agent("[[utterance]]\nsay = \"a\"\n[[utterance]]\nsay = \"b\"");
        let say = |session| agent.answer(session, &spoken()).unwrap().say;
        assert_eq!(agent.next_utterance("1").unwrap().say, "a");
        assert_eq!([say("1"), say("1"), say("2"), say("1")], ["a", "b", "a", "a"]);
    }

    #[test]
    fn an_answer_may_fail_some_times_before_it_comes() {
        let agent = agent(
            "[start]\nfault = \"RESET\"\nfault_times = 1\nsay = \"hello\"\n[[utterance]]\nfault = \"CUT\"\nfault_times = 2\nsay = \"a\"\n[[utterance]]\nfault = \"UNAVAILABLE\"\n[[utterance]]\nsay = \"b\"",
        );
        let next = |said: CallerInput| {
            let seen = agent.next_answer("1", &said).unwrap();
            let reply = agent.answer("1", &said).unwrap();
            assert_eq!(seen, reply);
            reply.fault.map_or(reply.say, |fault| format!("{fault:?}"))
        };
        assert_eq!([(); 2].map(|()| next(CallerInput::Text("hi".to_owned()))), ["Reset", "hello"]);
        assert_eq!([(); 5].map(|()| next(spoken())), ["Cut", "Cut", "a", "Unavailable", "b"]);
    }

    #[test]
    fn an_event_that_is_not_known_has_no_answer() {
        let agent = agent("[start]\nevent = \"WELCOME\"\nsay = \"hello\"\n[event.BACK]\nsay = \"again\"");
        assert_eq!(agent.answer("1", &event("OTHER", None)), None);
        assert_eq!(agent.answer("1", &event("WELCOME", None)).unwrap().say, "hello");
        assert_eq!(agent.answer("1", &event("BACK", None)).unwrap().say, "again");
    }

    #[test]
    fn digits_have_answers_of_their_own_in_whatever_form_they_come() {
        let agent = agent(
            "[start]\nsay = \"hello\"\n[[utterance]]\nsay = \"words\"\n[digits.12]\nsay = \"twelve\"\n[digits.7]\nsay = \"seven\"",
        );
        let digits = |digits: &str| CallerInput::Digits { digits: digits.to_owned(), finish: String::new() };
        let text = |text: &str| CallerInput::Text(text.to_owned());
        let say = |said: CallerInput| agent.answer("1", &said).map(|reply| reply.say);
        assert_eq!(say(text("12")).as_deref(), Some("hello"), "the first text is the starting one");
        for (said, expected) in [
            (digits("12"), Some("twelve")),
            (digits("12#"), Some("twelve")),
            (digits("3"), None),
            (text("12"), Some("twelve")),
            (text("3"), Some("words")),
            (text("12 loaves"), Some("words")),
            (event("keys", Some("7")), Some("seven")),
            (event("keys", Some("8")), None),
        ] {
            assert_eq!(say(said.clone()).as_deref(), expected, "{said:?}");
        }
    }

    #[test]
    fn other_digits_have_one_answer_together() {
        let agent = agent("[digits.12]\nsay = \"twelve\"\n[other_digits]\nsay = \"others\"");
        let say = |digits: &str| {
            let said = CallerInput::Digits { digits: digits.to_owned(), finish: String::new() };
            agent.answer("1", &said).unwrap().say
        };
        assert_eq!([say("12"), say("13"), say("#")], ["twelve", "others", "others"]);
    }

    #[test]
    fn an_agent_that_asked_for_a_tool_takes_its_result_and_nothing_else() {
        let agent = agent(
            "[[utterance]]\ntool_call = { tool = \"t\", action = \"a\" }\n[[utterance]]\nsay = \"without it, then\"",
        );
        let result = |tool: &str| {
            let call = ToolCall { tool: tool.to_owned(), action: "a".to_owned(), ..ToolCall::default() };
            CallerInput::ToolResult { call, is_error: true }
        };
        assert_eq!(agent.check("1", Some(&result("t"))), Err(OutOfPlace::ToolResultUnasked));
        assert_eq!(agent.check("1", None), Ok(()));
        agent.answer("1", &spoken());
        assert_eq!(agent.check("1", None), Err(OutOfPlace::ToolResultExpected));
        assert_eq!(agent.check("1", Some(&spoken())), Err(OutOfPlace::ToolResultExpected));
        assert_eq!(agent.check("1", Some(&result("other"))), Err(OutOfPlace::ToolResultUnasked));
        assert_eq!(agent.check("1", Some(&result("t"))), Ok(()));
        assert_eq!(agent.answer("1", &result("t")).unwrap().say, "without it, then");
        assert_eq!(agent.check("1", None), Ok(()));
    }

    #[test]
    fn a_sessions_parameters_are_collected_until_they_are_taken_away() {
        let agent = agent("");
        let collect = |session: &str, more: Value| Value::Object(agent.collect(session, more.as_object().unwrap()));
        assert_eq!(collect("1", json!({ "a": 1, "b": 2 })), json!({ "a": 1, "b": 2 }));
        assert_eq!(collect("1", json!({ "a": null, "c": 3 })), json!({ "b": 2, "c": 3 }));
        assert_eq!(collect("2", json!({})), json!({}));
        assert_eq!(collect("1", json!({ "C": 4 })), json!({ "b": 2, "C": 4 }), "names are the same in any case");
    }
}
