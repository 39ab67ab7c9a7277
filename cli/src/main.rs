//! `dialbridge`: parses the command line and runs the command.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::FromArgMatches;
use clap::error::ErrorKind;
use dialbridge::args::{Cli, Command, command_line};
use dialbridge::commands;
use dialbridge_net::proxy::exceptions_for_google;
use dialbridge_net::tls::install_crypto;
use dialbridge_runner::telemetry::log::log_and_exit;

/// `EX_USAGE` of sysexits: the command line is wrong.
const USAGE: u8 = 64;

/// How long the end of the process waits for blocking work.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    install_crypto();
    let env_file = read_env_file();
    exempt_metadata_server();
    if std::env::args_os().len() < 2 {
        // A failed write means that nobody reads it.
        let _ = command_line().print_help();
        return ExitCode::SUCCESS;
    }
    let parsed = command_line().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return exit_with(&error),
    };
    match env_file {
        Ok(()) => {}
        // It is one of the faults that it names.
        #[cfg(feature = "tools")]
        Err(_) if matches!(cli.command, Command::Doctor(_)) => {}
        Err(why) => return log_and_exit(&why, commands::CONFIG),
    }
    let runtime = match commands::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return log_and_exit(&format!("no runtime can be started: {error}"), 1),
    };
    let ended = runtime.block_on(async {
        match cli.command {
            Command::Serve(settings) => commands::serve::run(&settings).await,
            #[cfg(feature = "lab")]
            Command::Demo(args) => commands::demo::run(&args).await,
            #[cfg(all(feature = "lab", feature = "tools"))]
            Command::Dev(args) => commands::dev::run(&args).await,
            #[cfg(feature = "lab")]
            Command::Call(args) => commands::call::run(&args).await,
            #[cfg(all(feature = "lab", target_os = "linux"))]
            Command::LoadAgent(args) => commands::load_agent::run(&args).await,
            #[cfg(feature = "lab")]
            Command::Relay(args) => commands::relay::run(&args).await,
            #[cfg(feature = "tools")]
            Command::Configure(args) => commands::configure::run(&args).await,
            #[cfg(feature = "tools")]
            Command::Doctor(args) => commands::doctor::run(&args).await,
            #[cfg(all(feature = "lab", feature = "tools"))]
            Command::Number(args) => commands::number::run(&args).await,
            #[cfg(all(feature = "lab", feature = "tools"))]
            Command::Test(args) => commands::test::run(&args).await,
            #[cfg(feature = "tools")]
            Command::Compare(args) => commands::compare::run(&args).await,
            #[cfg(feature = "tools")]
            Command::Replay(args) => commands::replay::run(&args),
            #[cfg(feature = "tools")]
            Command::Completions(args) => commands::completions::run(args.shell),
            Command::Version => print_version(),
        }
    });
    // A file that is still read on a slow mount must not keep the process.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    ended
}

/// Prints the version as `--version` does.
fn print_version() -> ExitCode {
    // A failed write means that nobody reads it.
    let _ = writeln!(std::io::stdout(), "{}", command_line().render_version().trim_end());
    ExitCode::SUCCESS
}

/// Reads `.env`, if there is one.
fn read_env_file() -> Result<(), String> {
    match dotenvy::dotenv() {
        Ok(_) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        // The line may hold a secret. The name before it is enough to find it by.
        Err(dotenvy::Error::LineParse(..)) => {
            let before = dotenvy::dotenv_iter().ok().and_then(|lines| lines.map_while(Result::ok).last());
            let line = before.map_or("the first line".to_owned(), |(name, _)| format!("the line after {name}"));
            Err(format!(".env: {line} cannot be read; a value with spaces or a # stands in quotes"))
        }
        Err(error) => Err(format!(".env: {error}")),
    }
}

/// Has google-cloud-auth ask the metadata server without a proxy. Nothing else in the process runs yet.
fn exempt_metadata_server() {
    let Some(list) = exceptions_for_google(|name| std::env::var(name).ok()) else { return };
    // A list that cannot stand in quotes has no host either, and stops the start later.
    let _ = dotenvy::from_read_override(format!("NO_PROXY='{list}'\n").as_bytes());
}

fn exit_with(error: &clap::Error) -> ExitCode {
    // A failed write means that nobody reads it.
    let _ = error.print();
    if error.kind() == ErrorKind::UnknownArgument && std::env::args().nth(1).is_some_and(|first| first.starts_with('-'))
    {
        let _ = writeln!(std::io::stderr(), "  tip: a setting stands behind the command: dialbridge serve --port 8080");
    }
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(USAGE),
    }
}
