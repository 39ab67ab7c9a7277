//! `replay`: what the call logic of this version does with taped calls.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::replay::{Replayed, replay};
use dialbridge_core::tape::{Tape, retake};
use similar::TextDiff;

use super::folded_trace::folded;
use crate::args::ReplayArgs;
use crate::files::{self, MAX_TAPE_BYTES};
use crate::junit::{self, Case, Outcome};
use dialbridge_runner::settings::with_settings;
use dialbridge_runner::telemetry::log::log_and_exit;

/// `EX_USAGE` of sysexits: options that do not go together.
const USAGE: u8 = 64;

/// `EX_DATAERR` of sysexits: the file is not a tape.
const DATA_ERROR: u8 = 65;

/// `EX_NOINPUT` of sysexits: the tape or the expectation is missing.
const NO_INPUT: u8 = 66;

/// There is nothing to check, as with `test`.
const NOTHING: u8 = 2;

/// How deep folders are searched for tapes.
const MAX_DEPTH: usize = 32;

/// How many lines around a difference are shown.
const CONTEXT: usize = 3;

/// How many lines of differences are shown at most.
const MAX_LINES: usize = 60;

/// Why a replay ends: the message, and the exit code.
struct Failure(String, u8);

impl Failure {
    fn at(path: &Path, why: impl std::fmt::Display, code: u8) -> Self {
        Self(format!("{}: {why}", path.display()), code)
    }
}

/// Runs `replay`.
#[must_use]
pub fn run(args: &ReplayArgs) -> ExitCode {
    let began = Instant::now();
    let (mut tapes, mut worst) = (Vec::new(), ExitCode::SUCCESS);
    for path in &args.tapes {
        if let Err(error) = add_tapes(path, MAX_DEPTH, &mut tapes) {
            worst = log_and_exit(&format!("{}: {error}", path.display()), NO_INPUT);
        }
    }
    if args.out.is_some() && tapes.len() > 1 {
        return log_and_exit("--out takes the audio of one tape", USAGE);
    }
    if tapes.is_empty() && worst == ExitCode::SUCCESS {
        return log_and_exit("there is no tape there: a file that ends in .jsonl", NOTHING);
    }
    if let Some(Err(why)) = args.junit.as_deref().map(junit::check_writable) {
        return log_and_exit(&why, 1);
    }
    let mut cases = Vec::new();
    for tape in &tapes {
        let (name, since) = (tape.display().to_string(), Instant::now());
        let outcome = match one(tape, args, tapes.len() > 1) {
            Ok(()) => Outcome::Passed(None),
            Err(Failure(why, code)) => {
                worst = log_and_exit(&why, code);
                let first = why.lines().next().unwrap_or_default().to_owned();
                if code == 1 { Outcome::Failed(first, why) } else { Outcome::Broken(first, why) }
            }
        };
        cases.push(Case { name: name.clone(), class: name, took: since.elapsed(), outcome });
    }
    if args.check && cases.len() > 1 {
        let passed = cases.iter().filter(|case| matches!(case.outcome, Outcome::Passed(_))).count();
        tell(&format!("{passed} of {} as expected", cases.len()));
    }
    match &args.junit {
        Some(file) => match fs::write(file, junit::document(&cases, began.elapsed())) {
            Ok(()) => worst,
            Err(error) => log_and_exit(&format!("{}: {error}", file.display()), 1),
        },
        None => worst,
    }
}

/// Adds a tape, or all tapes of a folder in the order of their names. Links to folders are not followed.
fn add_tapes(path: &Path, depth: usize, tapes: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        tapes.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<_> = fs::read_dir(path)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() && depth > 0 {
            add_tapes(&path, depth - 1, tapes)?;
        } else if !kind.is_dir() && path.extension().is_some_and(|extension| extension == "jsonl") {
            tapes.push(path);
        }
    }
    Ok(())
}

fn one(path: &Path, args: &ReplayArgs, is_one_of_many: bool) -> Result<(), Failure> {
    let mut text = files::text(path, MAX_TAPE_BYTES).map_err(|why| Failure(why, NO_INPUT))?;
    let mut tape = parsed(path, &text)?;
    if !args.setting.is_empty() {
        let header = &tape.header;
        let config =
            with_settings(&header.config, &header.edition, &args.setting).map_err(|why| Failure(why, USAGE))?;
        text = retake(&text, &config).map_err(|error| Failure::at(path, error, DATA_ERROR))?;
        tape = parsed(path, &text)?;
    }
    let replayed = replay(&tape);
    if let Some(out) = &args.out {
        let wav = write_wav(1, AudioFormat::TELEPHONE, &replayed.heard);
        fs::write(out, wav).map_err(|error| Failure::at(out, error, 1))?;
    }
    if args.check {
        return check(path, &tape, &replayed, args.quiet);
    }
    if args.accept {
        if !args.setting.is_empty() {
            // From here on the tape is a call with these settings.
            fs::write(path, &text).map_err(|error| Failure::at(path, error, 1))?;
        }
        return accept(path, &replayed);
    }
    if args.quiet {
        return Ok(());
    }
    if is_one_of_many {
        tell(&format!("{}:", path.display()));
    }
    // A reader that has read enough closes the pipe.
    let _ = std::io::stdout().write_all(folded(&replayed.trace()).as_bytes());
    Ok(())
}

fn parsed(path: &Path, text: &str) -> Result<Tape, Failure> {
    Tape::parse(text).map_err(|error| Failure::at(path, error, DATA_ERROR))
}

fn check(path: &Path, tape: &Tape, replayed: &Replayed, is_quiet: bool) -> Result<(), Failure> {
    let file = expectation(path);
    let (expected, actual) = if file.exists() {
        (files::text(&file, MAX_TAPE_BYTES).map_err(|why| Failure(why, NO_INPUT))?, replayed.trace())
    } else if tape.outputs.is_empty() {
        let why = "there is no expectation, and the tape has no outputs; --accept writes it";
        return Err(Failure::at(&file, why, NO_INPUT));
    } else {
        let lines = |lines: &mut dyn Iterator<Item = String>| lines.map(|line| line + "\n").collect::<String>();
        (lines(&mut tape.outputs.iter().cloned()), lines(&mut replayed.tape_lines()))
    };
    match difference(&expected, &actual) {
        None => {
            if !is_quiet {
                tell(&format!("{}: as expected, {} lines", path.display(), actual.lines().count()));
            }
            Ok(())
        }
        Some(difference) => {
            let told = format!("the call differs from what is expected (-) by what it did (+)\n{difference}");
            Err(Failure::at(path, told, 1))
        }
    }
}

/// Writes what the call did beside the tape, and shows what changed.
fn accept(path: &Path, replayed: &Replayed) -> Result<(), Failure> {
    let (file, actual) = (expectation(path), replayed.trace());
    let before = files::text(&file, MAX_TAPE_BYTES).ok();
    let difference = before.as_deref().map(|before| difference(before, &actual));
    let told = match &difference {
        None => format!("written, {} lines", actual.lines().count()),
        Some(None) => "as before".to_owned(),
        Some(Some(difference)) => format!("brought up to date\n{difference}"),
    };
    if difference != Some(None) {
        fs::write(&file, &actual).map_err(|error| Failure::at(&file, error, 1))?;
    }
    tell(&format!("{}: {told}", file.display()));
    Ok(())
}

/// The path of a tape's expectation: beside the tape, unless there is one in `../golden`.
fn expectation(tape: &Path) -> PathBuf {
    let beside = tape.with_extension("trace");
    let golden = || Some(tape.parent()?.parent()?.join("golden").join(beside.file_name()?));
    match golden().filter(|golden| !beside.exists() && golden.exists()) {
        Some(golden) => golden,
        None => beside,
    }
}

/// The differences between two texts as `diff -u` shows them, cut to what a person reads.
fn difference(expected: &str, actual: &str) -> Option<String> {
    if expected == actual {
        return None;
    }
    let diff = TextDiff::from_lines(expected, actual);
    let whole = diff.unified_diff().context_radius(CONTEXT).to_string();
    let count = whole.lines().count();
    let mut shown: String = whole.lines().take(MAX_LINES).map(|line| format!("{line}\n")).collect();
    if count > MAX_LINES {
        // Writing to a String does not fail.
        let _ = write!(shown, "… and {} lines more", count - MAX_LINES);
    }
    Some(shown.trim_end().to_owned())
}

fn tell(line: &str) {
    // A reader that has read enough closes the pipe.
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_with_what_stands_around_them() {
        let numbers = |skip: u32| (1..=20).filter(|n| *n != skip).map(|n| format!("{n}\n")).collect::<String>();
        assert_eq!(difference(&numbers(0), &numbers(0)), None);
        let told = difference(&numbers(0), &numbers(10)).unwrap();
        assert_eq!(told, "@@ -7,7 +7,6 @@\n 7\n 8\n 9\n-10\n 11\n 12\n 13");
    }

    #[test]
    fn differences_without_end_are_cut() {
        let many = |word: &str| (0..500).map(|n| format!("{word} {n}\n")).collect::<String>();
        let told = difference(&many("a"), &many("b")).unwrap();
        assert_eq!(told.lines().count(), MAX_LINES + 1);
        assert!(told.ends_with("lines more"), "{told}");
    }
}
