//! What `doctor` examines: the settings, in the terms of the checks. No other module here knows how settings are
//! stored.

use std::path::PathBuf;
use std::sync::Arc;

use dialbridge_core::agent::{TurnInput, TurnStart};
use dialbridge_core::audio::{BYTES_PER_MS, MULAW_SILENCE};
use dialbridge_core::config::{EndOfUtterance, StreamShape};
use dialbridge_core::words::starting_text;
use dialbridge_core::{AgentEvent, StreamId};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use dialbridge_agents::{Agent, EVENT_QUEUE, Endpointing, Link, MessageRoom, SessionContext};
use dialbridge_net::dial::Dial;
use dialbridge_runner::service::lab_agents;
use dialbridge_runner::settings::{
    AgentAddress, AgentConfig, Config, Endpoint, Platform, PublicUrl, Secret, Settings, TwilioConfig,
};

/// How long the silence of a turn that asks for debugging info lasts, in milliseconds.
const SILENCE_MS: usize = 400;

/// The settings.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) public_url: Option<PublicUrl>,
    pub(crate) twilio: TwilioConfig,
    pub(crate) agents: Vec<AgentSubject>,
    /// The folders that settings name, by setting.
    pub(crate) folders: Vec<(&'static str, PathBuf)>,
    /// The files that settings name.
    pub(crate) files: Vec<(&'static str, PathBuf)>,
    /// Secrets that no output may show.
    pub(crate) secrets: Vec<String>,
    _lab: Lab,
}

/// The lab's agents that are served for this run.
#[cfg(feature = "lab")]
type Lab = Vec<dialbridge_lab::agent::ServedAgent>;
#[cfg(not(feature = "lab"))]
type Lab = Vec<()>;

/// One agent.
#[derive(Debug)]
pub(crate) struct AgentSubject {
    /// The name that the settings give it.
    pub(crate) name: String,
    pub(crate) address: AgentAddress,
    /// The endpoint to call.
    pub(crate) endpoint: Endpoint,
    /// Whether that differs from Google's own endpoint for the agent.
    pub(crate) is_elsewhere: bool,
    /// Whether it is a lab agent.
    pub(crate) is_lab: bool,
    pub(crate) credentials: Option<PathBuf>,
    /// The first input: an event, or a text if the agent does not answer the event.
    pub(crate) opening: Vec<TurnInput>,
    config: AgentConfig,
}

impl Subject {
    /// Reads the settings as `serve` does, and serves the lab's agents if the settings name some.
    ///
    /// # Errors
    /// With the lines that `serve` would end with.
    pub(crate) async fn read(settings: &Settings, platform: Platform) -> Result<Self, String> {
        let mut config = settings.check(platform).map_err(|error| error.to_string())?;
        let lab = lab_agents::serve(&mut config).await?;
        let mut folders: Vec<PathBuf> = config.agents.values().filter_map(|agent| agent.record_dir.clone()).collect();
        folders.dedup();
        let folders = folders.into_iter().map(|folder| ("RECORD_DIR", folder));
        let folders =
            config.history_dir.clone().map(|folder| ("HISTORY_DIR", folder)).into_iter().chain(folders).collect();
        let file = |name| Some((name, PathBuf::from(settings.given(name)?)));
        Ok(Self {
            public_url: config.public_url.clone(),
            twilio: config.twilio.clone(),
            folders,
            files: ["DIALBRIDGE_CONFIG", "FILLER_FILE", "RETRY_FILE"].into_iter().filter_map(file).collect(),
            secrets: secrets(settings, Some(&config)),
            agents: config.agents.into_iter().map(|(name, agent)| AgentSubject::new(name, agent)).collect(),
            _lab: lab,
        })
    }
}

impl AgentSubject {
    fn new(name: String, config: AgentConfig) -> Self {
        let greeting = config.call.starting_input.clone();
        let text = greeting.text.map(TurnInput::Text);
        let mut opening: Vec<TurnInput> = greeting.event.map(TurnInput::Event).into_iter().chain(text).collect();
        if opening.is_empty() {
            // An agent that listens first still answers a text.
            opening.push(TurnInput::Text(starting_text(&config.language).to_owned()));
        }
        #[cfg(feature = "lab")]
        let is_lab = config.lab.is_some();
        #[cfg(not(feature = "lab"))]
        let is_lab = false;
        Self {
            name,
            address: config.address.clone(),
            endpoint: config.endpoint(),
            is_elsewhere: config.endpoint.is_some() && !is_lab,
            is_lab,
            credentials: config.credentials.clone(),
            opening,
            config,
        }
    }

    /// `SPEECH_MODEL`.
    pub(crate) fn speech_model(&self) -> Option<&str> {
        self.config.speech.model.as_deref()
    }

    /// `END_OF_UTTERANCE`.
    pub(crate) fn end_of_utterance(&self) -> EndOfUtterance {
        self.config.call.end_of_utterance
    }

    /// The language of its calls.
    pub(crate) fn language(&self) -> &str {
        &self.config.language
    }

    /// Whether its stream stays open after an answer.
    pub(crate) fn has_session_stream(&self) -> bool {
        self.config.call.shape == StreamShape::PerSession
    }

    /// Opens a stream to the agent as a call does, in a session of its own. Returns what arrives on it. The stream ends
    /// with `tasks`.
    ///
    /// # Errors
    /// Why the stream cannot be opened.
    pub(crate) fn open(
        &self,
        dial: Arc<dyn Dial>,
        session_id: &str,
        input: TurnInput,
        tasks: &mut JoinSet<()>,
    ) -> Result<mpsc::Receiver<(StreamId, AgentEvent)>, String> {
        let (agent, context) = self.client(dial, session_id)?;
        let start = TurnStart::new(input);
        let (events, answers) = mpsc::channel(EVENT_QUEUE);
        let stream = agent.open(&context, StreamId(1), &start, events, tasks);
        // An agent with one stream for the whole call may take our half-close for the end of the call.
        if !self.has_session_stream() {
            stream.half_close();
        }
        Ok(answers)
    }

    /// Plays a turn of silence to an agent of CX, and returns how its recogniser waits. `None` if it does not tell.
    ///
    /// # Errors
    /// Why the turn cannot be played.
    pub(crate) async fn endpointing(
        &self,
        dial: Arc<dyn Dial>,
        session_id: &str,
    ) -> Result<Option<Endpointing>, String> {
        let (agent, context) = self.client(dial, session_id)?;
        let silence = [MULAW_SILENCE; SILENCE_MS * BYTES_PER_MS];
        agent.endpointing(&context, &silence).await.map_err(|fault| fault.to_string())
    }

    /// The agent as a call has it, and what each of its streams is told.
    fn client(&self, dial: Arc<dyn Dial>, session_id: &str) -> Result<(Agent, SessionContext), String> {
        let agent = Agent::new(
            &self.endpoint,
            Link::to(self.address.product()),
            self.credentials.as_deref(),
            dial,
            1,
            MessageRoom::default(),
        )
        .map_err(|error| error.to_string())?;
        let context = SessionContext {
            session: self.address.session(session_id),
            product: self.address.product(),
            language: self.config.language.clone(),
            speech: Arc::new(self.config.speech.clone()),
            ces: Arc::new(self.config.ces.clone()),
        };
        Ok((agent, context))
    }
}

/// A session id that no call uses: at most 36 characters.
pub(super) fn session_id() -> String {
    let mut bytes = [0; 8];
    // Using the same session twice does no harm.
    let _ = SystemRandom::new().fill(&mut bytes);
    format!("doctor-{:016x}", u64::from_be_bytes(bytes))
}

/// What no output may show: as it was given, and where the configuration's file says it. What is very short is left out:
/// it would blank words that are no secrets.
pub(crate) fn secrets(settings: &Settings, config: Option<&Config>) -> Vec<String> {
    let given = settings.secret_values();
    let given = given.iter().flat_map(|list| list.split([',', ':', '=']).chain([list.as_str()]));
    let read = config.into_iter().flat_map(|config| {
        let key = config.twilio.api_key.iter().map(|(_, secret)| secret);
        let others = config
            .twilio
            .others
            .values()
            .flat_map(|account| account.auth_tokens.iter().chain(account.api_key.iter().map(|(_, secret)| secret)));
        config.twilio.auth_tokens.iter().chain(&config.ticket_keys).chain(key).chain(others).map(Secret::expose)
    });
    let all = given.chain(read).map(|secret| secret.trim().to_owned());
    let mut secrets: Vec<String> = all.filter(|secret| secret.len() > 5).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

/// The first token, which is the account's primary one.
pub(crate) fn first_token(twilio: &TwilioConfig) -> Option<&Secret> {
    twilio.auth_tokens.first()
}
