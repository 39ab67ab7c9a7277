//! The checked settings, in the types that the rest of the service reads.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use dialbridge_core::config::CallConfig;
use dialbridge_core::stages::StageLimits;
use dialbridge_core::tape::Mask;
use dialbridge_core::words::{OwnWords, starting_text};
#[cfg(feature = "lab")]
use dialbridge_lab::agent::Script;
use dialbridge_net::Secret;
use http::{HeaderName, HeaderValue};

use super::accounts::TwilioAccount;
use super::numbers::Routes;
use super::prompts::PromptsConfig;
use super::public_url::PublicUrl;
use super::severity::{LogFormat, Severity};
use super::shares::Shares;
use super::tools::ToolWebhook;
use super::value::is_account_sid;
use super::webhook_secret::WebhookSecret;
use dialbridge_agents::{AgentAddress, Endpoint};
use dialbridge_agents::{CesConfig, SpeechConfig};

/// The name of the agent if there is no agents' file.
pub const DEFAULT_AGENT: &str = "default";

/// Everything the service needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on. `None`: all, IPv4 and IPv6.
    pub host: Option<IpAddr>,
    /// The port to listen on.
    pub port: u16,
    /// The URL that Twilio sees, if it is set.
    pub public_url: Option<PublicUrl>,
    /// Twilio's account and API.
    pub twilio: TwilioConfig,
    /// Keys for tickets and state. Empty: a random key for this process.
    pub ticket_keys: Vec<Secret>,
    /// Limits of the service.
    pub limits: Limits,
    /// Whether we accept media streams that TwiML of others has started.
    pub allow_bare_media: bool,
    /// Where the service runs.
    pub platform: Platform,
    /// The token for the operators' pages and requests.
    pub admin_token: Option<Secret>,
    /// Whether the page shows the transcripts of phone calls.
    pub page_transcripts: bool,
    /// The folder that keeps finished calls beyond this instance.
    pub history_dir: Option<PathBuf>,
    /// For how many days it does.
    pub history_days: u64,
    /// Where traces go.
    pub traces: Option<TracesConfig>,
    /// The Google Cloud project of the traces in log lines, if it is set.
    pub log_project: Option<String>,
    /// The least severity that is logged.
    pub log_level: Severity,
    /// How the lines of the log are written. `None`: as text on a terminal, else as JSON.
    pub log_format: Option<LogFormat>,
    /// The agents by name.
    pub agents: BTreeMap<String, AgentConfig>,
    /// The name of the agent for calls that no voice-url and no number leads to another one.
    pub default_agent: String,
    /// The agent of each called number, by the id of its account; `None`: the configured one.
    pub routes: BTreeMap<Option<String>, Routes>,
    /// The shares of an agent's calls that other agents get, by the agent's name.
    pub shares: BTreeMap<String, Shares>,
    /// The agent that goes on with another one's calls if that cannot be had, by the other one's name.
    pub backups: BTreeMap<String, String>,
    /// Warnings for the log about settings that are allowed but may not be meant.
    pub notices: Vec<String>,
}

impl Config {
    /// The name of a call's agent: the agent that its voice-url names, else the agent of the called number, else the
    /// default agent; of the latter two, an agent that has a share of its callers may get the call. `caller` is his number, or
    /// what names the call if he shows none. Only agents of the call's account count; `account` is its id, `None` the
    /// configured one. `None` if the voice-url names an agent that does not exist, or if the account has none.
    #[must_use]
    pub fn route(
        &self,
        account: Option<&str>,
        named: Option<&str>,
        called: Option<&str>,
        caller: &str,
    ) -> Option<&str> {
        let account = account.filter(|sid| self.twilio.others.contains_key(*sid));
        let is_of_account = |name: &&str| self.account_of(name) == account;
        let name = match named {
            Some(name) => name,
            None => {
                let routes = self.routes.get(&account.map(ToOwned::to_owned));
                let agent = called.and_then(|called| routes?.agent(called));
                let agent = agent.unwrap_or_else(|| self.default_agent_of(account));
                self.shares.get(agent).and_then(|shares| shares.pick(caller)).unwrap_or(agent)
            }
        };
        self.agents.get_key_value(name).map(|(name, _)| name.as_str()).filter(is_of_account)
    }

    /// The default agent of an account; `None`, and an account that is not in the agents' file: the configured one's.
    #[must_use]
    pub fn default_agent_of(&self, account: Option<&str>) -> &str {
        let account = account.and_then(|sid| self.twilio.others.get(sid));
        account.map_or(&self.default_agent, |account| &account.default_agent)
    }

    /// Whether this agent may have a call of that account. An agent of the configured account may have those of its
    /// subaccounts.
    #[must_use]
    pub fn may_have(&self, agent: &str, account: Option<&str>) -> bool {
        self.account_of(agent).is_none_or(|own| Some(own) == account)
    }

    /// The id of the account whose calls this agent takes. `None`: the configured one.
    #[must_use]
    pub fn account_of(&self, agent: &str) -> Option<&str> {
        self.agents.get(agent)?.account.as_deref()
    }

    /// Warnings about settings that disable a feature or leave the service open, as sentences.
    #[must_use]
    pub fn warnings(&self) -> Vec<&'static str> {
        let is_known = self.twilio.account_sid.is_some();
        let twilio = match (!self.twilio.checks_signatures(), self.twilio.api_key.is_some()) {
            _ if self.twilio.auth_tokens.is_empty() && !self.twilio.others.is_empty() => {
                Some("TWILIO_AUTH_TOKEN is not set: only calls of the accounts in the agents' file are taken")
            }
            (true, false) => {
                Some("TWILIO_AUTH_TOKEN is not set: anyone can use this service, and no call is updated over REST")
            }
            (true, true) if is_known => Some("TWILIO_AUTH_TOKEN is not set: anyone can use this service"),
            (true, true) => Some(
                "TWILIO_AUTH_TOKEN is not set: anyone can use this service. TWILIO_ACCOUNT_SID is not set: no call is \
                 updated over REST",
            ),
            (false, _) if is_known => None,
            (false, _) => Some("TWILIO_ACCOUNT_SID is not set: no call is updated over REST"),
        };
        let public = self.public_url.as_ref().filter(|url| !url.is_local());
        let is_open = self.admin_token.is_none() && public.is_some() && self.has_page();
        let page = "ADMIN_TOKEN is not set: the page at / is open to anyone who can reach this service";
        let no_tls = "PUBLIC_URL begins with http://: the service gives Twilio wss:// URLs, because Twilio opens \
                      no others. Give the host a certificate, and begin PUBLIC_URL and the number's voice-url with https://";
        let is_plaintext = public.is_some_and(|url| !url.is_tls);
        let others = [is_open.then_some(page), is_plaintext.then_some(no_tls)];
        twilio.into_iter().chain(others.into_iter().flatten()).collect()
    }

    /// Whether there is a page. A public service shows it only with an admin token.
    #[must_use]
    pub fn has_page(&self) -> bool {
        self.admin_token.is_some() || !self.platform.is_public()
    }

    /// The default agent.
    ///
    /// # Panics
    /// If the default agent was removed. The settings always create one.
    pub fn default_agent_mut(&mut self) -> &mut AgentConfig {
        self.agents.get_mut(&self.default_agent).expect("the default agent is one of the agents")
    }
}

/// Twilio's account and API.
#[derive(Debug, Clone)]
pub struct TwilioConfig {
    /// `AC…`; needed for REST.
    pub account_sid: Option<String>,
    /// The first token signs tickets and REST requests; all of them verify. Empty: we verify nothing.
    pub auth_tokens: Vec<Secret>,
    /// API key and secret for REST, instead of the token.
    pub api_key: Option<(String, Secret)>,
    /// Base URL of the REST API.
    pub api_url: String,
    /// Further accounts by their ids.
    pub others: BTreeMap<String, TwilioAccount>,
}

impl TwilioConfig {
    /// A call's account, if it is another one than the configured account: a subaccount. `None` too for what is no account.
    pub(crate) fn other_account(&self, sid: Option<&str>) -> Option<String> {
        // It becomes part of a path.
        let sid = sid.filter(|sid| is_account_sid(sid))?;
        let is_other = self.account_sid.as_deref().is_some_and(|own| own != sid) || self.others.contains_key(sid);
        is_other.then(|| sid.to_owned())
    }

    /// Whether requests must be signed. Without any token, anyone can use the service.
    #[must_use]
    pub fn checks_signatures(&self) -> bool {
        !self.auth_tokens.is_empty() || !self.others.is_empty()
    }

    /// The tokens with which a request of this account may be signed. `None`, and an account that is not in the agents'
    /// file: those of `TWILIO_AUTH_TOKEN`.
    #[must_use]
    pub fn tokens_of(&self, account: Option<&str>) -> &[Secret] {
        let other = account.and_then(|sid| self.others.get(sid));
        other.map_or(&self.auth_tokens, |other| &other.auth_tokens)
    }
}

/// The platform that the process runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Google Cloud Run (`K_SERVICE`).
    CloudRun,
    /// Google App Engine (`GAE_SERVICE`).
    AppEngine,
    /// Any other platform.
    Elsewhere,
}

impl Platform {
    /// Detects the platform. `variable` says whether an environment variable is set.
    pub fn detect(variable: impl Fn(&str) -> bool) -> Self {
        if variable("K_SERVICE") {
            Self::CloudRun
        } else if variable("GAE_SERVICE") {
            Self::AppEngine
        } else {
            Self::Elsewhere
        }
    }

    /// Whether everyone on the internet can reach the service.
    #[must_use]
    pub fn is_public(self) -> bool {
        !matches!(self, Self::Elsewhere)
    }
}

/// The configuration of calls to one agent.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// The id of the Twilio account whose calls it takes. `None`: the configured one.
    pub account: Option<String>,
    /// The agent.
    pub address: AgentAddress,
    /// An endpoint that replaces the agent's own.
    pub endpoint: Option<Endpoint>,
    /// The lab agent, if this process serves it.
    #[cfg(feature = "lab")]
    pub lab: Option<Lab>,
    /// File with Google credentials.
    pub credentials: Option<PathBuf>,
    /// Language of the calls, unless the voice-url names another one.
    pub language: String,
    /// The configuration of each call in that language.
    pub call: CallConfig,
    /// Whether the starting text is the built-in one of the call's language.
    pub starts_by_language: bool,
    /// How the agent hears and speaks.
    pub speech: SpeechConfig,
    /// How we stream to an agent of the Customer Engagement Suite.
    pub ces: CesConfig,
    /// The webhook that runs the agent's tools.
    pub tools: Option<ToolWebhook>,
    /// How we fetch audio that the agent names by its URI.
    pub prompts: PromptsConfig,
    /// The event that the agent gets if nobody answers its transfer.
    pub dial_failed_event: Option<String>,
    /// Where calls beyond `max_calls` go.
    pub overflow_url: Option<String>,
    /// The folder that tapes are written to.
    pub record_dir: Option<PathBuf>,
    /// What tapes mask.
    pub tape_mask: Mask,
    /// From which times on a turn counts as slow.
    pub slow: StageLimits,
    /// Where the events of its calls go.
    pub events: Option<EventsConfig>,
    /// Where each turn of its calls goes, in the form of Twilio's connector. The URL may contain a token.
    pub status_callback: Option<Secret>,
    /// How many numbers and prefixes lead to this agent.
    pub numbers: usize,
    /// Warnings for the log about settings that are allowed but may not be meant.
    pub notices: Vec<String>,
}

/// An agent of the lab.
#[cfg(feature = "lab")]
#[derive(Debug, Clone)]
pub struct Lab {
    /// What the agent says and does.
    pub script: Script,
    /// The script's file. `None`: the script that is built in.
    pub file: Option<PathBuf>,
}

impl AgentConfig {
    /// The endpoint of the agent.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone().unwrap_or_else(|| self.address.endpoint())
    }

    /// The configuration of a call in that language. `None`: the agent's.
    #[must_use]
    pub fn call_in(&self, language: Option<&str>) -> CallConfig {
        let mut call = self.call.clone();
        if let Some(language) = language {
            call.words = call.words.in_language(language);
            if self.starts_by_language {
                call.starting_input.text = Some(starting_text(language).to_owned());
            }
        }
        call
    }

    /// What the service says in its own words in a call in that language. `None`: the agent's.
    #[must_use]
    pub fn words(&self, language: Option<&str>) -> OwnWords {
        self.call.words.in_language(language.unwrap_or(&self.language))
    }
}

/// Limits of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Concurrent calls: media streams that have started.
    pub max_calls: usize,
    /// Concurrent media sockets whose stream has not started.
    pub waiting_sockets: usize,
    /// Concurrent connections that are not media sockets.
    pub connections: usize,
    /// How long the head of a request may take.
    pub head: Duration,
    /// The longest head of a request, in bytes.
    pub head_bytes: usize,
    /// How long the body of a request may take.
    pub body: Duration,
    /// The longest body of a request, in bytes.
    pub body_bytes: usize,
    /// The longest message over a media socket, with all its fragments, in bytes.
    pub message_bytes: usize,
    /// How long Twilio may take from the opening of a media socket to its `start`.
    pub start: Duration,
    /// How long a media socket whose stream has started may receive nothing.
    pub quiet: Duration,
    /// How long a media socket may accept no data from us.
    pub slow: Duration,
    /// How many messages may wait to be sent over a media socket.
    pub queued_messages: usize,
    /// How many streams share a connection to the agent.
    pub streams_per_connection: usize,
    /// How long a frame waits for others under load, to be sent together.
    pub coalesce: Duration,
}

/// Where the events of calls go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsConfig {
    /// The webhook's URL. It may contain a token, so it is never printed.
    pub url: Secret,
    /// Each secret signs the events. Empty: events are not signed.
    pub secrets: Vec<WebhookSecret>,
    /// What the events leave out.
    pub redaction: Redaction,
}

/// What events leave out. They never contain the digits that callers press.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Redaction {
    /// Only the digits.
    None,
    /// Also what either side said, and the agent's parameters.
    Words,
    /// Also the two phone numbers.
    #[default]
    All,
}

/// Where traces go, and which calls are traced.
#[derive(Debug, Clone, PartialEq)]
pub struct TracesConfig {
    /// The full URL that we post spans to. It may contain a token, so it is never printed.
    pub url: Secret,
    /// Headers of each request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long a request may take.
    pub timeout: Duration,
    /// `service.name`.
    pub service_name: String,
    /// Other attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// Which calls are traced.
    pub sampler: Sampler,
}

/// Which calls are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether the trace that a request belongs to decides if we trace the call.
    pub follows_parent: bool,
    /// The share of the other calls, from 0 to 1.
    pub ratio: f64,
}
