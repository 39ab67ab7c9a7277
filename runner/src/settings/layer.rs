//! Settings by their names, and how one layer of them is laid over another.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::value::set;
use super::{SettingError, Settings};

/// Settings of the whole service, which no agent can have for itself.
pub(super) const OF_THE_SERVICE: &[&str] = &[
    "PORT",
    "PUBLIC_URL",
    "DIALBRIDGE_CONFIG",
    "MAX_CALLS",
    "LOG_LEVEL",
    "RENEW_AFTER_SECONDS",
    "ADMIN_TOKEN",
    "PAGE_TRANSCRIPTS",
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_API_KEY_SID",
    "TWILIO_API_KEY_SECRET",
    "TWILIO_API_URL",
    "TWILIO_EDGE",
    "TWILIO_REGION",
    "TICKET_KEY",
    "ALLOW_UNSIGNED",
    "ALLOW_BARE_MEDIA",
    "MOST_WAITING_SOCKETS",
    "MOST_CONNECTIONS",
    "HEAD_SECONDS",
    "MOST_HEAD_BYTES",
    "BODY_SECONDS",
    "MOST_BODY_BYTES",
    "MOST_MESSAGE_BYTES",
    "START_SECONDS",
    "QUIET_SOCKET_SECONDS",
    "SLOW_SOCKET_SECONDS",
    "MOST_QUEUED_MESSAGES",
    "GOOGLE_CLOUD_PROJECT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "STREAMS_PER_CONNECTION",
    "GATHER_MICROSECONDS",
];

/// Settings that are files or folders.
const PATHS: [&str; 4] = ["google_application_credentials", "record_dir", "filler_file", "retry_file"];

/// Settings whose empty value is one: none, instead of the default.
const MAY_BE_EMPTY: [&str; 2] = ["dialogflow_starting_event_name", "dialogflow_starting_text"];

/// Both say which agent it is: who has one of them has no use for the other one of somebody else.
const AGENT: [&str; 2] = ["dialogflow_agent", "dialogflow_project_id"];

/// Another word for a setting, as people write it in a file.
const LANGUAGE: (&str, &str) = ("language", "dialogflow_language");

/// Settings of a part of the configuration's file, by their names in small letters. Some are secrets: it is not printed.
#[derive(Default)]
pub(super) struct Layer(BTreeMap<String, String>);

/// Which part of the file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The top: what holds for all.
    Top,
    /// An agent.
    Agent,
}

impl Layer {
    /// Takes a setting in. What is a path in it is relative to `folder`.
    ///
    /// # Errors
    /// With a fault when it may not stand there.
    pub(super) fn put(&mut self, key: &str, value: String, part: Part, folder: &Path) -> Result<(), String> {
        let name = if key == LANGUAGE.0 { LANGUAGE.1 } else { key };
        if !Settings::names().iter().any(|known| known.to_lowercase() == *name) {
            let is_known = Settings::names().iter().any(|known| known.eq_ignore_ascii_case(name));
            let hint = if is_known { "; in this file settings are written in small letters" } else { "" };
            return Err(format!("is no setting{hint}"));
        }
        if name == "dialbridge_config" {
            return Err("cannot stand in the file that it names".to_owned());
        }
        if part == Part::Agent && Settings::is_of_service(&name.to_uppercase()) {
            let where_to = "set it in the environment, by a flag or at the top of this file";
            return Err(format!("is a setting of the whole service, not of an agent: {where_to}"));
        }
        if self.0.insert(name.to_owned(), placed(name, value, folder)).is_some() {
            return Err(format!("stands there twice: {} is {}", LANGUAGE.0, LANGUAGE.1));
        }
        Ok(())
    }

    /// Whether it has the setting of that name, in small letters.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn names_agent(&self) -> bool {
        AGENT.iter().any(|name| self.0.get(*name).is_some_and(|value| !value.trim().is_empty()))
    }
}

/// A value whose path is relative to that folder.
fn placed(name: &str, value: String, folder: &Path) -> String {
    let path = value.trim();
    let joined = |path: &str| folder.join(path).display().to_string();
    match path.strip_prefix("lab:") {
        Some(script) if name == AGENT[0] && !script.is_empty() => format!("lab:{}", joined(script)),
        _ if PATHS.contains(&name) && !path.is_empty() => joined(path),
        _ => value,
    }
}

impl Settings {
    /// The names of all settings, as environment variables.
    #[must_use]
    pub fn names() -> Vec<String> {
        by_name(&Self::default()).into_iter().map(|(name, _)| name.to_uppercase()).collect()
    }

    /// Whether the setting of that name is one of the whole service, that no agent can have for itself.
    #[must_use]
    pub fn is_of_service(name: &str) -> bool {
        OF_THE_SERVICE.contains(&name)
    }

    /// Whether a value was given by a flag or in the environment.
    pub(super) fn has(&self, name: &str) -> bool {
        given(&by_name(self), name)
    }

    /// These, and what is not given with them from that layer.
    pub(super) fn over(&self, below: &Layer) -> Result<Self, SettingError> {
        let mut all = by_name(self);
        for (name, value) in &below.0 {
            let is_hidden = self.names_agent() && AGENT.contains(&name.as_str());
            if !is_hidden && !given(&all, name) {
                all.insert(name.clone(), value.as_str().into());
            }
        }
        from_names(all)
    }

    /// That layer, and what does not stand in it from these.
    pub(super) fn under(&self, above: &Layer) -> Result<Self, SettingError> {
        let mut all = by_name(self);
        if above.names_agent() {
            all.retain(|name, _| !AGENT.contains(&name.as_str()));
        }
        all.extend(above.0.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
        from_names(all)
    }

    /// The names, as variables, of what is given with these and differently in that layer.
    pub(super) fn beats(&self, below: &Layer) -> Vec<String> {
        let all = by_name(self);
        let differs = |name: &String| {
            let value = all.get(name).and_then(Value::as_str).map(str::trim);
            let is_said = below.has(name) || (AGENT.contains(&name.as_str()) && below.names_agent());
            is_said && given(&all, name) && value != below.0.get(name).map(|value| value.trim())
        };
        all.keys().filter(|name| differs(name)).map(|name| name.to_uppercase()).collect()
    }
}

pub(super) fn by_name(settings: &Settings) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(all)) => all,
        // Texts by their names are an object.
        _ => Map::new(),
    }
}

fn from_names(all: Map<String, Value>) -> Result<Settings, SettingError> {
    serde_json::from_value(Value::Object(all)).map_err(|error| SettingError::in_file("", error.to_string()))
}

/// An empty value counts as not given, but for those that may be empty.
fn given(all: &Map<String, Value>, name: &str) -> bool {
    let value = all.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    if MAY_BE_EMPTY.contains(&name) { value.is_some() } else { set(&value).is_some() }
}
