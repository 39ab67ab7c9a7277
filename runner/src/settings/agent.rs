//! The settings of one agent, checked.

use std::path::PathBuf;

use dialbridge_core::config::{CallConfig, Greeting};
use dialbridge_core::stages::StageBounds;
use dialbridge_core::tape::Mask;
#[cfg(feature = "lab")]
use dialbridge_lab::agent::Script;
use serde_json::{Map, Value};

use super::prompts::PromptsConfig;
use super::tools::ToolWebhook;
use super::value::{Shown, base_url, boolean, choice, event, is_language_tag, number, set, url};
use super::{AgentAddress, Endpoint, EsApi, EventsConfig, Product, SettingError, Settings};
use dialbridge_agents::{CesConfig, SpeechConfig};

const AGENT: &str = "DIALOGFLOW_AGENT";
const AGENT_EXAMPLE: &str = "projects/my-project/locations/us-central1/agents/00000000-0000-0000-0000-000000000000";

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
    pub slow: StageBounds,
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

/// The agent as the settings name it.
struct Named {
    address: AgentAddress,
    #[cfg(feature = "lab")]
    lab: Option<Lab>,
}

impl Settings {
    /// Checks the settings of one agent, all but those of the service. `renew_after_ms` is the service's.
    pub(super) fn check_agent(
        &self,
        parameters: Map<String, Value>,
        renew_after_ms: u64,
    ) -> Result<AgentConfig, SettingError> {
        let transport = self.ces_transport()?;
        let mut named = self.named_agent()?;
        named.address = named.address.carried_by(transport);
        let product = named.address.product();
        let tools = self.tools(product)?;
        let call = CallConfig { has_tools: tools.is_some(), parameters, renew_after_ms, ..self.of_call(product)? };
        let speech = self.speech(product)?;
        let mut notices = self.conversation_notices();
        notices.extend(self.speech_notice(product, &speech));
        notices.extend(self.ces_notices(product));
        let events = self.events()?;
        notices.extend(self.event_notices(events.as_ref()));
        Ok(AgentConfig {
            ces: self.ces(&named.address)?,
            tools,
            address: named.address,
            endpoint: set(&self.dialogflow_endpoint).map(endpoint).transpose()?,
            #[cfg(feature = "lab")]
            lab: named.lab,
            credentials: set(&self.google_application_credentials).map(Into::into),
            language: language(set(&self.dialogflow_language))?,
            call,
            speech,
            prompts: self.prompts()?,
            dial_failed_event: event("DIAL_FAILED_EVENT", set(&self.dial_failed_event))?,
            overflow_url: url("OVERFLOW_URL", set(&self.overflow_url))?,
            record_dir: set(&self.record_dir).map(Into::into),
            tape_mask: Mask {
                digits: !boolean("RECORD_DIGITS", self.record_digits.as_deref(), false)?,
                audio: boolean("RECORD_MASKED", self.record_masked.as_deref(), false)?,
            },
            slow: self.stage_bounds()?,
            events,
            numbers: 0,
            notices,
        })
    }

    /// What core is told of a call, all but what is the agent's own or the service's.
    pub(super) fn of_call(&self, product: Product) -> Result<CallConfig, SettingError> {
        Ok(CallConfig { greeting: self.greeting(product), handoff: self.handoff()?, ..self.conversation(product)? })
    }

    /// Whether an agent is named.
    pub(super) fn names_agent(&self) -> bool {
        set(&self.dialogflow_agent).or(set(&self.dialogflow_project_id)).is_some()
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

    fn named_agent(&self) -> Result<Named, SettingError> {
        let api = [("v2", EsApi::V2), ("v2beta1", EsApi::V2Beta1)];
        let es_api = choice("DIALOGFLOW_ES_API", set(&self.dialogflow_es_api), &api)?.unwrap_or_default();
        if let Some(file) = self.lab_script() {
            return lab_agent(file, es_api);
        }
        let found = match (set(&self.dialogflow_agent), set(&self.dialogflow_project_id)) {
            (None, Some(project)) => {
                let of_project = |_| {
                    let fault = format!("is {}, which is no project's id", Shown(project));
                    SettingError::new("DIALOGFLOW_PROJECT_ID", fault, "my-project")
                };
                address(&format!("projects/{project}/agent"), es_api).map_err(of_project)?
            }
            (name, _) => address(name.unwrap_or_default(), es_api)?,
        };
        Ok(Named {
            address: found,
            #[cfg(feature = "lab")]
            lab: None,
        })
    }

    /// ES agents begin with an event. CX has none that starts a conversation; "hi" is what its default start flow
    /// answers. CES agents are silent until they get something; this event is what Google's own adapters send.
    fn greeting(&self, product: Product) -> Greeting {
        let (event, text) = match product {
            Product::Cx => (None, Some("hi")),
            Product::Es(_) => (Some("WELCOME"), None),
            Product::Ces(_) => (Some("session_start"), None),
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

    fn prompts(&self) -> Result<PromptsConfig, SettingError> {
        let default = PromptsConfig::default();
        let most = set(&self.prompt_most_bytes);
        let (storage, speech) = (set(&self.storage_endpoint), set(&self.text_to_speech_endpoint));
        let storage = base_url("STORAGE_ENDPOINT", storage, "https://storage.googleapis.com")?;
        let speech = base_url("TEXT_TO_SPEECH_ENDPOINT", speech, "https://eu-texttospeech.googleapis.com")?;
        Ok(PromptsConfig {
            most_bytes: number("PROMPT_MOST_BYTES", most, default.most_bytes, 1_000..=(32 << 20), "5242880")?,
            storage_endpoint: storage.unwrap_or(default.storage_endpoint),
            text_to_speech_endpoint: speech.unwrap_or(default.text_to_speech_endpoint),
        })
    }
}

fn address(name: &str, es_api: EsApi) -> Result<AgentAddress, SettingError> {
    let wrong = |error| SettingError::new(AGENT, format!("is {}, {error}", Shown(name)), AGENT_EXAMPLE);
    AgentAddress::parse(name, es_api).map_err(wrong)
}

fn endpoint(url: &str) -> Result<Endpoint, SettingError> {
    let wrong = |error| {
        let fault = format!("is {}, {error}", Shown(url));
        SettingError::new("DIALOGFLOW_ENDPOINT", fault, "https://europe-west3-dialogflow.googleapis.com")
    };
    Endpoint::parse(url).map_err(wrong)
}

#[cfg(feature = "lab")]
fn lab_agent(file: Option<PathBuf>, es_api: EsApi) -> Result<Named, SettingError> {
    let script = match &file {
        Some(file) => Script::read(file),
        None => Script::bakery(),
    };
    let script = script.map_err(|error| {
        SettingError::new(AGENT, format!("names a lab script that cannot be used: {error}"), "lab:my-agent.toml")
    })?;
    // The lab's agent is one like any other, at an endpoint of its own.
    Ok(Named { address: address(script.edition.agent_name(), es_api)?, lab: Some(Lab { script, file }) })
}

#[cfg(not(feature = "lab"))]
fn lab_agent(_: Option<PathBuf>, _: EsApi) -> Result<Named, SettingError> {
    Err(SettingError::new(AGENT, "names no agent, and this build has no lab agent", AGENT_EXAMPLE))
}

fn language(value: Option<&str>) -> Result<String, SettingError> {
    let value = value.unwrap_or("en-US");
    let fault = || format!("is {}, which is no language tag", Shown(value));
    if is_language_tag(value) {
        Ok(value.to_owned())
    } else {
        Err(SettingError::new("DIALOGFLOW_LANGUAGE", fault(), "de-DE"))
    }
}
