//! The settings of one agent: which one it is, how it hears and speaks, where its calls go, who gets their events.

use std::path::PathBuf;
use std::time::Duration;

use dialbridge_core::config::{CallConfig, StartingInput};
use dialbridge_core::handoff::{DialRules, HandoffConfig};
use dialbridge_core::stages::StageLimits;
use dialbridge_core::tape::Mask;
use dialbridge_core::words::{OwnWords, starting_text};
#[cfg(feature = "lab")]
use dialbridge_lab::agent::Script;
use dialbridge_net::Secret;
use serde_json::{Map, Value};

#[cfg(feature = "lab")]
use super::config::Lab;
use super::config::{AgentConfig, EventsConfig};
use super::layer::Values;
use super::prompts::PromptsConfig;
use super::table;
use super::tools::ToolWebhook;
use super::value::lab_file;
use dialbridge_agents::{AgentAddress, EsApi, Product};
use dialbridge_agents::{CesConfig, SpeechConfig};

/// The agent as the settings name it.
struct Named {
    address: AgentAddress,
    #[cfg(feature = "lab")]
    lab: Option<Lab>,
}

impl Values<'_> {
    /// The agent's part of the configuration. `parameters` are the file's session parameters; later maps override earlier
    /// ones. `migrate_after_ms` comes from the service's settings. Returns `None` if the settings name no usable agent;
    /// the fault is noted.
    pub(super) fn agent(&self, parameters: &[&Map<String, Value>], migrate_after_ms: u64) -> Option<AgentConfig> {
        let named = self.named_agent();
        // We check the other settings even without an agent, so that one start reports every fault.
        let product = named.as_ref().map_or(Product::Cx, |named| named.address.product());
        let tools = self.tools(product);
        let call = CallConfig { has_tools: tools.is_some(), migrate_after_ms, ..self.call(product) };
        let call = self.with_parameters(call, parameters);
        let speech = self.speech(product);
        let events = self.events();
        let notices = self.notices(product, &speech, events.as_ref());
        let ces = self.ces(named.as_ref().and_then(|named| named.address.deployment()));
        let config = |named: Named| AgentConfig {
            account: None,
            ces,
            tools,
            address: named.address,
            endpoint: self.find(&table::DIALOGFLOW_ENDPOINT),
            #[cfg(feature = "lab")]
            lab: named.lab,
            credentials: self.find(&table::GOOGLE_APPLICATION_CREDENTIALS),
            language: self.get(&table::DIALOGFLOW_LANGUAGE),
            call,
            starts_by_language: product == Product::Cx && !self.has(&table::DIALOGFLOW_STARTING_TEXT),
            speech,
            prompts: self.prompts(),
            dial_failed_event: self.find(&table::DIAL_FAILED_EVENT),
            overflow_url: self.find(&table::OVERFLOW_URL),
            record_dir: self.find(&table::RECORD_DIR),
            tape_mask: Mask { digits: !self.get(&table::RECORD_DIGITS), audio: self.get(&table::RECORD_MASKED) },
            slow: self.stage_bounds(),
            events,
            status_callback: self.find(&table::STATUS_CALLBACK_URL).map(Secret::new),
            numbers: 0,
            notices,
        };
        named.map(config)
    }

    /// The call configuration for `core`, without the agent's session parameters and the service's settings.
    pub(super) fn call(&self, product: Product) -> CallConfig {
        CallConfig {
            starting_input: self.greeting(product),
            handoff: self.handoff(),
            words: self.words(),
            ..self.conversation(product)
        }
    }

    /// What the service says in its own words.
    fn words(&self) -> OwnWords {
        OwnWords {
            language: self.get(&table::DIALOGFLOW_LANGUAGE),
            voice: self.find(&table::VOICE_NAME),
            goodbye: self.find(&table::TEXT_GOODBYE),
            busy: self.find(&table::TEXT_BUSY),
            failed: self.find(&table::TEXT_FAILED),
            lost: self.find(&table::TEXT_LOST),
        }
    }

    /// Adds the session parameters of the file. None of them may be one that tells a fact of the call.
    fn with_parameters(&self, mut call: CallConfig, parameters: &[&Map<String, Value>]) -> CallConfig {
        let names = call.parameter_names;
        for map in parameters {
            let mut own = Map::new();
            names.extend(&mut own, (*map).clone());
            if let Some(name) = map.keys().find(|name| !own.contains_key(*name)) {
                let fault = format!(
                    "is a CX agent, which ignores the case of parameter names: the file has \"{name}\" in two spellings"
                );
                self.conflicting(&table::DIALOGFLOW_AGENT, fault);
            }
            names.extend(&mut call.parameters, own);
        }
        let told = call.call_parameters.iter().find(|told| names.get(&call.parameters, &told.name).is_some());
        if let Some(told) = told {
            let fault =
                format!("tells {} by the session parameter \"{}\", which the file sets too", told.fact, told.name);
            self.conflicting(&table::CALL_PARAMETERS, fault);
        }
        call
    }

    fn named_agent(&self) -> Option<Named> {
        let es_api = self.get(&table::DIALOGFLOW_ES_API);
        let transport = self.get(&table::CES_TRANSPORT);
        let name = self.value(&table::DIALOGFLOW_AGENT);
        let lab = match (name, self.value(&table::DIALOGFLOW_PROJECT_ID)) {
            (None, None) => Some(None),
            (name, _) => name.and_then(lab_file),
        };
        let mut named = match lab {
            Some(file) => self.lab_agent(file, es_api)?,
            None => Named {
                address: self.address(es_api)?,
                #[cfg(feature = "lab")]
                lab: None,
            },
        };
        named.address = named.address.carried_by(transport);
        Some(named)
    }

    fn address(&self, es_api: EsApi) -> Option<AgentAddress> {
        let name = self.find(&table::DIALOGFLOW_AGENT).or_else(|| {
            // If DIALOGFLOW_AGENT is wrong, we do not fall back to another agent.
            if self.has(&table::DIALOGFLOW_AGENT) { None } else { self.find(&table::DIALOGFLOW_PROJECT_ID) }
        });
        AgentAddress::parse(&name?, es_api).ok()
    }

    #[cfg(feature = "lab")]
    fn lab_agent(&self, file: Option<PathBuf>, es_api: EsApi) -> Option<Named> {
        let script = match &file {
            Some(file) => Script::read(file),
            None => Script::bakery(),
        };
        let wrong = |error: &dyn std::fmt::Display| {
            self.wrong(&table::DIALOGFLOW_AGENT, format!("names a lab script that cannot be used: {error}"));
        };
        let script = script.map_err(|error| wrong(&error)).ok()?;
        // The lab's agent is like any other, at an endpoint of its own.
        let address = AgentAddress::parse(script.edition.agent_name(), es_api).ok()?;
        Some(Named { address, lab: Some(Lab { script, file }) })
    }

    #[cfg(not(feature = "lab"))]
    fn lab_agent(&self, _: Option<PathBuf>, _: EsApi) -> Option<Named> {
        self.conflicting(&table::DIALOGFLOW_AGENT, "names no agent, and this build has no lab agent");
        None
    }

    /// What starts the conversation. An ES agent starts with an event. CX has no such event; its default start flow
    /// answers a "hi" in its language. A CES agent is silent until it gets something; Google's own adapters send this
    /// event.
    fn greeting(&self, product: Product) -> StartingInput {
        let StartingInput { event, text } = product.edition().config().starting_input;
        let text = text.map(|_| starting_text(&self.get(&table::DIALOGFLOW_LANGUAGE)).to_owned());
        let or = |value: Option<String>, default: Option<String>| value.or(default).filter(|value| !value.is_empty());
        StartingInput {
            event: or(self.find(&table::DIALOGFLOW_STARTING_EVENT_NAME), event),
            text: or(self.find(&table::DIALOGFLOW_STARTING_TEXT), text),
        }
    }

    /// Where a call goes when the agent is done or unavailable.
    fn handoff(&self) -> HandoffConfig {
        HandoffConfig {
            end_of_interaction_url: self.find(&table::END_OF_INTERACTION_URL),
            fallback_twiml: self.find(&table::FALLBACK_TWIML),
            fields: self.get(&table::HANDOFF_FIELDS),
            dial: DialRules {
                caller_id: self.find(&table::DIAL_CALLER_ID),
                timeout_s: self.get(&table::DIAL_TIMEOUT),
                answer_on_bridge: self.get(&table::DIAL_ANSWER_ON_BRIDGE),
                ..DialRules::default()
            },
        }
    }

    /// The speech and query parameters of the requests.
    fn speech(&self, product: Product) -> SpeechConfig {
        let flow_versions = self.find(&table::FLOW_VERSIONS).unwrap_or_default();
        if product != Product::Cx && !flow_versions.is_empty() {
            self.conflicting(&table::FLOW_VERSIONS, "is set, and only Dialogflow CX has flows");
        }
        let (channel, session_ttl_minutes) = (self.find(&table::CHANNEL), self.find(&table::SESSION_TTL_MINUTES));
        if product != Product::Cx && channel.is_some() {
            self.conflicting(&table::CHANNEL, "is set, and only Dialogflow CX has channels");
        }
        if product != Product::Cx && session_ttl_minutes.is_some() {
            self.conflicting(&table::SESSION_TTL_MINUTES, "is set, and only Dialogflow CX lets a client set it");
        }
        SpeechConfig {
            voice_name: self.find(&table::VOICE_NAME),
            voice_gender: self.find(&table::VOICE_GENDER),
            speaking_rate: self.find(&table::SPEAKING_RATE),
            pitch: self.find(&table::PITCH),
            volume_gain_db: self.find(&table::VOLUME_GAIN_DB),
            effects: self.find(&table::EFFECTS_PROFILE).unwrap_or_default(),
            model: self.find(&table::SPEECH_MODEL),
            model_variant: self.find(&table::SPEECH_MODEL_VARIANT),
            phrase_hints: self.get(&table::PHRASE_HINTS),
            sentiment: self.get(&table::SENTIMENT),
            time_zone: self.find(&table::TIME_ZONE),
            webhook_headers: self.get(&table::WEBHOOK_HEADERS),
            flow_versions,
            channel,
            session_ttl_minutes,
            audio_chunk_ms: self.get(&table::AUDIO_CHUNK_MS),
        }
    }

    /// How we stream to a CES agent.
    fn ces(&self, deployment: Option<&str>) -> CesConfig {
        CesConfig {
            deployment: deployment.map(ToOwned::to_owned),
            input: self.get(&table::CES_INPUT_AUDIO),
            output: self.get(&table::CES_OUTPUT_AUDIO),
            chunk: Duration::from_millis(self.get(&table::CES_CHUNK_MS)),
            entry_agent: self.find(&table::CES_ENTRY_AGENT),
            variables: Duration::from_millis(self.get(&table::CES_VARIABLES_MS)),
            noise_suppression: self.find(&table::CES_NOISE_SUPPRESSION),
        }
    }

    /// The webhook that runs the agent's tools. ES has none.
    fn tools(&self, product: Product) -> Option<ToolWebhook> {
        let secret = self.find(&table::CES_TOOL_WEBHOOK_SECRET).map(Secret::new);
        let timeout = Duration::from_millis(self.get(&table::CES_TOOL_WEBHOOK_MS));
        let webhook = self.find(&table::CES_TOOL_WEBHOOK_URL).map(|url| ToolWebhook { url, secret, timeout });
        webhook.filter(|_| !matches!(product, Product::Es(_)))
    }

    fn prompts(&self) -> PromptsConfig {
        PromptsConfig {
            max_bytes: self.get(&table::PROMPT_MAX_BYTES),
            storage_endpoint: self.get(&table::STORAGE_ENDPOINT),
            text_to_speech_endpoint: self.get(&table::TEXT_TO_SPEECH_ENDPOINT),
            hosts: self.get(&table::PROMPT_HOSTS),
        }
    }

    /// From which times on a turn counts as slow.
    fn stage_bounds(&self) -> StageLimits {
        let limit = |ms: u64| (ms > 0).then_some(ms);
        let mut bounds = StageLimits { whole_ms: limit(self.get(&table::SLOW_TURN_MS)), ..StageLimits::default() };
        for (stage, ms) in self.find(&table::SLOW_STAGES_MS).unwrap_or_default() {
            bounds.set(stage, limit(ms));
        }
        bounds
    }

    /// Where events go. `None`: nowhere.
    fn events(&self) -> Option<EventsConfig> {
        let (secrets, redaction) = (self.get(&table::EVENT_WEBHOOK_SECRET), self.get(&table::EVENT_REDACTION));
        let url = self.find(&table::EVENT_WEBHOOK_URL);
        url.map(|url| EventsConfig { url: Secret::new(url), secrets, redaction })
    }

    /// Warnings about settings that are allowed but may not be meant.
    fn notices(&self, product: Product, speech: &SpeechConfig, events: Option<&EventsConfig>) -> Vec<String> {
        let mut notices: Vec<String> = self.idle(matches!(product, Product::Ces(_))).collect();
        let names_voice = speech.voice_name.is_some() || speech.voice_gender.is_some();
        if product == Product::Cx && speech.sets_voice() && !names_voice {
            let whole = "SPEAKING_RATE, PITCH, VOLUME_GAIN_DB and EFFECTS_PROFILE replace the whole voice of a CX agent, \
                         unless VOICE_NAME or VOICE_GENDER names one";
            notices.push(whole.to_owned());
        }
        if matches!(product, Product::Ces(_)) && speech.sets_voice() {
            let own = "a CES agent has a voice of its own: the voice settings (VOICE_NAME …) apply only to text that the service \
                       has synthesised";
            notices.push(own.to_owned());
        }
        if events.is_some_and(|events| events.secrets.is_empty()) {
            let unsigned = "EVENT_WEBHOOK_SECRET is not set: whoever gets the events cannot tell that they are ours";
            notices.push(unsigned.to_owned());
        }
        notices
    }
}
