//! Shortens the texts of a JSON value, the longest first, until a document has room for it.

use serde_json::Value;

use crate::handoff::MAX_TWIML_CHARS;

/// The end of a text that was shortened.
const ELLIPSIS: char = '…';

/// How many characters of the document a character of a text takes.
pub(super) type Cost = fn(char) -> usize;

/// The value with its longest texts shortened, so that `fits` holds for it. `None` if it does not fit unless texts are
/// shortened to less than `min`.
pub(super) fn fitted(value: &Value, cost: Cost, min: usize, fits: impl Fn(&Value) -> bool) -> Option<Value> {
    if longest(value, cost) <= MAX_TWIML_CHARS && fits(value) {
        return Some(value.clone());
    }
    // No longer text fits, and the steps below walk the texts again and again.
    let value = &shortened(value, MAX_TWIML_CHARS, cost);
    if !fits(&shortened(value, min, cost)) {
        return None;
    }
    // The value fits with texts of `fitting`, and does not fit with texts of `too_long`.
    let (mut fitting, mut too_long) = (min, MAX_TWIML_CHARS);
    while fitting + 1 < too_long {
        let middle = usize::midpoint(fitting, too_long);
        if fits(&shortened(value, middle, cost)) { fitting = middle } else { too_long = middle }
    }
    Some(shortened(value, fitting, cost))
}

/// How much the longest text takes.
fn longest(value: &Value, cost: Cost) -> usize {
    match value {
        Value::String(text) => text.chars().map(cost).sum(),
        Value::Array(values) => values.iter().map(|value| longest(value, cost)).max().unwrap_or(0),
        Value::Object(map) => map.values().map(|value| longest(value, cost)).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// The value with no text that takes more than `max`.
pub(super) fn shortened(value: &Value, max: usize, cost: Cost) -> Value {
    match value {
        Value::String(text) => shortened_text(text, max, cost).into(),
        Value::Array(values) => values.iter().map(|value| shortened(value, max, cost)).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), shortened(value, max, cost))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn shortened_text(text: &str, max: usize, cost: Cost) -> String {
    if text.chars().map(cost).sum::<usize>() <= max {
        return text.to_owned();
    }
    let Some(mut room) = max.checked_sub(cost(ELLIPSIS)) else { return String::new() };
    let kept = text.chars().take_while(|c| {
        let left = room.checked_sub(cost(*c));
        room = left.unwrap_or(room);
        left.is_some()
    });
    kept.chain([ELLIPSIS]).collect()
}

/// How many characters a character takes in JSON in the query of a URL: RFC 3986 section 2.3, and the escapes of JSON.
pub(super) fn in_query(c: char) -> usize {
    match c {
        _ if c.is_ascii_alphanumeric() => 1,
        '-' | '.' | '_' | '~' => 1,
        '"' | '\\' => 6,
        '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 4,
        '\0'..='\u{1f}' => 8,
        other => 3 * other.len_utf8(),
    }
}

/// How many characters a character takes in JSON in an element of XML.
pub(super) fn in_element(c: char) -> usize {
    match c {
        '"' => 7,
        '\'' => 6,
        '&' => 5,
        '<' | '>' => 4,
        '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\0'..='\u{1f}' => 6,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chars(value: &Value) -> usize {
        value.to_string().chars().count()
    }

    #[test]
    fn the_longest_texts_are_shortened_and_the_others_stay() {
        let value = json!({ "a": "x".repeat(100), "b": ["y".repeat(60), 7, true], "c": "short" });
        let fit = fitted(&value, |_| 1, 0, |value| chars(value) < 100).unwrap();
        let level = longest(&fit, |_| 1);
        assert_eq!((chars(&fit), &fit["c"], &fit["b"][1]), (98, &"short".into(), &7.into()));
        assert_eq!(fit["a"].as_str().unwrap().chars().count(), level);
        assert_eq!(fit["b"][0].as_str().unwrap().chars().count(), level, "both are as long");
        assert!(fit["a"].as_str().unwrap().ends_with("xx…"), "{fit}");
    }

    #[test]
    fn what_fits_stays_and_what_has_no_texts_to_shorten_does_not_fit() {
        let value = json!({ "a": "x" });
        assert_eq!(fitted(&value, |_| 1, 0, |_| true), Some(value.clone()));
        assert_eq!(fitted(&json!([1, 2, 3]), |_| 1, 0, |_| false), None);
        let long = json!("x".repeat(50));
        assert_eq!(fitted(&long, |_| 1, 20, |value| chars(value) < 20), None, "it would be shorter than 20");
    }

    #[test]
    fn a_text_of_megabytes_is_read_twice_and_not_in_each_step() {
        thread_local!(static READ: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });
        fn counted(_: char) -> usize {
            READ.set(READ.get() + 1);
            1
        }
        let fit = fitted(&json!("x".repeat(1 << 20)), counted, 0, |value| chars(value) < 1_000);
        assert_eq!(fit.map(|fit| chars(&fit)), Some(999));
        assert!(READ.get() < (2 << 20) + 100_000, "{}", READ.get());
    }

    #[test]
    fn a_character_takes_what_it_takes_when_it_is_written() {
        use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
        const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
        for c in (0..0x180).chain([0x3042, 0x1F35E]).filter_map(char::from_u32) {
            let json = Value::from(c.to_string()).to_string();
            let json = &json[1..json.len() - 1];
            assert_eq!(in_query(c), utf8_percent_encode(json, UNRESERVED).to_string().len(), "{c:?}");
            let escaped = json.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&apos;");
            let escaped = escaped.replace('<', "&lt;").replace('>', "&gt;");
            assert_eq!(in_element(c), escaped.chars().count(), "{c:?}");
        }
    }
}
