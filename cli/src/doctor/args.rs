//! The command line of `doctor`.

use std::path::PathBuf;

use clap::Args;

use super::cloud_run::DEFAULT_URL;
use dialbridge_runner::settings::Settings;

/// Options of `doctor`
#[derive(Args, Clone)]
pub struct DoctorArgs {
    /// What to check beside the settings
    #[command(flatten)]
    pub options: Options,
    /// Check nothing, and say which rows of docs/assumptions.md this recorded call settles
    #[arg(long = "tape", value_name = "CALL.jsonl")]
    pub tapes: Vec<PathBuf>,
    /// Print one JSON document instead of lines
    #[arg(long)]
    pub json: bool,
    /// The settings of `serve`
    #[command(flatten)]
    pub settings: Settings,
}

/// What to check beside the settings.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// The service's URL as Twilio sees it, if it is not PUBLIC_URL
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// A number of the Twilio account; without it all that lead to the service are checked
    #[arg(long = "number", value_name = "+15550100")]
    pub numbers: Vec<String>,
    /// The service's file for Cloud Run
    #[arg(long = "service", value_name = "service.yaml", conflicts_with = "cloud_run_service")]
    pub service_file: Option<PathBuf>,
    /// The service's name on Cloud Run
    #[arg(long, value_name = "NAME")]
    pub cloud_run_service: Option<String>,
    /// The region of the service on Cloud Run
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// The project of the service on Cloud Run; without it the project of the credentials, or of the agent
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
    /// Cloud Run's Admin API; http:// means plaintext without credentials
    #[arg(long, env = "CLOUD_RUN_API_URL", value_name = "URL", default_value = DEFAULT_URL)]
    pub cloud_run_api_url: String,
    /// How many seconds each request of a check may take
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub deadline: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: None,
            numbers: Vec::new(),
            service_file: None,
            cloud_run_service: None,
            region: None,
            project: None,
            cloud_run_api_url: DEFAULT_URL.to_owned(),
            deadline: 15,
        }
    }
}
