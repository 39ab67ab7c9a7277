//! Refuses keys that a tape cannot have, with the nearest one that it can.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor, value};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use crate::agent::{AgentEvent, AgentFault, Answer, DtmfRules, Intent, Prompt, SpeechRules, Transcript};

/// An error of the parser as a sentence. That of an unknown key names the nearest known one.
pub(super) fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let names: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    match names.split_first() {
        Some((name, known)) if text.starts_with("unknown field") => refusal(name, known),
        _ => text,
    }
}

/// Refuses unknown keys in a message of the agent's, which `event` was read from.
pub(super) fn check(message: &Value, event: &AgentEvent) -> Result<(), String> {
    let Value::Object(message) = message else { return Ok(()) };
    match event {
        AgentEvent::Transcript(_) => of(message, fields_of::<Transcript>()),
        AgentEvent::Answer(_) => {
            of(message, fields_of::<Answer>())?;
            let nested = [
                ("intent", fields_of::<Intent>()),
                ("keys", fields_of::<DtmfRules>()),
                ("speechRules", fields_of::<SpeechRules>()),
                ("prompts", fields_of::<Prompt>()),
            ];
            nested.into_iter().try_for_each(|(name, known)| match message.get(name) {
                Some(Value::Object(object)) => of(object, known),
                Some(Value::Array(items)) => {
                    items.iter().filter_map(Value::as_object).try_for_each(|item| of(item, known))
                }
                _ => Ok(()),
            })
        }
        AgentEvent::Failed(_) => of(message, fields_of::<AgentFault>()),
        AgentEvent::EndOfUtterance { .. } => of(message, &["endMs"]),
        AgentEvent::Interrupted { .. } => of(message, &["bargeIn"]),
        AgentEvent::GoAway | AgentEvent::Ended => of(message, &[]),
    }
}

/// Each message has `event` beside its own keys.
fn of(object: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    let unknown = object.keys().find(|key| *key != "event" && !known.contains(&key.as_str()));
    unknown.map_or(Ok(()), |name| Err(refusal(name, known)))
}

fn refusal(name: &str, known: &[&str]) -> String {
    let near = known.iter().min_by_key(|known| distance(name, known));
    match near.filter(|near| distance(name, near) <= name.len().div_ceil(2)) {
        Some(near) => format!("\"{name}\" is no key; \"{near}\" is one"),
        None if known.is_empty() => format!("\"{name}\" is no key"),
        None => format!("\"{name}\" is no key; it can be {}", known.join(", ")),
    }
}

/// core has no dependency for this: how many letters must change, come or go to make one name of the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (n, of_one) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], n + 1);
        for (m, of_other) in other.chars().enumerate() {
            let changed = diagonal + usize::from(of_one != of_other);
            diagonal = row[m + 1];
            row[m + 1] = changed.min(row[m] + 1).min(diagonal + 1);
        }
    }
    row[other.chars().count()]
}

/// The keys that a type is read from.
fn fields_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It ends with an error always, because there is nothing to read.
    let _ = T::deserialize(Asked(&mut fields));
    fields
}

/// Notes the keys for which it is asked.
struct Asked<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(value::Error::custom(Nothing))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(value::Error::custom(Nothing))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Nothing;

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is nothing to read")
    }
}

#[cfg(test)]
mod tests {
    use crate::tape::Tape;

    fn fault(lines: &str) -> String {
        Tape::parse(lines).unwrap_err().to_string()
    }

    #[test]
    fn a_key_that_a_tape_cannot_have_is_refused_with_its_line_and_the_nearest_one() {
        let header = r#"{"tape":1,"edition":"cx","marks":"simulated"}"#;
        for (line, told) in [
            (r#"{"at_ms":0,"form":"twilio"}"#, "\"form\" is no key; \"from\" is one"),
            (
                r#"{"at_ms":0,"from":"agent","turn":1,"message":{"event":"answer","prat":"final"}}"#,
                "\"prat\" is no key; \"part\" is one",
            ),
            (
                r#"{"at_ms":0,"from":"agent","turn":1,"message":{"event":"answer","intent":{"nmae":"a"}}}"#,
                "\"nmae\" is no key; \"name\" is one",
            ),
            (
                r#"{"at_ms":0,"from":"agent","turn":1,"message":{"event":"transcript","final":true}}"#,
                "\"final\" is no key; \"isFinal\" is one",
            ),
            (r#"{"at_ms":0,"from":"agent","turn":1,"message":{"event":"ended","why":"x"}}"#, "\"why\" is no key"),
        ] {
            assert_eq!(fault(&format!("{header}\n{line}")), format!("line 2 of the tape: {told}"));
        }
        assert_eq!(
            fault(r#"{"tape":1,"edition":"cx","mark":"simulated"}"#),
            "line 1 of the tape: no header: \"mark\" is no key; \"marks\" is one"
        );
        let config = r#"{"tape":1,"edition":"cx","config":{"greting":{"text":"hi"}}}"#;
        assert!(fault(config).ends_with("\"greting\" is no key; \"greeting\" is one"), "{}", fault(config));
    }

    #[test]
    fn a_message_that_an_older_build_recorded_is_read_without_the_keys_that_are_gone() {
        let old = r#"{"at_ms":0,"from":"agent","turn":1,"message":{"event":"answer","part":"final","toolCall":{"tool":"x"}}}"#;
        let tape = Tape::parse(&format!("{}\n{old}", r#"{"tape":1,"edition":"ces"}"#)).unwrap();
        assert_eq!(tape.inputs.len(), 1);
        let recorded = format!("{}\n{old}", r#"{"tape":1,"edition":"ces"}"#);
        let retaken = crate::tape::retake(&recorded, &tape.header.config).unwrap();
        assert_eq!(Tape::parse(&retaken).unwrap().inputs, tape.inputs, "with other settings too");
    }
}
