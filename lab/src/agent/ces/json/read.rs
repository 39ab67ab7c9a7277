//! From JSON to the protobuf encoding, by the rules of proto3 JSON.
//!
//! It accepts names in `lowerCamelCase` and in `snake_case`, `null` as absent, bytes in standard or URL-safe base64
//! with or without padding, numbers as strings too, and enums by name or number. It refuses unknown names, a repeated
//! field, and two fields of a oneof.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::Number;

use super::parse::Json;
use super::schema::{Cardinality, Field, Kind, Schema};

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);

/// The message as protobuf bytes; the error is worded as Google's.
pub(super) fn to_protobuf(schema: &'static Schema, json: &[u8]) -> Result<Vec<u8>, String> {
    let json: Json = serde_json::from_slice(json).map_err(|error| {
        format!("Invalid JSON payload received. It is no JSON at line {}, column {}.", error.line(), error.column())
    })?;
    let Json::Object(fields) = json else {
        return Err("Invalid JSON payload received. The root element must be a message.".to_owned());
    };
    let mut out = Vec::new();
    message(schema, fields, &Path::Root, &mut out)?;
    Ok(out)
}

/// The path of a value.
enum Path<'a> {
    Root,
    In(&'a Path<'a>, &'a str),
    At(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn describe(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::In(Path::Root, name) => (*name).to_owned(),
            Self::In(path, name) => format!("{}.{name}", path.describe()),
            Self::At(path, place) => format!("{}[{place}]", path.describe()),
        }
    }
}

fn message(
    schema: &'static Schema,
    fields: Vec<(String, Json)>,
    path: &Path<'_>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let mut seen: Vec<&Field> = Vec::new();
    for (name, value) in fields {
        let Some(field) = schema.named(&name) else { return Err(unknown(&name, path)) };
        if seen.iter().any(|other| other.number == field.number) {
            return Err(invalid(&Path::In(path, field.name), "the field is already set"));
        }
        if value == Json::Null {
            continue;
        }
        if let Cardinality::OneOf(oneof) = field.cardinality
            && seen.iter().any(|other| other.cardinality == field.cardinality)
        {
            let why = format!("oneof field '{oneof}' is already set. Cannot set '{}'", field.name);
            return Err(invalid(path, &why));
        }
        seen.push(field);
        write_field(field, value, &Path::In(path, field.name), out)?;
    }
    Ok(())
}

fn write_field(field: &'static Field, value: Json, path: &Path<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    match (field.cardinality, field.kind, value) {
        (Cardinality::Repeated, kind, Json::List(items)) => {
            for (place, item) in items.into_iter().enumerate() {
                write_value(field.number, kind, item, &Path::At(path, place), out)?;
            }
            Ok(())
        }
        (Cardinality::Repeated, ..) => Err(invalid(path, "a list is expected")),
        (_, Kind::TextMap, Json::Object(entries)) => text_map(field.number, entries, path, out),
        (_, kind, value) => write_value(field.number, kind, value, path, out),
    }
}

fn write_value(number: u32, kind: Kind, value: Json, path: &Path<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    match (kind, value) {
        (Kind::Bool, Json::Bool(flag)) => varint(number, flag.into(), out),
        (Kind::Int32, Json::Number(of)) => varint(number, int32(&of).ok_or_else(|| wrong(path, "TYPE_INT32"))?, out),
        (Kind::Int32, Json::Text(text)) => {
            let of: Option<Number> = text.parse().ok();
            varint(number, of.and_then(|of| int32(&of)).ok_or_else(|| wrong(path, "TYPE_INT32"))?, out);
        }
        (Kind::Text, Json::Text(text)) => delimited(number, text.as_bytes(), out),
        (Kind::Bytes, Json::Text(text)) => {
            let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
            let bytes =
                engine.decode(text).map_err(|_| format!("{}, Base64 decoding failed", wrong(path, "TYPE_BYTES")))?;
            delimited(number, &bytes, out);
        }
        (Kind::Enum(names), Json::Text(text)) => {
            let place = names.iter().position(|name| *name == text).ok_or_else(|| wrong(path, "TYPE_ENUM"))?;
            varint(number, place as u64, out);
        }
        (Kind::Enum(_), Json::Number(of)) => varint(number, int32(&of).ok_or_else(|| wrong(path, "TYPE_ENUM"))?, out),
        (Kind::Message(schema), Json::Object(fields)) => {
            let mut inner = Vec::new();
            message(schema, fields, path, &mut inner)?;
            delimited(number, &inner, out);
        }
        (Kind::Struct, Json::Object(fields)) => {
            delimited(number, &structure(fields, path)?.encode_to_vec(), out);
        }
        (Kind::Timestamp, Json::Text(text)) => {
            let time: prost_types::Timestamp = text.parse().map_err(|_| invalid(path, "no RFC 3339 time"))?;
            delimited(number, &time.encode_to_vec(), out);
        }
        (Kind::Duration, Json::Text(text)) => {
            let time: prost_types::Duration = text.parse().map_err(|_| invalid(path, "no duration"))?;
            delimited(number, &time.encode_to_vec(), out);
        }
        (kind, _) => return Err(wrong(path, type_of(kind))),
    }
    Ok(())
}

fn text_map(number: u32, entries: Vec<(String, Json)>, path: &Path<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    for (key, value) in entries {
        let Json::Text(value) = value else { return Err(wrong(&Path::In(path, &key), "TYPE_STRING")) };
        let mut entry = Vec::new();
        delimited(1, key.as_bytes(), &mut entry);
        delimited(2, value.as_bytes(), &mut entry);
        delimited(number, &entry, out);
    }
    Ok(())
}

fn structure(fields: Vec<(String, Json)>, path: &Path<'_>) -> Result<prost_types::Struct, String> {
    let mut of = prost_types::Struct::default();
    for (name, value) in fields {
        let value = any_value(value, path)?;
        if of.fields.insert(name, value).is_some() {
            return Err(invalid(path, "a name stands there twice"));
        }
    }
    Ok(of)
}

fn any_value(value: Json, path: &Path<'_>) -> Result<prost_types::Value, String> {
    use prost_types::value::Kind as Of;
    let kind = match value {
        Json::Null => Of::NullValue(0),
        Json::Bool(flag) => Of::BoolValue(flag),
        Json::Number(number) => Of::NumberValue(number.as_f64().unwrap_or_default()),
        Json::Text(text) => Of::StringValue(text),
        Json::List(items) => {
            let values = items.into_iter().map(|item| any_value(item, path)).collect::<Result<_, _>>()?;
            Of::ListValue(prost_types::ListValue { values })
        }
        Json::Object(fields) => Of::StructValue(structure(fields, path)?),
    };
    Ok(prost_types::Value { kind: Some(kind) })
}

/// The number as the varint of an `int32`; `8e3` and `8000.0` are integers too.
fn int32(number: &Number) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, reason = "it is compared with the number that it came from")]
    let whole = number.as_f64().map(|number| number as i32)?;
    let is_same = number.as_f64() == Some(f64::from(whole));
    is_same.then(|| i64::from(whole).cast_unsigned())
}

fn varint(number: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}

fn delimited(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn unknown(name: &str, path: &Path<'_>) -> String {
    // Names are short, so anything longer is not a name.
    let name: String = name.chars().take(40).collect();
    let place = match path {
        Path::Root => String::new(),
        path => format!(" at '{}'", path.describe()),
    };
    format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field.")
}

fn invalid(path: &Path<'_>, why: &str) -> String {
    format!("Invalid value at '{}', {why}.", path.describe())
}

fn wrong(path: &Path<'_>, of: &str) -> String {
    format!("Invalid value at '{}' ({of})", path.describe())
}

fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "TYPE_BOOL",
        Kind::Int32 => "TYPE_INT32",
        Kind::Text => "TYPE_STRING",
        Kind::Bytes => "TYPE_BYTES",
        Kind::Enum(_) => "TYPE_ENUM",
        Kind::Message(_) | Kind::Struct | Kind::Timestamp | Kind::Duration => "TYPE_MESSAGE",
        Kind::TextMap => "Map",
    }
}
