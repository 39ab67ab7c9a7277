//! `replay`: what a taped call does with the call logic of this version.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::replay::{Replayed, replay};
use dialbridge_core::tape::Tape;

use crate::cli::ReplayArgs;
use crate::log::tell_and_leave;

/// `EX_DATAERR` of sysexits: the tape is none.
const DATA_ERROR: u8 = 65;

/// `EX_NOINPUT` of sysexits: there is no tape.
const NO_INPUT: u8 = 66;

/// Runs `replay`.
#[must_use]
pub fn run(args: &ReplayArgs) -> ExitCode {
    let text = match fs::read_to_string(&args.tape) {
        Ok(text) => text,
        Err(error) => return tell_and_leave(&format!("{}: {error}", args.tape.display()), NO_INPUT),
    };
    let tape = match Tape::parse(&text) {
        Ok(tape) => tape,
        Err(error) => return tell_and_leave(&format!("{}: {error}", args.tape.display()), DATA_ERROR),
    };
    let replayed = replay(&tape);
    if let Some(out) = &args.out
        && let Err(error) = fs::write(out, write_wav(1, AudioFormat::TELEPHONE, &replayed.heard))
    {
        return tell_and_leave(&format!("{}: {error}", out.display()), 1);
    }
    if args.check {
        return check(&args.tape, &tape, &replayed);
    }
    // A reader that has read enough closes the pipe.
    let _ = std::io::stdout().write_all(replayed.trace().as_bytes());
    ExitCode::SUCCESS
}

fn check(path: &Path, tape: &Tape, replayed: &Replayed) -> ExitCode {
    let (expected, actual): (Vec<String>, Vec<String>) = match expectation(path) {
        Some((_, Ok(text))) => (lines(&text), lines(&replayed.trace())),
        Some((file, Err(error))) => return tell_and_leave(&format!("{}: {error}", file.display()), NO_INPUT),
        None if !tape.outputs.is_empty() => (tape.outputs.clone(), replayed.tape_lines().collect()),
        None => {
            let file = path.with_extension("trace");
            let why = format!("there is no expectation: {} is not there, and the tape has no outputs", file.display());
            return tell_and_leave(&why, NO_INPUT);
        }
    };
    match first_difference(&expected, &actual) {
        None => {
            let _ = writeln!(std::io::stdout(), "as expected: {} outputs", actual.len());
            ExitCode::SUCCESS
        }
        Some(difference) => tell_and_leave(&difference, 1),
    }
}

/// The expectation that stands beside a tape.
fn expectation(tape: &Path) -> Option<(PathBuf, std::io::Result<String>)> {
    let beside = tape.with_extension("trace");
    let name = beside.file_name()?.to_owned();
    let golden = tape.parent()?.parent().map(|folder| folder.join("golden").join(name));
    let file = [Some(beside), golden].into_iter().flatten().find(|file| file.exists())?;
    let text = fs::read_to_string(&file);
    Some((file, text))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(ToOwned::to_owned).collect()
}

fn first_difference(expected: &[String], actual: &[String]) -> Option<String> {
    let length = expected.len().max(actual.len());
    let at = (0..length).find(|&at| expected.get(at) != actual.get(at))?;
    let line = |lines: &[String]| lines.get(at).map_or("(nothing more)", String::as_str).to_owned();
    Some(format!("output {} differs\n  expected {}\n  actual   {}", at + 1, line(expected), line(actual)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_told() {
        let lines = |text: &str| super::lines(text);
        assert_eq!(first_difference(&lines("a\nb"), &lines("a\nb")), None);
        let told = first_difference(&lines("a\nb"), &lines("a\nc\nd")).unwrap();
        assert_eq!(told, "output 2 differs\n  expected b\n  actual   c");
        assert!(first_difference(&lines("a\nb"), &lines("a")).unwrap().contains("(nothing more)"));
    }
}
