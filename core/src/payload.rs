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
//! {"dialbridge": {"play": "https://example.com/jingle.wav", "bargeIn": false}}
//! ```
//!
//! Models write payloads too, so a flag may be a text or a number ([`flag`]).
//!
//! `docs/custom-payloads.md` describes all of it.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::agent::{AgentEnd, Enqueue, Prompt, Transfer};
use crate::dial_target::DialTarget;

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
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ours {
    transfer: Option<RawTransfer>,
    enqueue: Option<RawEnqueue>,
    handoff: Option<Map<String, Value>>,
    pause: Option<Map<String, Value>>,
    end: Option<Flag>,
    play: Option<String>,
    barge_in: Option<Flag>,
}

/// A flag as a model writes it.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Flag(bool);

impl TryFrom<Value> for Flag {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        flag(&value).map(Self).ok_or("a flag is neither true nor false")
    }
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawTransfer {
    to: String,
    caller_id: Option<String>,
    // A protobuf Struct has only doubles.
    timeout: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawEnqueue {
    workflow_sid: Option<String>,
    queue: Option<String>,
    attributes: Option<Map<String, Value>>,
}

/// The actions of a payload, in the order in which they must run. Empty if the payload is for another system.
///
/// # Errors
/// A sentence that says what is wrong. The answer that came with the payload is not affected.
pub fn actions(payload: &Value) -> Result<Vec<Action>, String> {
    let Some(ours) = payload.get(KEY) else {
        return misplaced(payload).map_or_else(|| Ok(Vec::new()), |place| Err(format!("\"{KEY}\" stands {place}")));
    };
    let ours = Ours::deserialize(ours).map_err(|error| format!("\"{KEY}\" in a custom payload: {error}"))?;
    let mut actions = Vec::new();
    if let Some(uri) = ours.play {
        actions.push(Action::Play(Prompt::at(fetchable(uri)?)));
    }
    if matches!(ours.barge_in, Some(Flag(false))) {
        actions.push(Action::Protect);
    }
    let ends = [
        ours.transfer.map(transfer).transpose()?,
        ours.enqueue.map(enqueue).transpose()?,
        ours.handoff.map(|metadata| AgentEnd::LiveAgentHandoff { metadata: Value::Object(metadata) }),
        ours.pause.map(|parameters| AgentEnd::Pause { parameters: Value::Object(parameters) }),
        ours.end.filter(|Flag(end)| *end).map(|_| AgentEnd::EndInteraction),
    ];
    let mut ends = ends.into_iter().flatten();
    actions.extend(ends.next().map(Action::End));
    match ends.next() {
        None => Ok(actions),
        Some(_) => Err(format!("\"{KEY}\" in a custom payload asks for two ends of the call")),
    }
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
    let name: String = name.chars().take(MAX_SHOWN_CHARS).collect();
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

fn transfer(raw: RawTransfer) -> Result<AgentEnd, String> {
    let parse = |field: &str, text: &str| {
        DialTarget::parse(text).map_err(|fault| format!("\"{KEY}.transfer.{field}\" in a custom payload {fault}"))
    };
    let target = parse("to", &raw.to)?;
    let caller_id = raw.caller_id.map(|text| parse("callerId", &text)).transpose()?.map(|target| target.address);
    let timeout_s = match raw.timeout {
        None => None,
        Some(seconds) if (1.0..=600.0).contains(&seconds) => Some(whole(seconds)),
        Some(_) => return Err(format!("\"{KEY}.transfer.timeout\" in a custom payload is not from 1 to 600 seconds")),
    };
    let DialTarget { address: to, extension } = target;
    Ok(AgentEnd::Transfer(Transfer { to, extension, caller_id, timeout_s }))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 600")]
fn whole(seconds: f64) -> u32 {
    seconds as u32
}

fn enqueue(raw: RawEnqueue) -> Result<AgentEnd, String> {
    if raw.workflow_sid.is_some() == raw.queue.is_some() {
        return Err(format!("\"{KEY}.enqueue\" in a custom payload needs a workflowSid or a queue, and not both"));
    }
    let is_queue = |name: &String| (1..=MAX_QUEUE_CHARS).contains(&name.chars().count());
    if !raw.queue.as_ref().is_none_or(is_queue) {
        return Err(format!("\"{KEY}.enqueue.queue\" in a custom payload has not 1 to {MAX_QUEUE_CHARS} characters"));
    }
    if !raw.workflow_sid.as_ref().is_none_or(|sid| sid.starts_with("WW")) {
        return Err(format!("\"{KEY}.enqueue.workflowSid\" in a custom payload does not begin with WW"));
    }
    let attributes = raw.attributes.map_or(Value::Null, Value::Object);
    Ok(AgentEnd::Enqueue(Enqueue { workflow_sid: raw.workflow_sid, queue: raw.queue, attributes }))
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
            (json!({ "transfer": { "to": "12" } }), "dialbridge.transfer.to"),
            (json!({ "transfer": { "to": "sip:a b@c" } }), "dialbridge.transfer.to"),
            (json!({ "transfer": { "to": "+19005550123" } }), "premium-rate"),
            (json!({ "transfer": { "to": "+15550123", "callerId": "the desk" } }), "dialbridge.transfer.callerId"),
            (json!({ "transfer": { "to": "+15550123", "timeout": 0.0 } }), "dialbridge.transfer.timeout"),
            (json!({ "enqueue": {} }), "workflowSid or a queue"),
            (json!({ "enqueue": { "queue": "" } }), "1 to 64 characters"),
            (json!({ "enqueue": { "queue": "q".repeat(65) } }), "1 to 64 characters"),
            (json!({ "enqueue": { "workflowSid": "WK1" } }), "begin with WW"),
            (json!({ "play": "file:///etc/passwd" }), "https://"),
            (json!({ "end": true, "pause": {} }), "two ends"),
            (json!(7), "dialbridge"),
        ] {
            let why = of(ours).unwrap_err();
            assert!(why.contains(told), "{why}");
        }
    }
}
