//! Writes conversation files, which a person then edits. `dialbridge test new` and the page make them out of tapes.

mod of_tape;

use std::fmt::Write as _;

use serde_json::Value;

pub use of_tape::{DraftedCall, Gap, of_tape};

/// A file that is being written.
#[derive(Debug, Default)]
pub struct Draft(String);

impl Draft {
    /// Adds a line.
    pub fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// `key = "text"`.
    pub fn text(&mut self, key: &str, text: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{key} = {}", quoted(text));
    }

    /// An expectation of each scalar in `values`: a parameter, for example.
    pub fn values<'a>(&mut self, key: &str, values: impl IntoIterator<Item = (&'a String, &'a Value)>) {
        for (name, value) in values {
            let written = match value {
                Value::String(text) if !text.is_empty() => quoted(text),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => continue,
            };
            let _ = writeln!(self.0, "{key}.{} = {written}", key_of(name));
        }
    }

    /// The file so far.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A TOML string.
#[must_use]
pub fn quoted(text: &str) -> String {
    Value::from(text.replace('\u{7f}', "")).to_string()
}

/// A TOML key.
fn key_of(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_bare { name.to_owned() } else { quoted(name) }
}

/// The first sentence of an answer: enough to know it by, and not so much that each change of a word fails.
#[must_use]
pub fn first_sentence(text: &str) -> &str {
    let end = text.find(['.', '?', '!', '\n']).unwrap_or(text.len());
    text[..end].trim()
}
