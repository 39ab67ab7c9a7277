//! Converts between JSON and protobuf's `Struct`.

use dialbridge_core::payload;
use prost_types::value::Kind;
use prost_types::{Duration, ListValue, Struct, Value as Protobuf};
use serde_json::{Map, Number, Value};

/// The largest whole number that a double holds exactly: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The places of `dialbridge` parts that stand in the payload of a webhook's response, where the service does not act on
/// them.
pub(super) fn misplaced<'a>(webhook_payloads: impl IntoIterator<Item = &'a Struct>) -> Vec<String> {
    let has_part = webhook_payloads.into_iter().any(|payload| payload.fields.keys().any(|name| payload::is_key(name)));
    has_part.then(|| "the payload of a webhook's response".to_owned()).into_iter().collect()
}

/// A JSON object as a `Struct`.
pub(super) fn to_struct(object: &Map<String, Value>) -> Struct {
    Struct { fields: object.iter().map(|(name, value)| (name.clone(), to_value(value))).collect() }
}

fn to_value(value: &Value) -> Protobuf {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(to_value).collect() }),
        Value::Object(object) => Kind::StructValue(to_struct(object)),
    };
    Protobuf { kind: Some(kind) }
}

/// A `Struct` as a JSON object.
pub(super) fn from_struct(object: Struct) -> Map<String, Value> {
    object.fields.into_iter().map(|(name, value)| (name, from_value(value))).collect()
}

fn from_value(value: Protobuf) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => flag.into(),
        Some(Kind::NumberValue(number)) => from_number(number),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(from_value).collect(),
        Some(Kind::StructValue(object)) => Value::Object(from_struct(object)),
    }
}

/// `Struct` has only doubles. Whole ones become integers again, as in protobuf's own JSON form.
#[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
fn from_number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < EXACT {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// Milliseconds as a `Duration`.
pub(super) fn to_duration(ms: u64) -> Duration {
    let nanos = i32::try_from(ms % 1000).unwrap_or(0) * 1_000_000;
    Duration { seconds: i64::try_from(ms / 1000).unwrap_or(i64::MAX), nanos }
}

/// A `Duration` in milliseconds; 0 for a negative one.
pub(super) fn from_duration(duration: Duration) -> u64 {
    let seconds = u64::try_from(duration.seconds).unwrap_or(0);
    let ms = u64::try_from(duration.nanos).unwrap_or(0) / 1_000_000;
    seconds.saturating_mul(1000).saturating_add(ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_comes_back_as_it_went() {
        let object = json!({ "a": null, "b": [1, 2.5, "x", { "c": true }], "d": -3, "e": {} });
        let object = object.as_object().unwrap();
        assert_eq!(from_struct(to_struct(object)), *object);
    }

    #[test]
    fn what_json_cannot_hold_is_null() {
        assert_eq!(from_number(f64::NAN), Value::Null);
        assert_eq!(from_number(f64::INFINITY), Value::Null);
        assert_eq!(from_number(1e300), json!(1e300));
    }

    #[test]
    fn durations_are_milliseconds() {
        assert_eq!(from_duration(to_duration(61_007)), 61_007);
        assert_eq!(from_duration(Duration { seconds: -5, nanos: -1 }), 0);
    }
}
