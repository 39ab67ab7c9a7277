//! Looks up the settings of the service or of one agent. The first of these that has a value counts: the agent's own
//! table, then flags and the environment, then the top of the agents' file, then the default.

use super::error::SettingError;
use super::faults::Faults;
use super::file::{AgentTable, ConfigFile};
use super::given::{AGENT, Settings};
use super::setting::{Declared, Setting};
use super::table::ALL;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The agent's own table in the file.
    Own,
    /// A flag or the environment.
    Given,
    /// The top of the file.
    Top,
}

/// Looks up a value by its entry in the table. A wrong value gives the default, and the fault is noted, so that one
/// start reports every fault.
pub(super) struct Values<'a> {
    /// The first layer that has a value counts.
    layers: Vec<(Origin, &'a Settings)>,
    /// The file's name.
    file: &'a str,
    /// The agent whose settings these are, if it comes from the file.
    agent: Option<&'a str>,
    faults: &'a Faults,
}

impl<'a> Values<'a> {
    /// The values of flags and the environment alone.
    pub(super) fn of(given: &'a Settings, faults: &'a Faults) -> Self {
        Self { layers: vec![(Origin::Given, given)], file: "", agent: None, faults }
    }

    /// The values for all agents.
    pub(super) fn for_all(given: &'a Settings, file: &'a ConfigFile, faults: &'a Faults) -> Self {
        Self { layers: vec![(Origin::Given, given), (Origin::Top, &file.top)], file: &file.name, agent: None, faults }
    }

    /// Puts an agent's own table before these values.
    pub(super) fn with_own(mut self, table: &'a AgentTable) -> Self {
        self.layers.insert(0, (Origin::Own, &table.own));
        Self { agent: Some(&table.name), ..self }
    }

    /// The given value, else the table's default if there is one.
    pub(super) fn find<T: Clone + Sync>(&self, setting: &Setting<T>) -> Option<T> {
        match self.value(setting).map(|value| setting.read(value)) {
            Some(Ok(value)) => return Some(value),
            Some(Err(fault)) => self.wrong(setting, fault),
            None => {}
        }
        setting.default()
    }

    /// The value of a setting that has a default.
    pub(super) fn get<T: Clone + Sync>(&self, setting: &Setting<T>) -> T {
        self.find(setting).unwrap_or_else(|| panic!("{} has no default", setting.facts().name))
    }

    /// The value as given.
    pub(super) fn value(&self, setting: &dyn Declared) -> Option<&'a str> {
        self.given(setting.facts().name)
    }

    fn given(&self, name: &str) -> Option<&'a str> {
        self.layer(name)?.1.given(name)
    }

    /// Whether a value is given.
    pub(super) fn has(&self, setting: &dyn Declared) -> bool {
        self.value(setting).is_some()
    }

    /// Whether these values name an agent.
    pub(super) fn names_agent(&self) -> bool {
        self.layers.iter().any(|(_, settings)| settings.names_agent())
    }

    /// Notes that a value is wrong by itself.
    pub(super) fn wrong(&self, setting: &dyn Declared, fault: impl Into<String>) {
        self.faults.add(self.error(setting, fault, None));
    }

    /// Notes that a value conflicts with others, or that others need it and it is missing.
    pub(super) fn conflicting(&self, setting: &dyn Declared, fault: impl Into<String>) {
        self.faults.add_dependent(self.error(setting, fault, self.agent));
    }

    /// The fault with its place. `only_for` is the agent for which a value given for all is wrong.
    fn error(&self, setting: &dyn Declared, fault: impl Into<String>, only_for: Option<&str>) -> SettingError {
        let (name, file) = (setting.facts().name, self.file);
        let error = SettingError::new(name, fault, setting.example());
        let key = name.to_lowercase();
        match (self.layer(name).map(|(origin, _)| origin), self.agent, only_for) {
            (Some(Origin::Own), Some(agent), _) => error.at_key(format!("{file}: agents.{agent}.{key}")),
            (Some(Origin::Top), _, Some(agent)) => error.at_key(format!("{file}: {key} for agents.{agent}")),
            (Some(Origin::Top), _, None) => error.at_key(format!("{file}: {key}")),
            (_, _, Some(agent)) => error.for_agent(&format!("{file}: agents.{agent}")),
            (_, _, None) => error,
        }
    }

    /// Settings that are given and have no effect, because another setting is missing or the agent is a CES agent, as
    /// sentences for the log.
    pub(super) fn idle(&self, is_ces: bool) -> impl Iterator<Item = String> {
        let given = ALL.iter().map(|setting| setting.facts()).filter(|facts| self.given(facts.name).is_some());
        given.filter_map(move |facts| match facts.needs {
            Some(needed) if self.given(needed).is_none() => {
                Some(format!("{} has no effect without {needed}", facts.name))
            }
            _ if is_ces && facts.is_idle_for_ces => {
                Some(format!("{} has no effect for an agent of the Customer Engagement Suite", facts.name))
            }
            _ => None,
        })
    }

    /// The layer whose value counts. An empty value in an agent's table removes what the agent would inherit.
    fn layer(&self, name: &str) -> Option<(Origin, &'a Settings)> {
        let has = |origin, settings: &Settings, name: &str| match origin {
            Origin::Own => settings.contains(name),
            Origin::Given | Origin::Top => settings.given(name).is_some(),
        };
        let is_agent = AGENT.contains(&name);
        self.layers
            .iter()
            .copied()
            .find(|(origin, settings)| has(*origin, settings, name) || (is_agent && settings.names_agent()))
    }
}
