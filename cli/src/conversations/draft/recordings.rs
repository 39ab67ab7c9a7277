//! A file out of recordings.

use std::path::{Path, PathBuf};

use super::{Draft, relative, write_new};
use crate::conversations::caller::read_recording;

/// Writes a file whose caller says these recordings, one after the other.
///
/// # Errors
/// A sentence that says why it cannot be written.
pub fn of_recordings(recordings: &[PathBuf], out: &Path) -> Result<(), String> {
    let folder = out.parent().unwrap_or(Path::new(""));
    let mut draft = Draft::default();
    let stem = out.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    draft.text("name", &stem);
    draft.line("\n[[step]]");
    draft.line("# expect.reply = \"what the agent greets with\"");
    for recording in recordings {
        read_recording(recording)?;
        draft.line("\n[[step]]");
        draft.text("audio", &relative(recording, folder).display().to_string());
        draft.line("# [step.expect]");
        draft.line("# understood = \"what the caller says\"");
        draft.line("# intent = \"the intent\"");
        draft.line("# reply = \"what the agent answers\"");
        draft.line("# within_s = \"<2\"");
    }
    draft.line("\n[end.expect]");
    draft.line("warnings = 0");
    write_new(out, draft.as_str().as_bytes())
}
