//! Checks all settings: those of the service, and those of each agent. The agents come from the agents' file, or the
//! settings name a single one.

use std::collections::BTreeMap;

use super::accounts::{AccountTable, TwilioAccount};
use super::config::{AgentConfig, Config, DEFAULT_AGENT, Platform};
use super::error::SettingError;
use super::faults::{Faults, SettingErrors};
use super::file::{AgentTable, ConfigFile};
use super::given::{AGENT, Settings};
use super::layer::Values;
use super::table;

impl Settings {
    /// Checks all settings, and reads the file that `DIALBRIDGE_CONFIG` names and the files that the settings name.
    ///
    /// # Errors
    /// Every value that is wrong by itself. If there is none, every value that conflicts with another one.
    pub fn check(&self, platform: Platform) -> Result<Config, SettingErrors> {
        let faults = Faults::default();
        let file = self.file(&faults);
        let values = || Values::for_all(self, &file, &faults);
        let accounts = accounts(&file, values().find(&table::TWILIO_ACCOUNT_SID).as_deref(), &faults);
        let mut config = values().service(platform, accounts);
        let migrate_after_ms = values().migrate_after_ms(platform);
        for table in &file.agents {
            let values = values().with_own(table);
            check_named(table, &file, &values, &faults);
            let account = account_of(table, &file, &faults);
            add_routes(table, account.as_deref(), &file, &mut config, &faults);
            add_shares(table, &file, &mut config, &faults);
            add_backup(table, &file, &mut config, &faults);
            let agent = agent_of_file(table, &file, &values, migrate_after_ms);
            let agent = agent.map(|agent| AgentConfig { account, ..agent });
            config.agents.extend(agent.map(|agent| (table.name.clone(), agent)));
        }
        config.default_agent = default_agent(&file, values().names_agent());
        check_default(&file, values().names_agent(), &faults);
        if !file.agents.iter().any(|table| table.name == config.default_agent) {
            let agent = values().agent(&[&file.parameters], migrate_after_ms);
            config.agents.extend(agent.map(|agent| (config.default_agent.clone(), agent)));
        }
        config.notices = self.beaten(&file).collect();
        faults.told().map(|()| config)
    }

    /// The agents' file. It is empty if the settings name none, or if we cannot read it.
    fn file(&self, faults: &Faults) -> ConfigFile {
        let values = Values::of(self, faults);
        let Some(file) = values.find(&table::DIALBRIDGE_CONFIG) else { return ConfigFile::default() };
        let read = ConfigFile::read(&file, faults);
        read.map_err(|fault| values.wrong(&table::DIALBRIDGE_CONFIG, fault)).unwrap_or_default()
    }

    /// Flags and variables that override a different value at the top of the file, as sentences for the log.
    fn beaten(&self, file: &ConfigFile) -> impl Iterator<Item = String> {
        let is_said = |name: &str| file.top.contains(name) || (AGENT.contains(&name) && file.top.names_agent());
        let differs = move |name: &&str| {
            is_said(name) && self.given(name).is_some_and(|value| file.top.given(name) != Some(value))
        };
        self.given_names().filter(differs).map(|name| {
            format!("{name} is set as a flag or in the environment, which goes before the top of {}", file.name)
        })
    }
}

/// The name of the default agent: the file's first agent, if no agent there is called `default` and no flag, variable
/// or line at the top of the file names an agent. Else `default`. Agents of further accounts count only if there are no
/// others.
fn default_agent(file: &ConfigFile, names_agent: bool) -> String {
    let of_main = || file.agents.iter().filter(|table| table.account.is_none());
    let has_default = of_main().any(|table| table.name == DEFAULT_AGENT);
    match of_main().next().or_else(|| file.agents.first()) {
        Some(first) if !has_default && !names_agent => first.name.clone(),
        _ => DEFAULT_AGENT.to_owned(),
    }
}

/// The name `default` is that of the agent that the settings name, and no agent of a further account may have it too.
fn check_default(file: &ConfigFile, names_agent: bool, faults: &Faults) {
    let default = file.agents.iter().find(|table| table.name == DEFAULT_AGENT && table.account.is_some());
    if names_agent && default.is_some() {
        let place = format!("{}: agents.{DEFAULT_AGENT}.account", file.name);
        let fault =
            "is set, but that name is the one of the agent that DIALOGFLOW_AGENT names: call this agent otherwise";
        faults.add(SettingError::in_file(place, fault));
    }
}

fn agent_of_file(
    table: &AgentTable,
    file: &ConfigFile,
    values: &Values<'_>,
    migrate_after_ms: u64,
) -> Option<AgentConfig> {
    let agent = values.agent(&[&file.parameters, &table.parameters], migrate_after_ms)?;
    Some(AgentConfig { numbers: table.numbers.len(), ..agent })
}

fn check_named(table: &AgentTable, file: &ConfigFile, values: &Values<'_>, faults: &Faults) {
    if !values.names_agent() {
        let place = format!("{}: agents.{}.dialogflow_agent", file.name, table.name);
        faults.add(SettingError::in_file(place, "is not set, nor is DIALOGFLOW_AGENT for all agents"));
    }
}

/// The further accounts by their ids, each with its first agent.
fn accounts(file: &ConfigFile, main: Option<&str>, faults: &Faults) -> BTreeMap<String, TwilioAccount> {
    let mut accounts = BTreeMap::new();
    for table in &file.accounts {
        let wrong = |fault: &str| {
            faults.add(SettingError::in_file(format!("{}: accounts.{}", file.name, table.name), fault));
        };
        let AccountTable { name, sid, auth_tokens, api_key } = table;
        let Some(agent) = file.agents.iter().find(|agent| agent.account.as_ref() == Some(name)) else {
            wrong("has no agent: one of the agents has to say account = its name");
            continue;
        };
        let account = TwilioAccount {
            name: name.clone(),
            auth_tokens: auth_tokens.clone(),
            api_key: api_key.clone(),
            default_agent: agent.name.clone(),
        };
        if main == Some(sid) {
            wrong("has the id of TWILIO_ACCOUNT_SID");
        } else if accounts.insert(sid.clone(), account).is_some() {
            wrong("has the id of another account of the file");
        }
    }
    accounts
}

/// The id of the account that an agent takes calls of.
fn account_of(table: &AgentTable, file: &ConfigFile, faults: &Faults) -> Option<String> {
    let name = table.account.as_ref()?;
    let account = file.accounts.iter().find(|account| account.name == *name);
    // The reader of the file has reported each account that it cannot use.
    if !file.account_names.contains(name) {
        let fault = format!("is {name}, which is no account of the file");
        faults.add(SettingError::in_file(format!("{}: agents.{}.account", file.name, table.name), fault));
    }
    account.map(|account| account.sid.clone())
}

/// Whether two agents of the file take calls of one account.
fn same_account(table: &AgentTable, other: &str, file: &ConfigFile) -> bool {
    file.agents.iter().any(|agent| agent.name == other && agent.account == table.account)
}

/// Adds the agent's shares. Each goes to another agent of the file; a picked call is not picked again.
fn add_shares(table: &AgentTable, file: &ConfigFile, config: &mut Config, faults: &Faults) {
    for other in table.shares.agents() {
        let place = || format!("{}: agents.{}.share", file.name, table.name);
        if other == table.name {
            faults.add(SettingError::in_file(place(), format!("has a share for {other} itself")));
        } else if !file.agents.iter().any(|agent| agent.name == other) {
            faults
                .add(SettingError::in_file(place(), format!("has a share for {other}, which is no agent of the file")));
        } else if !same_account(table, other, file) {
            faults.add(SettingError::in_file(place(), format!("has a share for {other}, an agent of another account")));
        }
    }
    config.shares.insert(table.name.clone(), table.shares.clone());
}

/// Adds the agent's backup, which is another agent of the file.
fn add_backup(table: &AgentTable, file: &ConfigFile, config: &mut Config, faults: &Faults) {
    let Some(backup) = &table.backup else { return };
    let fault = if !file.agents.iter().any(|agent| agent.name == *backup) {
        format!("is {backup}, which is no agent of the file")
    } else if !same_account(table, backup, file) {
        format!("is {backup}, an agent of another account")
    } else if let Some(circle) = circle_of_backups(&table.name, file) {
        format!("leads back to {}, which cannot be had then: {}", table.name, circle.join(", "))
    } else {
        config.backups.insert(table.name.clone(), backup.clone());
        return;
    };
    faults.add(SettingError::in_file(format!("{}: agents.{}.backup", file.name, table.name), fault));
}

/// The agents from this one by their backups to this one again. `None` if there is no circle, or if an agent that comes
/// first by its name tells of it.
fn circle_of_backups<'a>(name: &'a str, file: &'a ConfigFile) -> Option<Vec<&'a str>> {
    let mut circle = vec![name];
    for _ in &file.agents {
        let last = file.agents.iter().find(|agent| Some(&*agent.name) == circle.last().copied())?;
        let next = last.backup.as_deref()?;
        circle.push(next);
        if next == name {
            return circle.iter().all(|other| name <= *other).then_some(circle);
        }
    }
    None
}

/// Adds the agent's numbers to those of its account.
fn add_routes(table: &AgentTable, account: Option<&str>, file: &ConfigFile, config: &mut Config, faults: &Faults) {
    let routes = config.routes.entry(account.map(ToOwned::to_owned)).or_default();
    for (n, pattern) in table.numbers.iter().enumerate() {
        if let Err(other) = routes.add(pattern.clone(), &table.name) {
            let place = format!("{}: agents.{}.numbers", file.name, table.name);
            let fault = format!("has at place {} of its list what agents.{other} has too", n + 1);
            faults.add(SettingError::in_file(place, fault));
        }
    }
}
