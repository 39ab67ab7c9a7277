//! The file that `DIALBRIDGE_CONFIG` names: agents by name, each with settings of its own.
//!
//! ```toml
//! barge_in = "voice"                  # any setting, in small letters: for all agents
//!
//! [agents.sales]
//! dialogflow_agent = "projects/…"
//! numbers = ["+15550100", "+1555*"]   # the called numbers that lead to it: whole ones, or how they begin
//! barge_in = "off"
//!
//! [agents.sales.parameters]           # session parameters of its calls
//! shop = "north"
//! ```
//!
//! What an agent says itself goes before flags and the environment, those before the top of the file, and that before the
//! defaults: what is said of one agent is meant for it, and what is set by hand beats what is written for all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value as Json};
use toml::{Spanned, Table, Value};

use super::SettingError;
use super::layer::{Layer, Part};
use super::numbers::Pattern;
use super::value::is_parameter_name;

/// What stands at the top beside settings.
const AGENTS: &str = "agents";
/// What stands beside settings at the top and at an agent.
const PARAMETERS: &str = "parameters";
/// What stands beside settings at an agent.
const NUMBERS: &str = "numbers";

/// Session parameters that are the call's own.
const CALLS_OWN: [&str; 3] = ["From", "To", "CallSid"];

/// The longest name of an agent, in bytes.
const MOST_NAME_BYTES: usize = 64;

/// How deep values of session parameters may be nested.
const MOST_DEPTH: usize = 8;

/// A file, read.
#[derive(Default)]
pub(super) struct ConfigFile {
    /// What it is called.
    pub(super) name: String,
    /// What it says for all agents.
    pub(super) top: Layer,
    /// The agents, in the file's order.
    pub(super) agents: Vec<AgentTable>,
    /// Session parameters for all agents.
    pub(super) parameters: Map<String, Json>,
}

/// An agent of the file.
pub(super) struct AgentTable {
    /// Its name.
    pub(super) name: String,
    /// The settings that it has of its own.
    pub(super) own: Layer,
    /// The called numbers that lead to it.
    pub(super) numbers: Vec<Pattern>,
    /// Session parameters of its calls.
    pub(super) parameters: Map<String, Json>,
}

impl ConfigFile {
    /// Reads the file.
    pub(super) fn read(file: &str) -> Result<Self, SettingError> {
        let wrong = |error| {
            let fault = format!("names {file}, which cannot be read: {error}");
            SettingError::new("DIALBRIDGE_CONFIG", fault, "agents.toml")
        };
        let text = fs::read_to_string(file).map_err(wrong)?;
        // What the file names stands relative to it, wherever the service is started.
        let folder = Path::new(file).parent().map(Path::to_owned).unwrap_or_default();
        Reader { file, folder }.document(&text)
    }
}

/// The agents' names with where they stand.
#[derive(Deserialize)]
struct Order {
    #[serde(default)]
    agents: BTreeMap<Spanned<String>, IgnoredAny>,
}

struct Reader<'a> {
    file: &'a str,
    folder: PathBuf,
}

impl Reader<'_> {
    fn document(&self, text: &str) -> Result<ConfigFile, SettingError> {
        let mut top: Table = toml::from_str(text).map_err(|error| self.broken(text, &error))?;
        let agents = match top.remove(AGENTS) {
            None => Table::new(),
            Some(Value::Table(agents)) => agents,
            Some(_) => return Err(self.wrong(AGENTS, "is no table: agents stand in tables such as [agents.sales]")),
        };
        let order: Order = toml::from_str(text).map_err(|error| self.broken(text, &error))?;
        let mut names: Vec<&Spanned<String>> = order.agents.keys().collect();
        names.sort_by_key(|name| name.span().start);
        let tables = names.into_iter().filter_map(|name| Some((name.get_ref(), agents.get(name.get_ref())?)));
        let agents: Vec<AgentTable> = tables.map(|(name, table)| self.agent(name, table)).collect::<Result<_, _>>()?;
        if agents.is_empty() {
            return Err(self.wrong("", "names no agent: one begins with a line such as [agents.sales]"));
        }
        let parameters = self.parameters("", top.remove(PARAMETERS))?;
        let top = self.layer("", top, Part::Top)?;
        Ok(ConfigFile { name: self.file.to_owned(), top, agents, parameters })
    }

    fn agent(&self, name: &str, table: &Value) -> Result<AgentTable, SettingError> {
        let place = format!("{AGENTS}.{name}");
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if name.is_empty() || name.len() > MOST_NAME_BYTES || !name.bytes().all(is_plain) {
            let fault = format!("is no agent's name: {MOST_NAME_BYTES} letters, digits, _ and - at most");
            return Err(self.wrong(&place, fault));
        }
        let Value::Table(mut table) = table.clone() else {
            return Err(self.wrong(&place, "is no table of settings"));
        };
        let numbers = self.numbers(&place, table.remove(NUMBERS))?;
        let parameters = self.parameters(&place, table.remove(PARAMETERS))?;
        let own = self.layer(&place, table, Part::Agent)?;
        Ok(AgentTable { name: name.to_owned(), own, numbers, parameters })
    }

    fn layer(&self, place: &str, table: Table, part: Part) -> Result<Layer, SettingError> {
        let mut layer = Layer::default();
        for (key, value) in table {
            let at = joined(place, &key);
            let text = text(&value)
                .ok_or_else(|| self.wrong(&at, "is neither a text, a number, true or false, nor a list"))?;
            let text = text.map_err(|fault| self.wrong(&at, fault))?;
            layer.put(&key, text, part, &self.folder).map_err(|fault| self.wrong(&at, fault))?;
        }
        Ok(layer)
    }

    fn numbers(&self, place: &str, value: Option<Value>) -> Result<Vec<Pattern>, SettingError> {
        let at = joined(place, NUMBERS);
        let texts: Vec<String> = match value {
            None => Vec::new(),
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(items)) => {
                let texts =
                    items.into_iter().map(|item| if let Value::String(text) = item { Some(text) } else { None });
                let texts: Option<_> = texts.collect();
                texts.ok_or_else(|| self.wrong(&at, "must be a list of texts, such as [\"+15550100\", \"+1555*\"]"))?
            }
            Some(_) => return Err(self.wrong(&at, "must be a list of texts, such as [\"+15550100\", \"+1555*\"]")),
        };
        let pattern = |(n, text): (usize, &String)| {
            let fault = format!(
                "has no number as Twilio writes it at place {}: +15550100, or +1555* for all that begin so",
                n + 1
            );
            Pattern::parse(text).ok_or_else(|| self.wrong(&at, fault))
        };
        texts.iter().enumerate().map(pattern).collect()
    }

    fn parameters(&self, place: &str, value: Option<Value>) -> Result<Map<String, Json>, SettingError> {
        let at = joined(place, PARAMETERS);
        let table = match value {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => return Err(self.wrong(&at, "is no table of session parameters")),
        };
        let mut parameters = Map::new();
        for (name, value) in table {
            let at = joined(&at, &name);
            if !is_parameter_name(&name) {
                return Err(self.wrong(&at, "is no parameter's name: letters, digits, _ and -"));
            }
            if CALLS_OWN.contains(&name.as_str()) {
                return Err(self.wrong(&at, "is the call's own parameter"));
            }
            let value = json(value, MOST_DEPTH).ok_or_else(|| self.wrong(&at, "is no value that JSON could hold"))?;
            parameters.insert(name, value);
        }
        Ok(parameters)
    }

    fn broken(&self, text: &str, error: &toml::de::Error) -> SettingError {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        self.wrong(&format!("line {line}"), format!("is no TOML: {}", error.message()))
    }

    fn wrong(&self, place: &str, fault: impl Into<String>) -> SettingError {
        let place = if place.is_empty() { self.file.to_owned() } else { format!("{}: {place}", self.file) };
        SettingError::in_file(place, fault)
    }
}

/// The key of a key.
pub(super) fn joined(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

/// A value as a flag or a variable would have it; a list with commas between its items. `None` for what no setting is.
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

/// A value as JSON; `None` for one that is nested too deep, or no number that JSON knows.
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
