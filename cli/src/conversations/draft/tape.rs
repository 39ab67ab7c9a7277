//! A file out of a tape, with the recordings beside it.

use std::path::{Path, PathBuf};

use dialbridge_core::tape::Tape;
use dialbridge_runner::conversation_draft;

use super::write_new;
use crate::files::{self, MAX_TAPE_BYTES};

/// Writes a file out of a tape, and the caller's recordings beside it. Returns what was written, and a sentence for each
/// step in which the tape masks what the caller did.
///
/// # Errors
/// A sentence that says why it cannot be written.
pub fn of_tape(path: &Path, out: &Path) -> Result<(Vec<PathBuf>, Vec<String>), String> {
    let text = files::text(path, MAX_TAPE_BYTES)?;
    let tape = Tape::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let stem = out.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let drafted = conversation_draft::of_tape(&tape, &stem);
    write_new(out, drafted.file.as_str().as_bytes())?;
    let mut written = vec![out.to_owned()];
    for (name, wav) in &drafted.recordings {
        let path = out.with_file_name(name);
        write_new(&path, wav)?;
        written.push(path);
    }
    let told = drafted.gaps.iter().map(|gap| format!("{}: line {}: put in {}", out.display(), gap.line, gap.what));
    Ok((written, told.collect()))
}
