//! `.env`: replaces values in place and leaves all other lines as they are.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Only the owner may read it: it holds secrets.
const MODE: u32 = 0o600;

/// Puts values into a file's text. A name that occurs several times is kept once, at its first place, because the first
/// one counts.
#[must_use]
pub(super) fn merged(text: &str, values: &[(String, String)]) -> String {
    let mut written = vec![false; values.len()];
    let mut merged = String::new();
    for entry in entries(text) {
        let Some(n) = name(entry).and_then(|name| values.iter().position(|(other, _)| other == name)) else {
            merged.push_str(entry);
            continue;
        };
        if !std::mem::replace(&mut written[n], true) {
            merged.push_str(&line(&values[n]));
        }
    }
    if !merged.is_empty() && !merged.ends_with('\n') {
        merged.push('\n');
    }
    for (n, value) in values.iter().enumerate() {
        if !written[n] && !value.1.is_empty() {
            merged.push_str(&line(value));
        }
    }
    merged
}

fn line((name, value): &(String, String)) -> String {
    format!("{name}={}\n", quoted(value))
}

/// Quotes a value so that dotenvy and a shell read it in the same way, as far as that is possible.
#[must_use]
pub(super) fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:/@%+=".contains(c);
    if value.chars().all(is_plain) {
        return value.to_owned();
    }
    if !value.contains(['\'', '\n', '\r']) {
        return format!("'{value}'");
    }
    let mut quoted = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' | '$' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// The name that an entry sets.
fn name(entry: &str) -> Option<&str> {
    let entry = entry.trim_start();
    let (name, _) = entry.strip_prefix("export ").unwrap_or(entry).split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    is_name.then_some(name)
}

/// A file's entries with their line ends: a quoted value may span several lines.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let entry = rest.split_at(end(rest));
        rest = entry.1;
        (!entry.0.is_empty()).then_some(entry.0)
    })
}

/// How the reader goes on after a character.
#[derive(Clone, Copy, PartialEq)]
enum Quote {
    None,
    Single,
    Double,
    Comment,
}

/// Where the first entry of a text ends, after its line end.
fn end(text: &str) -> usize {
    let mut quote = Quote::None;
    let (mut is_escaped, mut after_space) = (false, true);
    for (at, c) in text.char_indices() {
        if std::mem::take(&mut is_escaped) && c != '\n' {
            continue;
        }
        match (quote, c) {
            (Quote::None | Quote::Comment, '\n') => return at + 1,
            (Quote::None | Quote::Double, '\\') => is_escaped = true,
            (Quote::None, '#') if after_space => quote = Quote::Comment,
            (Quote::None, '\'') => quote = Quote::Single,
            (Quote::None, '"') => quote = Quote::Double,
            (Quote::Single, '\'') | (Quote::Double, '"') => quote = Quote::None,
            _ => {}
        }
        after_space = c.is_whitespace();
    }
    // An unclosed quote counts as one line, or all lines after it would be lost.
    match quote {
        Quote::Single | Quote::Double => text.find('\n').map_or(text.len(), |at| at + 1),
        Quote::None | Quote::Comment => text.len(),
    }
}

/// Writes the file atomically and keeps its earlier content beside it as `.env.bak`. Returns whether it kept one.
///
/// # Errors
/// When the file system fails.
pub(super) fn write(path: &Path, text: &str) -> io::Result<Option<PathBuf>> {
    // If it is a link, the target is written.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let with = |end: &str| PathBuf::from(format!("{}{end}", path.display()));
    let backup = match fs::read(&path) {
        Ok(before) => {
            let backup = with(".bak");
            create(&backup, &before)?;
            Some(backup)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let new = with(&format!(".new-{}", std::process::id()));
    create(&new, text.as_bytes())?;
    fs::rename(&new, &path)?;
    Ok(backup)
}

/// Creates a new file, so that it has this mode from the start.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The value that a file's text gives a name, as dotenvy reads it.
#[must_use]
pub(super) fn value(text: &str, name: &str) -> Option<String> {
    let mut lines = dotenvy::from_read_iter(text.as_bytes()).map_while(Result::ok);
    lines.find(|(other, _)| other == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        for text in [
            "plain",
            "a b",
            "it's",
            "a\"b",
            "back\\slash",
            "$HOME",
            "${HOME}",
            "#no comment",
            "a #b",
            "a=b",
            "ä€",
            "`x`",
            "two\nlines",
            "'",
            "\"'\"",
            "tab\there",
            " around ",
            "",
            "%20&c=d?",
            "<Response><Say>It's \"$5\"</Say></Response>",
        ] {
            let file = merged("", &pairs(&[("A", text), ("B", "after")]));
            let expected = (!text.is_empty()).then(|| text.to_owned());
            assert_eq!(value(&file, "A"), expected, "{file}");
            assert_eq!(value(&file, "B").as_deref(), Some("after"), "{file}");
        }
    }

    #[test]
    fn all_other_lines_stay_as_they_are() {
        let before =
            "# a comment, it's mine\nOTHER='x\nTWILIO=1\n' # two lines\nexport PORT=1\n\n  PORT = 2\nLAST=\"a\\\"b\"";
        let after = merged(before, &pairs(&[("PORT", "8080"), ("TWILIO", "new"), ("EMPTY", "")]));
        let expected =
            "# a comment, it's mine\nOTHER='x\nTWILIO=1\n' # two lines\nPORT=8080\n\nLAST=\"a\\\"b\"\nTWILIO=new\n";
        assert_eq!(after, expected);
        assert_eq!(merged(&after, &pairs(&[("PORT", "")])), expected.replace("PORT=8080", "PORT="));
    }

    #[test]
    fn a_quote_that_nobody_closes_swallows_nothing() {
        let after = merged("A='open\nPORT=1\n", &pairs(&[("PORT", "2")]));
        assert_eq!(after, "A='open\nPORT=2\n");
    }
}
