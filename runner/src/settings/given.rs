//! The settings as given. Each one is a flag and an environment variable. We take all of them as text, so that a wrong
//! value gives the same message wherever it comes from.

use std::collections::BTreeMap;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::setting::{Declared, Otherwise, Secrecy};
use super::table::ALL;
use super::value::Quoted;

/// Both settings name the agent. A layer that sets one of them does not inherit the other from the next layer.
pub(super) const AGENT: [&str; 2] = ["DIALOGFLOW_AGENT", "DIALOGFLOW_PROJECT_ID"];

/// Settings by name, as given. Some are secrets, so this type is never printed.
#[derive(Clone, Default)]
pub struct Settings(BTreeMap<&'static str, String>);

/// The setting `name`, if it exists.
pub(super) fn declared(name: &str) -> Option<&'static dyn Declared> {
    ALL.iter().find(|setting| setting.facts().name == name).copied()
}

impl Settings {
    /// Settings from pairs of name and value.
    ///
    /// # Panics
    /// If a name is not a setting.
    pub fn of<N: AsRef<str>, V: Into<String>>(given: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut settings = Self::default();
        given.into_iter().for_each(|(name, value)| settings.set(name.as_ref(), value));
        settings
    }

    /// Sets a setting. An empty value counts as not given.
    ///
    /// # Panics
    /// If `name` is not a setting.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        assert!(self.try_set(name, value), "{name} is no setting");
    }

    /// Sets a setting. Returns `false` if `name` is not a setting.
    #[must_use]
    pub fn try_set(&mut self, name: &str, value: impl Into<String>) -> bool {
        let Some(setting) = declared(name) else { return false };
        self.0.insert(setting.facts().name, value.into());
        true
    }

    /// The value of a setting, without the spaces around it. An empty value counts as not given, unless the setting may
    /// be empty.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.trim();
        let may_be_empty = || declared(name).is_some_and(|setting| setting.facts().may_be_empty);
        (!value.is_empty() || may_be_empty()).then_some(value)
    }

    /// Whether there is a value, even an empty one.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names of all given settings, in alphabetical order.
    pub(super) fn given_names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// The names of all settings, as environment variables.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ALL.iter().map(|setting| setting.facts().name)
    }

    /// Whether no output may show the value of the setting `name`.
    #[must_use]
    pub fn is_secret(name: &str) -> bool {
        declared(name).is_some_and(|setting| setting.facts().secrecy == Secrecy::Secret)
    }

    /// Whether the setting `name` is part of a call's configuration, which its tape holds.
    #[must_use]
    pub fn is_of_call(name: &str) -> bool {
        declared(name).is_some_and(|setting| !setting.facts().call_fields.is_empty())
    }

    /// Whether these settings name an agent.
    pub(super) fn names_agent(&self) -> bool {
        AGENT.iter().any(|name| self.given(name).is_some())
    }

    /// The settings given as flags or in the environment, as `NAME=value`, sorted by name. `…` replaces secrets, phone
    /// numbers, and the user and the query values of a URL.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        let shown = self.0.iter().map(|(name, value)| {
            let is_open = declared(name).is_some_and(|setting| setting.facts().secrecy == Secrecy::Open);
            match value.trim() {
                value if is_open || value.is_empty() => format!("{name}={}", Quoted(&without_secrets(value))),
                _ => format!("{name}=…"),
            }
        });
        shown.collect()
    }

    /// The values of the secret settings, as given.
    #[must_use]
    pub fn secret_values(&self) -> Vec<String> {
        self.0.iter().filter(|(name, _)| Self::is_secret(name)).map(|(_, value)| value.clone()).collect()
    }
}

/// Hides the user and the query of a URL. Returns any other text as it is.
fn without_secrets(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let (address, query) = rest.split_once('?').map_or((rest, None), |(address, query)| (address, Some(query)));
    let host_from = address.find('/').map_or(address, |end| &address[..end]).rfind('@').map_or(0, |at| at + 1);
    let user = if host_from > 0 { "…@" } else { "" };
    let query = query.map_or(String::new(), |_| "?…".to_owned());
    format!("{scheme}://{user}{}{query}", &address[host_from..])
}

impl Args for Settings {
    fn augment_args(command: Command) -> Command {
        command.args(ALL.iter().copied().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The command-line argument of a setting. Its id is the setting's name.
fn argument(setting: &'static dyn Declared) -> Arg {
    let facts = setting.facts();
    let values = setting.values();
    let values = if values == setting.value_name() { Vec::new() } else { vec![values] };
    let default = match facts.otherwise {
        Otherwise::Value(value) if !value.is_empty() => Some(format!("default: {value}")),
        Otherwise::Depends(what) => Some(format!("default: {}", what.replace('`', ""))),
        Otherwise::Value(_) | Otherwise::Nothing => None,
    };
    let beside: Vec<String> = values.into_iter().chain(default).collect();
    let beside = if beside.is_empty() { String::new() } else { format!(" [{}]", beside.join("; ")) };
    Arg::new(facts.name)
        .long(facts.flag())
        .env(facts.name)
        .value_name(setting.value_name())
        .help(format!("{}{beside}", facts.help.trim()))
        .help_heading(facts.section)
        .hide_env_values(facts.secrecy == Secrecy::Secret)
        .allow_negative_numbers(true)
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |name| matches.get_one::<String>(name).map(|value| (name, value.clone()));
        Ok(Self(Self::names().filter_map(value).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
