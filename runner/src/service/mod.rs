//! The service: what all calls of this instance share, and how it starts and ends.

pub(crate) mod admin;
mod agent_check;
mod agents;
pub(crate) mod busy;
pub mod drain;
mod failures;
pub mod lab_agents;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dialbridge_core::CallSid;
use dialbridge_core::carried::{CarriedOver, Opening};
use dialbridge_core::handoff::{self, HandoffConfig, Outcome};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::call::bridge;
use crate::call::calls::{CallRegistration, Calls};
use crate::call::context::{CallContext, CallKind};
use crate::call::tape_recorder::TapeRecorder;
use crate::call::watch::Watch;
use admin::Admin;

use crate::history::{CallStart, History, HistoryWriter};
use crate::media::media_socket::MediaSocket;
use crate::service::agent_check::{AgentChecks, Checked};
use crate::service::agents::Agents;
use crate::service::busy::busy;
use crate::service::drain::{Drain, Drained};
use crate::settings::{AgentConfig, Config, PublicUrl};
use crate::telemetry::clock::WallClock;
use crate::telemetry::log_limit::LogLimit;
use crate::telemetry::{CallIdentity, Now, RefusalReason, Telemetry};
use crate::twilio::actions::DialAction;
use crate::twilio::rest::RestClient;
use crate::twilio::ticket::{State, Ticket, TicketSigner};
use dialbridge_agents::{Agent, AgentError, SessionContext, certificate_fault};
use dialbridge_net::dial::{Dial, Tcp};
use dialbridge_net::http_client::HttpClient;

/// The instance is ready once the agents are connected, or after this time.
const WARM_UP: Duration = Duration::from_secs(5);

/// The pause before we try again to reach an agent.
const WARM_UP_PAUSE: Duration = Duration::from_secs(1);

/// How long an ending instance waits to send the telemetry of its calls.
const FLUSH: Duration = Duration::from_secs(3);
/// How many viewers there may be at once; each one follows the list of calls or one call.
const MAX_VIEWERS: usize = 64;

/// How long the page may take to stop the stream of a call that was handed off, in milliseconds.
const BROWSER_STOP_MS: u64 = 1_500;

/// An instance of the service.
pub struct Service {
    config: Config,
    agents: Agents,
    signer: Arc<TicketSigner>,
    calls: Calls,
    rest: Option<Arc<RestClient>>,
    dependencies: Dependencies,
    is_ready: AtomicBool,
    drain: Drain,
    refusals: LogLimit,
    faults: Arc<LogLimit>,
    telemetry: Telemetry,
    /// The calls that the page shows; `None` if there is no page.
    history: Option<History>,
    checks: AgentChecks,
    admin: Admin,
    /// The places for viewers.
    viewers: Arc<Semaphore>,
    /// A random name for this process, so that people can tell instances apart.
    instance: String,
    started_ms: u64,
    /// The calls' tasks.
    tasks: Mutex<JoinSet<()>>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("config", &self.config).finish_non_exhaustive()
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
}

impl Default for Dependencies {
    fn default() -> Self {
        Self { dial: Arc::new(Tcp), clock: WallClock::System, watch: None }
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
    pub fn new(config: Config, dependencies: Dependencies) -> Result<Arc<Self>, StartError> {
        let tokens = &config.twilio.auth_tokens;
        let signer = TicketSigner::new(&config.ticket_keys, tokens).map_err(|_| StartError::Randomness)?;
        let client = HttpClient::new(dependencies.dial.clone()).map_err(StartError::Tls)?;
        let max_streams = config.limits.streams_per_connection;
        let agents =
            Agents::open(&config.agents, &dependencies.dial, &client, max_streams).map_err(StartError::Agent)?;
        let telemetry = Telemetry::start(&config, &client, dependencies.clock);
        let rest = RestClient::new(&config.twilio, client);
        Ok(Arc::new(Self {
            agents,
            signer: Arc::new(signer),
            calls: Calls::default(),
            rest: rest.map(Arc::new),
            is_ready: AtomicBool::new(false),
            drain: Drain::default(),
            refusals: LogLimit::default(),
            faults: Arc::default(),
            telemetry,
            history: config.has_page().then(History::default),
            checks: AgentChecks::new(config.agents.keys()),
            admin: Admin::new(config.admin_token.as_ref()),
            viewers: Arc::new(Semaphore::new(MAX_VIEWERS)),
            instance: instance_name(),
            started_ms: dependencies.clock.now_ms(),
            tasks: Mutex::new(JoinSet::new()),
            config,
            dependencies,
        }))
    }

    /// Opens the first connections to the agents and then closes idle ones, for as long as it is polled.
    pub async fn keep_agents(self: Arc<Self>) {
        let mut tending = JoinSet::new();
        for agent in self.agents.connections() {
            tending.spawn(agent.clone().maintain());
        }
        self.warm_up().await;
        while tending.join_next().await.is_some() {}
    }

    /// Opens the first connection to each endpoint of an agent, so that the first call does not wait for it.
    pub async fn warm_up(self: Arc<Self>) {
        let mut attempts = JoinSet::new();
        for agent in self.agents.connections() {
            attempts.spawn(warm_up_agent(agent.clone()));
        }
        let all = async { while attempts.join_next().await.is_some() {} };
        if tokio::time::timeout(WARM_UP, all).await.is_err() {
            tracing::warn!("not every agent could be reached within 5 s; calls are taken all the same");
        }
        self.is_ready.store(true, Ordering::Relaxed);
    }

    /// Runs a call to its end.
    ///
    /// `public` is the URL at which Twilio reaches this service.
    pub async fn run_call(
        &self,
        ticket: Ticket,
        public: &PublicUrl,
        socket: MediaSocket,
        registration: CallRegistration,
        kind: CallKind,
    ) {
        let name = &ticket.info.agent;
        let (Some(settings), Some(client)) = (self.agent(name), self.agents.client(name)) else {
            tracing::error!(call_sid = %ticket.call_sid, "the call's agent is not configured");
            return;
        };
        let mut config = settings.call.clone();
        config.call_sid = Some(ticket.call_sid.clone());
        config.session = settings.address.session(ticket.call_sid.as_str());
        config.seed = ticket.issued_ms;
        config.timeouts.start_ms = milliseconds(self.config.limits.start);
        config.timeouts.frames_ms = milliseconds(self.config.limits.quiet);
        config.carried = CarriedOver {
            elapsed_ms: ticket.info.elapsed_ms(ticket.issued_ms),
            failed_turns: ticket.info.failed_turns,
            opening: ticket.opening.clone(),
        };
        if kind != CallKind::Ticket {
            // Only a call with a ticket has our action URL, which is needed to bring it back.
            config.migrate_after_ms = 0;
        }
        if kind == CallKind::Browser {
            config.timeouts.stop_ms = BROWSER_STOP_MS;
        }
        let dial_action = self.dial_action(&ticket, public, kind);
        let edition = settings.address.edition();
        let recorder = settings.record_dir.as_deref().map(|folder: &Path| {
            TapeRecorder::begin(folder, settings.tape_mask, &ticket.call_sid, ticket.issued_ms, edition, &config)
        });
        let session = SessionContext {
            session: config.session.clone(),
            product: settings.address.product(),
            language: ticket.info.language.clone().unwrap_or_else(|| settings.language.clone()),
            speech: client.speech.clone(),
            ces: client.ces.clone(),
        };
        let identity = CallIdentity {
            call_sid: &ticket.call_sid,
            issued_ms: ticket.issued_ms,
            agent: name,
            language: &session.language,
            service: public.http(""),
            trace: ticket.info.trace,
        };
        let telemetry = self.telemetry.call(identity, settings);
        let history = self.start_history(&ticket, &session.language, kind, settings);
        let context = CallContext {
            agent: client.agent.clone(),
            session,
            kind,
            config: Arc::new(config),
            dial_action,
            rest: self.rest.clone().filter(|_| kind != CallKind::Browser),
            prompts: client.prompts.clone(),
            tools: client.tools.clone(),
            calls: self.calls.clone(),
            clock: self.dependencies.clock,
            fault_log: self.faults.clone(),
            // A call that resumes was live before, here or on another instance: we take it even if there is no room.
            max_calls: if ticket.opening == Opening::Greet { self.config.limits.max_calls } else { usize::MAX },
            busy: busy(settings),
            watch: self.dependencies.watch.clone(),
            history,
        };
        let handoff = context.config.handoff.clone();
        let session = context.config.session.clone();
        // The call has its own task, so that a panic ends this call and no other.
        let mut call = JoinSet::new();
        call.spawn(bridge::run(context, ticket.call_sid.clone(), telemetry, socket, registration, recorder));
        match call.join_next().await {
            Some(Ok(false)) => self.telemetry.refused(RefusalReason::Busy),
            Some(Err(error)) if error.is_panic() && kind != CallKind::Browser => {
                self.rescue(&ticket.call_sid, session, &handoff).await;
            }
            Some(Ok(true) | Err(_)) | None => {}
        }
    }

    /// The `<Dial action>` of this call.
    fn dial_action(&self, ticket: &Ticket, public: &PublicUrl, kind: CallKind) -> DialAction {
        let state = State {
            call_sid: ticket.call_sid.clone(),
            issued_ms: ticket.issued_ms,
            info: ticket.info.clone(),
            attempt: 1,
        };
        let state = Some(state).filter(|_| kind != CallKind::Browser);
        DialAction { public: public.clone(), signer: self.signer.clone(), state }
    }

    /// Starts the call's entry in the history, if there is a page.
    fn start_history(
        &self,
        ticket: &Ticket,
        language: &str,
        kind: CallKind,
        settings: &AgentConfig,
    ) -> Option<Arc<HistoryWriter>> {
        let is_browser = kind == CallKind::Browser;
        let start = CallStart {
            call_sid: ticket.call_sid.clone(),
            agent: ticket.info.agent.clone(),
            language: language.to_owned(),
            kind: if is_browser { "browser" } else { "phone" },
            began_ms: self.dependencies.clock.now_ms(),
            words: is_browser || self.config.page_transcripts,
            slow: settings.slow,
        };
        self.history.as_ref().map(|history| Arc::new(history.begin(start)))
    }

    /// Whether this agent answers. The result of a test turn is used for a minute. `None` if no such agent is
    /// configured.
    pub(crate) async fn check_agent(&self, name: &str) -> Option<Checked> {
        let (settings, client) = (self.agent(name)?, self.agents.client(name)?);
        self.checks.check(name, settings, client, self.dependencies.clock).await
    }

    /// Gives the fallback to a call whose task has panicked.
    async fn rescue(&self, call_sid: &CallSid, session: String, handoff: &HandoffConfig) {
        tracing::error!(call_sid = %call_sid, "a call's task has panicked: the call gets its fallback");
        let outcome = Outcome { call_sid: call_sid.to_string(), session, ..Outcome::default() };
        let twiml = handoff::failed(handoff, &outcome);
        self.calls.keep_last_twiml(call_sid, &twiml, self.dependencies.clock.now_ms());
        if let Some(rest) = &self.rest {
            self.telemetry.updated(rest.update(call_sid, &twiml).await);
        }
    }

    /// Runs a call's task.
    pub(crate) fn spawn_call(&self, call: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        tasks.spawn(call);
        while let Some(ended) = tasks.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a call's task has failed");
            }
        }
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The agent of this name; `None` if it is not configured.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&AgentConfig> {
        self.config.agents.get(name)
    }

    /// The calls of this instance.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Whether the instance takes calls: the warm-up of the agents is over, and the instance is not ending.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed) && !self.drain.is_draining()
    }

    /// The state of the instance's end.
    #[must_use]
    pub fn drain(&self) -> &Drain {
        &self.drain
    }

    /// Ends the instance: its calls migrate to other instances. Returns when the process can end.
    pub async fn end(&self) -> Drained {
        let began = Instant::now();
        self.drain.begin();
        if let Some(history) = &self.history {
            history.notify();
        }
        self.calls.migrate_all();
        let drained = self.drain.wait(|| self.calls.live(), self.calls.left()).await;
        self.telemetry.flush(Drain::left(began).min(FLUSH)).await;
        drained
    }

    /// The telemetry of this instance.
    #[must_use]
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// All metrics of this instance, in the format of Prometheus.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let load = self.agents.connections().map(Agent::load);
        let (connections, streams) = load.fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
        self.telemetry.metrics_text(Now {
            live_calls: self.calls.live(),
            waiting_sockets: self.calls.waiting(),
            connections,
            streams,
            is_draining: self.drain.is_draining(),
            ..Now::default()
        })
    }

    /// Whether there is no room for another call.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.calls.started() >= self.config.limits.max_calls
    }

    /// The calls that the page shows; `None` if there is no page.
    #[must_use]
    pub fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }

    pub(crate) fn admin(&self) -> &Admin {
        &self.admin
    }

    pub(crate) fn viewers(&self) -> &Arc<Semaphore> {
        &self.viewers
    }

    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    pub(crate) fn started_ms(&self) -> u64 {
        self.started_ms
    }

    pub(crate) fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    pub(crate) fn signer(&self) -> &TicketSigner {
        &self.signer
    }

    pub(crate) fn clock(&self) -> WallClock {
        self.dependencies.clock
    }

    pub(crate) fn refusal_log(&self) -> &LogLimit {
        &self.refusals
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

/// A random name. Without random bytes all instances have the same name, which does no harm.
fn instance_name() -> String {
    let mut random = [0; 3];
    let _ = SystemRandom::new().fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
