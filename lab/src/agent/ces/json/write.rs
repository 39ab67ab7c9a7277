//! From the protobuf encoding to JSON, by the rules of proto3 JSON: names in `lowerCamelCase`, bytes in standard
//! base64, enums by name. Default values are left out, because the encoding leaves them out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Buf;
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint};
use serde_json::{Map, Number, Value};

use super::schema::{Cardinality, Field, Kind, Schema, camel};

/// A message that prost has encoded, as JSON. Fields outside the schema are left out.
pub(super) fn from_protobuf(schema: &'static Schema, mut bytes: &[u8]) -> Map<String, Value> {
    let mut object = Map::new();
    while let Some((number, part)) = next_part(&mut bytes) {
        let Some(field) = schema.numbered(number) else { continue };
        add(&mut object, field, part);
    }
    object
}

/// An encoded value.
enum Part<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

/// The next field; `None` at the end, and at bytes that no message of the schema can hold.
fn next_part<'a>(bytes: &mut &'a [u8]) -> Option<(u32, Part<'a>)> {
    let (number, wire_type) = decode_key(bytes).ok()?;
    match wire_type {
        WireType::Varint => Some((number, Part::Varint(decode_varint(bytes).ok()?))),
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(bytes).ok()?).ok()?;
            let value = bytes.get(..length)?;
            bytes.advance(length);
            Some((number, Part::Bytes(value)))
        }
        WireType::SixtyFourBit | WireType::ThirtyTwoBit | WireType::StartGroup | WireType::EndGroup => None,
    }
}

fn add(object: &mut Map<String, Value>, field: &'static Field, part: Part<'_>) {
    let name = camel(field.name);
    match (field.cardinality, field.kind, part) {
        (_, Kind::TextMap, Part::Bytes(entry)) => {
            if let Value::Object(entries) = object.entry(name).or_insert_with(|| Map::new().into()) {
                let (key, value) = map_entry(entry);
                entries.insert(key, value.into());
            }
        }
        (Cardinality::Repeated, kind, part) => {
            if let Value::Array(items) = object.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
                items.push(value(kind, part));
            }
        }
        (Cardinality::Single | Cardinality::OneOf(_), kind, part) => {
            object.insert(name, value(kind, part));
        }
    }
}

fn value(kind: Kind, part: Part<'_>) -> Value {
    match (kind, part) {
        (Kind::Bool, Part::Varint(flag)) => (flag != 0).into(),
        (Kind::Int32, Part::Varint(number)) => number.cast_signed().into(),
        (Kind::Enum(names), Part::Varint(number)) => {
            let name = usize::try_from(number).ok().and_then(|number| names.get(number));
            name.map_or_else(|| number.cast_signed().into(), |name| (*name).into())
        }
        (Kind::Text, Part::Bytes(text)) => String::from_utf8_lossy(text).into(),
        (Kind::Bytes, Part::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Kind::Message(schema), Part::Bytes(bytes)) => from_protobuf(schema, bytes).into(),
        (Kind::Struct, Part::Bytes(bytes)) => {
            prost_types::Struct::decode(bytes).map_or(Value::Null, |of| structure(of).into())
        }
        (Kind::Timestamp, Part::Bytes(bytes)) => {
            prost_types::Timestamp::decode(bytes).map_or(Value::Null, |time| time.to_string().into())
        }
        (Kind::Duration, Part::Bytes(bytes)) => {
            prost_types::Duration::decode(bytes).map_or(Value::Null, |time| time.to_string().into())
        }
        (_, Part::Varint(_) | Part::Bytes(_)) => Value::Null,
    }
}

fn map_entry(mut entry: &[u8]) -> (String, String) {
    let mut both = [String::new(), String::new()];
    while let Some((number @ 1..=2, Part::Bytes(text))) = next_part(&mut entry) {
        both[number as usize - 1] = String::from_utf8_lossy(text).into_owned();
    }
    let [key, value] = both;
    (key, value)
}

fn structure(of: prost_types::Struct) -> Map<String, Value> {
    of.fields.into_iter().map(|(name, value)| (name, any_value(value))).collect()
}

fn any_value(value: prost_types::Value) -> Value {
    use prost_types::value::Kind as Of;
    match value.kind {
        None | Some(Of::NullValue(_)) => Value::Null,
        Some(Of::BoolValue(flag)) => flag.into(),
        Some(Of::NumberValue(number)) => number_value(number),
        Some(Of::StringValue(text)) => text.into(),
        Some(Of::ListValue(list)) => list.values.into_iter().map(any_value).collect(),
        Some(Of::StructValue(of)) => structure(of).into(),
    }
}

/// Whole numbers are written without a point, as Google writes them.
fn number_value(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "it is compared with the number that it came from")]
    let whole = number as i64;
    #[expect(clippy::cast_precision_loss, reason = "one that is lost is not the same number")]
    let is_whole = whole as f64 == number && whole.abs() < 1 << 53;
    if is_whole { whole.into() } else { Number::from_f64(number).map_or(Value::Null, Value::Number) }
}
