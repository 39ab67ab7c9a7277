//! The command line of `configure`.

use std::path::PathBuf;

use clap::Args;

use dialbridge_runner::settings::Settings;

/// Options of `configure`
#[derive(Args, Clone)]
pub struct ConfigureArgs {
    /// Ask nothing: take the settings from flags, the environment and the file
    #[arg(long)]
    pub yes: bool,
    /// Run the commands that deploy, one by one; each is shown first, and asked for unless --yes
    #[arg(long)]
    pub run: bool,
    /// Check only the form of the answers, for a machine that reaches neither Google nor Twilio
    #[arg(long)]
    pub unchecked: bool,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = ".env")]
    pub file: PathBuf,
    /// The number to point at the service
    #[arg(long, value_name = "+15550100")]
    pub number: Option<String>,
    /// The service's name on Cloud Run
    #[arg(long, value_name = "NAME", default_value = "dialbridge")]
    pub name: String,
    /// The service's region on Cloud Run; without it the agent's, or one near it
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The service's project; without it the agent's
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
    /// How many seconds each request of a check may take
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub deadline: u64,
    /// The settings of `serve`
    #[command(flatten)]
    pub settings: Settings,
}
