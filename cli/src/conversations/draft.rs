//! Writes conversation files: out of a tape, out of recordings, out of exported CX test cases. A person edits them.

mod cases;
mod recordings;
mod tape;

use std::fs;
use std::path::{Path, PathBuf};

use dialbridge_runner::conversation_draft::{Draft, first_sentence, quoted};

pub use cases::import;
pub use recordings::of_recordings;
pub use tape::of_tape;

/// Writes a file that does not exist yet.
fn write_new(path: &Path, content: &[u8]) -> Result<(), String> {
    use std::io::Write as _;
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = fs::File::create_new(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => format!("{}: the file exists; --out names another one", path.display()),
        _ => told(error),
    })?;
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
