//! What comes of the settings: the types that the rest of the service reads.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use dialbridge_core::config::CallConfig;
use dialbridge_core::stages::StageLimits;
use dialbridge_core::tape::Mask;
#[cfg(feature = "lab")]
use dialbridge_lab::agent::Script;
use dialbridge_net::Secret;
use http::{HeaderName, HeaderValue};

use super::numbers::Routes;
use super::prompts::PromptsConfig;
use super::severity::Severity;
use super::tools::ToolWebhook;
use dialbridge_agents::{AgentAddress, Endpoint};
use dialbridge_agents::{CesConfig, SpeechConfig};

/// The agent of a service that has no configuration's file.
pub const DEFAULT_AGENT: &str = "default";

/// Everything the service needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The port to listen on.
    pub port: u16,
    /// The URL that Twilio sees, where it is set.
    pub public_url: Option<PublicUrl>,
    /// Twilio's account and API.
    pub twilio: TwilioConfig,
    /// Keys for tickets and state; empty: a random one for this process.
    pub ticket_keys: Vec<Secret>,
    /// Bounds.
    pub limits: Limits,
    /// Whether streams of others' TwiML are taken.
    pub allow_bare_media: bool,
    /// Where the service runs.
    pub platform: Platform,
    /// Opens what is for those who run the service.
    pub admin_token: Option<Secret>,
    /// Whether the page shows what was said in phone calls.
    pub page_transcripts: bool,
    /// Where traces go.
    pub traces: Option<TracesConfig>,
    /// The project that traces in log lines belong to, where it is set.
    pub log_project: Option<String>,
    /// The least severity that is logged.
    pub log_level: Severity,
    /// The agents, by their names.
    pub agents: BTreeMap<String, AgentConfig>,
    /// The agent of calls that nothing leads to another one.
    pub default_agent: String,
    /// Which agent a called number leads to.
    pub routes: Routes,
    /// What is allowed, and may not be what was meant: sentences for the log.
    pub notices: Vec<String>,
}

impl Config {
    /// The name of a call's agent: the one that its voice-url names, else the one of the called number, else the default
    /// one. `None` when there is none of the name in the voice-url.
    #[must_use]
    pub fn route(&self, named: Option<&str>, called: Option<&str>) -> Option<&str> {
        let name = match named {
            Some(name) => name,
            None => called.and_then(|called| self.routes.agent(called)).unwrap_or(&self.default_agent),
        };
        self.agents.get_key_value(name).map(|(name, _)| name.as_str())
    }

    /// What is allowed and leaves something out, or a door open: sentences for people.
    #[must_use]
    pub fn warnings(&self) -> Vec<&'static str> {
        let twilio = if self.twilio.auth_tokens.is_empty() {
            Some("TWILIO_AUTH_TOKEN is not set: anyone can use this service, and no call is updated over REST")
        } else if self.twilio.account_sid.is_none() {
            Some("TWILIO_ACCOUNT_SID is not set: no call is updated over REST")
        } else {
            None
        };
        let is_local = |url: &PublicUrl| {
            let host = url.authority.rsplit_once(':').map_or(url.authority.as_str(), |(host, _)| host);
            !host.contains('.') || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        };
        let is_open = self.admin_token.is_none() && self.public_url.as_ref().is_some_and(|url| !is_local(url));
        let page = "ADMIN_TOKEN is not set: the page at / is open to anyone who can reach this service";
        twilio.into_iter().chain((is_open && self.has_page()).then_some(page)).collect()
    }

    /// Whether there is a page: in public only for who has the token.
    #[must_use]
    pub fn has_page(&self) -> bool {
        self.admin_token.is_some() || !self.platform.is_public()
    }

    /// The agent of calls that nothing leads to another one.
    ///
    /// # Panics
    /// When somebody has taken it away: the settings always make one.
    pub fn default_agent_mut(&mut self) -> &mut AgentConfig {
        self.agents.get_mut(&self.default_agent).expect("the default agent is one of the agents")
    }
}

/// Twilio's account and API.
#[derive(Debug, Clone)]
pub struct TwilioConfig {
    /// `AC…`; needed for REST.
    pub account_sid: Option<String>,
    /// The first signs tickets and does REST, all verify. Empty: nothing is verified.
    pub auth_tokens: Vec<Secret>,
    /// API key and secret for REST, beside the token.
    pub api_key: Option<(String, Secret)>,
    /// Base URL of the REST API.
    pub api_url: String,
}

/// The platform that the process runs on, told by its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Google Cloud Run (`K_SERVICE`).
    CloudRun,
    /// Google App Engine (`GAE_SERVICE`).
    AppEngine,
    /// Any other.
    Elsewhere,
}

impl Platform {
    /// Tells the platform by a look-up of the environment.
    pub fn detect(variable: impl Fn(&str) -> bool) -> Self {
        if variable("K_SERVICE") {
            Self::CloudRun
        } else if variable("GAE_SERVICE") {
            Self::AppEngine
        } else {
            Self::Elsewhere
        }
    }

    /// Whether the service can be reached by the whole world.
    #[must_use]
    pub fn is_public(self) -> bool {
        !matches!(self, Self::Elsewhere)
    }
}

/// The URL that Twilio sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// Whether it is `https`.
    pub is_tls: bool,
    /// Host, with a port where there is one.
    pub authority: String,
}

impl PublicUrl {
    /// The URL of a path, for webhooks.
    #[must_use]
    pub fn http(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.is_tls { "https" } else { "http" }, self.authority)
    }

    /// The URL of a path, for the media socket.
    #[must_use]
    pub fn ws(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.is_tls { "wss" } else { "ws" }, self.authority)
    }
}

/// All that calls to one agent need to know.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// The agent.
    pub address: AgentAddress,
    /// Another endpoint than the agent's own.
    pub endpoint: Option<Endpoint>,
    /// What a lab's agent is, which is served by this process.
    #[cfg(feature = "lab")]
    pub lab: Option<Lab>,
    /// File with Google credentials.
    pub credentials: Option<PathBuf>,
    /// Language of the calls.
    pub language: String,
    /// What every call is told.
    pub call: CallConfig,
    /// How the agent is to hear and to speak.
    pub speech: SpeechConfig,
    /// How it is streamed to, where it is one of the Customer Engagement Suite.
    pub ces: CesConfig,
    /// Where the tools are run that it asks for.
    pub tools: Option<ToolWebhook>,
    /// How audio is fetched that the agent names by its address.
    pub prompts: PromptsConfig,
    /// The event that the agent gets whose transfer nobody answered.
    pub dial_failed_event: Option<String>,
    /// Where calls go beyond the bound.
    pub overflow_url: Option<String>,
    /// Where tapes are written.
    pub record_dir: Option<PathBuf>,
    /// What is masked on them.
    pub tape_mask: Mask,
    /// When a turn is slow.
    pub slow: StageLimits,
    /// Where events of its calls go.
    pub events: Option<EventsConfig>,
    /// How many numbers and prefixes of numbers lead to it.
    pub numbers: usize,
    /// What is allowed, and may not be what was meant: sentences for the log.
    pub notices: Vec<String>,
}

/// An agent of the lab's.
#[cfg(feature = "lab")]
#[derive(Debug, Clone)]
pub struct Lab {
    /// What it says and does.
    pub script: Script,
    /// Where that stands; `None`: it is the one that this program brings along.
    pub file: Option<PathBuf>,
}

impl AgentConfig {
    /// Where the agent is served.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone().unwrap_or_else(|| self.address.endpoint())
    }
}

/// Bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Started streams at once.
    pub max_calls: usize,
    /// Media sockets at once whose stream has not started.
    pub waiting_sockets: usize,
    /// Connections at once that no media socket has become of.
    pub connections: usize,
    /// How long the head of a request may take.
    pub head: Duration,
    /// The longest head of a request, in bytes.
    pub head_bytes: usize,
    /// How long the body of a request may take.
    pub body: Duration,
    /// The longest body of a request, in bytes.
    pub body_bytes: usize,
    /// The longest message over a media socket, its fragments together, in bytes.
    pub message_bytes: usize,
    /// From the opening of a media socket to Twilio's `start`.
    pub start: Duration,
    /// How long nothing may come over a media socket whose stream has started.
    pub quiet: Duration,
    /// How long a media socket may take nothing of what is sent over it.
    pub slow: Duration,
    /// How many messages may wait for a media socket.
    pub queued_messages: usize,
    /// Streams that share a connection to the agent.
    pub streams_per_connection: usize,
    /// How long frames wait for each other under load.
    pub coalesce: Duration,
}

/// Where events of calls go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsConfig {
    /// The webhook. Its URL may hold a token, so it is not printed.
    pub url: Secret,
    /// All sign. Empty: the events are not signed.
    pub secrets: Vec<Secret>,
    /// What is left out of them.
    pub redaction: Redaction,
}

/// What is left out of events. Keys that callers press never stand in one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Redaction {
    /// Nothing else.
    None,
    /// What was said, by either side, and what the agent made of it: its parameters.
    Words,
    /// That, and the two numbers.
    #[default]
    All,
}

/// Where traces go, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct TracesConfig {
    /// The whole URL that spans are posted to. It may hold a token, so it is not printed.
    pub url: Secret,
    /// Headers of each request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long a request may take.
    pub timeout: Duration,
    /// `service.name`.
    pub service_name: String,
    /// Further attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// Which calls are traced.
    pub sampler: Sampler,
}

/// Which calls are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether a call that comes with a trace does as that one says.
    pub follows_parent: bool,
    /// The share of the other calls, from 0 to 1.
    pub ratio: f64,
}
