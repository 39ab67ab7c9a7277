//! Expectations: what a value must be, and the sentence that says how it differs.

use std::fmt;

use regex_lite::Regex;
use serde_json::Value;

use super::fields::{Field, Source};

/// How far a duration may be from a plain number, in seconds.
const TOLERANCE_S: f64 = 0.05;

/// The test of a text.
#[derive(Debug, Clone)]
pub enum TextTest {
    /// It contains this.
    Contains(String),
    /// It matches.
    Matches(Regex),
    /// It contains one of these.
    Any(Vec<String>),
    /// It contains all of these.
    All(Vec<String>),
}

/// The test of a number.
#[derive(Debug, Clone, PartialEq)]
pub enum NumberTest {
    /// This value.
    Is(f64),
    /// Less than this.
    Below(f64),
    /// This or less.
    AtMost(f64),
    /// More than this.
    Above(f64),
    /// This or more.
    AtLeast(f64),
    /// From the first to the second.
    Between(f64, f64),
}

/// The test of a value.
#[derive(Debug, Clone)]
pub enum Test {
    /// A text.
    Text(TextTest),
    /// A number.
    Number(NumberTest),
    /// Yes or no.
    Flag(bool),
    /// This JSON and no other.
    Json(Value),
}

const TEXT_KEYS: [&str; 3] = ["regex", "any", "all"];

impl TextTest {
    pub(super) fn read<'a>(field: Field<'a>, source: &mut Source<'a>) -> Option<Self> {
        if !field.is_table() {
            return field.text(source).map(Self::Contains);
        }
        let (line, name) = (field.line, field.name.clone());
        let mut table = field.table(source)?;
        let before = source.faults.len();
        let regex = table.take("regex").and_then(|field| {
            let (line, name) = (field.line, field.name.clone());
            let pattern = field.text(source)?;
            Regex::new(&pattern)
                .map_err(|error| source.fault(line, format!("{name} is no regular expression: {error}")))
                .ok()
        });
        let any = table.take("any").and_then(|field| field.texts(source));
        let all = table.take("all").and_then(|field| field.texts(source));
        table.refuse_rest(&TEXT_KEYS, source);
        match (regex, any, all) {
            (Some(regex), None, None) => Some(Self::Matches(regex)),
            (None, Some(any), None) => Some(Self::Any(any)),
            (None, None, Some(all)) => Some(Self::All(all)),
            _ => {
                if source.faults.len() == before {
                    source.fault(line, format!("{name} needs exactly one of regex, any and all"));
                }
                None
            }
        }
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Contains(part) => text.contains(part.as_str()),
            Self::Matches(regex) => regex.is_match(text),
            Self::Any(parts) => parts.iter().any(|part| text.contains(part.as_str())),
            Self::All(parts) => parts.iter().all(|part| text.contains(part.as_str())),
        }
    }
}

impl fmt::Display for TextTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |parts: &[String]| parts.iter().map(|part| format!("{part:?}")).collect::<Vec<_>>();
        match self {
            Self::Contains(part) => write!(f, "{part:?}"),
            Self::Matches(regex) => write!(f, "a text that matches /{}/", regex.as_str()),
            Self::Any(parts) => f.write_str(&quoted(parts).join(" or ")),
            Self::All(parts) => f.write_str(&quoted(parts).join(" and ")),
        }
    }
}

impl NumberTest {
    /// Reads `"<1.5"`, `"1..2"` and the like.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let after = |sign: &str| text.trim().strip_prefix(sign).map(number);
        if let Some((from, to)) = text.split_once("..") {
            let (from, to) = (number(from)?, number(to)?);
            return (from <= to).then_some(Self::Between(from, to));
        }
        if let Some(number) = after("<=") {
            return number.map(Self::AtMost);
        }
        if let Some(number) = after(">=") {
            return number.map(Self::AtLeast);
        }
        if let Some(number) = after("<") {
            return number.map(Self::Below);
        }
        if let Some(number) = after(">") {
            return number.map(Self::Above);
        }
        number(text).map(Self::Is)
    }

    pub(super) fn read(field: Field<'_>, source: &mut Source<'_>) -> Option<Self> {
        let (line, name) = (field.line, field.name.clone());
        let text = field.scalar(source)?;
        let test = Self::parse(&text);
        if test.is_none() {
            source.fault(line, format!("{name} is \"{text}\"; it must be a number, \"<1.5\", \">1\" or \"1..2\""));
        }
        test
    }

    /// Whether it holds. A duration may be off a plain number by 50 ms.
    pub(super) fn holds(&self, number: f64, is_duration: bool) -> bool {
        let tolerance = if is_duration { TOLERANCE_S } else { f64::EPSILON };
        match self {
            Self::Is(is) => (number - is).abs() <= tolerance,
            Self::Below(limit) => number < *limit,
            Self::AtMost(limit) => number <= *limit,
            Self::Above(limit) => number > *limit,
            Self::AtLeast(limit) => number >= *limit,
            Self::Between(from, to) => (*from..=*to).contains(&number),
        }
    }
}

impl fmt::Display for NumberTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(number) => write!(f, "{number}"),
            Self::Below(limit) => write!(f, "less than {limit}"),
            Self::AtMost(limit) => write!(f, "{limit} or less"),
            Self::Above(limit) => write!(f, "more than {limit}"),
            Self::AtLeast(limit) => write!(f, "{limit} or more"),
            Self::Between(from, to) => write!(f, "{from} to {to}"),
        }
    }
}

impl Test {
    /// The expectation of a parameter or of a field of the hand-off: any TOML value. A string must be contained, or says
    /// what a number must be.
    pub(super) fn of_json<'a>(field: Field<'a>, source: &mut Source<'a>) -> Option<Self> {
        if field.is_text() {
            let (line, name) = (field.line, field.name.clone());
            let text = field.scalar(source)?;
            if text.is_empty() {
                source.fault(line, format!("{name} is empty, and every text contains that; use {{ regex = \"^$\" }}"));
                return None;
            }
            let is_bound = text.starts_with(['<', '>']) || text.contains("..");
            let number = NumberTest::parse(&text).filter(|_| is_bound);
            return Some(number.map_or(Self::Text(TextTest::Contains(text)), Self::Number));
        }
        field.json(source).map(|value| match value.as_f64() {
            Some(number) => Self::Number(NumberTest::Is(number)),
            None => Self::Json(value),
        })
    }

    /// Whether a JSON value is as expected.
    pub(super) fn holds_for(&self, value: &Value) -> bool {
        match self {
            Self::Text(test) => match value {
                Value::String(text) => test.holds(text),
                Value::Null => false,
                other => test.holds(&other.to_string()),
            },
            Self::Number(test) => {
                let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
                number.is_some_and(|number| test.holds(number, false))
            }
            Self::Flag(flag) => value.as_bool() == Some(*flag),
            Self::Json(expected) => value == expected,
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(test) => test.fmt(f),
            Self::Number(test) => test.fmt(f),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Json(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_is_a_value_a_bound_or_a_range() {
        for (text, holds, fails) in [
            ("2", 2.0, 2.2),
            ("<1.5", 1.4, 1.5),
            ("<=1.5", 1.5, 1.6),
            (">1", 1.1, 1.0),
            (">= 1", 1.0, 0.9),
            ("1..2", 1.0, 2.1),
            ("1.2..1.9", 1.9, 1.1),
        ] {
            let test = NumberTest::parse(text).unwrap();
            assert!(test.holds(holds, false) && !test.holds(fails, false), "{text}");
        }
        for wrong in ["", "fast", "2..1", "<", "1..", "nan", "<<1"] {
            assert_eq!(NumberTest::parse(wrong), None, "{wrong}");
        }
        assert!(NumberTest::Is(1.2).holds(1.24, true) && !NumberTest::Is(1.2).holds(1.26, true));
        assert!(!NumberTest::Is(1.2).holds(1.24, false));
    }

    #[test]
    fn a_text_contains_matches_or_is_one_of_several() {
        let contains = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        assert!(TextTest::Contains("loaves".to_owned()).holds("two loaves"));
        assert!(TextTest::Matches(Regex::new("^two").unwrap()).holds("two loaves"));
        assert!(TextTest::Any(contains(&["one", "two"])).holds("two loaves"));
        assert!(!TextTest::All(contains(&["one", "two"])).holds("two loaves"));
    }

    #[test]
    fn a_parameter_is_compared_by_its_kind() {
        assert!(Test::Number(NumberTest::Is(2.0)).holds_for(&json!(2)));
        assert!(Test::Number(NumberTest::Is(2.0)).holds_for(&json!("2")), "ES sends numbers as texts at times");
        assert!(!Test::Number(NumberTest::Is(2.0)).holds_for(&json!([2])));
        assert!(Test::Text(TextTest::Contains("09".to_owned())).holds_for(&json!("09:00")));
        assert!(!Test::Text(TextTest::Contains("n".to_owned())).holds_for(&Value::Null));
        assert!(Test::Json(json!(["a"])).holds_for(&json!(["a"])) && !Test::Json(json!(true)).holds_for(&json!(1)));
    }
}
