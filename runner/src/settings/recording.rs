//! Recordings of our own: WAV files that the service reads when it starts.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};

use dialbridge_core::audio::wav::read_wav;
use dialbridge_core::audio::{AudioFormat, BYTES_PER_MS, to_mulaw};
use dialbridge_core::config::Clip;

/// The longest recording, in milliseconds.
const MAX_RECORDING_MS: usize = 30_000;

/// The largest file, in bytes. 30 seconds at 48 kHz with two channels are 6 MB.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Reads a WAV file and converts it to 8 kHz mu-law.
///
/// # Errors
/// Why we cannot play the file, as a text that follows the setting's name.
pub(super) fn recording(file: &str) -> Result<Clip, String> {
    let wav = read(file).map_err(|error| format!("names {file}, which cannot be read: {error}"))?;
    read_wav(&wav).map_err(|error| format!("names {file}, which is no WAV file: {error}"))?;
    let unplayable = |why: &dyn Display| format!("names {file}, which cannot be played: {why}");
    let mulaw = to_mulaw(AudioFormat::TELEPHONE, &wav).map_err(|error| unplayable(&error))?;
    match mulaw.len() {
        0 => Err(unplayable(&"there is no audio in it")),
        bytes if bytes > MAX_RECORDING_MS * BYTES_PER_MS => Err(unplayable(&"it is longer than 30 seconds")),
        _ => Ok(Clip(mulaw.into())),
    }
}

fn read(file: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}
