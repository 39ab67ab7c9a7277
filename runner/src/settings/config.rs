//! The settings, checked.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::Uri;

use super::agents::Agents;
use super::file::ConfigFile;
use super::numbers::Routes;
use super::severity::Severity;
use super::value::{Shown, base_url, boolean, list, missing, number, set, text, url};
use super::{AgentConfig, Limits, Secret, SettingError, Settings, TracesConfig};

/// The agent of a service that has no configuration's file.
pub const DEFAULT_AGENT: &str = "default";

/// What the platform gives a media socket is an hour; a call leaves it before.
const PLATFORMS_RENEWAL_SECONDS: u64 = 3_300;

/// The shortest token: so many random characters of base64 are 96 bits, which nobody guesses.
const LEAST_ADMIN_TOKEN_CHARS: usize = 16;

/// A call that left its sockets sooner would look like one whose sockets do not last.
const LEAST_RENEWAL_SECONDS: u64 = 120;

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

impl Settings {
    /// Checks all settings, and reads the file that `DIALBRIDGE_CONFIG` names and the files that the settings name.
    ///
    /// # Errors
    /// [`SettingError`] for the first one that is wrong.
    pub fn check(&self, platform: Platform) -> Result<Config, SettingError> {
        let file = set(&self.dialbridge_config).map(ConfigFile::read).transpose()?.unwrap_or_default();
        let whole = self.over(&file.top)?;
        let config = whole.check_service(platform);
        let config = config.and_then(|config| Ok((config, whole.renew_after_ms(platform)?)));
        let (config, renew_after_ms) = config.map_err(|error| file.located(error, self))?;
        let Agents { agents, default_agent, routes } = whole.check_agents(&file, self, renew_after_ms)?;
        let notices = self.beats(&file.top).into_iter().map(|name| {
            format!("{name} is set as a flag or in the environment, which goes before the top of {}", file.name)
        });
        Ok(Config { agents, default_agent, routes, notices: notices.collect(), ..config })
    }

    /// What is the service's. The agents are still missing.
    fn check_service(&self, platform: Platform) -> Result<Config, SettingError> {
        let twilio = self.twilio()?;
        self.check_doors(platform, &twilio)?;
        Ok(Config {
            port: number("PORT", set(&self.port), 8080, 0..=u64::from(u16::MAX), "8080")?,
            public_url: set(&self.public_url).map(public_url).transpose()?,
            twilio,
            ticket_keys: list(set(&self.ticket_key)).into_iter().map(Secret::new).collect(),
            limits: self.limits()?,
            allow_bare_media: boolean("ALLOW_BARE_MEDIA", self.allow_bare_media.as_deref(), false)?,
            platform,
            admin_token: set(&self.admin_token).map(admin_token).transpose()?,
            page_transcripts: boolean("PAGE_TRANSCRIPTS", self.page_transcripts.as_deref(), false)?,
            traces: self.traces()?,
            log_project: self.log_project()?,
            log_level: log_level(set(&self.log_level))?,
            agents: BTreeMap::new(),
            default_agent: String::new(),
            routes: Routes::default(),
            notices: Vec::new(),
        })
    }

    fn renew_after_ms(&self, platform: Platform) -> Result<u64, SettingError> {
        let default = if platform.is_public() { PLATFORMS_RENEWAL_SECONDS } else { 0 };
        let seconds: u64 = number("RENEW_AFTER_SECONDS", set(&self.renew_after_seconds), default, 0..=86_400, "3300")?;
        if (1..LEAST_RENEWAL_SECONDS).contains(&seconds) {
            let fault = format!("is \"{seconds}\"; it must be 0, or {LEAST_RENEWAL_SECONDS} at least");
            return Err(SettingError::new("RENEW_AFTER_SECONDS", fault, "3300"));
        }
        Ok(seconds * 1_000)
    }

    fn twilio(&self) -> Result<TwilioConfig, SettingError> {
        let account_sid = text(&self.twilio_account_sid);
        if account_sid.as_deref().is_some_and(|sid| !is_sid(sid, "AC")) {
            return Err(SettingError::new(
                "TWILIO_ACCOUNT_SID",
                "is no account's id: AC and 32 hexadecimal digits",
                "AC00000000000000000000000000000000",
            ));
        }
        let api_key = match (set(&self.twilio_api_key_sid), set(&self.twilio_api_key_secret)) {
            (Some(sid), Some(secret)) => Some((sid.to_owned(), Secret::new(secret))),
            (None, None) => None,
            (Some(_), None) => return Err(missing("TWILIO_API_KEY_SECRET", "TWILIO_API_KEY_SID", "the-secret")),
            (None, Some(_)) => {
                return Err(missing(
                    "TWILIO_API_KEY_SID",
                    "TWILIO_API_KEY_SECRET",
                    "SK00000000000000000000000000000000",
                ));
            }
        };
        let auth_tokens = list(set(&self.twilio_auth_token)).into_iter().map(Secret::new).collect();
        Ok(TwilioConfig { account_sid, auth_tokens, api_key, api_url: self.api_url()? })
    }

    fn api_url(&self) -> Result<String, SettingError> {
        if let Some(url) = base_url("TWILIO_API_URL", set(&self.twilio_api_url), "https://api.twilio.com")? {
            return Ok(url);
        }
        let label = |name, value: &str| {
            let is_label = value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            let fault = format!("is {}; it is written with small letters, digits and hyphens", Shown(value));
            if is_label { Ok(()) } else { Err(SettingError::new(name, fault, "dublin")) }
        };
        match (set(&self.twilio_edge), set(&self.twilio_region)) {
            (None, None) => Ok("https://api.twilio.com".to_owned()),
            (None, Some("us1")) => Ok("https://api.us1.twilio.com".to_owned()),
            (None, Some(_)) => Err(missing("TWILIO_EDGE", "TWILIO_REGION", "dublin")),
            (Some(edge), region) => {
                let region = region.unwrap_or("us1");
                label("TWILIO_EDGE", edge)?;
                label("TWILIO_REGION", region)?;
                Ok(format!("https://api.{edge}.{region}.twilio.com"))
            }
        }
    }

    /// In public the door is locked, or it was said that it shall be open.
    fn check_doors(&self, platform: Platform, twilio: &TwilioConfig) -> Result<(), SettingError> {
        let allow_unsigned = boolean("ALLOW_UNSIGNED", self.allow_unsigned.as_deref(), false)?;
        if !platform.is_public() || !twilio.auth_tokens.is_empty() {
            return Ok(());
        }
        if !allow_unsigned {
            let fault = "is not set, so anyone could use this service (ALLOW_UNSIGNED=true starts it all the same)";
            return Err(SettingError::new("TWILIO_AUTH_TOKEN", fault, "0123456789abcdef0123456789abcdef"));
        }
        if set(&self.ticket_key).is_none() {
            let fault =
                "is not set, and there is no auth token to derive it from: instances could not trust each other";
            return Err(SettingError::new("TICKET_KEY", fault, "a-long-random-text"));
        }
        Ok(())
    }
}

fn public_url(value: &str) -> Result<PublicUrl, SettingError> {
    let wrong = |fault: &str| {
        SettingError::new("PUBLIC_URL", format!("is {}; {fault}", Shown(value)), "https://calls.example.com")
    };
    url("PUBLIC_URL", Some(value))?;
    let uri: Uri = value.parse().map_err(|_| wrong("it must be a URL with http or https"))?;
    if uri.path() != "/" || uri.query().is_some() {
        return Err(wrong("it must have neither a path nor a query: this service has its paths at the root"));
    }
    let authority = uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
    Ok(PublicUrl { is_tls: uri.scheme_str() == Some("https"), authority })
}

/// It stands in a header, so it has no character that could not stand there. Its value is no part of the error.
fn admin_token(value: &str) -> Result<Secret, SettingError> {
    let example = "a-long-random-text";
    if value.len() < LEAST_ADMIN_TOKEN_CHARS {
        let fault = format!(
            "is too short: {LEAST_ADMIN_TOKEN_CHARS} characters at least, for example from openssl rand -hex 24"
        );
        return Err(SettingError::new("ADMIN_TOKEN", fault, example));
    }
    if !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(SettingError::new(
            "ADMIN_TOKEN",
            "may have letters, digits and signs of ASCII, and no space",
            example,
        ));
    }
    Ok(Secret::new(value))
}

fn log_level(value: Option<&str>) -> Result<Severity, SettingError> {
    let value = value.unwrap_or("info");
    let fault = || format!("is {}; it can be debug, info, warning or error", Shown(value));
    Severity::parse(value).ok_or_else(|| SettingError::new("LOG_LEVEL", fault(), "info"))
}

fn is_sid(sid: &str, prefix: &str) -> bool {
    let hex = sid.strip_prefix(prefix).unwrap_or_default();
    hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}
