//! Which agent serves a call, and the address of Google's server for it.

use std::fmt;

use dialbridge_core::edition::Edition;
use http::Uri;

/// A Dialogflow agent. The form of its resource name tells the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentAddress {
    /// The resource name, up to where the session's part begins.
    name: String,
    /// The full name of a CES app's deployment.
    deployment: Option<String>,
    product: Product,
    /// Its location; `None` if an ES agent's name has none.
    location: Option<String>,
}

/// Which product serves the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Dialogflow CX: `projects/P/locations/L/agents/A[/environments/E]`.
    Cx,
    /// Dialogflow ES: `projects/P[/locations/L]/agent[/environments/E[/users/U]]`.
    Es(EsApi),
    /// The Customer Engagement Suite: `projects/P/locations/L/apps/A[/deployments/D]`.
    Ces(CesTransport),
}

impl Product {
    /// The edition, whatever carries its messages.
    #[must_use]
    pub fn edition(self) -> Edition {
        match self {
            Self::Cx => Edition::Cx,
            Self::Es(_) => Edition::Es,
            Self::Ces(_) => Edition::Ces,
        }
    }
}

/// Which version of the ES API we use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EsApi {
    /// The stable version.
    #[default]
    V2,
    /// The beta: it adds telephony messages, barge-in configuration and DTMF input.
    V2Beta1,
}

/// How we carry the streams to an agent of the Customer Engagement Suite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CesTransport {
    /// JSON over a WebSocket, as Google's own adapters do.
    #[default]
    WebSocket,
    /// gRPC.
    Grpc,
}

/// The locations that Google's page lists for CX agents
/// (<https://docs.cloud.google.com/dialogflow/cx/docs/concept/region>).
const CX_LOCATIONS: [&str; 17] = [
    "global",
    "us",
    "eu",
    "us-central1",
    "us-east1",
    "us-west1",
    "northamerica-northeast1",
    "europe-west1",
    "europe-west2",
    "europe-west3",
    "europe-west4",
    "europe-west6",
    "asia-northeast1",
    "asia-south1",
    "asia-southeast1",
    "asia-southeast2",
    "australia-southeast1",
];

/// The locations in which apps of the Customer Engagement Suite have been seen. Google's list was not to be had.
const CES_LOCATIONS: [&str; 4] = ["us", "eu", "us-east1", "global"];

/// The locations that Google's page lists for ES agents
/// (<https://docs.cloud.google.com/dialogflow/es/docs/how/region>).
const ES_LOCATIONS: [&str; 5] = ["global", "europe-west1", "europe-west2", "asia-northeast1", "australia-southeast1"];

/// The length of a CES session id, in characters: `[a-zA-Z0-9][a-zA-Z0-9-_]{4,62}`.
const CES_ID_CHARS: std::ops::RangeInclusive<usize> = 5..=63;

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// It is not a resource name.
    NoResourceName,
    /// It is a resource name, but not that of an agent.
    NoAgent,
    /// It is not a URL.
    NoUrl,
    /// Its scheme is neither `http` nor `https`.
    Scheme,
    /// It has a path or a query, or no host.
    NotJustAHost,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoResourceName => "which is no resource name",
            Self::NoAgent => "which names no Dialogflow agent",
            Self::NoUrl => "which is no URL",
            Self::Scheme => "whose scheme must be https or http",
            Self::NotJustAHost => "which must be a host, with a port at most",
        })
    }
}

impl std::error::Error for AddressError {}

impl AgentAddress {
    /// Reads a resource name.
    ///
    /// # Errors
    /// [`AddressError`] if the name has another form.
    pub fn parse(name: &str, es_api: EsApi) -> Result<Self, AddressError> {
        let parts: Vec<&str> = name.split('/').collect();
        if parts.iter().any(|part| !is_plain(part)) {
            return Err(AddressError::NoResourceName);
        }
        let (location, rest) = match parts[..] {
            ["projects", _, "locations", location, ref rest @ ..] => (Some(location.to_owned()), rest),
            ["projects", _, ref rest @ ..] => (None, rest),
            _ => (None, &[] as &[&str]),
        };
        let address = |name: String, product| Ok(Self { name, deployment: None, product, location: location.clone() });
        match *rest {
            ["agents", _] | ["agents", _, "environments", _] if location.is_some() => {
                address(name.to_owned(), Product::Cx)
            }
            ["agent"] | ["agent", "environments", _, "users", _] => address(name.to_owned(), Product::Es(es_api)),
            // The default user of an environment, `-`.
            ["agent", "environments", _] => address(format!("{name}/users/-"), Product::Es(es_api)),
            ["apps", _] if location.is_some() => address(name.to_owned(), Product::Ces(CesTransport::default())),
            ["apps", _, "deployments", deployment] if location.is_some() => {
                let app = name.len() - "/deployments/".len() - deployment.len();
                let app = address(name[..app].to_owned(), Product::Ces(CesTransport::default()))?;
                Ok(Self { deployment: Some(name.to_owned()), ..app })
            }
            _ => Err(AddressError::NoAgent),
        }
    }

    /// Sets how the streams of a CES agent are carried. Other agents stay as they are.
    #[must_use]
    pub fn carried_by(self, transport: CesTransport) -> Self {
        match self.product {
            Product::Ces(_) => Self { product: Product::Ces(transport), ..self },
            Product::Cx | Product::Es(_) => self,
        }
    }

    /// The agent's name as it was given, plus the default user and minus an app's deployment.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The full name of the CES app's deployment. Without one, the app's draft answers.
    #[must_use]
    pub fn deployment(&self) -> Option<&str> {
        self.deployment.as_deref()
    }

    /// The agent's product.
    #[must_use]
    pub fn product(&self) -> Product {
        self.product
    }

    /// The resource name of the agent's session for a call.
    #[must_use]
    pub fn session(&self, id: &str) -> String {
        match self.product {
            Product::Cx | Product::Es(_) => format!("{}/sessions/{id}", self.name),
            Product::Ces(_) => format!("{}/sessions/{}", self.name, ces_session_id(id)),
        }
    }

    /// The edition's name, as tapes write it.
    #[must_use]
    pub fn edition(&self) -> &'static str {
        self.product.edition().as_str()
    }

    /// The address of Google's server for this agent.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        let location = self.location.as_deref().filter(|location| *location != "global");
        let host = match (self.product, location) {
            (Product::Cx | Product::Es(_), None) => "dialogflow.googleapis.com".to_owned(),
            (Product::Cx | Product::Es(_), Some(location)) => format!("{location}-dialogflow.googleapis.com"),
            // The location is in the path.
            (Product::Ces(CesTransport::WebSocket), _) | (Product::Ces(CesTransport::Grpc), None) => {
                CES_HOST.to_owned()
            }
            (Product::Ces(CesTransport::Grpc), Some(location)) => ces_regional_host(location),
        };
        Endpoint { url: format!("https://{host}"), is_plaintext: false }
    }

    /// The agent's location, if it is none that we know, with all that we know. It may be right all the same: Google adds
    /// locations.
    #[must_use]
    pub fn unknown_location(&self) -> Option<(&str, &'static [&'static str])> {
        let known: &[&str] = match self.product {
            Product::Cx => &CX_LOCATIONS,
            Product::Es(_) => &ES_LOCATIONS,
            Product::Ces(_) => &CES_LOCATIONS,
        };
        let location = self.location.as_deref().filter(|location| !known.contains(location))?;
        Some((location, known))
    }

    /// Whether `host` may serve the agent. Google does not document which of CES's two hosts serves which transport.
    #[must_use]
    pub fn may_be_at(&self, host: &str) -> bool {
        let regional = self.location.as_deref().map(ces_regional_host);
        matches!(self.product, Product::Ces(_)) && (host == CES_HOST || regional.as_deref() == Some(host))
    }
}

/// CES's host for all locations.
pub const CES_HOST: &str = "ces.googleapis.com";

/// CES's host for one location. Google does not document which of the two hosts serves bidirectional gRPC streams;
/// users report that this one does.
pub fn ces_regional_host(location: &str) -> String {
    format!("ces.{location}.rep.googleapis.com")
}

/// Makes an id that CES accepts. Twilio's ids stay as they are. Others, such as a test's, get `call-` in front, and `-`
/// in place of characters that CES does not allow.
fn ces_session_id(id: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let begins_well = id.starts_with(|c: char| c.is_ascii_alphanumeric());
    if CES_ID_CHARS.contains(&id.len()) && begins_well && id.bytes().all(is_plain) {
        return id.to_owned();
    }
    let plain = id.chars().map(|c| if u8::try_from(c).is_ok_and(is_plain) { c } else { '-' });
    format!("call-{}", plain.take(CES_ID_CHARS.end() - "call-".len()).collect::<String>())
}

fn is_plain(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `https://host` or `http://host:port`.
    pub url: String,
    /// Whether we connect without TLS and without credentials.
    pub is_plaintext: bool,
}

impl Endpoint {
    /// Reads `DIALOGFLOW_ENDPOINT`: a URL, or a host with or without a port.
    ///
    /// # Errors
    /// [`AddressError`] if the text is not an endpoint.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let uri: Uri = url.parse().map_err(|_| AddressError::NoUrl)?;
        let is_plaintext = match uri.scheme_str() {
            Some("http") => true,
            Some("https") => false,
            _ => return Err(AddressError::Scheme),
        };
        if uri.host().is_none_or(str::is_empty) || uri.path() != "/" || uri.query().is_some() {
            return Err(AddressError::NotJustAHost);
        }
        Ok(Self { url: url.trim_end_matches('/').to_owned(), is_plaintext })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> Result<AgentAddress, AddressError> {
        AgentAddress::parse(name, EsApi::V2)
    }

    #[test]
    fn the_form_of_the_name_says_which_product_it_is_and_where() {
        let es = Product::Es(EsApi::V2);
        for (name, product, host, session) in [
            ("projects/p/locations/europe-west3/agents/a-1", Product::Cx, "europe-west3-dialogflow", ""),
            ("projects/p/locations/global/agents/a/environments/e", Product::Cx, "dialogflow", ""),
            ("projects/p/locations/us/agents/a", Product::Cx, "us-dialogflow", ""),
            ("projects/p/locations/eu/agents/a", Product::Cx, "eu-dialogflow", ""),
            ("projects/p/locations/europe-west4/agents/a", Product::Cx, "europe-west4-dialogflow", ""),
            ("projects/p/locations/europe-west6/agents/a", Product::Cx, "europe-west6-dialogflow", ""),
            ("projects/p/agent", es, "dialogflow", ""),
            ("projects/p/locations/europe-west2/agent", es, "europe-west2-dialogflow", ""),
            ("projects/p/agent/environments/e", es, "dialogflow", "/users/-"),
            ("projects/p/agent/environments/e/users/u", es, "dialogflow", ""),
            ("projects/p/locations/eu/apps/a", Product::Ces(CesTransport::WebSocket), "ces", ""),
        ] {
            let agent = parse(name).unwrap();
            assert_eq!(agent.product(), product, "{name}");
            assert_eq!(agent.endpoint().url, format!("https://{host}.googleapis.com"), "{name}");
            assert_eq!(agent.session("CA123"), format!("{name}{session}/sessions/CA123"));
            assert_eq!(agent.unknown_location(), None, "{name}");
        }
    }

    #[test]
    fn a_location_that_no_page_lists_is_unknown_and_served_all_the_same() {
        for (name, location, host) in [
            ("projects/p/locations/us-central/agents/a", "us-central", "us-central-dialogflow"),
            ("projects/p/locations/us/agent", "us", "us-dialogflow"),
            ("projects/p/locations/europe-west3/apps/a", "europe-west3", "ces"),
        ] {
            let agent = parse(name).unwrap();
            let (unknown, known) = agent.unknown_location().unwrap();
            assert_eq!(unknown, location);
            assert!(known.contains(&"global"), "{known:?}");
            assert_eq!(agent.endpoint().url, format!("https://{host}.googleapis.com"));
        }
        for location in ["us", "eu", "us-east1", "global"] {
            assert_eq!(parse(&format!("projects/p/locations/{location}/apps/a")).unwrap().unknown_location(), None);
        }
    }

    #[test]
    fn a_deployment_is_no_part_of_the_session() {
        let agent = parse("projects/p/locations/us/apps/a-1/deployments/d").unwrap();
        assert_eq!((agent.name(), agent.edition()), ("projects/p/locations/us/apps/a-1", "ces"));
        assert_eq!(agent.deployment(), Some("projects/p/locations/us/apps/a-1/deployments/d"));
        assert_eq!(agent.session("CA123"), "projects/p/locations/us/apps/a-1/sessions/CA123");
        assert_eq!(parse("projects/p/locations/us/apps/a-1").unwrap().deployment(), None);
    }

    #[test]
    fn the_transport_says_which_host_serves_an_app() {
        for (location, transport, host) in [
            ("us", CesTransport::WebSocket, "ces.googleapis.com"),
            ("us", CesTransport::Grpc, "ces.us.rep.googleapis.com"),
            ("europe-west3", CesTransport::Grpc, "ces.europe-west3.rep.googleapis.com"),
            ("global", CesTransport::Grpc, "ces.googleapis.com"),
        ] {
            let agent = parse(&format!("projects/p/locations/{location}/apps/a")).unwrap().carried_by(transport);
            assert_eq!(agent.product(), Product::Ces(transport));
            assert_eq!(agent.endpoint().url, format!("https://{host}"), "{location} {transport:?}");
        }
        let cx = parse("projects/p/locations/us/agents/a").unwrap();
        assert_eq!(cx.clone().carried_by(CesTransport::Grpc), cx);
    }

    #[test]
    fn a_session_id_is_one_that_ces_takes() {
        let of = |id: &str| {
            parse("projects/p/locations/us/apps/a").unwrap().session(id).rsplit('/').next().unwrap().to_owned()
        };
        let sid = "CA0123456789abcdef0123456789abcdef";
        assert_eq!((of(sid).as_str(), of("browser-7f3a").as_str()), (sid, "browser-7f3a"));
        assert_eq!(
            (of("CA1").as_str(), of("-abcdef").as_str(), of("").as_str()),
            ("call-CA1", "call--abcdef", "call-")
        );
        for id in [String::new(), "x".repeat(63), "x".repeat(64), "a/b?c".to_owned(), "\u{e9}l\u{e8}ve".to_owned()] {
            let id = of(&id);
            assert!(CES_ID_CHARS.contains(&id.len()), "{id}");
            assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')), "{id}");
        }
    }

    #[test]
    fn a_name_of_another_form_is_refused() {
        for name in [
            "",
            "agent",
            "projects/p",
            "projects//agent",
            "projects/p/agents/a",
            "projects/p/locations/l/agents/a/b",
            "projects/p q/agent",
            "projects/p/agent/users/u",
            "projects/p/apps/a",
            "projects/p/locations/l/apps/a/deployments",
            "projects/p/locations/l/apps/a/deployments/d/x",
            "projects/p/locations/l/apps/a/environments/e",
        ] {
            assert!(parse(name).is_err(), "{name}");
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
