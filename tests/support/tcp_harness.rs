//! A service, its agent and Twilio on loopback sockets, with the real clock.

use std::sync::Arc;

use dialbridge_core::Report;
use dialbridge_lab::agent::{LabAgent, ServedAgent, TurnRecord};
use dialbridge_lab::net::Net;
use dialbridge_lab::served::Served;
use dialbridge_lab::twilio::{Account, CallPlan, CallRecord, CallerStep, SimulatedTwilio};
use dialbridge_runner::call::watch::{Observed, Watch};
use dialbridge_runner::service::{Dependencies, Service};
use dialbridge_runner::settings::{Config, Endpoint, Platform, Settings};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::{Edition, TOKEN, parsed};

/// How many reports can wait before a test reads them.
const REPORTS: usize = 10_000;

/// All three. Dropping it ends them.
pub struct TcpHarness {
    /// The agent.
    pub agent: LabAgent,
    /// Twilio.
    pub twilio: SimulatedTwilio,
    /// The service.
    pub service: Arc<Service>,
    /// The number's voice-url.
    pub voice_url: String,
    reports: mpsc::Receiver<Observed>,
    _served: (ServedAgent, Served, JoinSet<()>),
}

impl TcpHarness {
    /// Starts a service with an agent of that script. `change` may change the configuration.
    pub async fn start(edition: Edition, script: &str, change: impl FnOnce(&mut Config)) -> Self {
        let (observer, reports) = mpsc::channel(REPORTS);
        Self::watched(edition, script, change, &Handle::current(), (Watch::into_channel(observer), reports)).await
    }

    /// Like [`start`](Self::start), but the service has its own runtime, and `watch` gets the reports instead of
    /// keeping them.
    pub async fn start_apart(
        edition: Edition,
        script: &str,
        change: impl FnOnce(&mut Config),
        runtime: &Handle,
        watch: impl Fn(&Observed) + Send + Sync + 'static,
    ) -> Self {
        let (_, reports) = mpsc::channel(1);
        Self::watched(edition, script, change, runtime, (Watch(Arc::new(watch)), reports)).await
    }

    async fn watched(
        edition: Edition,
        script: &str,
        change: impl FnOnce(&mut Config),
        runtime: &Handle,
        (watch, reports): (Watch, mpsc::Receiver<Observed>),
    ) -> Self {
        let agent = LabAgent::recording(parsed(script));
        let served_agent = agent.serve_on_loopback().await.unwrap();
        let twilio = SimulatedTwilio::new(Account::new(Some(TOKEN)), Net::Tcp);
        let rest = twilio.serve_rest_on_loopback().await.unwrap();
        let listener = runtime.spawn(TcpListener::bind(("127.0.0.1", 0))).await.unwrap().unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut settings = Settings::of([
            ("PUBLIC_URL", url.as_str()),
            ("TWILIO_ACCOUNT_SID", &twilio.account().sid),
            ("TWILIO_AUTH_TOKEN", TOKEN),
            ("TWILIO_API_URL", &rest.url()),
            ("END_OF_INTERACTION_URL", &format!("{}/handoff", rest.url())),
        ]);
        edition.apply(&mut settings);
        let mut config = settings.check(Platform::Elsewhere).unwrap();
        config.default_agent_mut().endpoint = Some(Endpoint { url: served_agent.endpoint(), is_plaintext: true });
        change(&mut config);
        let parts = Dependencies { watch: Some(watch), ..Dependencies::default() };
        let service = runtime.spawn(async { Service::new(config, parts).unwrap() }).await.unwrap();
        let mut serving = JoinSet::new();
        serving.spawn_on(dialbridge_runner::http::serve(service.clone(), listener), runtime);
        let voice_url = format!("{url}/twiml");
        Self { agent, twilio, service, voice_url, reports, _served: (served_agent, rest, serving) }
    }

    /// Plays a call to its end.
    pub async fn call(&self, steps: Vec<CallerStep>) -> CallRecord {
        self.twilio.call(CallPlan::new(&self.voice_url, steps)).await
    }

    /// The agent's input in a call.
    #[must_use]
    pub fn turns(&self, call: &CallRecord) -> Vec<TurnRecord> {
        self.agent.record().turns(&call.call_sid)
    }

    /// The service's reports since the last time.
    pub fn reports(&mut self) -> Vec<(Instant, Report)> {
        std::iter::from_fn(|| self.reports.try_recv().ok()).map(|observed| (observed.at, observed.report)).collect()
    }
}
