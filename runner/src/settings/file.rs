//! The file that `DIALBRIDGE_CONFIG` names: agents by name, each with settings of its own.
//!
//! ```toml
//! barge_in = "voice"                  # any setting, in lower case: for all agents
//!
//! [agents.sales]
//! dialogflow_agent = "projects/…"
//! numbers = ["+15550100", "+1555*"]   # the called numbers that lead to it: whole numbers or prefixes
//! barge_in = "off"
//!
//! share = { new-sales = 5 }           # of a hundred callers five get this agent instead
//! backup = "old-sales"                # this agent goes on with a call if sales cannot be had
//!
//! [agents.sales.parameters]           # session parameters of its calls
//! shop = "north"
//!
//! [accounts.agency]                   # a further Twilio account, whose agents say account = "agency"
//! account_sid = "AC…"
//! auth_token_file = "agency-token"
//! ```
//!
//! The first of these that has a value counts: the agent's table, then flags and the environment, then the top of the
//! file, then the default. So a flag overrides what the file says for all agents, but not what it says for one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};
use toml::{Table, Value};

use super::accounts::AccountTable;
use super::error::SettingError;
use super::faults::Faults;
use super::given::{Settings, declared};
use super::numbers::Pattern;
use super::setting::Scope;
use super::shares::Shares;
use super::spelling::hint;
use super::value::is_parameter_name;

/// The key of the accounts' tables, at the top of the file.
const ACCOUNTS: &str = "accounts";
/// The key of an agent's account, in its table.
const ACCOUNT: &str = "account";
/// The key of the agents' tables, at the top of the file.
const AGENTS: &str = "agents";
/// The key of the session parameters, at the top of the file and in an agent's table.
const PARAMETERS: &str = "parameters";
/// The key of the called numbers, in an agent's table.
const NUMBERS: &str = "numbers";
/// The key of the shares that other agents get of an agent's calls, in its table.
const SHARE: &str = "share";
/// The key of what decides which callers they get; without it the agent's name.
const SHARE_SEED: &str = "share_seed";

/// The key of the agent that takes over, in an agent's table.
const BACKUP: &str = "backup";

/// A short name for a setting, which people write in a file, and the setting.
const LANGUAGE: (&str, &str) = ("language", "dialogflow_language");

/// The longest agent name, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// How deep values of session parameters may be nested.
const MAX_DEPTH: usize = 8;

/// The contents of the file.
#[derive(Default)]
pub(super) struct ConfigFile {
    /// The file's path as it was given.
    pub(super) name: String,
    /// The settings for all agents.
    pub(super) top: Settings,
    /// Further Twilio accounts.
    pub(super) accounts: Vec<AccountTable>,
    /// The names of all of them, also of those in which something is wrong.
    pub(super) account_names: Vec<String>,
    /// The agents in the order of the file.
    pub(super) agents: Vec<AgentTable>,
    /// Session parameters for all agents.
    pub(super) parameters: Map<String, Json>,
}

/// An agent of the file.
pub(super) struct AgentTable {
    /// Its name.
    pub(super) name: String,
    /// Its own settings.
    pub(super) own: Settings,
    /// The called numbers that lead to this agent.
    pub(super) numbers: Vec<Pattern>,
    /// The shares of its calls that other agents get.
    pub(super) shares: Shares,
    /// The agent that goes on with its calls if it cannot be had.
    pub(super) backup: Option<String>,
    /// The name of the account whose calls it takes. `None`: that of `TWILIO_ACCOUNT_SID`.
    pub(super) account: Option<String>,
    /// The session parameters of its calls.
    pub(super) parameters: Map<String, Json>,
}

impl ConfigFile {
    /// Reads the file. Notes what is wrong in it, and leaves it out.
    ///
    /// # Errors
    /// Why we cannot read the file, as a text that follows the setting's name.
    pub(super) fn read(file: &Path, faults: &Faults) -> Result<Self, String> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|error| format!("names {name}, which cannot be read: {error}"))?;
        // Paths in the file are relative to the file, wherever the service starts.
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        let reader = Reader { file: &name, folder, faults };
        Ok(reader.document(&text).unwrap_or_default())
    }
}

struct Reader<'a> {
    file: &'a str,
    folder: PathBuf,
    faults: &'a Faults,
}

impl Reader<'_> {
    /// Reads the whole file. `None` if it is not TOML or its agents are not in tables.
    fn document(&self, text: &str) -> Option<ConfigFile> {
        let mut top: Table = toml::from_str(text).map_err(|error| self.broken(text, &error)).ok()?;
        let no_tables = "is no table: agents stand in tables such as [agents.sales]";
        let tables = self.table(AGENTS, top.remove(AGENTS), no_tables)?;
        let agents: Vec<Option<AgentTable>> = tables.into_iter().map(|(name, table)| self.agent(name, table)).collect();
        if agents.is_empty() {
            self.wrong("", "names no agent: one begins with a line such as [agents.sales]");
        }
        let no_tables = "is no table: accounts stand in tables such as [accounts.agency]";
        let accounts = self.table(ACCOUNTS, top.remove(ACCOUNTS), no_tables)?;
        let account_names = accounts.keys().cloned().collect();
        let accounts = accounts.into_iter().filter_map(|(name, table)| self.account(&name, table)).collect();
        let parameters = self.parameters("", top.remove(PARAMETERS));
        let (name, top) = (self.file.to_owned(), self.settings("", top, Scope::Service));
        Some(ConfigFile {
            name,
            top,
            accounts,
            account_names,
            agents: agents.into_iter().flatten().collect(),
            parameters,
        })
    }

    fn agent(&self, name: String, table: Value) -> Option<AgentTable> {
        let place = joined(AGENTS, &name);
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
            self.wrong(&place, format!("is no agent's name: {MAX_NAME_BYTES} letters, digits, _ and - at most"));
            return None;
        }
        let mut table = self.table(&place, Some(table), "is no table of settings")?;
        let numbers = self.numbers(&place, table.remove(NUMBERS));
        let parameters = self.parameters(&place, table.remove(PARAMETERS));
        let shares = self.shares(&name, &place, &mut table);
        let mut named = |key: &str, fault: &str| {
            let name = table.remove(key)?.as_str().map(ToOwned::to_owned).ok_or(fault);
            self.right(&joined(&place, key), name)
        };
        let backup = named(BACKUP, "is no agent's name, such as \"old-sales\"");
        let account = named(ACCOUNT, "is no account's name, such as \"agency\"");
        let own = self.settings(&place, table, Scope::Agent);
        Some(AgentTable { name, own, numbers, shares, backup, account, parameters })
    }

    fn account(&self, name: &str, table: Value) -> Option<AccountTable> {
        let place = joined(ACCOUNTS, name);
        let table = self.table(&place, Some(table), "is no table of an account's")?;
        let wrong = |(key, fault): (&str, String)| {
            self.wrong(&if key.is_empty() { place.clone() } else { joined(&place, key) }, fault);
        };
        AccountTable::read(name, table, &self.folder).map_err(|faults| faults.into_iter().for_each(wrong)).ok()
    }

    /// The settings of a table. The scope `Service` allows all settings, `Agent` only those of an agent.
    fn settings(&self, place: &str, table: Table, scope: Scope) -> Settings {
        let mut settings = Settings::default();
        for (key, value) in table {
            self.right(&joined(place, &key), self.put(&mut settings, &key, &value, scope));
        }
        settings
    }

    fn put(&self, settings: &mut Settings, key: &str, value: &Value, scope: Scope) -> Result<(), String> {
        let name = if key == LANGUAGE.0 { LANGUAGE.1 } else { key };
        let Some(setting) = declared(&name.to_uppercase()).filter(|_| !name.contains(char::is_uppercase)) else {
            return Err(format!("is no setting{}", hint(name)));
        };
        let facts = setting.facts();
        if facts.name == "DIALBRIDGE_CONFIG" {
            return Err("cannot stand in the file that it names".to_owned());
        }
        if scope == Scope::Agent && facts.scope == Scope::Service {
            let where_to = "set it in the environment, by a flag or at the top of this file";
            return Err(format!("is a setting of the whole service, not of an agent: {where_to}"));
        }
        if settings.contains(facts.name) {
            return Err(format!("stands there twice: {} is {}", LANGUAGE.0, LANGUAGE.1));
        }
        let text = text(value).ok_or("is neither a text, a number, true or false, nor a list")??;
        settings.set(facts.name, self.placed(facts.name, text, facts.is_path));
        Ok(())
    }

    /// Makes a path relative to the file's folder. Leaves other values as they are.
    fn placed(&self, name: &str, value: String, is_path: bool) -> String {
        let path = value.trim();
        let joined = |path: &str| self.folder.join(path).display().to_string();
        match path.strip_prefix("lab:") {
            Some(script) if name == "DIALOGFLOW_AGENT" && !script.is_empty() => format!("lab:{}", joined(script)),
            _ if is_path && !path.is_empty() => joined(path),
            _ => value,
        }
    }

    fn numbers(&self, place: &str, value: Option<Value>) -> Vec<Pattern> {
        let at = joined(place, NUMBERS);
        let items = match value {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(item) => vec![item],
        };
        let pattern = |(n, item): (usize, &Value)| {
            let text = item.as_str().ok_or("must be a list of texts, such as [\"+15550100\", \"+1555*\"]")?;
            let how = "+15550100, or +1555* for all that begin so";
            let fault = || format!("has no number as Twilio writes it at place {}: {how}", n + 1);
            Pattern::parse(text).ok_or_else(fault)
        };
        items.iter().enumerate().filter_map(|item| self.right(&at, pattern(item))).collect()
    }

    fn shares(&self, name: &str, place: &str, table: &mut Table) -> Shares {
        let at = joined(place, SHARE);
        let seed = match table.remove(SHARE_SEED) {
            None => Some(name.to_owned()),
            Some(seed) => self.right(&joined(place, SHARE_SEED), scalar(&seed).ok_or("must be a text or a number")),
        };
        let shares = self.table(&at, table.remove(SHARE), "is no table of percentages, such as { new-sales = 5 }");
        let read = shares.zip(seed).map(|(shares, seed)| Shares::read(shares, seed));
        read.and_then(|shares| self.right(&at, shares)).unwrap_or_default()
    }

    fn parameters(&self, place: &str, value: Option<Value>) -> Map<String, Json> {
        let place = joined(place, PARAMETERS);
        let table = self.table(&place, value, "is no table of session parameters").unwrap_or_default();
        let parameter = |(name, value): (String, Value)| {
            let value = match &name {
                name if !is_parameter_name(name) => Err("is no parameter's name: letters, digits, _ and -"),
                _ => json(value, MAX_DEPTH).ok_or("is no value that JSON could hold"),
            };
            Some((name.clone(), self.right(&joined(&place, &name), value)?))
        };
        table.into_iter().filter_map(parameter).collect()
    }

    /// The value as a table. Without a value the table is empty. `None` if the value is not a table.
    fn table(&self, place: &str, value: Option<Value>, fault: &str) -> Option<Table> {
        let table = match value {
            None => Ok(Table::new()),
            Some(Value::Table(table)) => Ok(table),
            Some(_) => Err(fault),
        };
        self.right(place, table)
    }

    /// Returns what was found. A fault is noted and gives `None`.
    fn right<T>(&self, place: &str, found: Result<T, impl Into<String>>) -> Option<T> {
        found.map_err(|fault| self.wrong(place, fault)).ok()
    }

    fn broken(&self, text: &str, error: &toml::de::Error) {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        self.wrong(&format!("line {line}"), format!("is no TOML: {}", error.message()));
    }

    fn wrong(&self, place: &str, fault: impl Into<String>) {
        let place = if place.is_empty() { self.file.to_owned() } else { format!("{}: {place}", self.file) };
        self.faults.add(SettingError::in_file(place, fault));
    }
}

/// The dotted key of `key` within `place`.
fn joined(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

/// The text that a flag or variable would have for this value. A list becomes items with commas. `None` for a type that
/// no setting has.
fn text(value: &Value) -> Option<Result<String, String>> {
    let Value::Array(items) = value else { return scalar(value).map(Ok) };
    let items: Vec<String> = items.iter().map(scalar).collect::<Option<_>>()?;
    if items.iter().any(|item| item.contains(',')) {
        return Some(Err("has a comma within an item of its list".to_owned()));
    }
    Some(Ok(items.join(",")))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

/// The value as JSON. `None` if it is nested too deep, or is a number that JSON does not have.
fn json(value: Value, depth: usize) -> Option<Json> {
    let depth = depth.checked_sub(1)?;
    Some(match value {
        Value::String(text) => text.into(),
        Value::Integer(number) => number.into(),
        Value::Float(number) => serde_json::Number::from_f64(number)?.into(),
        Value::Boolean(flag) => flag.into(),
        Value::Datetime(time) => time.to_string().into(),
        Value::Array(items) => items.into_iter().map(|item| json(item, depth)).collect::<Option<Vec<_>>>()?.into(),
        Value::Table(table) => {
            let entries = table.into_iter().map(|(name, value)| Some((name, json(value, depth)?)));
            Json::Object(entries.collect::<Option<_>>()?)
        }
    })
}
