//! Which agent, and where it is.

use http::Uri;

use crate::settings::SettingError;
use crate::settings::value::Shown;

/// A Dialogflow agent, told by the form of its resource name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentAddress {
    /// The name, up to where a session's begins.
    name: String,
    product: Product,
    /// Its location; `None` where an ES agent names none.
    location: Option<String>,
}

/// Which product serves the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Dialogflow CX: `projects/P/locations/L/agents/A[/environments/E]`.
    Cx,
    /// Dialogflow ES: `projects/P[/locations/L]/agent[/environments/E[/users/U]]`.
    Es(EsApi),
}

/// Which of ES's APIs is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EsApi {
    /// The stable one.
    #[default]
    V2,
    /// With telephony messages, barge-in configuration and DTMF input.
    V2Beta1,
}

pub(super) const AGENT: &str = "DIALOGFLOW_AGENT";
pub(super) const AGENT_EXAMPLE: &str =
    "projects/my-project/locations/us-central1/agents/00000000-0000-0000-0000-000000000000";

impl AgentAddress {
    /// Reads a resource name.
    ///
    /// # Errors
    /// [`SettingError`] for a name of another form.
    pub fn parse(name: &str, es_api: EsApi) -> Result<Self, SettingError> {
        let parts: Vec<&str> = name.split('/').collect();
        if parts.iter().any(|part| !is_plain(part)) {
            return Err(wrong(format!("is {}, which is no resource name", Shown(name))));
        }
        let (location, rest) = match parts[..] {
            ["projects", _, "locations", location, ref rest @ ..] => (Some(location.to_owned()), rest),
            ["projects", _, ref rest @ ..] => (None, rest),
            _ => (None, &[] as &[&str]),
        };
        let address = |name: String, product| Ok(Self { name, product, location: location.clone() });
        match *rest {
            ["agents", _] | ["agents", _, "environments", _] if location.is_some() => {
                address(name.to_owned(), Product::Cx)
            }
            ["agent"] | ["agent", "environments", _, "users", _] => address(name.to_owned(), Product::Es(es_api)),
            // The default user of an environment, `-`.
            ["agent", "environments", _] => address(format!("{name}/users/-"), Product::Es(es_api)),
            ["apps", ..] if location.is_some() => {
                Err(wrong("names an app of the Customer Engagement Suite, which this version cannot serve yet"))
            }
            _ => Err(wrong(format!("is {}, which names no Dialogflow agent", Shown(name)))),
        }
    }

    /// The agent's name, as it was given but for the default user.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which product it is.
    #[must_use]
    pub fn product(&self) -> Product {
        self.product
    }

    /// The Dialogflow session of a call.
    #[must_use]
    pub fn session(&self, id: &str) -> String {
        format!("{}/sessions/{id}", self.name)
    }

    /// The edition's name, as tapes have it.
    #[must_use]
    pub fn edition(&self) -> &'static str {
        match self.product {
            Product::Cx => "cx",
            Product::Es(_) => "es",
        }
    }

    /// Where Google serves it.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        let host = match self.location.as_deref() {
            None | Some("global") => "dialogflow.googleapis.com".to_owned(),
            Some(location) => format!("{location}-dialogflow.googleapis.com"),
        };
        Endpoint { url: format!("https://{host}"), is_plaintext: false }
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
        let uri: Uri = url.parse().map_err(|_| wrong(format!("is {}, which is no URL", Shown(text))))?;
        let is_plaintext = match uri.scheme_str() {
            Some("http") => true,
            Some("https") => false,
            _ => return Err(wrong(format!("is {}; its scheme must be https or http", Shown(text)))),
        };
        if uri.host().is_none_or(str::is_empty) || uri.path() != "/" || uri.query().is_some() {
            return Err(wrong(format!("is {}; it must be a host, with a port at most", Shown(text))));
        }
        Ok(Self { url: url.trim_end_matches('/').to_owned(), is_plaintext })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> Result<AgentAddress, SettingError> {
        AgentAddress::parse(name, EsApi::V2)
    }

    #[test]
    fn the_form_of_the_name_says_which_product_it_is_and_where() {
        let es = Product::Es(EsApi::V2);
        for (name, product, host, session) in [
            ("projects/p/locations/europe-west3/agents/a-1", Product::Cx, "europe-west3-dialogflow", ""),
            ("projects/p/locations/global/agents/a/environments/e", Product::Cx, "dialogflow", ""),
            ("projects/p/agent", es, "dialogflow", ""),
            ("projects/p/locations/europe-west2/agent", es, "europe-west2-dialogflow", ""),
            ("projects/p/agent/environments/e", es, "dialogflow", "/users/-"),
            ("projects/p/agent/environments/e/users/u", es, "dialogflow", ""),
        ] {
            let agent = parse(name).unwrap();
            assert_eq!(agent.product(), product, "{name}");
            assert_eq!(agent.endpoint().url, format!("https://{host}.googleapis.com"), "{name}");
            assert_eq!(agent.session("CA1"), format!("{name}{session}/sessions/CA1"));
        }
    }

    #[test]
    fn a_name_that_is_none_is_told_in_one_line() {
        for name in [
            "",
            "agent",
            "projects/p",
            "projects//agent",
            "projects/p/agents/a",
            "projects/p/locations/l/agents/a/b",
            "projects/p q/agent",
            "projects/p/agent/users/u",
        ] {
            let error = parse(name).unwrap_err().to_string();
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
