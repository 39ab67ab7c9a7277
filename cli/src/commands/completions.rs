//! `completions`: prints a script for a shell.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap_complete::Shell;

use crate::args::command_line;

/// Runs `completions`.
#[must_use]
pub fn run(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command_line(), "dialbridge", &mut script);
    // A failed write means that nobody reads it.
    let _ = io::stdout().write_all(&script);
    ExitCode::SUCCESS
}
