//! The command line.

#[cfg(any(feature = "lab", feature = "tools"))]
use clap::Args;
use clap::{CommandFactory, Parser, Subcommand};
#[cfg(feature = "lab")]
use {
    clap::builder::{PossibleValuesParser, TypedValueParser},
    dialbridge_lab::agent::Edition,
};

#[cfg(feature = "tools")]
use crate::{configure::ConfigureArgs, doctor::DoctorArgs};
#[cfg(all(feature = "lab", feature = "tools"))]
use crate::{conversations::TestArgs, dev::DevArgs, numbers::NumberArgs};
use dialbridge_runner::settings::Settings;

/// Answers Twilio phone calls with a Google Dialogflow agent
#[derive(Parser)]
#[command(name = "dialbridge", version, disable_help_subcommand = true)]
#[command(after_help = "A file .env in the folder it is started in is read first.")]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The settings that `serve -h` shows. `--help` shows all of them.
const FIRST_SETTINGS: [&str; 10] = [
    "PORT",
    "PUBLIC_URL",
    "DIALBRIDGE_CONFIG",
    "RECORD_DIR",
    "DIALOGFLOW_AGENT",
    "DIALOGFLOW_LANGUAGE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
    "END_OF_INTERACTION_URL",
];

/// The command line, whose `-h` fits a screen.
#[must_use]
pub fn command_line() -> clap::Command {
    let names: Vec<&str> = Settings::names().collect();
    let short = |command: clap::Command| {
        let is_serve = command.get_name() == "serve";
        let is_later = |arg: &clap::Arg| {
            let id = arg.get_id().as_str();
            let is_setting = names.contains(&id) && !(is_serve && FIRST_SETTINGS.contains(&id));
            is_setting || arg.get_help_heading() == Some("Load") && id != "load"
        };
        if !command.get_arguments().any(is_later) {
            return command;
        }
        let command = command.mut_args(|arg| if is_later(&arg) { arg.hide_short_help(true) } else { arg });
        command.after_help("--help has all options and settings.").after_long_help("")
    };
    Cli::command().mut_subcommands(short)
}

/// What to do
#[derive(Subcommand)]
pub enum Command {
    /// Serve calls
    Serve(Box<Settings>),
    /// Play one call to the embedded lab agent, from the phone to the hand-off, and print what happened
    #[cfg(feature = "lab")]
    Demo(DemoArgs),
    /// Serve calls of a real Twilio number on this machine, show them, and put the number back on exit
    #[cfg(all(feature = "lab", feature = "tools"))]
    Dev(Box<DevArgs>),
    /// Place a simulated call at a running service, and print what happened
    #[cfg(feature = "lab")]
    Call(Box<CallArgs>),
    /// The agent of `call --load`, which starts it by itself
    #[cfg(all(feature = "lab", target_os = "linux"))]
    #[command(hide = true)]
    LoadAgent(LoadAgentArgs),
    /// The bare relay that `call --load --against relay` measures
    #[cfg(feature = "lab")]
    #[command(hide = true)]
    Relay(RelayArgs),
    /// Ask for the settings, check each one, write .env and print the commands that deploy it
    #[cfg(feature = "tools")]
    Configure(Box<ConfigureArgs>),
    /// Check the settings, the agent, the public URL, Twilio and Cloud Run, and say how to mend each fault
    #[cfg(feature = "tools")]
    Doctor(Box<DoctorArgs>),
    /// List the account's numbers, point one at a service, put it back
    #[cfg(all(feature = "lab", feature = "tools"))]
    Number(Box<NumberArgs>),
    /// Run conversation files: calls, and what must come of them
    #[cfg(all(feature = "lab", feature = "tools"))]
    Test(Box<TestArgs>),
    /// Compare two runs of conversation files turn by turn, or the agents of a running service
    #[cfg(feature = "tools")]
    Compare(CompareArgs),
    /// Feed a tape to the call logic, and print what the call did
    #[cfg(feature = "tools")]
    Replay(ReplayArgs),
    /// Print a script that completes commands and options in a shell
    #[cfg(feature = "tools")]
    Completions(CompletionsArgs),
    /// Print the version
    Version,
}

/// The editions by name.
#[cfg(feature = "lab")]
fn editions() -> impl TypedValueParser<Value = Edition> {
    PossibleValuesParser::new(["cx", "es", "ces"]).map(|name| match name.as_str() {
        "es" => Edition::Es,
        "ces" => Edition::Ces,
        _ => Edition::Cx,
    })
}

/// Options of `demo`
#[cfg(feature = "lab")]
#[derive(Args)]
pub struct DemoArgs {
    /// Which product the lab's agent speaks as
    #[arg(long, value_name = "EDITION", default_value = "cx", value_parser = editions())]
    pub edition: Edition,
    /// Write the call's audio to this file: stereo, the caller on the left, the agent on the right
    #[arg(long, value_name = "FILE", default_value = "dialbridge-demo.wav")]
    pub out: std::path::PathBuf,
    /// Also write a tape of the call into this folder
    #[arg(long, value_name = "DIR")]
    pub record: Option<std::path::PathBuf>,
    /// Make something fail; may be given several times. At Twilio or on the way to it: break@MS, deaf@MS, late@MS+MS,
    /// lost@MS+MS, no-marks, garbage, asks-twice. At the agent, once, at the first utterance: reset, refused-stream,
    /// stall, goaway, cut, down+MS, unavailable, resource-exhausted, unauthenticated, deadline-exceeded, internal; with
    /// @MS after that much speech, e.g. cut@800
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<String>,
    /// The least severity of the service's own log, which goes to the error output
    #[arg(long, value_name = "LEVEL", default_value = "warning")]
    pub log_level: String,
    /// Print only whether the call went as its script says, and errors: neither the timeline nor how long the call lasts
    #[arg(short, long)]
    pub quiet: bool,
}

/// Options of `call`
#[cfg(feature = "lab")]
#[derive(Args)]
pub struct CallArgs {
    /// The service's URL, or its whole voice-url [default: http://127.0.0.1:8080; with --load a service of its own]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// What the caller says: WAV files in order. The caller says each when the agent has fallen silent, or with @MS
    /// into a prompt, that many milliseconds after it began. Without this option the caller says three embedded
    /// recordings
    #[arg(long, value_name = "A.wav,B.wav@MS", value_delimiter = ',')]
    pub audio: Vec<String>,
    /// Keys that the caller presses after that
    #[arg(long, value_name = "DIGITS")]
    pub dtmf: Option<String>,
    /// How long the caller stays on the line after the last words or keys, unless the agent ends the call first
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub stay: u64,
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
    /// Write the call's audio to this file: stereo, the caller on the left, the agent on the right
    #[arg(long, value_name = "FILE")]
    pub out: Option<std::path::PathBuf>,
    /// Print one JSON object instead of lines
    #[arg(long)]
    pub json: bool,
    /// Print only results and errors. Of a call it leaves out the timeline and how long the call lasts: the exit code is its
    /// result. Of a load it leaves out the bar and the line of each run: the table is its result
    #[arg(short, long)]
    pub quiet: bool,
    /// Make something fail; may be given several times. At Twilio or on the way to it: break@MS, deaf@MS, late@MS+MS,
    /// lost@MS+MS, no-marks, garbage, asks-twice. At the agent, once, at the first utterance (this starts a service and
    /// an agent of its own): reset, refused-stream, stall, goaway, cut, down+MS, unavailable, resource-exhausted,
    /// unauthenticated, deadline-exceeded, internal; with @MS after that much speech, e.g. cut@800
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<String>,
    /// Many calls at once
    #[cfg(target_os = "linux")]
    #[command(flatten)]
    pub load: LoadArgs,
}

/// Options of `call --load`
#[cfg(all(feature = "lab", target_os = "linux"))]
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// Place this many calls at once, and print latencies, losses and costs. Without --url it starts a service and an
    /// agent of its own; --url must be http://, because the load's media streams are plaintext
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub load: Option<u16>,
    /// Which product the load's agent speaks as. For CES, --setting CES_TRANSPORT=grpc has it speak gRPC
    #[arg(long, value_name = "EDITION", requires = "load", conflicts_with = "url", default_value = "cx", value_parser = editions())]
    pub edition: Edition,
    /// How long to measure
    #[arg(long, value_name = "S", requires = "load", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// How many calls begin per second
    #[arg(long, value_name = "R", requires = "load", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub ramp: u32,
    /// How long the calls run before measuring begins
    #[arg(long, value_name = "S", requires = "load", default_value_t = 5)]
    pub warm_up: u64,
    /// Raise the number of calls, from N on, until frames are lost or late
    #[arg(long, requires = "load")]
    pub find_max: bool,
    /// For --find-max: 99 of a hundred frames must reach the agent within this many milliseconds
    #[arg(long, value_name = "MS", requires = "find_max", default_value_t = 20)]
    pub bound: u64,
    /// What to measure, in turns
    #[arg(
        long,
        value_name = "WHAT",
        requires = "load",
        value_delimiter = ',',
        default_value = "service",
        conflicts_with = "url"
    )]
    pub against: Vec<LoadTarget>,
    /// How often to measure each
    #[arg(long, value_name = "TIMES", requires = "load", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// Bind processes to cores, e.g. service=0,tool=1,agent=1
    #[arg(long, value_name = "WHO=CORE", requires = "load", value_delimiter = ',')]
    pub pin: Vec<String>,
    /// A setting for the service that is started, e.g. LOG_LEVEL=warning
    #[arg(long, value_name = "NAME=VALUE", requires = "load", conflicts_with = "url")]
    pub setting: Vec<String>,
    /// The port of the load's agent [default: any free one; with --url 9090, and the service's DIALOGFLOW_ENDPOINT must
    /// name it]
    #[arg(long, value_name = "PORT", requires = "load")]
    pub agent_port: Option<u16>,
    /// With --url: the service's process, to measure what it costs
    #[arg(long, value_name = "PID", requires = "url")]
    pub service_pid: Option<u32>,
    /// Let the callers only listen: measures what a call costs while nobody speaks
    #[arg(long, requires = "load", conflicts_with = "distance")]
    pub silent: bool,
    /// Put the load's agent so many milliseconds away, each way. Each third utterance the caller then goes on 40 to 160 ms
    /// after its end: all of it must be heard
    #[arg(long, value_name = "MS", requires = "load", conflicts_with = "find_max", value_parser = clap::value_parser!(u64).range(..=1_000))]
    pub distance: Option<u64>,
    /// Make the load's agent fail: of twenty turns one is reset and two end with a status (RESOURCE_EXHAUSTED,
    /// UNAVAILABLE); one more makes its connection go away or, each tenth time, break off
    #[arg(long = "faults", requires = "load", conflicts_with = "find_max")]
    pub failing: bool,
    /// Answer each utterance with this many seconds of LINEAR16 at 24,000 Hz in one message (CX, ES), instead of two
    /// seconds of mu-law. Whether the callers get it is not checked
    #[arg(long, value_name = "S", requires = "load", conflicts_with_all = ["find_max", "failing"], value_parser = clap::value_parser!(u32).range(1..=600))]
    pub long_answers: Option<u32>,
}

/// What a load measures
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LoadTarget {
    /// `serve`
    Service,
    /// The bare relay of the same packages, which sends each frame on its own
    Relay,
    /// The same, but with CES it collects frames into messages of 60 ms, as `serve` does
    CoalescingRelay,
}

/// Options of `load-agent`
#[cfg(feature = "lab")]
#[derive(Args)]
pub struct LoadAgentArgs {
    /// The port to listen on; 0: a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// Fail some turns
    #[arg(long)]
    pub faults: bool,
    /// Be so many milliseconds away, each way
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub distance: u64,
    /// Answer with this many seconds of LINEAR16 at 24,000 Hz
    #[arg(long, value_name = "S")]
    pub long_answers: Option<u32>,
}

/// Options of `relay`
#[cfg(feature = "lab")]
#[derive(Args)]
pub struct RelayArgs {
    /// The port to listen on; 0: a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,
    /// The agent's URL
    #[arg(long, value_name = "URL")]
    pub agent: String,
    /// Which product the agent speaks as
    #[arg(long, value_name = "EDITION", default_value = "cx", value_parser = ["cx", "ces"])]
    pub edition: String,
    /// What carries the streams of CES
    #[arg(long, value_name = "TRANSPORT", default_value = "websocket", value_parser = ["websocket", "grpc"])]
    pub transport: String,
    /// With CES: how much of the caller's audio goes into one message
    #[arg(long, value_name = "MS", default_value_t = 20)]
    pub message_ms: usize,
}

/// Options of `completions`
#[cfg(feature = "tools")]
#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Options of `compare`
#[cfg(feature = "tools")]
#[derive(Args)]
pub struct CompareArgs {
    /// The old run: what `test --json` printed
    #[arg(value_name = "OLD.json", required_unless_present = "metrics", requires = "new")]
    pub old: Option<std::path::PathBuf>,
    /// The new run
    #[arg(value_name = "NEW.json")]
    pub new: Option<std::path::PathBuf>,
    /// Compare the agents of the service at this URL by what its /metrics counts; give it again for further instances
    #[arg(long, value_name = "URL", conflicts_with_all = ["old", "new"])]
    pub metrics: Vec<String>,
    /// The token of --metrics' service
    #[arg(long, env = "ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// Print one JSON document instead of lines
    #[arg(long)]
    pub json: bool,
}

/// Options of `replay`
#[cfg(feature = "tools")]
#[derive(Args)]
pub struct ReplayArgs {
    /// The tapes: JSON Lines; and folders that have some
    #[arg(value_name = "TAPE", required = true)]
    pub tapes: Vec<std::path::PathBuf>,
    /// Compare with the expectation beside the tape (its name with .trace, or ../golden/NAME.trace), or else with the
    /// outputs on the tape
    #[arg(long)]
    pub check: bool,
    /// Write what the call did as the expectation, or update the expectation
    #[arg(long, conflicts_with = "check")]
    pub accept: bool,
    /// Replay with another setting than the call had, e.g. BARGE_IN_MIN_WORDS=2; with --accept the tape keeps it
    #[arg(long, value_name = "NAME=VALUE")]
    pub setting: Vec<String>,
    /// Write what the caller hears as a WAV file
    #[arg(long, value_name = "FILE")]
    pub out: Option<std::path::PathBuf>,
    /// Print nothing of a tape that is as expected
    #[arg(short, long)]
    pub quiet: bool,
    /// Write a JUnit report to this file
    #[arg(long, value_name = "FILE", requires = "check")]
    pub junit: Option<std::path::PathBuf>,
}
