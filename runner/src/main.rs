//! `dialbridge`: reads the command line and does what it says.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use dialbridge::cli::{Cli, Command};
use dialbridge::commands;
use dialbridge::log::tell_and_leave;
use dialbridge::tls::install_crypto;

/// `EX_USAGE` of sysexits: a wrong command line.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    install_crypto();
    // No file is as good as an empty one; a broken one is told when the settings are.
    let _ = dotenvy::dotenv();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return leave(&error),
    };
    let runtime = match commands::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return tell_and_leave(&format!("no runtime can be started: {error}"), 1),
    };
    runtime.block_on(async {
        match cli.command {
            None => commands::serve::run(&cli.settings).await,
            Some(Command::Serve(settings)) => commands::serve::run(&settings).await,
            #[cfg(feature = "lab")]
            Some(Command::Demo(args)) => commands::demo::run(&args).await,
            #[cfg(feature = "lab")]
            Some(Command::Call(args)) => commands::call::run(&args).await,
            Some(Command::Replay(args)) => commands::replay::run(&args),
        }
    })
}

fn leave(error: &clap::Error) -> ExitCode {
    // If nobody reads it, there is nobody to be told.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(USAGE),
    }
}
