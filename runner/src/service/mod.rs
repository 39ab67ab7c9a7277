//! The service: what all calls of this instance share, and how it starts and ends.

pub(crate) mod admin;
pub(crate) mod admission;
pub(crate) mod agent_check;
mod agents;
pub(crate) mod busy;
pub(crate) mod call_runner;
mod call_setup;
pub mod drain;
mod failures;
mod kept_folders;
pub mod lab_agents;
pub(crate) mod page;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::call::agent_breaker::AgentBreaker;
use crate::call::audio_share::WaitingAudio;
use crate::call::calls::Calls;
use crate::call::tape_recorder::CallTape;
use crate::call::watch::Watch;
use crate::history::History;
use crate::service::admin::Admin;
use crate::service::admission::Admission;
use crate::service::agents::Agents;
use crate::service::call_runner::CallRunner;
use crate::service::call_setup::CallSetup;
use crate::service::drain::{Drain, Drained};
use crate::service::page::Page;
use crate::settings::Config;
use crate::telemetry::clock::WallClock;
use crate::telemetry::log_limit::LogLimit;
use crate::telemetry::{Now, Telemetry};
use crate::twilio::rest::RestClient;
use crate::twilio::signature::sign;
use crate::twilio::ticket::TicketSigner;
use dialbridge_agents::{Agent, AgentError, certificate_fault};
use dialbridge_net::dial::{Dial, Tcp};
use dialbridge_net::http_client::HttpClient;

/// The instance is ready once the agents are connected, or after this time.
const WARM_UP: Duration = Duration::from_secs(5);

/// The pause before we try again to reach an agent.
const WARM_UP_PAUSE: Duration = Duration::from_secs(1);

/// How long an ending instance waits to send the telemetry of its calls.
const FLUSH: Duration = Duration::from_secs(3);

/// An instance of the service.
pub struct Service {
    pub(crate) admission: Arc<Admission>,
    pub(crate) admin: Arc<Admin>,
    pub(crate) runner: Arc<CallRunner>,
    /// `None` if there is no page.
    pub(crate) page: Option<Arc<Page>>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("config", self.config()).finish_non_exhaustive()
    }
}

/// What a test may replace.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// How connections are opened.
    pub dial: Arc<dyn Dial>,
    /// Where the time comes from.
    pub clock: WallClock,
    /// Watches the calls.
    pub watch: Option<Watch>,
    /// Gets the tape of each call, in place of the folder that the settings name.
    pub tapes: Option<Sender<CallTape>>,
}

impl Default for Dependencies {
    fn default() -> Self {
        Self { dial: Arc::new(Tcp), clock: WallClock::System, watch: None, tapes: None }
    }
}

/// Why the service does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// An agent's client cannot be set up.
    Agent(AgentError),
    /// TLS cannot be set up.
    Tls(rustls::Error),
    /// The system cannot give random bytes.
    Randomness,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(error) => error.fmt(f),
            Self::Tls(error) => write!(f, "TLS cannot be set up: {error}"),
            Self::Randomness => f.write_str("the system has no randomness to give"),
        }
    }
}

impl std::error::Error for StartError {}

impl Service {
    /// Makes a service with this configuration. Must run inside tokio.
    ///
    /// # Errors
    /// [`StartError`] when something is missing that every call needs.
    pub fn new(mut config: Config, dependencies: Dependencies) -> Result<Arc<Self>, StartError> {
        let Dependencies { dial, clock, watch, tapes } = dependencies;
        kept_folders::prepare(&mut config);
        let history = kept_folders::history(&config, clock);
        let tokens = &config.twilio.auth_tokens;
        let signer = TicketSigner::new(&config.ticket_keys, tokens).map_err(|_| StartError::Randomness)?;
        let client = HttpClient::new(dial.clone()).map_err(StartError::Tls)?;
        let max_streams = config.limits.streams_per_connection;
        let agents = Agents::open(&config.agents, &dial, &client, max_streams).map_err(StartError::Agent)?;
        let admission = Arc::new(Admission {
            calls: Calls::default(),
            breakers: config.agents.keys().map(|name| (name.clone(), Arc::new(AgentBreaker::new(name)))).collect(),
            signer: Arc::new(signer),
            clock,
            telemetry: Arc::new(Telemetry::start(&config, &client, clock, sign)),
            refusal_log: Arc::default(),
            closed_log: Once::new(),
            no_tls_log: Once::new(),
            path_log: LogLimit::default(),
            parameter_log: LogLimit::default(),
            drain: Drain::default(),
            is_warm: AtomicBool::new(false),
            config: Arc::new(config),
        });
        let admin = Arc::new(Admin::new(&admission));
        let setup = CallSetup {
            admission: admission.clone(),
            agents: Arc::new(agents),
            rest: RestClient::new(&admission.config.twilio, client).map(Arc::new),
            fault_log: Arc::default(),
            waiting_audio: WaitingAudio::default(),
            watch,
            tapes,
            history: history.clone(),
        };
        let runner = Arc::new(CallRunner { admission: admission.clone(), setup, tasks: Mutex::default() });
        let page = history.map(|history| Arc::new(Page::new(admin.clone(), runner.clone(), history)));
        Ok(Arc::new(Self { admission, admin, runner, page }))
    }

    /// Opens the first connections to the agents and then closes idle ones, for as long as it is polled.
    pub async fn keep_agents(self: Arc<Self>) {
        let mut tending: JoinSet<()> = self.runner.setup.agents.connections().cloned().map(Agent::maintain).collect();
        self.warm_up().await;
        while tending.join_next().await.is_some() {}
    }

    /// Opens the first connection to each endpoint of an agent, so that the first call does not wait for it.
    pub async fn warm_up(self: Arc<Self>) {
        let mut attempts: JoinSet<()> = self.runner.setup.agents.connections().cloned().map(warm_up_agent).collect();
        let all = async { while attempts.join_next().await.is_some() {} };
        if tokio::time::timeout(WARM_UP, all).await.is_err() {
            tracing::warn!("not every agent could be reached within 5 s; calls are taken all the same");
        }
        self.admission.is_warm.store(true, Ordering::Relaxed);
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.admission.config
    }

    /// The calls of this instance.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        &self.admission.calls
    }

    /// Whether the instance takes calls: the warm-up of the agents is over, and the instance is not ending.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.admission.is_ready()
    }

    /// Ends the instance: its calls migrate to other instances. Returns when the process can end.
    pub async fn end(&self) -> Drained {
        let began = Instant::now();
        self.admission.drain.begin();
        if let Some(page) = &self.page {
            page.history.notify();
        }
        self.admission.calls.migrate_all();
        let drained = self.admission.drain.wait(|| self.admission.calls.live(), self.admission.calls.left()).await;
        self.admission.telemetry.flush(Drain::left(began).min(FLUSH)).await;
        drained
    }

    /// Synthesises words with the credentials and the voice of an agent: mu-law at 8,000 Hz, with or without a WAV
    /// header.
    ///
    /// # Errors
    /// A sentence that says why there is no audio.
    pub async fn synthesize(&self, agent: &str, language: &str, words: &str) -> Result<Bytes, String> {
        let client = self.runner.setup.agents.client(agent).ok_or_else(|| format!("there is no agent {agent}"))?;
        client.prompts.fetch(&format!("text:{words}"), language, &client.speech).await
    }

    /// All metrics of this instance, in the format of OpenMetrics.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        for (name, agent) in &self.admission.config.agents {
            self.admission.telemetry.agent_is_down(name, agent, self.admission.is_down(name));
        }
        let load = self.runner.setup.agents.connections().map(Agent::load);
        let (connections, streams) = load.fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
        self.admission.telemetry.metrics_text(Now {
            live_calls: self.admission.calls.live(),
            waiting_sockets: self.admission.calls.waiting(),
            connections,
            streams,
            is_ready: self.admission.is_ready(),
            is_draining: self.admission.drain.is_draining(),
            ..Now::default()
        })
    }

    /// The calls that the page shows; `None` if there is no page.
    #[must_use]
    pub fn history(&self) -> Option<&History> {
        self.page.as_ref().map(|page| &page.history)
    }
}

async fn warm_up_agent(agent: Agent) {
    let mut told = String::new();
    while let Err(error) = agent.warm_up().await {
        let why = certificate_fault(&error)
            .map_or_else(|| error.to_string(), |why| format!("its certificate is not accepted: {why}"));
        // We try again and again, but log each reason once.
        if told != why {
            tracing::warn!(error = why, endpoint = agent.endpoint(), "an agent cannot be reached yet");
            told = why;
        }
        tokio::time::sleep(WARM_UP_PAUSE).await;
    }
}
