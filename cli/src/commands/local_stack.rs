//! A service, the lab's agent and a simulated Twilio, each on a port of its own, for calls that need nothing else.

use std::path::Path;

use dialbridge_lab::agent::{Edition, LabAgent, ServedAgent};
use dialbridge_lab::net::Net;
use dialbridge_lab::served::Served;
use dialbridge_lab::twilio::{Account, SimulatedTwilio};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::faults::Faults;
use dialbridge_runner::call::watch::{Observed, Watch};
use dialbridge_runner::http;
use dialbridge_runner::service::{Dependencies, Service};
use dialbridge_runner::settings::{Endpoint, Platform, Settings};

/// How many of the service's reports may wait to be printed.
const QUEUE: usize = 256;

/// The service's timeout for an agent that is made to fail, so that nobody watches half a minute of silence.
const ANSWER_SECONDS: &str = "8";

/// The whole stack; it stops when this is dropped.
pub(super) struct LocalStack {
    /// The service's URL.
    pub(super) url: String,
    /// Twilio.
    pub(super) twilio: SimulatedTwilio,
    /// The service's reports.
    pub(super) observed: mpsc::Receiver<Observed>,
    _running: (ServedAgent, Served, JoinSet<()>),
}

impl LocalStack {
    /// Starts it with the embedded agent, which fails as given, served as that edition.
    pub(super) async fn start(faults: &Faults, edition: Edition, record: Option<&Path>) -> Result<Self, String> {
        let told = |error: &dyn std::error::Error| error.to_string();
        let agent = LabAgent::new(faults.bakery()?).serve_on_loopback().await.map_err(|error| told(&error))?;
        let twilio = SimulatedTwilio::new(Account::new(Some("the-demos-auth-token")), Net::Tcp);
        let rest = twilio.serve_rest_on_loopback().await.map_err(|error| told(&error))?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| told(&error))?;
        let url = format!("http://{}", listener.local_addr().map_err(|error| told(&error))?);
        let account = twilio.account();
        let settings = Settings::of([
            ("DIALOGFLOW_AGENT", edition.agent_name().to_owned()),
            ("PUBLIC_URL", url.clone()),
            ("TWILIO_ACCOUNT_SID", account.sid.clone()),
            ("TWILIO_AUTH_TOKEN", account.auth_token.clone().unwrap_or_default()),
            ("TWILIO_API_URL", rest.url()),
            ("END_OF_INTERACTION_URL", format!("{}/handoff", rest.url())),
            ("ANSWER_SECONDS", faults.agent.map(|_| ANSWER_SECONDS.to_owned()).unwrap_or_default()),
            ("RECORD_DIR", record.map(|folder| folder.display().to_string()).unwrap_or_default()),
        ]);
        let mut config = settings.check(Platform::Elsewhere).map_err(|error| told(&error))?;
        config.default_agent_mut().endpoint = Some(Endpoint { url: agent.endpoint(), is_plaintext: true });
        let (observer, observed) = mpsc::channel(QUEUE);
        let parts = Dependencies { watch: Some(Watch::into_channel(observer)), ..Dependencies::default() };
        let service = Service::new(config, parts).map_err(|error| told(&error))?;
        let mut serving = JoinSet::new();
        serving.spawn(http::serve(service, listener));
        Ok(Self { url, twilio, observed, _running: (agent, rest, serving) })
    }
}
