//! The settings as they may be shown: in the log at the start, and to people.

use clap::{Args as _, Command};

use super::Settings;
use super::layer::by_name;
use super::value::Shown;

/// Settings that may hold somebody's number, beside those that are secrets by their definition.
const PERSONAL: [&str; 2] = ["DIAL_CALLER_ID", "FALLBACK_TWIML"];

impl Settings {
    /// What was given as a flag or in the environment, as `NAME=value`, in the order of the names. Secrets and numbers are
    /// `…`, and of a URL its user and the values of its query.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        let secrets = secrets();
        let given = by_name(self);
        let given = given.iter().filter_map(|(name, value)| Some((name.to_uppercase(), value.as_str()?.trim())));
        let shown = given.map(|(name, value)| {
            let is_hidden = secrets.contains(&name) || PERSONAL.contains(&name.as_str());
            match is_hidden && !value.is_empty() {
                true => format!("{name}=…"),
                false => format!("{name}={}", Shown(&without_secrets(value))),
            }
        });
        shown.collect()
    }

    /// The values of those settings that are secrets, as they were given.
    #[must_use]
    pub fn secret_values(&self) -> Vec<String> {
        let secrets = secrets();
        let given = by_name(self).into_iter().filter(|(name, _)| secrets.contains(&name.to_uppercase()));
        given.filter_map(|(_, value)| Some(value.as_str()?.to_owned())).collect()
    }
}

/// The settings whose values `--help` does not show either.
fn secrets() -> Vec<String> {
    let command = Settings::augment_args(Command::new("settings"));
    let hidden = command.get_arguments().filter(|argument| argument.is_hide_env_values_set());
    hidden.filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned())).collect()
}

/// A URL without its user and the values of its query; any other text as it is.
fn without_secrets(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let (address, query) = rest.split_once('?').map_or((rest, None), |(address, query)| (address, Some(query)));
    let host_from = address.find('/').map_or(address, |end| &address[..end]).rfind('@').map_or(0, |at| at + 1);
    let user = if host_from > 0 { "…@" } else { "" };
    let query = query.map_or(String::new(), |_| "?…".to_owned());
    format!("{scheme}://{user}{}{query}", &address[host_from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_numbers_are_not_shown() {
        let settings = Settings {
            barge_in: Some("voice".to_owned()),
            twilio_auth_token: Some("planted-token".to_owned()),
            ticket_key: Some("planted-key".to_owned()),
            twilio_api_key_secret: Some("planted-secret".to_owned()),
            webhook_headers: Some("X-A: planted-header".to_owned()),
            dial_caller_id: Some("+15550planted".to_owned()),
            end_of_interaction_url: Some("https://planted:pw@example.com/a?key=planted".to_owned()),
            port: Some(String::new()),
            ..Settings::default()
        };
        let shown = settings.shown().join(" ");
        assert!(!shown.contains("planted") && !shown.contains("pw"), "{shown}");
        assert!(shown.starts_with("BARGE_IN=\"voice\" DIAL_CALLER_ID=…"), "{shown}");
        assert!(shown.contains("END_OF_INTERACTION_URL=\"https://…@example.com/a?…\""), "{shown}");
        assert!(shown.contains("PORT=\"\""), "{shown}");
    }

    #[test]
    fn what_help_hides_is_known_as_a_secret() {
        assert!(secrets().contains(&"TWILIO_AUTH_TOKEN".to_owned()), "{:?}", secrets());
    }
}
