//! Custom payloads: what an agent asks of this service for which Dialogflow has no message. We read only the part under
//! `dialbridge` and ignore payloads for other systems.
//!
//! ```json
//! {"dialbridge": {"transfer": {"to": "+15550123", "callerId": "+15550199", "timeout": 20}}}
//! {"dialbridge": {"enqueue": {"workflowSid": "WW…", "attributes": {"skill": "cakes"}}}}
//! {"dialbridge": {"enqueue": {"queue": "support"}}}
//! {"dialbridge": {"handoff": {"any": "thing"}}}
//! {"dialbridge": {"pause": {"any": "thing"}}}
//! {"dialbridge": {"end": true}}
//! {"dialbridge": {"endOfUtterance": "2.5s"}}
//! {"dialbridge": {"play": "https://example.com/jingle.wav", "bargeIn": false}}
//! {"dialbridge": {"page": "flows/F/pages/P", "endUserMetadata": {"plan": "gold"}}}
//! ```
//!
//! Models write payloads too, so a flag may be a text or a number ([`flag`]), and a number a text. What a payload says of a
//! wrong value never shows it: it may be a telephone number.
//!
//! `docs/custom-payloads.md` describes all of it.

use std::fmt;

use serde_json::{Map, Value};

use crate::agent::{AgentEnd, Enqueue, Prompt, Transfer};
use crate::call_numbers::written;
use crate::config::EndOfUtterance;
use crate::dial_target::DialTarget;
use crate::turn_data::is_page;

/// The key of this service's part in a payload.
pub const KEY: &str = "dialbridge";

/// The longest name of a queue, in characters (`<Enqueue>`).
const MAX_QUEUE_CHARS: usize = 64;

/// How deep we look for this service's part in a payload that does not have it at the top.
const MAX_DEPTH: usize = 8;

/// How much of a name a report shows, in characters.
const MAX_SHOWN_CHARS: usize = 40;

/// What a payload asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The agent's part ends.
    End(AgentEnd),
    /// Play this after the answer's own audio.
    Play(Prompt),
    /// The answer's audio forbids barge-in.
    Protect,
    /// What ends the caller's utterances from now on.
    EndUtterance(EndOfUtterance),
    /// The session goes on at this page.
    Page(String),
    /// What a generative agent should know of the caller.
    EndUser(Map<String, Value>),
}

/// Reads a flag that a model, or a person in a console, has written: `true`, `1`, or a text such as `"True"` and
/// `"yes"`, and their opposites. `None` for anything else.
#[must_use]
pub fn flag(value: &Value) -> Option<bool> {
    let is_one_of = |text: &str, words: &[&str]| words.iter().any(|word| text.trim().eq_ignore_ascii_case(word));
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        Value::String(text) if is_one_of(text, &["true", "yes", "y", "on", "1"]) => Some(true),
        Value::String(text) if is_one_of(text, &["false", "no", "n", "off", "0"]) => Some(false),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// An object of a payload, and where it stands.
struct Part<'a> {
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Part<'a> {
    /// The object at a place. It has only these names.
    fn new(path: String, value: &'a Value, names: &[&str]) -> Result<Self, String> {
        let Value::Object(map) = value else { return Err(format!("\"{path}\" in a custom payload is no object")) };
        match map.keys().find(|name| !names.contains(&name.as_str())) {
            None => Ok(Self { path, map }),
            Some(name) => {
                let (name, names) = (shown(name), names.join(", "));
                Err(format!("\"{path}\" in a custom payload has \"{name}\", which is none of {names}"))
            }
        }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The sentence for a value that is wrong.
    fn wrong(&self, name: &str, why: impl fmt::Display) -> String {
        format!("\"{}.{name}\" in a custom payload {why}", self.path)
    }

    fn part(&self, name: &str, names: &[&str]) -> Result<Option<Self>, String> {
        self.get(name).map(|value| Self::new(format!("{}.{name}", self.path), value, names)).transpose()
    }

    fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(written(number))),
            Some(_) => Err(self.wrong(name, "is no text")),
        }
    }

    fn object(&self, name: &str) -> Result<Option<Map<String, Value>>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map.clone())),
            Some(_) => Err(self.wrong(name, "is no object")),
        }
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        let read = |value| flag(value).ok_or_else(|| self.wrong(name, "is neither true nor false"));
        self.get(name).map(read).transpose()
    }
}

/// The actions of a payload, in the order in which they must run. Empty if the payload is for another system.
///
/// # Errors
/// A sentence that says what is wrong. The answer that came with the payload is not affected.
pub fn actions(payload: &Value) -> Result<Vec<Action>, String> {
    let Some(ours) = payload.get(KEY) else {
        return misplaced(payload).map_or_else(|| Ok(Vec::new()), |place| Err(format!("\"{KEY}\" stands {place}")));
    };
    let names = [
        "transfer",
        "enqueue",
        "handoff",
        "pause",
        "end",
        "play",
        "bargeIn",
        "endOfUtterance",
        "page",
        "endUserMetadata",
    ];
    let ours = Part::new(KEY.to_owned(), ours, &names)?;
    let mut actions = Vec::new();
    if let Some(uri) = ours.text("play")? {
        actions.push(Action::Play(Prompt::at(fetchable(uri)?)));
    }
    if ours.flag("bargeIn")? == Some(false) {
        actions.push(Action::Protect);
    }
    if let Some(rule) = ours.text("endOfUtterance")? {
        let rule = EndOfUtterance::parse(&rule).map_err(|why| ours.wrong("endOfUtterance", why))?;
        actions.push(Action::EndUtterance(rule));
    }
    if let Some(page) = ours.text("page")? {
        let is_right = is_page(&page);
        actions
            .push(is_right.then_some(Action::Page(page)).ok_or_else(|| ours.wrong("page", "is no flows/F/pages/P"))?);
    }
    actions.extend(ours.object("endUserMetadata")?.map(Action::EndUser));
    let ends = [
        ours.part("transfer", &["to", "callerId", "timeout"])?.map(|part| transfer(&part)).transpose()?,
        ours.part("enqueue", &["workflowSid", "queue", "attributes"])?.map(|part| enqueue(&part)).transpose()?,
        ours.object("handoff")?.map(|metadata| AgentEnd::LiveAgentHandoff { metadata: Value::Object(metadata) }),
        ours.object("pause")?.map(|parameters| AgentEnd::Pause { parameters: Value::Object(parameters) }),
        ours.flag("end")?.filter(|end| *end).map(|_| AgentEnd::EndInteraction),
    ];
    let mut ends = ends.into_iter().flatten();
    actions.extend(ends.next().map(Action::End));
    match ends.next() {
        None => Ok(actions),
        Some(_) => Err(format!("\"{KEY}\" in a custom payload asks for two ends of the call")),
    }
}

/// How a report shows a name: its beginning, without digits.
fn shown(name: &str) -> String {
    name.chars().take(MAX_SHOWN_CHARS).map(|c| if c.is_numeric() { '#' } else { c }).collect()
}

/// Where this service's part stands in a payload in which it is not at the top, as words that follow its name.
fn misplaced(payload: &Value) -> Option<String> {
    fn below(value: &Value, depth: usize) -> bool {
        let depth = match depth.checked_sub(1) {
            Some(depth) => depth,
            None => return false,
        };
        match value {
            Value::Object(map) => map.iter().any(|(name, value)| is_key(name) || below(value, depth)),
            Value::Array(values) => values.iter().any(|value| below(value, depth)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    let top = "at the top of the payload, in small letters";
    let map = payload.as_object()?;
    if map.keys().any(|name| is_key(name)) {
        return Some(format!("in other letters in a custom payload: it belongs {top}"));
    }
    let (name, _) = map.iter().find(|(_, value)| below(value, MAX_DEPTH))?;
    let name = shown(name);
    Some(format!("below \"{name}\" in a custom payload: it belongs {top}"))
}

/// Whether a name means this service's part, rightly written or not.
#[must_use]
pub fn is_key(name: &str) -> bool {
    name.trim().eq_ignore_ascii_case(KEY)
}

/// Whether a JSON value that is no custom payload has this service's part in it.
pub(crate) fn has_part(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.keys().any(|name| is_key(name)))
}

fn fetchable(uri: String) -> Result<String, String> {
    if uri.starts_with("https://") || uri.starts_with("gs://") {
        return Ok(uri);
    }
    Err(format!("\"{KEY}.play\" in a custom payload begins neither with https:// nor with gs://"))
}

/// What is dialled is read with the agent's other transfers.
fn transfer(part: &Part<'_>) -> Result<AgentEnd, String> {
    let to = part.text("to")?.ok_or_else(|| part.wrong("to", "is missing"))?;
    let parse = |text: String| DialTarget::parse(&text).map_err(|fault| part.wrong("callerId", fault));
    let caller_id = part.text("callerId")?.map(parse).transpose()?.map(|target| target.address);
    let seconds = part.text("timeout")?.map(|text| text.trim().parse().unwrap_or(f64::NAN));
    let timeout_s = match seconds {
        None => None,
        Some(seconds) if (1.0..=600.0).contains(&seconds) => Some(whole(seconds)),
        Some(_) => return Err(part.wrong("timeout", "is not from 1 to 600 seconds")),
    };
    Ok(AgentEnd::Transfer(Transfer { caller_id, timeout_s, ..Transfer::to(to) }))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 600")]
fn whole(seconds: f64) -> u32 {
    seconds as u32
}

fn enqueue(part: &Part<'_>) -> Result<AgentEnd, String> {
    let (workflow_sid, queue) = (part.text("workflowSid")?, part.text("queue")?);
    if workflow_sid.is_some() == queue.is_some() {
        return Err(format!("\"{KEY}.enqueue\" in a custom payload needs a workflowSid or a queue, and not both"));
    }
    let is_queue = |name: &String| (1..=MAX_QUEUE_CHARS).contains(&name.chars().count());
    if !queue.as_ref().is_none_or(is_queue) {
        return Err(part.wrong("queue", format_args!("does not have 1 to {MAX_QUEUE_CHARS} characters")));
    }
    if !workflow_sid.as_ref().is_none_or(|sid| sid.starts_with("WW")) {
        return Err(part.wrong("workflowSid", "does not begin with WW"));
    }
    let attributes = part.object("attributes")?.map_or(Value::Null, Value::Object);
    Ok(AgentEnd::Enqueue(Enqueue { workflow_sid, queue, attributes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(ours: Value) -> Result<Vec<Action>, String> {
        actions(&json!({ "dialbridge": ours }))
    }

    #[test]
    fn a_payload_for_somebody_else_passes_by() {
        assert_eq!(actions(&json!({ "richContent": [] })), Ok(Vec::new()));
        assert_eq!(actions(&json!("text")), Ok(Vec::new()));
        assert_eq!(actions(&json!({ "bridge": "dialbridge" })), Ok(Vec::new()));
    }

    #[test]
    fn each_action_is_read() {
        let transfer = of(json!({ "transfer": { "to": "+15550123", "callerId": "+15550199", "timeout": 20.0 } }));
        let expected =
            Transfer { caller_id: Some("+15550199".to_owned()), timeout_s: Some(20), ..Transfer::to("+15550123") };
        assert_eq!(transfer, Ok(vec![Action::End(AgentEnd::Transfer(expected))]));
        let sip = of(json!({ "transfer": { "to": "sip:desk@example.com" } }));
        assert_eq!(sip, Ok(vec![Action::End(AgentEnd::Transfer(Transfer::to("sip:desk@example.com")))]));
        let enqueue = of(json!({ "enqueue": { "workflowSid": "WW1", "attributes": { "skill": "cakes" } } })).unwrap();
        let [Action::End(AgentEnd::Enqueue(task))] = &enqueue[..] else { panic!("{enqueue:?}") };
        assert_eq!((task.workflow_sid.as_deref(), &task.attributes["skill"]), (Some("WW1"), &json!("cakes")));
        let pause = of(json!({ "pause": { "reason": "pay" } }));
        assert_eq!(pause, Ok(vec![Action::End(AgentEnd::Pause { parameters: json!({ "reason": "pay" }) })]));
        let play = of(json!({ "play": "https://example.com/a.wav", "bargeIn": false }));
        assert_eq!(play, Ok(vec![Action::Play(Prompt::at("https://example.com/a.wav")), Action::Protect]));
        assert_eq!(of(json!({ "end": true })), Ok(vec![Action::End(AgentEnd::EndInteraction)]));
        let page = of(json!({ "page": "flows/F/pages/P", "endUserMetadata": { "plan": "gold" } }));
        let plan = json!({ "plan": "gold" }).as_object().cloned().unwrap();
        assert_eq!(page, Ok(vec![Action::Page("flows/F/pages/P".to_owned()), Action::EndUser(plan)]));
    }

    #[test]
    fn a_flag_is_read_as_people_write_it() {
        for yes in [json!(true), json!(1), json!(1.0), json!("true"), json!("True"), json!(" YES "), json!("1")] {
            assert_eq!(flag(&yes), Some(true), "{yes}");
            assert_eq!(of(json!({ "end": yes })), Ok(vec![Action::End(AgentEnd::EndInteraction)]));
            assert_eq!(of(json!({ "bargeIn": yes })), Ok(Vec::new()));
        }
        for no in [json!(false), json!(0), json!(0.0), json!("false"), json!("False"), json!("no"), json!("0")] {
            assert_eq!(flag(&no), Some(false), "{no}");
            assert_eq!(of(json!({ "end": no })), Ok(Vec::new()));
            assert_eq!(of(json!({ "bargeIn": no })), Ok(vec![Action::Protect]));
        }
        for other in [json!("maybe"), json!(2), json!(""), json!({})] {
            assert_eq!(flag(&other), None, "{other}");
            assert!(of(json!({ "end": other })).unwrap_err().contains("neither true nor false"));
        }
    }

    #[test]
    fn a_number_is_read_as_a_text_and_a_text_as_a_number() {
        let to = |ours: Value| {
            let actions = of(ours).unwrap();
            let [Action::End(AgentEnd::Transfer(transfer))] = &actions[..] else { panic!("{actions:?}") };
            (transfer.to.clone(), transfer.timeout_s)
        };
        for timeout in [json!(20), json!(20.0), json!("20"), json!(" 20.5 ")] {
            let read = to(json!({ "transfer": { "to": "+15550123", "timeout": timeout } }));
            assert_eq!(read, ("+15550123".to_owned(), Some(20)));
        }
        // The call decides what it dials: this has no country code.
        assert_eq!(to(json!({ "transfer": { "to": 15_550_123.0 } })), ("15550123".to_owned(), None));
        assert_eq!(to(json!({ "transfer": { "to": "the desk", "timeout": null } })), ("the desk".to_owned(), None));
        let queue = of(json!({ "enqueue": { "queue": 7 } })).unwrap();
        assert!(matches!(&queue[0], Action::End(AgentEnd::Enqueue(task)) if task.queue.as_deref() == Some("7")));
    }

    #[test]
    fn a_part_in_a_wrong_place_is_told_with_the_right_one() {
        let ours = json!({ "end": true });
        for (payload, told) in [
            (json!({ "Dialbridge": ours }), "in other letters"),
            (json!({ "payload": { "dialbridge": ours } }), "below \"payload\""),
            (json!({ "richContent": [[{ "dialbridge": ours }]] }), "below \"richContent\""),
        ] {
            let why = actions(&payload).unwrap_err();
            assert!(why.contains(told) && why.contains("at the top"), "{why}");
        }
        assert!(has_part(&json!({ "dialbridge": 1 })) && !has_part(&json!({ "x": { "dialbridge": 1 } })));
    }

    #[test]
    fn a_wrong_one_says_what_is_wrong() {
        for (ours, told) in [
            (json!({ "transfr": {} }), "transfr"),
            (json!({ "transfer": {} }), "\"dialbridge.transfer.to\" in a custom payload is missing"),
            (json!({ "transfer": { "to": ["+15550187"] } }), "dialbridge.transfer.to"),
            (json!({ "transfer": "+15550187" }), "\"dialbridge.transfer\" in a custom payload is no object"),
            (json!({ "transfer": { "to": "+15550187", "+15550187": 1 } }), "none of to, callerId, timeout"),
            (json!({ "enqueue": { "queue": "a", "attributes": "+15550187" } }), "dialbridge.enqueue.attributes"),
            (json!({ "handoff": "+15550187" }), "dialbridge.handoff"),
            (json!({ "pause": ["+15550187"] }), "dialbridge.pause"),
            (json!({ "end": "+15550187" }), "dialbridge.end"),
            (json!({ "play": ["+15550187"] }), "dialbridge.play"),
            (json!("+15550187"), "\"dialbridge\" in a custom payload is no object"),
            (json!({ "transfer": { "to": "+15550187", "timeout": "soon" } }), "dialbridge.transfer.timeout"),
            (json!({ "transfer": { "to": "+15550187", "callerId": "the desk" } }), "dialbridge.transfer.callerId"),
            (json!({ "transfer": { "to": "+15550187", "timeout": 0.0 } }), "dialbridge.transfer.timeout"),
            (json!({ "enqueue": {} }), "workflowSid or a queue"),
            (json!({ "enqueue": { "queue": "" } }), "1 to 64 characters"),
            (json!({ "enqueue": { "queue": "q".repeat(65) } }), "1 to 64 characters"),
            (json!({ "enqueue": { "workflowSid": "WK1" } }), "begin with WW"),
            (json!({ "play": "file:///etc/passwd" }), "https://"),
            (json!({ "end": true, "pause": {} }), "two ends"),
            (json!({ "page": "+15550187" }), "dialbridge.page"),
            (json!({ "endUserMetadata": "+15550187" }), "dialbridge.endUserMetadata"),
            (json!(7), "dialbridge"),
        ] {
            let why = of(ours).unwrap_err();
            assert!(why.contains(told) && !why.contains("5550187"), "{why}");
        }
    }
}
