//! Replays tapes, natively or in a WASI sandbox, with the same output byte for byte.
//!
//! ```text
//! cargo run -p dialbridge-core --example replay -- [--out FOLDER] [TAPE]...
//! cargo run -p dialbridge-core --example replay --target wasm32-wasip1 -- [--out FOLDER] [TAPE]...
//! ```
//!
//! Prints each call's trace. Without a `TAPE` it reads one from standard input. With `--out`, each `NAME.jsonl` becomes
//! `FOLDER/NAME.trace`, and what the caller heard becomes `FOLDER/NAME.wav` (mu-law, 8,000 Hz, mono). Exits with 0. On
//! failure it prints a line on standard error and exits with 1 if it cannot write, 64 for a wrong command line, 65 for
//! a text that is not a tape and 66 for a tape that it cannot read.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::replay::{Replayed, replay};
use dialbridge_core::tape::Tape;

fn main() -> ExitCode {
    match Arguments::read(std::env::args_os().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // If standard error is closed, the exit code must suffice.
            let _ = writeln!(io::stderr(), "{}", failure.what);
            ExitCode::from(failure.code)
        }
    }
}

#[derive(Default)]
struct Arguments {
    out: Option<PathBuf>,
    tapes: Vec<PathBuf>,
}

impl Arguments {
    fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Self, Failure> {
        let mut read = Self::default();
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--out") => read.out = Some(arguments.next().ok_or_else(Failure::usage)?.into()),
                Some(option) if option.starts_with('-') => return Err(Failure::usage()),
                Some(_) | None => read.tapes.push(argument.into()),
            }
        }
        Ok(read)
    }
}

/// A failure and its exit code, one of BSD's `sysexits`.
struct Failure {
    what: String,
    code: u8,
}

impl Failure {
    fn usage() -> Self {
        Self { what: "usage: replay [--out FOLDER] [TAPE]...".to_owned(), code: 64 }
    }

    fn not_a_tape(path: &Path, error: impl Display) -> Self {
        Self { what: format!("{}: {error}", path.display()), code: 65 }
    }

    fn unreadable(path: &Path, error: impl Display) -> Self {
        Self { what: format!("{}: {error}", path.display()), code: 66 }
    }

    fn unwritable(path: &Path, error: impl Display) -> Self {
        Self { what: format!("{}: {error}", path.display()), code: 1 }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.tapes.is_empty() {
        let stdin = Path::new("stdin");
        let text = io::read_to_string(io::stdin()).map_err(|error| Failure::unreadable(stdin, error))?;
        return play(stdin, &text, arguments);
    }
    for path in &arguments.tapes {
        play(path, &read(path)?, arguments)?;
    }
    Ok(())
}

fn play(path: &Path, text: &str, arguments: &Arguments) -> Result<(), Failure> {
    let tape = Tape::parse(text).map_err(|error| Failure::not_a_tape(path, error))?;
    let replayed = replay(&tape);
    match &arguments.out {
        Some(folder) => keep(&replayed, &folder.join(path.file_name().unwrap_or_default())),
        None => print(&replayed, path, arguments.tapes.len() > 1),
    }
}

/// Prints the trace, below the tape's name if there are several.
fn print(replayed: &Replayed, path: &Path, named: bool) -> Result<(), Failure> {
    let name = if named { format!("{}:\n", path.display()) } else { String::new() };
    let text = name + &replayed.trace();
    match io::stdout().write_all(text.as_bytes()) {
        // A reader that has read enough closes the pipe.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::unwritable(Path::new("stdout"), error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn keep(replayed: &Replayed, file: &Path) -> Result<(), Failure> {
    write(&file.with_extension("trace"), replayed.trace().as_bytes())?;
    write(&file.with_extension("wav"), &write_wav(1, AudioFormat::TELEPHONE, &replayed.heard))
}

#[expect(clippy::disallowed_methods, reason = "a program around core does the I/O that core does not")]
fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::unreadable(path, error))
}

#[expect(clippy::disallowed_methods, reason = "a program around core does the I/O that core does not")]
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|error| Failure::unwritable(path, error))
}
