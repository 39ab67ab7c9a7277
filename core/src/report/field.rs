//! The named values of a report, and the text that a template makes from them.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde_json::{Map, Value};

use crate::ids::TurnId;
use crate::time::CallTime;

/// One value of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Field<'a> {
    /// Its name in `snake_case`, with its unit if it has one.
    pub name: &'static str,
    /// The value.
    pub value: FieldValue<'a>,
    /// Whether it is personal.
    pub personal: Personal,
}

/// Whether a field is personal, and how. Decides who may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personal {
    /// Not personal: everybody who runs the service may see it.
    No,
    /// What the caller or the agent said, or what the agent sent with it.
    Words,
    /// Parameters of the agent. They may hold digits that the caller pressed.
    Parameters,
    /// A telephone number.
    Number,
}

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue<'a> {
    /// No value this time.
    Absent,
    /// A turn.
    Turn(TurnId),
    /// A moment of the call.
    Moment(CallTime),
    /// A duration in milliseconds.
    Ms(u64),
    /// Any other count.
    Count(u64),
    /// Yes or no.
    Flag(bool),
    /// A text.
    Text(Cow<'a, str>),
    /// A resource's full name at Google.
    Resource(&'a str),
    /// Parameters.
    Parameters(&'a Map<String, Value>),
    /// Any JSON.
    Json(&'a Value),
}

/// The value as it stands in the tape text: durations with their unit, moments in seconds.
impl fmt::Display for FieldValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => Ok(()),
            Self::Turn(turn) => turn.fmt(f),
            Self::Moment(at) => at.fmt(f),
            Self::Ms(ms) => write!(f, "{ms} ms"),
            Self::Count(count) => count.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Resource(name) => f.write_str(name),
            Self::Parameters(parameters) => Value::Object((*parameters).clone()).fmt(f),
            Self::Json(json) => json.fmt(f),
        }
    }
}

/// The value as JSON. Turns, durations and moments are numbers; durations and moments are in milliseconds.
impl From<&FieldValue<'_>> for Value {
    fn from(value: &FieldValue<'_>) -> Self {
        match value {
            FieldValue::Absent => Self::Null,
            FieldValue::Turn(turn) => turn.0.into(),
            FieldValue::Moment(at) => at.as_ms().into(),
            FieldValue::Ms(number) | FieldValue::Count(number) => (*number).into(),
            FieldValue::Flag(flag) => (*flag).into(),
            FieldValue::Text(text) => (**text).into(),
            FieldValue::Resource(name) => (*name).into(),
            FieldValue::Parameters(parameters) => Self::Object((*parameters).clone()),
            FieldValue::Json(json) => (*json).clone(),
        }
    }
}

impl From<TurnId> for FieldValue<'_> {
    fn from(turn: TurnId) -> Self {
        Self::Turn(turn)
    }
}

impl From<CallTime> for FieldValue<'_> {
    fn from(at: CallTime) -> Self {
        Self::Moment(at)
    }
}

impl From<bool> for FieldValue<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<'a> From<&'a str> for FieldValue<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a String> for FieldValue<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a, T: Into<FieldValue<'a>>> From<Option<T>> for FieldValue<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Into::into)
    }
}

/// Fills in a template. `{name}` stands for the field of that name. A part in square brackets is left out if one of its
/// fields is absent.
pub(super) fn filled(template: &str, fields: &[Field<'_>]) -> String {
    template.split(['[', ']']).filter_map(|part| filled_part(part, fields)).collect()
}

fn filled_part(mut part: &str, fields: &[Field<'_>]) -> Option<String> {
    let mut text = String::new();
    while let Some((before, (name, after))) = part.split_once('{').and_then(|(b, a)| Some((b, a.split_once('}')?))) {
        let value = &fields.iter().find(|field| field.name == name)?.value;
        if *value == FieldValue::Absent {
            return None;
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{before}{value}");
        part = after;
    }
    text.push_str(part);
    Some(text)
}
