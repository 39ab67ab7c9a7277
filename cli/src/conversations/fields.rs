//! Reads the tables of a conversation file. Every fault names its line, and an unknown key the nearest known one.

use std::fmt;

use serde_json::{Map, Number, Value};
use strsim::osa_distance;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How deep values may be nested.
const MAX_DEPTH: usize = 16;

/// Something that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The fault, and its mend.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// A text with the faults that were found in it.
#[derive(Debug)]
pub(super) struct Source<'a> {
    text: &'a str,
    pub(super) faults: Vec<Fault>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, faults: Vec::new() }
    }

    /// The whole file as a table; `None` if it is no TOML.
    pub(super) fn table(&mut self) -> Option<Fields<'a>> {
        match DeTable::parse(self.text) {
            Ok(table) => {
                Some(Fields { line: 1, place: String::new(), entries: entries(self.text, table.into_inner()) })
            }
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                self.fault(line_of(self.text, at), format!("this is no TOML: {}", error.message()));
                None
            }
        }
    }

    pub(super) fn fault(&mut self, line: usize, what: impl Into<String>) {
        self.faults.push(Fault { line, what: what.into() });
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

fn entries<'a>(text: &str, table: DeTable<'a>) -> Vec<Entry<'a>> {
    let entry = |(key, value): (Spanned<std::borrow::Cow<'a, str>>, Spanned<DeValue<'a>>)| Entry {
        line: line_of(text, key.span().start),
        key: key.into_inner().into_owned(),
        value: value.into_inner(),
    };
    table.into_iter().map(entry).collect()
}

struct Entry<'a> {
    line: usize,
    key: String,
    value: DeValue<'a>,
}

/// A table whose keys are taken one by one. A key that is left at the end is unknown.
pub(super) struct Fields<'a> {
    /// Where it begins.
    pub(super) line: usize,
    /// Its name, for messages.
    place: String,
    entries: Vec<Entry<'a>>,
}

/// A value with its place.
pub(super) struct Field<'a> {
    pub(super) line: usize,
    /// Its dotted key.
    pub(super) name: String,
    value: DeValue<'a>,
}

impl<'a> Fields<'a> {
    /// Takes a key out.
    pub(super) fn take(&mut self, key: &str) -> Option<Field<'a>> {
        let n = self.entries.iter().position(|entry| entry.key == key)?;
        let entry = self.entries.remove(n);
        Some(Field { line: entry.line, name: self.name_of(key), value: entry.value })
    }

    /// Takes all keys out, each with its value.
    pub(super) fn take_all(&mut self) -> Vec<(String, Field<'a>)> {
        let entries = std::mem::take(&mut self.entries);
        let field = |entry: Entry<'a>| {
            let name = self.name_of(&entry.key);
            (entry.key, Field { line: entry.line, name, value: entry.value })
        };
        entries.into_iter().map(field).collect()
    }

    fn name_of(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    /// Tells each key that is left. `known` are all keys of this table.
    pub(super) fn refuse_rest(self, known: &[&str], source: &mut Source<'_>) {
        for entry in &self.entries {
            let place = if self.place.is_empty() { String::new() } else { format!(" of {}", self.place) };
            source.fault(entry.line, format!("{} is no key{place}{}", entry.key, nearest(&entry.key, known)));
        }
    }
}

/// The end of a message about an unknown name: the nearest known one, or all of them if none is near.
pub(super) fn nearest(name: &str, known: &[&str]) -> String {
    let distances = known.iter().map(|known| (osa_distance(&name.to_lowercase(), &known.to_lowercase()), known));
    match distances.min_by_key(|(distance, _)| *distance) {
        Some((distance, near)) if distance <= 4.min(name.len().div_ceil(2)) => format!("; {near} is one"),
        Some(_) if known.len() <= 16 => format!("; it can be {}", known.join(", ")),
        Some(_) | None => String::new(),
    }
}

impl<'a> Field<'a> {
    fn refuse<T>(&self, what: &str, source: &mut Source<'_>) -> Option<T> {
        source.fault(self.line, format!("{} {what}", self.name));
        None
    }

    pub(super) fn text(self, source: &mut Source<'_>) -> Option<String> {
        match &self.value {
            DeValue::String(text) if text.trim().is_empty() => self.refuse("is empty", source),
            DeValue::String(text) => Some(text.to_string()),
            other => self.refuse(&format!("must be a string, not {}", kind(other)), source),
        }
    }

    pub(super) fn flag(self, source: &mut Source<'_>) -> Option<bool> {
        match &self.value {
            DeValue::Boolean(flag) => Some(*flag),
            other => self.refuse(&format!("must be true or false, not {}", kind(other)), source),
        }
    }

    /// A number of seconds, in milliseconds, up to `max_s`.
    pub(super) fn milliseconds(self, max_s: u32, source: &mut Source<'_>) -> Option<u64> {
        let seconds = number(&self.value).and_then(|number| number.as_f64());
        match seconds.filter(|seconds| (0.0..=f64::from(max_s)).contains(seconds)) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
            Some(seconds) => Some((seconds * 1_000.0).round() as u64),
            None => self.refuse(&format!("must be a number of seconds from 0 to {max_s}"), source),
        }
    }

    /// A value that a setting or a parameter can have, as text.
    pub(super) fn scalar(self, source: &mut Source<'_>) -> Option<String> {
        match &self.value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Boolean(flag) => Some(flag.to_string()),
            DeValue::Integer(_) | DeValue::Float(_) => match number(&self.value) {
                Some(number) => Some(number.to_string()),
                None => self.refuse("is no number that JSON could hold", source),
            },
            other => self.refuse(&format!("must be a string, a number or true or false, not {}", kind(other)), source),
        }
    }

    /// Any value, as JSON.
    pub(super) fn json(self, source: &mut Source<'_>) -> Option<Value> {
        match json(&self.value, MAX_DEPTH) {
            Some(value) => Some(value),
            None => self.refuse("is no value that JSON could hold, or it is nested too deep", source),
        }
    }

    pub(super) fn table(self, source: &mut Source<'a>) -> Option<Fields<'a>> {
        match self.value {
            DeValue::Table(table) => {
                Some(Fields { line: self.line, place: self.name, entries: entries(source.text, table) })
            }
            ref other => self.refuse(&format!("must be a table, not {}", kind(other)), source),
        }
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Whether it is a table with one of these keys.
    pub(super) fn has_any(&self, keys: &[&str]) -> bool {
        self.value.as_table().is_some_and(|table| table.keys().any(|key| keys.contains(&key.get_ref().as_ref())))
    }

    pub(super) fn is_text(&self) -> bool {
        self.value.is_str()
    }

    /// A list of tables: `[[step]]`.
    pub(super) fn tables(self, source: &mut Source<'a>) -> Vec<Fields<'a>> {
        let DeValue::Array(array) = self.value else {
            source.fault(self.line, format!("{} must be a list of tables: write [[{0}]]", self.name));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (n, item) in array.into_iter().enumerate() {
            let line = line_of(source.text, item.span().start);
            let place = format!("{} {}", self.name, n + 1);
            match item.into_inner() {
                DeValue::Table(table) => tables.push(Fields { line, place, entries: entries(source.text, table) }),
                other => source.fault(line, format!("{place} must be a table, not {}", kind(&other))),
            }
        }
        tables
    }

    /// A list of strings.
    pub(super) fn texts(self, source: &mut Source<'_>) -> Option<Vec<String>> {
        let DeValue::Array(array) = &self.value else { return self.refuse("must be a list of strings", source) };
        let texts: Option<Vec<String>> = array
            .iter()
            .map(|item| item.get_ref().as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned))
            .collect();
        match texts.filter(|texts| !texts.is_empty()) {
            Some(texts) => Some(texts),
            None => self.refuse("must be a list of strings that are not empty", source),
        }
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn number(value: &DeValue<'_>) -> Option<Number> {
    match value {
        DeValue::Integer(integer) => {
            i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok().map(Number::from)
        }
        DeValue::Float(float) => Number::from_f64(float.as_str().replace('_', "").parse().ok()?),
        DeValue::String(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn json(value: &DeValue<'_>, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    Some(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(_) | DeValue::Float(_) => Value::Number(number(value)?),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => {
            items.iter().map(|item| json(item.get_ref(), depth)).collect::<Option<Vec<_>>>()?.into()
        }
        DeValue::Table(table) => {
            let entries =
                table.iter().map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref(), depth)?)));
            Value::Object(entries.collect::<Option<Map<_, _>>>()?)
        }
    })
}
