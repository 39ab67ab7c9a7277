//! The command line of `test`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::offline::EDITIONS;

/// Options of `test`
#[derive(Args, Clone)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct TestArgs {
    /// A command that writes files, in place of running them
    #[command(subcommand)]
    pub command: Option<TestCommand>,
    /// Conversation files, and folders that have some
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Place the calls at the agent of the settings, in a service of their own
    #[arg(long, conflicts_with_all = ["record", "url"])]
    pub live: bool,
    /// The same, and keep each call's tape beside its file, for runs without the agent
    #[arg(long, conflicts_with = "url")]
    pub record: bool,
    /// Place the calls at this running service: its URL, or its whole voice-url
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Run only against tapes of this edition. Without it each tape of a file is a run
    #[arg(long, value_name = "EDITION", value_parser = EDITIONS, conflicts_with_all = ["live", "record", "url"])]
    pub edition: Option<String>,
    /// A setting for all calls, e.g. END_OF_UTTERANCE=quick; it goes before those of the files. All other settings come
    /// from the environment and from .env
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "url")]
    pub setting: Vec<String>,
    /// How many calls to run at once [default: as many as there are cores; 1 with --live, --record or --url]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub jobs: Option<u16>,
    /// How often to place a call again that is not as expected. One that goes right then is told as flaky
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10))]
    pub retries: u32,
    /// Say which parts of this agent the calls visited: a CX JSON package or an ES export, as a zip or a folder
    #[arg(long, value_name = "EXPORT", conflicts_with = "url")]
    pub coverage: Option<PathBuf>,
    /// The auth token that the service of --url knows, to sign requests with
    #[arg(long, env = "TWILIO_AUTH_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub auth_token: Option<String>,
    /// The token of the page of --url's service; with it, tests see what the service saw
    #[arg(long, env = "ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// Write a JUnit report to this file
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Print one JSON document instead of lines
    #[arg(long)]
    pub json: bool,
    /// Print only what went wrong and the summary: no line for a call that is as expected, and no bar
    #[arg(short, long)]
    pub quiet: bool,
}

/// The commands of `test`: they write files
#[derive(Subcommand, Clone, Debug)]
pub enum TestCommand {
    /// Write a conversation file out of a tape, or out of recordings
    New {
        /// A tape (.jsonl), or WAV files in the order in which the caller says them
        #[arg(value_name = "CALL.jsonl|A.wav", required = true)]
        sources: Vec<PathBuf>,
        /// The file to write [default: beside the first source, with its name]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write conversation files out of exported CX test cases
    Import {
        /// The export, as JSON
        #[arg(value_name = "CASES.json")]
        cases: PathBuf,
        /// The folder to write to [default: the export's folder]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}
