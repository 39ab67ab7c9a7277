//! `configure`: asks for the settings, checks them, and writes `.env`.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;

use super::{CONFIG, INTERRUPTED};
use crate::args::Cli;
use crate::configure::{Configure, ConfigureArgs, ConfigureError};
use crate::doctor::Tools;
use dialbridge_runner::telemetry::log::log_and_exit;

/// `EX_NOINPUT` of sysexits.
const NO_INPUT: u8 = 66;

/// Runs `configure`.
pub async fn run(args: &ConfigureArgs) -> ExitCode {
    let tools = match Tools::real() {
        Ok(tools) => Tools { env_file: args.file.clone(), ..tools },
        Err(error) => return log_and_exit(&format!("TLS cannot be set up: {error}"), CONFIG),
    };
    // Parses once more, to learn which settings came as flags.
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return log_and_exit(&error.to_string(), CONFIG),
    };
    let matches = matches.subcommand_matches("configure").cloned().unwrap_or_default();
    let configured = tokio::select! {
        configured = Configure::new(args, &matches, tools).run() => configured,
        // Dropping the future gives the terminal back as it was.
        _ = tokio::signal::ctrl_c() => return log_and_exit(if args.run { "interrupted" } else { "interrupted; nothing was written" }, INTERRUPTED),
    };
    match configured {
        Ok(commands) => {
            // The reader may have closed the pipe.
            let _ = write!(std::io::stdout(), "{commands}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let code = match error {
                ConfigureError::InputEnded => NO_INPUT,
                ConfigureError::Setting(_) => CONFIG,
                ConfigureError::Faults
                | ConfigureError::File(..)
                | ConfigureError::ReadsOtherwise(_)
                | ConfigureError::Step(_) => 1,
            };
            log_and_exit(&error.to_string(), code)
        }
    }
}
