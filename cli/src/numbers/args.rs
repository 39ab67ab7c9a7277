//! The command line of `number`.

use clap::{ArgMatches, Args, FromArgMatches, Subcommand};

use dialbridge_runner::settings::Settings;

/// Options of `number`
#[derive(Args)]
pub struct NumberArgs {
    /// What to do
    #[command(subcommand)]
    pub command: NumberCommand,
}

/// What to do with numbers.
#[derive(Subcommand)]
pub enum NumberCommand {
    /// List the account's numbers, and where each one leads
    List {
        /// Twilio's settings
        #[command(flatten)]
        settings: TwilioSettings,
    },
    /// Point a number at a service, and keep what it had before in .dialbridge-number.json
    Point {
        /// The service's URL as Twilio sees it, without /twiml
        #[arg(long, value_name = "URL")]
        url: String,
        /// The number; without it you choose from a list
        #[arg(long, value_name = "+15550100")]
        number: Option<String>,
        /// Twilio's settings
        #[command(flatten)]
        settings: TwilioSettings,
    },
    /// Put a number back as it was before `point` or `dev`
    Restore {
        /// Also when somebody has changed the number since
        #[arg(long)]
        force: bool,
        /// Twilio's settings
        #[command(flatten)]
        settings: TwilioSettings,
    },
}

impl NumberCommand {
    /// The settings that it was given.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        let (Self::List { settings } | Self::Point { settings, .. } | Self::Restore { settings, .. }) = self;
        &settings.0
    }
}

/// The settings that REST needs.
#[derive(Clone)]
pub struct TwilioSettings(Settings);

/// Whether REST needs the setting.
fn is_twilios(name: &str) -> bool {
    name.starts_with("TWILIO_")
}

impl Args for TwilioSettings {
    fn augment_args(command: clap::Command) -> clap::Command {
        let all = Settings::augment_args(clap::Command::new("all"));
        let args = all.get_arguments().filter(|arg| is_twilios(arg.get_id().as_str())).cloned();
        command.args(args.collect::<Vec<_>>())
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for TwilioSettings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |name| matches.get_one::<String>(name).map(|value| (name, value.clone()));
        Ok(Self(Settings::of(Settings::names().filter(|name| is_twilios(name)).filter_map(value))))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
