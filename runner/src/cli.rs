//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::settings::Settings;

/// Answers Twilio phone calls with a Google Dialogflow agent
#[derive(Parser)]
#[command(name = "dialbridge", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Without a command it serves. A file .env in the folder it is started in is read first.")]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings of `serve`
    #[command(flatten)]
    pub settings: Settings,
}

/// What to do
#[derive(Subcommand)]
pub enum Command {
    /// Serve calls
    Serve(Box<Settings>),
    /// Play one call to the embedded lab agent, from the phone to the hand-off, and print what happened
    #[cfg(feature = "lab")]
    Demo(DemoArgs),
    /// Place a simulated call at a running service, and print what happened
    #[cfg(feature = "lab")]
    Call(CallArgs),
    /// Feed a tape to the call logic, and print what the call did
    Replay(ReplayArgs),
}

/// Options of `demo`
#[derive(Args)]
pub struct DemoArgs {
    /// Which product the lab's agent speaks as
    #[arg(long, value_name = "EDITION", default_value = "cx", value_parser = ["cx", "es"])]
    pub edition: String,
    /// Where the call's audio is written: stereo, the caller on the left, the agent on the right
    #[arg(long, value_name = "FILE", default_value = "dialbridge-demo.wav")]
    pub out: std::path::PathBuf,
    /// Also write a tape of the call into this folder
    #[arg(long, value_name = "DIR")]
    pub record: Option<std::path::PathBuf>,
    /// The least severity of the service's own log, which goes to the error output
    #[arg(long, value_name = "LEVEL", default_value = "warning")]
    pub log_level: String,
}

/// Options of `call`
#[derive(Args)]
pub struct CallArgs {
    /// The service's URL, or its whole voice-url
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// What the caller says, WAV files in order: each when the agent has fallen silent, or with @MS into the agent's
    /// words, that many milliseconds after they began. Without it three embedded recordings
    #[arg(long, value_name = "A.wav,B.wav@MS", value_delimiter = ',')]
    pub audio: Vec<String>,
    /// Keys that are pressed after that
    #[arg(long, value_name = "DIGITS")]
    pub dtmf: Option<String>,
    /// Session parameters
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,
    /// The caller's number
    #[arg(long, value_name = "NUMBER", default_value = "+15550100")]
    pub from: String,
    /// The called number
    #[arg(long, value_name = "NUMBER", default_value = "+15550199")]
    pub to: String,
    /// The auth token that the service knows, to sign requests with
    #[arg(long, env = "TWILIO_AUTH_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub auth_token: Option<String>,
    /// Where the call's audio is written: stereo, the caller on the left, the agent on the right
    #[arg(long, value_name = "FILE")]
    pub out: Option<std::path::PathBuf>,
}

/// Options of `replay`
#[derive(Args)]
pub struct ReplayArgs {
    /// The tape: JSON Lines
    #[arg(value_name = "TAPE")]
    pub tape: std::path::PathBuf,
    /// Compare with the expectation beside the tape (its name with .trace, or ../golden/NAME.trace), or else with the
    /// outputs on the tape
    #[arg(long)]
    pub check: bool,
    /// Write what the caller hears as a WAV file
    #[arg(long, value_name = "FILE")]
    pub out: Option<std::path::PathBuf>,
}
