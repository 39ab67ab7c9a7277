//! Which agent, and where it is.

use std::path::PathBuf;

use http::Uri;

use crate::settings::SettingError;

/// An agent, told by the form of its resource name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentAddress {
    /// The lab's agent: the embedded one, or a script.
    Lab(Option<PathBuf>),
    /// Dialogflow CX: `projects/P/locations/L/agents/A[/environments/E]`.
    Cx {
        /// The whole name.
        name: String,
        /// Its location.
        location: String,
    },
}

const AGENT: &str = "DIALOGFLOW_AGENT";
const AGENT_EXAMPLE: &str = "projects/my-project/locations/us-central1/agents/00000000-0000-0000-0000-000000000000";

impl AgentAddress {
    /// Reads a resource name.
    ///
    /// # Errors
    /// [`SettingError`] for a name of another form.
    pub fn parse(name: &str) -> Result<Self, SettingError> {
        if let Some(file) = name.strip_prefix("lab:") {
            return Ok(Self::Lab((!file.is_empty()).then(|| file.into())));
        }
        let parts: Vec<&str> = name.split('/').collect();
        if parts.iter().any(|part| !is_plain(part)) {
            return Err(wrong(format!("is \"{name}\", which is no resource name")));
        }
        match parts[..] {
            ["projects", _, "locations", location, "agents", _]
            | ["projects", _, "locations", location, "agents", _, "environments", _] => {
                Ok(Self::Cx { name: name.to_owned(), location: location.to_owned() })
            }
            ["projects", _, "locations", _, "apps", ..] => {
                Err(wrong("names an app of the Customer Engagement Suite, which this version cannot serve yet"))
            }
            ["projects", _, "agent", ..] | ["projects", _, "locations", _, "agent", ..] => {
                Err(wrong("names a Dialogflow ES agent, which this version cannot serve yet"))
            }
            _ => Err(wrong(format!("is \"{name}\", which names no Dialogflow agent"))),
        }
    }

    /// The Dialogflow session of a call.
    #[must_use]
    pub fn session(&self, id: &str) -> String {
        match self {
            Self::Lab(_) => format!("projects/lab/locations/global/agents/lab/sessions/{id}"),
            Self::Cx { name, .. } => format!("{name}/sessions/{id}"),
        }
    }

    /// The edition's name, as tapes have it.
    #[must_use]
    pub fn edition(&self) -> &'static str {
        match self {
            Self::Lab(_) | Self::Cx { .. } => "cx",
        }
    }

    /// Where Google serves it; `None` for the lab's.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        let location = match self {
            Self::Lab(_) => return None,
            Self::Cx { location, .. } => location.as_str(),
        };
        let host = match location {
            "global" => "dialogflow.googleapis.com".to_owned(),
            other => format!("{other}-dialogflow.googleapis.com"),
        };
        Some(Endpoint { url: format!("https://{host}"), is_plaintext: false })
    }
}

fn wrong(fault: impl Into<String>) -> SettingError {
    SettingError::new(AGENT, fault, AGENT_EXAMPLE)
}

fn is_plain(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

/// Where an agent is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `https://host` or `http://host:port`.
    pub url: String,
    /// Without TLS and without credentials.
    pub is_plaintext: bool,
}

impl Endpoint {
    /// Reads `DIALOGFLOW_ENDPOINT`: a URL, or a host with or without a port.
    ///
    /// # Errors
    /// [`SettingError`] for what is no endpoint.
    pub fn parse(text: &str) -> Result<Self, SettingError> {
        let wrong = |fault: String| {
            SettingError::new("DIALOGFLOW_ENDPOINT", fault, "https://europe-west3-dialogflow.googleapis.com")
        };
        let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let uri: Uri = url.parse().map_err(|_| wrong(format!("is \"{text}\", which is no URL")))?;
        let is_plaintext = match uri.scheme_str() {
            Some("http") => true,
            Some("https") => false,
            _ => return Err(wrong(format!("is \"{text}\"; its scheme must be https or http"))),
        };
        if uri.host().is_none_or(str::is_empty) || uri.path() != "/" || uri.query().is_some() {
            return Err(wrong(format!("is \"{text}\"; it must be a host, with a port at most")));
        }
        Ok(Self { url: url.trim_end_matches('/').to_owned(), is_plaintext })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_the_name_says_which_product_it_is() {
        let cx = AgentAddress::parse("projects/p/locations/europe-west3/agents/a-1").unwrap();
        assert_eq!(cx.endpoint().unwrap().url, "https://europe-west3-dialogflow.googleapis.com");
        assert_eq!(cx.session("CA1"), "projects/p/locations/europe-west3/agents/a-1/sessions/CA1");
        let global = AgentAddress::parse("projects/p/locations/global/agents/a/environments/e").unwrap();
        assert_eq!(global.endpoint().unwrap().url, "https://dialogflow.googleapis.com");
        assert_eq!(AgentAddress::parse("lab:"), Ok(AgentAddress::Lab(None)));
        assert_eq!(AgentAddress::parse("lab:a/b.toml"), Ok(AgentAddress::Lab(Some("a/b.toml".into()))));
    }

    #[test]
    fn a_name_that_is_none_is_told_in_one_line() {
        for name in
            ["", "agent", "projects/p", "projects//agent", "projects/p/locations/l/agents/a/b", "projects/p q/agent"]
        {
            let error = AgentAddress::parse(name).unwrap_err().to_string();
            assert!(error.starts_with("DIALOGFLOW_AGENT ") && error.contains("for example"), "{error}");
        }
    }

    #[test]
    fn an_endpoint_is_a_host_and_http_means_plaintext() {
        assert_eq!(
            Endpoint::parse("http://127.0.0.1:9"),
            Ok(Endpoint { url: "http://127.0.0.1:9".to_owned(), is_plaintext: true })
        );
        assert_eq!(Endpoint::parse("eu.example:444").unwrap().url, "https://eu.example:444");
        for bad in ["ftp://x", "https://x/path", "https://", "::"] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }
}
