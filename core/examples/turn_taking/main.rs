//! Turn-taking over recorded speech: how well the voice detector tells voice from noise, how soon an utterance is ended and
//! how often too soon, and which prompts are cut. Prints the tables of docs/turn-taking.md.
//!
//! ```text
//! cargo run --release -p dialbridge-core --example turn_taking -- SOUNDS LANGUAGE[,LANGUAGE]... [TIMES]
//! ```
//!
//! `SOUNDS` is the folder with Debian's prompts for Asterisk (`.ci/turn-taking` installs them). Everything is made from fixed
//! seeds, so each run prints the same, the cost apart. Speech has -22 dB of full scale, if nothing else is said. Exits with 64
//! for a wrong command line and 66 for recordings that it cannot read.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for developers")]
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds, in milliseconds and samples")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it reads files and measures time; core does not"
)]

mod corpus;
mod detection;
mod detectors;
mod ending;
mod interrupting;
mod noise;
#[cfg(not(target_family = "wasm"))]
mod other_detectors;
mod random;
mod recogniser;
mod simulation;
mod speech;

use std::path::Path;
use std::process::ExitCode;

use corpus::{LANGUAGES, Prompt};

/// How many sentences for each pause, and prompts for each scene.
const TIMES: usize = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let times = arguments.get(2).map_or(Some(TIMES), |times| times.parse().ok());
    let (Some(sounds), Some(languages), Some(times)) = (arguments.first(), arguments.get(1), times) else {
        eprintln!("turn_taking SOUNDS LANGUAGE[,LANGUAGE]... [TIMES]");
        return ExitCode::from(64);
    };
    match prompts(Path::new(sounds), languages) {
        Ok(prompts) => {
            let minutes = prompts.iter().map(Prompt::ms).sum::<usize>() / 60_000;
            println!("## {languages}: {} prompts, {minutes} minutes\n", prompts.len());
            detection::print(&prompts);
            println!();
            ending::print(&prompts, times);
            println!();
            interrupting::print(&prompts, times);
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("{what}");
            ExitCode::from(66)
        }
    }
}

fn prompts(sounds: &Path, languages: &str) -> Result<Vec<Prompt>, String> {
    let mut prompts = Vec::new();
    for language in languages.split(',') {
        let known = LANGUAGES.iter().find(|(name, _)| *name == language);
        let (_, folder) = known.ok_or_else(|| format!("{language}: there are no recordings in this language"))?;
        prompts.extend(corpus::prompts(sounds, folder)?);
    }
    Ok(prompts)
}
