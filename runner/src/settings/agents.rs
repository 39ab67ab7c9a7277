//! All agents, checked: those of the configuration's file, or the one that the settings name.

use std::collections::BTreeMap;

use super::config::DEFAULT_AGENT;
use super::file::{AgentTable, ConfigFile, joined};
use super::numbers::Routes;
use super::{AgentConfig, SettingError, Settings};

/// The agents and how calls come to them.
pub(super) struct Agents {
    pub(super) agents: BTreeMap<String, AgentConfig>,
    pub(super) default_agent: String,
    pub(super) routes: Routes,
}

impl Settings {
    /// Checks all agents. These settings hold for all of them; `given` are those of them that are not from the file.
    ///
    /// The default agent is the file's agent of the name `default`; else the one that these settings name, which is
    /// called so; else the file's first one.
    pub(super) fn check_agents(
        &self,
        file: &ConfigFile,
        given: &Self,
        renew_after_ms: u64,
    ) -> Result<Agents, SettingError> {
        let mut agents = BTreeMap::new();
        let mut routes = Routes::default();
        for table in &file.agents {
            let agent = self.agent_of_file(table, file, given, renew_after_ms)?;
            file.add_routes(table, &mut routes)?;
            agents.insert(table.name.clone(), agent);
        }
        let has_default = agents.contains_key(DEFAULT_AGENT);
        let first = file.agents.first().map(|table| table.name.clone()).filter(|_| !self.names_agent());
        let default_agent = match first {
            Some(first) if !has_default => first,
            _ => DEFAULT_AGENT.to_owned(),
        };
        if !agents.contains_key(&default_agent) {
            let agent = self.check_agent(file.parameters.clone(), renew_after_ms);
            agents.insert(default_agent.clone(), agent.map_err(|error| file.located(error, given))?);
        }
        Ok(Agents { agents, default_agent, routes })
    }

    fn agent_of_file(
        &self,
        table: &AgentTable,
        file: &ConfigFile,
        given: &Self,
        renew_after_ms: u64,
    ) -> Result<AgentConfig, SettingError> {
        let whole = self.under(&table.own)?;
        if !whole.names_agent() {
            let place = format!("{}: {}", file.name, joined(&table.place(), "dialogflow_agent"));
            return Err(SettingError::in_file(place, "is not set, nor is DIALOGFLOW_AGENT for all agents"));
        }
        let mut parameters = file.parameters.clone();
        parameters.extend(table.parameters.clone());
        let agent = whole.check_agent(parameters, renew_after_ms);
        let agent = agent.map_err(|error| file.located_for(table, error, given))?;
        Ok(AgentConfig { numbers: table.numbers.len(), ..agent })
    }
}

impl AgentTable {
    fn place(&self) -> String {
        joined("agents", &self.name)
    }
}

impl ConfigFile {
    /// Says where a value is wrong that holds for all: in the file, where it is not `given` otherwise.
    pub(super) fn located(&self, error: SettingError, given: &Settings) -> SettingError {
        let name = error.name().to_lowercase();
        if self.top.has(&name) && !given.has(&name) {
            return error.at_key(format!("{}: {name}", self.name));
        }
        error
    }

    fn located_for(&self, table: &AgentTable, error: SettingError, given: &Settings) -> SettingError {
        let name = error.name().to_lowercase();
        let place = format!("{}: {}", self.name, table.place());
        if table.own.has(&name) {
            return error.at_key(joined(&place, &name));
        }
        if self.top.has(&name) && !given.has(&name) {
            return error.at_key(format!("{}: {name} for {}", self.name, table.place()));
        }
        error.for_agent(place)
    }

    fn add_routes(&self, table: &AgentTable, routes: &mut Routes) -> Result<(), SettingError> {
        for (n, pattern) in table.numbers.iter().enumerate() {
            routes.add(pattern.clone(), &table.name).map_err(|other| {
                let place = format!("{}: {}", self.name, joined(&table.place(), "numbers"));
                let fault = format!("has at place {} of its list what agents.{other} has too", n + 1);
                SettingError::in_file(place, fault)
            })?;
        }
        Ok(())
    }
}
