//! The settings as the command line knows them: each by the name of its variable.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser};

use dialbridge_runner::settings::Settings;

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// The variable's name.
    pub(super) name: String,
    /// The flag's name, without dashes.
    flag: String,
    /// Its name in what clap has read.
    id: String,
    /// Whether no output may show it.
    pub(super) is_secret: bool,
}

/// The settings alone.
#[derive(Parser)]
struct Alone {
    #[command(flatten)]
    settings: Settings,
}

/// All settings.
pub(super) fn known() -> Vec<Known> {
    let command = Settings::augment_args(Command::new("settings"));
    let known = command.get_arguments().filter_map(|arg| {
        Some(Known {
            name: arg.get_env()?.to_str()?.to_owned(),
            flag: arg.get_long()?.to_owned(),
            id: arg.get_id().to_string(),
            is_secret: arg.is_hide_env_values_set(),
        })
    });
    known.collect()
}

/// What was given for each setting, and what of it on the command line.
#[derive(Debug, Default, Clone)]
pub(super) struct Given {
    pub(super) values: BTreeMap<String, String>,
    pub(super) flags: Vec<String>,
}

impl Given {
    /// Reads what clap has read for the command `configure`.
    pub(super) fn read(matches: &ArgMatches) -> Self {
        let mut given = Self::default();
        for setting in known() {
            let Ok(Some(value)) = matches.try_get_one::<String>(&setting.id) else { continue };
            if matches.value_source(&setting.id) == Some(ValueSource::CommandLine) {
                given.flags.push(setting.name.clone());
            }
            given.values.insert(setting.name, value.clone());
        }
        given
    }
}

/// Settings with these values and no others, whatever the environment says.
///
/// # Errors
/// When clap does not take one.
pub(super) fn settings(values: &BTreeMap<String, String>) -> Result<Settings, clap::Error> {
    let flags = known().into_iter().filter_map(|setting| {
        let value = values.get(&setting.name)?;
        Some(OsString::from(format!("--{}={value}", setting.flag)))
    });
    let line = std::iter::once(OsString::from("settings")).chain(flags);
    let command = Alone::command().mut_args(|arg| arg.env(Resettable::Reset));
    let matches = command.try_get_matches_from(line)?;
    Ok(Alone::from_arg_matches(&matches)?.settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_those_of_the_command_line() {
        let all = known();
        let secret = |name: &str| all.iter().find(|setting| setting.name == name).map(|setting| setting.is_secret);
        assert_eq!(secret("TWILIO_AUTH_TOKEN"), Some(true));
        assert_eq!(secret("TWILIO_API_KEY_SECRET"), Some(true));
        assert_eq!(secret("DIALOGFLOW_AGENT"), Some(false));
        assert!(all.len() > 20);
    }

    #[test]
    fn settings_come_from_their_names() {
        let values = [("DIALOGFLOW_AGENT", "lab:"), ("TWILIO_AUTH_TOKEN", "-t=1")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let settings = settings(&values).unwrap();
        assert_eq!(settings.dialogflow_agent.as_deref(), Some("lab:"));
        assert_eq!(settings.twilio_auth_token.as_deref(), Some("-t=1"));
        assert_eq!(settings.port, None);
    }
}
