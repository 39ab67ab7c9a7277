//! The settings, checked.

use std::path::PathBuf;

use dialbridge_core::config::{CallConfig, Greeting};
use dialbridge_core::handoff::{HandoffConfig, HandoffField};
use dialbridge_core::tape::Mask;
use http::Uri;

use crate::log::Severity;
use crate::prompts::PromptsConfig;
use crate::settings::{AgentAddress, Endpoint, EsApi, LAB_AGENT, Product, Secret, SettingError, Settings};

/// Everything the service needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The port to listen on.
    pub port: u16,
    /// The URL that Twilio sees, where it is set.
    pub public_url: Option<PublicUrl>,
    /// The agent.
    pub agent: AgentAddress,
    /// Another endpoint than the agent's own.
    pub endpoint: Option<Endpoint>,
    /// Language of the calls.
    pub language: String,
    /// File with Google credentials.
    pub credentials: Option<PathBuf>,
    /// Twilio's account and API.
    pub twilio: TwilioConfig,
    /// Keys for tickets and state; empty: a random one for this process.
    pub ticket_keys: Vec<Secret>,
    /// What every call is told.
    pub call: CallConfig,
    /// Bounds.
    pub limits: Limits,
    /// How audio is fetched that agents name by its address.
    pub prompts: PromptsConfig,
    /// The event that an agent gets whose transfer nobody answered.
    pub dial_failed_event: Option<String>,
    /// Where calls go beyond the bound.
    pub overflow_url: Option<String>,
    /// Where tapes are written.
    pub record_dir: Option<PathBuf>,
    /// What is masked on them.
    pub tape_mask: Mask,
    /// The least severity that is logged.
    pub log_level: Severity,
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

/// Bounds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Started streams at once.
    pub max_calls: usize,
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
    /// Checks all settings.
    ///
    /// # Errors
    /// [`SettingError`] for the first one that is wrong.
    pub fn check(&self, platform: Platform) -> Result<Config, SettingError> {
        let agent = self.agent()?;
        let twilio = self.twilio()?;
        self.check_doors(platform, &twilio)?;
        let call = CallConfig {
            greeting: self.greeting(agent.product()),
            audio_limit_ms: match agent.product() {
                Product::Cx => 120_000,
                Product::Es(_) => 60_000,
            },
            handoff: self.handoff()?,
            retry: dialbridge_core::config::Retry {
                answering_turn: boolean("RETRY_ANSWERING_TURN", self.retry_answering_turn.as_deref(), true)?,
                ..Default::default()
            },
            ..CallConfig::default()
        };
        Ok(Config {
            port: number("PORT", set(&self.port), 8080, 0..=u64::from(u16::MAX), "8080")?,
            public_url: set(&self.public_url).map(public_url).transpose()?,
            agent,
            endpoint: set(&self.dialogflow_endpoint).map(Endpoint::parse).transpose()?,
            language: language(set(&self.dialogflow_language))?,
            credentials: set(&self.google_application_credentials).map(Into::into),
            twilio,
            ticket_keys: list(set(&self.ticket_key)).into_iter().map(Secret::new).collect(),
            call,
            limits: Limits { max_calls: number("MAX_CALLS", set(&self.max_calls), 1000, 1..=1_000_000, "1000")? },
            prompts: PromptsConfig::default(),
            dial_failed_event: None,
            overflow_url: url("OVERFLOW_URL", set(&self.overflow_url))?,
            record_dir: set(&self.record_dir).map(Into::into),
            tape_mask: Mask { digits: true, audio: false },
            log_level: log_level(set(&self.log_level))?,
        })
    }

    /// The lab script that is to be served instead of an agent of Google's: the file, or `None` for the embedded one.
    #[must_use]
    pub fn lab_script(&self) -> Option<Option<PathBuf>> {
        match (set(&self.dialogflow_agent), set(&self.dialogflow_project_id)) {
            (Some(name), _) => name.strip_prefix("lab:").map(|file| (!file.is_empty()).then(|| file.into())),
            (None, Some(_)) => None,
            (None, None) => Some(None),
        }
    }

    fn agent(&self) -> Result<AgentAddress, SettingError> {
        let es_api = match set(&self.dialogflow_es_api) {
            None | Some("v2") => EsApi::V2,
            Some("v2beta1") => EsApi::V2Beta1,
            Some(other) => {
                let fault = format!("is \"{other}\"; it can be v2 or v2beta1");
                return Err(SettingError::new("DIALOGFLOW_ES_API", fault, "v2beta1"));
            }
        };
        if self.lab_script().is_some() {
            if cfg!(feature = "lab") {
                return AgentAddress::parse(LAB_AGENT, es_api);
            }
            return Err(SettingError::new(
                "DIALOGFLOW_AGENT",
                "names no agent, and this build has no lab agent",
                "projects/my-project/locations/us-central1/agents/00000000-0000-0000-0000-000000000000",
            ));
        }
        match (set(&self.dialogflow_agent), set(&self.dialogflow_project_id)) {
            (None, Some(project)) => {
                let of_project = |_| {
                    let fault = format!("is \"{project}\", which is no project's id");
                    SettingError::new("DIALOGFLOW_PROJECT_ID", fault, "my-project")
                };
                AgentAddress::parse(&format!("projects/{project}/agent"), es_api).map_err(of_project)
            }
            (name, _) => AgentAddress::parse(name.unwrap_or_default(), es_api),
        }
    }

    /// ES agents begin with an event. CX has none that starts a conversation; "hi" is what its default start flow
    /// answers.
    fn greeting(&self, product: Product) -> Greeting {
        let (event, text) = match product {
            Product::Cx => (None, Some("hi")),
            Product::Es(_) => (Some("WELCOME"), None),
        };
        let or = |value: &Option<String>, default: Option<&str>| match value.as_deref().map(str::trim) {
            None => default.map(ToOwned::to_owned),
            Some(value) => (!value.is_empty()).then(|| value.to_owned()),
        };
        Greeting {
            event: or(&self.dialogflow_starting_event_name, event),
            text: or(&self.dialogflow_starting_text, text),
        }
    }

    fn handoff(&self) -> Result<HandoffConfig, SettingError> {
        let fields = match set(&self.handoff_fields) {
            None => HandoffConfig::default().fields,
            Some(names) => list(Some(names)).iter().map(|name| handoff_field(name)).collect::<Result<_, _>>()?,
        };
        let fallback_twiml = set(&self.fallback_twiml).map(ToOwned::to_owned);
        if fallback_twiml.as_ref().is_some_and(|twiml| !twiml.contains("<Response") || twiml.chars().count() >= 4_000) {
            return Err(SettingError::new(
                "FALLBACK_TWIML",
                "is no TwiML document of under 4,000 characters",
                "<Response><Say>Please call again later.</Say><Hangup/></Response>",
            ));
        }
        let end_of_interaction_url = url("END_OF_INTERACTION_URL", set(&self.end_of_interaction_url))?;
        Ok(HandoffConfig { end_of_interaction_url, fallback_twiml, fields, ..HandoffConfig::default() })
    }

    fn twilio(&self) -> Result<TwilioConfig, SettingError> {
        let account_sid = set(&self.twilio_account_sid).map(ToOwned::to_owned);
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
        if let Some(url) = url("TWILIO_API_URL", set(&self.twilio_api_url))? {
            return Ok(url.trim_end_matches('/').to_owned());
        }
        let label = |name, value: &str| {
            let is_label = value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            let fault = format!("is \"{value}\"; it is written with small letters, digits and hyphens");
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

/// A setting that was given; an empty one counts as not given.
fn set(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|value| !value.is_empty())
}

fn list(value: Option<&str>) -> Vec<String> {
    let items = value.unwrap_or_default().split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).map(ToOwned::to_owned).collect()
}

fn missing(name: &'static str, beside: &str, example: &'static str) -> SettingError {
    SettingError::new(name, format!("is not set, but {beside} is"), example)
}

fn number<T: TryFrom<u64>>(
    name: &'static str,
    value: Option<&str>,
    default: T,
    range: std::ops::RangeInclusive<u64>,
    example: &'static str,
) -> Result<T, SettingError> {
    let Some(value) = value else { return Ok(default) };
    let number = value.parse().ok().filter(|number| range.contains(number)).and_then(|number| T::try_from(number).ok());
    let fault = || format!("is \"{value}\"; it must be a number from {} to {}", range.start(), range.end());
    number.ok_or_else(|| SettingError::new(name, fault(), example))
}

fn boolean(name: &'static str, value: Option<&str>, default: bool) -> Result<bool, SettingError> {
    match value.map(str::trim) {
        None | Some("") => Ok(default),
        Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => Err(SettingError::new(name, format!("is \"{other}\"; it must be true or false"), "true")),
    }
}

fn url(name: &'static str, value: Option<&str>) -> Result<Option<String>, SettingError> {
    let Some(value) = value else { return Ok(None) };
    let uri: Option<Uri> = value.split('#').next().unwrap_or_default().parse().ok();
    let is_http = uri.as_ref().is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    if !is_http || uri.and_then(|uri| uri.host().map(str::is_empty)) != Some(false) || value.len() > 2_000 {
        let fault =
            format!("is \"{}\"; it must be a URL with http or https", value.chars().take(80).collect::<String>());
        return Err(SettingError::new(name, fault, "https://example.com/next"));
    }
    Ok(Some(value.to_owned()))
}

fn public_url(value: &str) -> Result<PublicUrl, SettingError> {
    let wrong =
        |fault: &str| SettingError::new("PUBLIC_URL", format!("is \"{value}\"; {fault}"), "https://calls.example.com");
    url("PUBLIC_URL", Some(value))?;
    let uri: Uri = value.parse().map_err(|_| wrong("it must be a URL with http or https"))?;
    if uri.path() != "/" || uri.query().is_some() {
        return Err(wrong("it must have neither a path nor a query: this service has its paths at the root"));
    }
    let authority = uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
    Ok(PublicUrl { is_tls: uri.scheme_str() == Some("https"), authority })
}

fn language(value: Option<&str>) -> Result<String, SettingError> {
    let value = value.unwrap_or("en-US");
    let is_tag = value.len() <= 35 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let fault = || format!("is \"{value}\", which is no language tag");
    if is_tag { Ok(value.to_owned()) } else { Err(SettingError::new("DIALOGFLOW_LANGUAGE", fault(), "de-DE")) }
}

fn log_level(value: Option<&str>) -> Result<Severity, SettingError> {
    let value = value.unwrap_or("info");
    let fault = || format!("is \"{value}\"; it can be debug, info, warning or error");
    Severity::parse(value).ok_or_else(|| SettingError::new("LOG_LEVEL", fault(), "info"))
}

fn handoff_field(name: &str) -> Result<HandoffField, SettingError> {
    let known = HandoffField::ALL.map(HandoffField::name).join(",");
    let fault = || format!("names \"{name}\"; the fields are {known}");
    let field = HandoffField::ALL.into_iter().find(|field| field.name() == name);
    field.ok_or_else(|| SettingError::new("HANDOFF_FIELDS", fault(), "intent,parameters"))
}

fn is_sid(sid: &str, prefix: &str) -> bool {
    let hex = sid.strip_prefix(prefix).unwrap_or_default();
    hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Settings)) -> Result<Config, SettingError> {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check(Platform::Elsewhere)
    }

    fn text(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    #[test]
    fn without_any_setting_it_is_the_lab_on_port_8080() {
        let config = with(|_| {}).unwrap();
        assert_eq!((config.port, config.language.as_str()), (8080, "en-US"));
        assert_eq!(config.agent.name(), LAB_AGENT);
        assert_eq!(config.call.greeting.text.as_deref(), Some("hi"));
        assert_eq!(config.twilio.api_url, "https://api.twilio.com");
    }

    #[test]
    fn an_empty_starting_text_means_to_listen_first() {
        assert_eq!(with(|s| s.dialogflow_starting_text = text("")).unwrap().call.greeting.text, None);
    }

    #[test]
    fn a_project_alone_is_its_es_agent_greeted_by_the_welcome_event() {
        let config = with(|s| s.dialogflow_project_id = text("my-project")).unwrap();
        assert_eq!(config.agent.name(), "projects/my-project/agent");
        assert_eq!(config.call.greeting, Greeting { event: text("WELCOME"), text: None });
        assert_eq!(config.call.audio_limit_ms, 60_000);
        let beta = with(|s| (s.dialogflow_project_id, s.dialogflow_es_api) = (text("p"), text("v2beta1"))).unwrap();
        assert_eq!(beta.agent.product(), Product::Es(EsApi::V2Beta1));
    }

    #[test]
    fn lab_names_a_script_or_the_embedded_one() {
        let script = |agent: Option<&str>| {
            let settings = Settings { dialogflow_agent: agent.map(ToOwned::to_owned), ..Settings::default() };
            settings.lab_script()
        };
        assert_eq!(script(None), Some(None));
        assert_eq!(script(Some("lab:")), Some(None));
        assert_eq!(script(Some("lab:a/b.toml")), Some(Some("a/b.toml".into())));
        assert_eq!(script(Some("projects/p/agent")), None);
    }

    #[test]
    fn every_wrong_setting_is_one_line_with_its_name_and_an_example() {
        type Change = fn(&mut Settings);
        let wrong: [(&str, Change); 18] = [
            ("DIALOGFLOW_ES_API", |s| s.dialogflow_es_api = text("v3")),
            ("DIALOGFLOW_PROJECT_ID", |s| s.dialogflow_project_id = text("my/project")),
            ("PORT", |s| s.port = text("99999")),
            ("PORT", |s| s.port = text("abc")),
            ("PUBLIC_URL", |s| s.public_url = text("example.com")),
            ("PUBLIC_URL", |s| s.public_url = text("https://example.com/path")),
            ("MAX_CALLS", |s| s.max_calls = text("0")),
            ("OVERFLOW_URL", |s| s.overflow_url = text("tel:1")),
            ("LOG_LEVEL", |s| s.log_level = text("loud")),
            ("DIALOGFLOW_AGENT", |s| s.dialogflow_agent = text("my agent\nx")),
            ("DIALOGFLOW_ENDPOINT", |s| s.dialogflow_endpoint = text("ftp://x")),
            ("DIALOGFLOW_LANGUAGE", |s| s.dialogflow_language = text("en_US")),
            ("RETRY_ANSWERING_TURN", |s| s.retry_answering_turn = text("maybe")),
            ("TWILIO_ACCOUNT_SID", |s| s.twilio_account_sid = text("AC12")),
            ("TWILIO_API_KEY_SECRET", |s| s.twilio_api_key_sid = text("SK1")),
            ("TWILIO_EDGE", |s| s.twilio_region = text("ie1")),
            ("FALLBACK_TWIML", |s| s.fallback_twiml = text("sorry")),
            ("HANDOFF_FIELDS", |s| s.handoff_fields = text("intent,everything")),
        ];
        for (name, change) in wrong {
            let error = with(change).unwrap_err();
            let line = error.to_string();
            assert_eq!(error.name(), name, "{line}");
            assert!(line.contains(&format!("for example {name}=")) && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn in_public_it_does_not_start_with_an_open_door() {
        let mut settings = Settings::default();
        let refused = |settings: &Settings, name| settings.check(Platform::CloudRun).unwrap_err().name() == name;
        assert!(refused(&settings, "TWILIO_AUTH_TOKEN"));
        settings.allow_unsigned = text("true");
        assert!(refused(&settings, "TICKET_KEY"));
        settings.ticket_key = text("k");
        assert!(settings.check(Platform::CloudRun).is_ok());
        let locked = Settings { twilio_auth_token: text("t"), ..Settings::default() };
        assert!(locked.check(Platform::AppEngine).is_ok());
    }

    #[test]
    fn edge_and_region_make_the_api_url() {
        let url = |edge, region: Option<&str>| {
            with(|s| (s.twilio_edge, s.twilio_region) = (text(edge), region.map(ToOwned::to_owned)))
                .unwrap()
                .twilio
                .api_url
        };
        assert_eq!(url("dublin", Some("ie1")), "https://api.dublin.ie1.twilio.com");
        assert_eq!(url("ashburn", None), "https://api.ashburn.us1.twilio.com");
    }

    #[test]
    fn a_configuration_that_is_printed_shows_no_secret() {
        let config = with(|s| {
            s.twilio_auth_token = text("planted-token,planted-old-token");
            s.ticket_key = text("planted-key");
            (s.twilio_api_key_sid, s.twilio_api_key_secret) = (text("SK1"), text("planted-secret"));
        });
        let printed = format!("{:?}", config.unwrap());
        assert!(!printed.contains("planted"), "{printed}");
    }
}
