//! Writes conversation files: out of a tape, out of recordings, out of exported CX test cases. A person edits them.

mod cases;
mod recordings;
mod tape;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub use cases::import;
pub use recordings::of_recordings;
pub use tape::of_tape;

/// A file that is being written.
#[derive(Debug, Default)]
struct Draft(String);

impl Draft {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// `key = "text"`.
    fn text(&mut self, key: &str, text: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{key} = {}", quoted(text));
    }

    /// An expectation of each scalar in `values`: a parameter, for example.
    fn values<'a>(&mut self, key: &str, values: impl IntoIterator<Item = (&'a String, &'a Value)>) {
        for (name, value) in values {
            let written = match value {
                Value::String(text) if !text.is_empty() => quoted(text),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => continue,
            };
            let _ = writeln!(self.0, "{key}.{} = {written}", key_of(name));
        }
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    Value::from(text.replace('\u{7f}', "")).to_string()
}

/// A TOML key.
fn key_of(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_bare { name.to_owned() } else { quoted(name) }
}

/// The first sentence of an answer: enough to know it by, and not so much that each change of a word fails.
fn first_sentence(text: &str) -> &str {
    let end = text.find(['.', '?', '!', '\n']).unwrap_or(text.len());
    text[..end].trim()
}

/// Writes a file that does not exist yet.
fn write_new(path: &Path, content: &[u8]) -> Result<(), String> {
    use std::io::Write as _;
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = fs::File::create_new(path).map_err(told)?;
    file.write_all(content).map_err(told)
}

/// A name for a file out of words.
fn slug(words: &str) -> String {
    let mut slug = String::new();
    for c in words.to_lowercase().chars() {
        match c {
            c if c.is_ascii_alphanumeric() => slug.push(c),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
        if slug.len() >= 48 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "call".to_owned() } else { slug.to_owned() }
}

/// A path as it is written into a file in that folder.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    path.strip_prefix(folder)
        .map_or_else(|_| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()), Path::to_owned)
}

#[cfg(test)]
mod tests;
