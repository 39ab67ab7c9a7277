//! What the page gives out of a recorded call: its tape, the audio of both sides, and a conversation test.

mod both_sides;
mod zip;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use dialbridge_core::CallSid;
use dialbridge_core::tape::Tape;

use crate::conversation_draft::of_tape;
use both_sides::both_sides;
use zip::zip;

/// The longest tape that is read, in bytes. A call of an hour has about that much.
const MAX_TAPE_BYTES: u64 = 64 << 20;

/// The longest call whose audio is put together, in milliseconds: 4 hours are 115 MB a side.
const MAX_TAPE_MS: u64 = 4 * 3_600_000;

/// Where the tape of a call is written.
pub(crate) fn tape_path(folder: &Path, call_sid: &CallSid, issued_ms: u64) -> PathBuf {
    folder.join(format!("{call_sid}-{issued_ms}.jsonl"))
}

/// A file that is made of a tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TapeExport {
    /// The tape itself.
    Tape,
    /// A WAV of both sides.
    Audio,
    /// An archive with a conversation file and the caller's recordings.
    Test,
}

impl TapeExport {
    /// The content type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Tape => "application/jsonl",
            Self::Audio => "audio/wav",
            Self::Test => "application/zip",
        }
    }

    /// How the name of the file ends.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Tape => "jsonl",
            Self::Audio => "wav",
            Self::Test => "zip",
        }
    }
}

/// Why there is nothing to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TapeFault {
    /// The file cannot be read.
    Gone,
    /// It has more than [`MAX_TAPE_BYTES`].
    TooLong,
    /// It is no tape, or not yet.
    Unreadable,
}

/// Makes that out of a tape. Names in it begin with `stem`. Blocks: it reads a file, and replays the call.
///
/// # Errors
/// [`TapeFault`] says why it cannot.
pub(crate) fn export(path: &Path, stem: &str, what: TapeExport) -> Result<Vec<u8>, TapeFault> {
    let bytes = read(path)?;
    if what == TapeExport::Tape {
        return Ok(bytes);
    }
    let tape = std::str::from_utf8(&bytes).ok().and_then(|text| Tape::parse(text).ok()).ok_or(TapeFault::Unreadable)?;
    drop(bytes);
    if tape.inputs.iter().any(|(at, _)| at.as_ms() > MAX_TAPE_MS) {
        return Err(TapeFault::Unreadable);
    }
    if what == TapeExport::Audio { Ok(both_sides(&tape)) } else { test_archive(&tape, stem) }
}

fn read(path: &Path) -> Result<Vec<u8>, TapeFault> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|_| TapeFault::Gone)?;
    file.take(MAX_TAPE_BYTES + 1).read_to_end(&mut bytes).map_err(|_| TapeFault::Gone)?;
    if bytes.len() as u64 > MAX_TAPE_BYTES { Err(TapeFault::TooLong) } else { Ok(bytes) }
}

/// A folder with the conversation file and its recordings.
fn test_archive(tape: &Tape, stem: &str) -> Result<Vec<u8>, TapeFault> {
    let drafted = of_tape(tape, stem);
    let file = (format!("{stem}/{stem}.toml"), drafted.file.as_str().as_bytes().to_vec());
    let recordings = drafted.recordings.into_iter().map(|(name, wav)| (format!("{stem}/{name}"), wav));
    let files: Vec<(String, Vec<u8>)> = [file].into_iter().chain(recordings).collect();
    zip(&files).map_err(|_| TapeFault::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tape_is_read_up_to_its_limit_and_a_longer_one_is_told() {
        let path = std::env::temp_dir().join(format!("dialbridge-tape-files-{}", std::process::id()));
        assert_eq!(export(&path, "call", TapeExport::Tape), Err(TapeFault::Gone));
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(export(&path, "call", TapeExport::Tape), Ok(b"{}".to_vec()));
        assert_eq!(export(&path, "call", TapeExport::Audio), Err(TapeFault::Unreadable));
        let far = "{\"tape\":1,\"edition\":\"cx\",\"config\":{}}\n{\"at_ms\":14400001,\"from\":\"timer\"}\n";
        std::fs::write(&path, far).unwrap();
        assert_eq!(export(&path, "call", TapeExport::Audio), Err(TapeFault::Unreadable), "more than four hours");
        File::options().write(true).open(&path).unwrap().set_len(MAX_TAPE_BYTES + 1).unwrap();
        assert_eq!(export(&path, "call", TapeExport::Tape), Err(TapeFault::TooLong));
        std::fs::remove_file(&path).unwrap();
    }
}
