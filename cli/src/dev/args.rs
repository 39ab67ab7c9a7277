//! The command line of `dev`.

use clap::Args;

use dialbridge_runner::settings::Settings;

/// Options of `dev`
#[derive(Args)]
pub struct DevArgs {
    /// A public URL that leads to this machine's PORT; without it a tunnel is started: cloudflared or ngrok, whichever is
    /// installed
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The Twilio number; without it you choose from a list
    #[arg(long, value_name = "+15550100")]
    pub number: Option<String>,
    /// How many seconds the tunnel may take to name its URL
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub tunnel_seconds: u64,
    /// The settings of `serve`
    #[command(flatten)]
    pub settings: Settings,
}
