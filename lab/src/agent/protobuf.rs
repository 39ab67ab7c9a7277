//! Converts between JSON and protobuf's `Struct`, and between milliseconds and its `Duration`.

use prost_types::value::Kind;
use prost_types::{Duration, ListValue, Struct, Value as Protobuf};
use serde_json::{Map, Number, Value};

/// A JSON object as a `Struct`.
pub(super) fn protobuf_struct(object: &Map<String, Value>) -> Struct {
    Struct { fields: object.iter().map(|(name, value)| (name.clone(), protobuf_value(value))).collect() }
}

fn protobuf_value(value: &Value) -> Protobuf {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(protobuf_value).collect() }),
        Value::Object(object) => Kind::StructValue(protobuf_struct(object)),
    };
    Protobuf { kind: Some(kind) }
}

/// A `Struct` as a JSON object.
pub(super) fn json_object(object: Struct) -> Map<String, Value> {
    object.fields.into_iter().map(|(name, value)| (name, json_value(value))).collect()
}

fn json_value(value: Protobuf) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => flag.into(),
        Some(Kind::NumberValue(number)) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json_value).collect(),
        Some(Kind::StructValue(object)) => Value::Object(json_object(object)),
    }
}

/// Milliseconds as a `Duration`.
pub(super) fn duration(ms: u64) -> Duration {
    Duration {
        seconds: i64::try_from(ms / 1000).unwrap_or_default(),
        nanos: i32::try_from(ms % 1000 * 1_000_000).unwrap_or_default(),
    }
}

/// A `Duration` in milliseconds.
pub(super) fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.seconds * 1000 + i64::from(duration.nanos) / 1_000_000).unwrap_or(0)
}
