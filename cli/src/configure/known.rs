//! The settings as the command line has them.

use std::collections::BTreeMap;

use clap::ArgMatches;
use clap::parser::ValueSource;

use dialbridge_runner::settings::Settings;

/// The value of each setting, and which of them came from the command line.
#[derive(Debug, Default, Clone)]
pub(super) struct GivenSettings {
    pub(super) values: BTreeMap<String, String>,
    pub(super) flags: Vec<String>,
}

impl GivenSettings {
    /// Takes what clap parsed for the command `configure`.
    pub(super) fn read(matches: &ArgMatches) -> Self {
        let mut given = Self::default();
        for name in Settings::names() {
            let Ok(Some(value)) = matches.try_get_one::<String>(name) else { continue };
            if matches.value_source(name) == Some(ValueSource::CommandLine) {
                given.flags.push(name.to_owned());
            }
            given.values.insert(name.to_owned(), value.clone());
        }
        given
    }
}
