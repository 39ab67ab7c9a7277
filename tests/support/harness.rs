//! Starts a harness.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use dialbridge_core::report::AudioAccount;
use dialbridge_core::{CallConfig, Report};
use dialbridge_lab::agent::{LabAgent, Script, StreamRecord, TurnRecord};
use dialbridge_lab::google::{Storage, TextToSpeech};
use dialbridge_lab::net::{Net, Pipes};
use dialbridge_lab::twilio::{Account, CallPlan, CallRecord, CallerStep, SimulatedTwilio};
use dialbridge_runner::call::watch::{Observed, Watch};
use dialbridge_runner::http::serve_connection;
use dialbridge_runner::service::{Dependencies, Service};
use dialbridge_runner::settings::{Config, Endpoint, Platform, Settings};
use dialbridge_runner::telemetry::clock::WallClock;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::temp_file::TempFile;

/// The account's token.
pub const TOKEN: &str = "the-tests-auth-token";

/// The service's URL.
pub const SERVICE_URL: &str = "http://service.test";

/// Where calls go when the agent is done.
pub const END_URL: &str = "http://api.twilio.test/handoff";

/// How many reports can wait before a test reads them.
const REPORTS: usize = 100_000;

/// 2026-11-23, in milliseconds since 1970.
const BEGAN_MS: u64 = 1_795_392_000_000;

/// The agents with which a conversation must go the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// Dialogflow CX.
    Cx,
    /// Dialogflow ES with its stable API.
    EsV2,
    /// Dialogflow ES with its beta API.
    EsV2Beta1,
    /// The Customer Engagement Suite over WebSockets.
    CesWebSocket,
    /// The Customer Engagement Suite over gRPC.
    CesGrpc,
}

impl Edition {
    /// The editions with one stream for each turn. Their input is recorded turn by turn.
    pub const ALL: [Self; 3] = [Self::Cx, Self::EsV2, Self::EsV2Beta1];

    /// The editions with one stream for the whole call.
    pub const CES: [Self; 2] = [Self::CesWebSocket, Self::CesGrpc];

    /// All editions.
    pub const ANY: [Self; 5] = [Self::Cx, Self::EsV2, Self::EsV2Beta1, Self::CesWebSocket, Self::CesGrpc];

    /// Whether it is Dialogflow ES.
    #[must_use]
    pub fn is_es(self) -> bool {
        matches!(self, Self::EsV2 | Self::EsV2Beta1)
    }

    /// Whether the whole call is one stream.
    #[must_use]
    pub fn is_ces(self) -> bool {
        matches!(self, Self::CesWebSocket | Self::CesGrpc)
    }

    pub(crate) fn apply(self, settings: &mut Settings) {
        let (served_as, api, transport) = match self {
            Self::Cx => (dialbridge_lab::agent::Edition::Cx, None, None),
            Self::EsV2 => (dialbridge_lab::agent::Edition::Es, Some("v2"), None),
            Self::EsV2Beta1 => (dialbridge_lab::agent::Edition::Es, Some("v2beta1"), None),
            Self::CesWebSocket => (dialbridge_lab::agent::Edition::Ces, None, Some("websocket")),
            Self::CesGrpc => (dialbridge_lab::agent::Edition::Ces, None, Some("grpc")),
        };
        settings.set("DIALOGFLOW_AGENT", served_as.agent_name());
        settings.set("DIALOGFLOW_ES_API", api.unwrap_or_default());
        settings.set("CES_TRANSPORT", transport.unwrap_or_default());
    }
}

/// An agent, a Twilio and a service.
pub struct Harness {
    /// The agent.
    pub agent: LabAgent,
    /// Further agents, by name.
    pub agents: BTreeMap<String, LabAgent>,
    /// Twilio.
    pub twilio: SimulatedTwilio,
    /// Serves the recordings that agents name by `gs:` addresses.
    pub storage: Storage,
    /// Synthesises the texts that agents leave to their client.
    pub text_to_speech: TextToSpeech,
    /// The service.
    pub service: Arc<Service>,
    /// The pipes between them.
    pub pipes: Pipes,
    reports: mpsc::Receiver<Observed>,
    _tasks: JoinSet<()>,
}

/// The settings of a harness.
pub struct HarnessBuilder {
    script: Script,
    more: BTreeMap<String, Script>,
    file: Option<String>,
    settings: Settings,
    changes: Vec<Change>,
    watch: Option<Watch>,
}

type Change = Box<dyn FnOnce(&mut Config)>;

impl HarnessBuilder {
    /// Serves the agent as that edition; CX by default.
    #[must_use]
    pub fn edition(mut self, edition: Edition) -> Self {
        edition.apply(&mut self.settings);
        self
    }

    /// Passes reports to `watch` instead of keeping them.
    #[must_use]
    pub fn watched_by(mut self, watch: impl Fn(&Observed) + Send + Sync + 'static) -> Self {
        self.watch = Some(Watch(Arc::new(watch)));
        self
    }

    /// Changes the settings.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Also configures the service from that TOML file. Its agents are the harness's agent, except those with a script
    /// of their own.
    #[must_use]
    pub fn file(mut self, toml: &str) -> Self {
        self.file = Some(toml.to_owned());
        self
    }

    /// Gives an agent of the file its own script.
    #[must_use]
    pub fn agent(mut self, name: &str, script: &str) -> Self {
        self.more.insert(name.to_owned(), parsed(script));
        self
    }

    /// Changes the configuration that results from the settings.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut Config) + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// Changes the call configuration of the default agent.
    #[must_use]
    pub fn each_call(self, change: impl FnOnce(&mut CallConfig) + 'static) -> Self {
        self.config(|config| change(&mut config.default_agent_mut().call))
    }

    /// Starts the harness.
    #[must_use]
    pub fn start(mut self) -> Harness {
        let pipes = Pipes::default();
        let mut tasks = JoinSet::new();
        let mut serve = |host: &str, script| serve_agent(&pipes, host, script, &mut tasks);
        let agent = serve("agent.test", self.script);
        let more = self.more.into_iter().map(|(name, script)| (name.clone(), serve(&format!("{name}.test"), script)));
        let agents: BTreeMap<String, LabAgent> = more.collect();

        // Of a list the first token is the account's.
        let token = self.settings.given("TWILIO_AUTH_TOKEN").and_then(|tokens| tokens.split(',').next());
        let twilio = SimulatedTwilio::new(Account::new(token), Net::Pipes(pipes.clone()));
        let rest = twilio.clone();
        tasks.spawn(accept(pipes.listen("api.twilio.test:80"), move |pipe| {
            let rest = rest.clone();
            async move { rest.serve_rest(pipe).await }
        }));

        let (storage, text_to_speech) = (Storage::default(), TextToSpeech::default());
        let (stored, synthesizer) = (storage.clone(), text_to_speech.clone());
        tasks.spawn(accept(pipes.listen("storage.test:80"), move |pipe| {
            let stored = stored.clone();
            async move { stored.serve(pipe).await }
        }));
        tasks.spawn(accept(pipes.listen("texttospeech.test:80"), move |pipe| {
            let synthesizer = synthesizer.clone();
            async move { synthesizer.serve(pipe).await }
        }));

        let file = self.file.map(|toml| TempFile::write(&toml));
        if let Some(file) = &file {
            self.settings.set("DIALBRIDGE_CONFIG", file.path());
        }
        let mut config = self.settings.check(Platform::Elsewhere).expect("the test's settings are right");
        for (name, agent) in &mut config.agents {
            let host = if agents.contains_key(name) { format!("{name}.test") } else { "agent.test".to_owned() };
            agent.endpoint = Some(Endpoint { url: format!("http://{host}"), is_plaintext: true });
        }
        for agent in config.agents.values_mut() {
            agent.prompts.storage_endpoint = "http://storage.test".to_owned();
            agent.prompts.text_to_speech_endpoint = "http://texttospeech.test".to_owned();
        }
        for change in self.changes {
            change(&mut config);
        }
        let (observer, reports) = mpsc::channel(REPORTS);
        let parts = Dependencies {
            dial: Arc::new(pipes.clone()),
            clock: WallClock::Since { began_ms: BEGAN_MS, at: Instant::now() },
            watch: Some(self.watch.unwrap_or_else(|| Watch::into_channel(observer))),
            tapes: None,
        };
        let service = Service::new(config, parts).expect("the service starts");
        let serving = service.clone();
        tasks.spawn(accept(pipes.listen("service.test:80"), move |pipe| serve_connection(serving.clone(), pipe)));
        Harness { agent, agents, twilio, storage, text_to_speech, service, pipes, reports, _tasks: tasks }
    }
}

fn serve_agent(pipes: &Pipes, host: &str, script: Script, tasks: &mut JoinSet<()>) -> LabAgent {
    let agent = LabAgent::recording(script);
    let incoming = ReceiverStream::new(pipes.listen(&format!("{host}:80"))).map(Ok::<_, io::Error>);
    let serving = agent.clone();
    tasks.spawn(async move { serving.serve(incoming).await });
    agent
}

pub(crate) fn parsed(toml: &str) -> Script {
    let no_file = |_: &str| Err(io::ErrorKind::NotFound.into());
    Script::parse(toml, "the test's script", &no_file).expect("the test's script is right")
}

async fn accept<F: Future<Output = ()> + Send + 'static>(
    mut pipes: mpsc::Receiver<tokio::io::DuplexStream>,
    serve: impl Fn(tokio::io::DuplexStream) -> F,
) {
    let mut connections = JoinSet::new();
    while let Some(pipe) = pipes.recv().await {
        connections.spawn(serve(pipe));
    }
}

impl Harness {
    /// A harness whose agent has that script and hands its calls off to [`END_URL`].
    #[must_use]
    pub fn with(script: Script) -> HarnessBuilder {
        let settings = Settings::of([
            ("DIALOGFLOW_AGENT", dialbridge_lab::agent::Edition::Cx.agent_name()),
            ("PUBLIC_URL", SERVICE_URL),
            ("TWILIO_ACCOUNT_SID", &Account::new(Some(TOKEN)).sid),
            ("TWILIO_AUTH_TOKEN", TOKEN),
            ("TWILIO_API_URL", "http://api.twilio.test"),
            ("END_OF_INTERACTION_URL", END_URL),
            // A story says when the agent speaks. The wait for the variables has stories of its own.
            ("CES_VARIABLES_MS", "0"),
        ]);
        HarnessBuilder { script, more: BTreeMap::new(), file: None, settings, changes: Vec::new(), watch: None }
    }

    /// A harness whose agent follows a script without recordings.
    #[must_use]
    pub fn with_script(toml: &str) -> HarnessBuilder {
        Self::with(parsed(toml))
    }

    /// Plays a call to its end.
    pub async fn call(&self, steps: Vec<CallerStep>) -> CallRecord {
        self.twilio.call(self.plan(steps)).await
    }

    /// A call to this harness's service.
    #[must_use]
    pub fn plan(&self, steps: Vec<CallerStep>) -> CallPlan {
        let plan = CallPlan::new(format!("{SERVICE_URL}/twiml"), steps);
        CallPlan { hang_up_after: Duration::from_secs(8), ..plan }
    }

    /// The input of an agent with its own script, in a call.
    #[must_use]
    pub fn turns_of(&self, agent: &str, call: &CallRecord) -> Vec<TurnRecord> {
        self.agents[agent].record().turns(&call.call_sid)
    }

    /// The agent's input in a call.
    #[must_use]
    pub fn turns(&self, call: &CallRecord) -> Vec<TurnRecord> {
        self.agent.record().turns(&call.call_sid)
    }

    /// The agent's input other than audio in a call, in order: events, texts, digits.
    #[must_use]
    pub fn inputs(&self, call: &CallRecord) -> Vec<String> {
        let of_turns = self.turns(call).into_iter().filter(|turn| turn.input != "audio").map(|turn| turn.text);
        let of_streams = self.streams(call).into_iter().flat_map(|stream| stream.inputs);
        of_turns.chain(of_streams.map(|input| input.text)).collect()
    }

    /// The values of that parameter that the agent got in a call, in order.
    #[must_use]
    pub fn parameter(&self, call: &CallRecord, name: &str) -> Vec<Value> {
        let of_turns = self.turns(call).into_iter().map(|turn| turn.parameters);
        let of_streams = self.streams(call).into_iter().flat_map(|stream| stream.variables);
        of_turns.chain(of_streams).filter_map(|told| told.get(name).cloned()).collect()
    }

    /// The input of a CES agent in a call, stream by stream.
    #[must_use]
    pub fn streams(&self, call: &CallRecord) -> Vec<StreamRecord> {
        self.agent.record().streams(&call.call_sid)
    }

    /// All caller audio that reached the agent, in order, in the agent's input coding.
    #[must_use]
    pub fn audio(&self, call: &CallRecord) -> Vec<u8> {
        let of_turns = self.turns(call).into_iter().flat_map(|turn| turn.audio);
        of_turns.chain(self.streams(call).into_iter().flat_map(|stream| stream.audio)).collect()
    }

    /// The caller's audio account, from the last report of the last call.
    ///
    /// # Panics
    /// If no call has ended since the reports were last taken.
    pub fn account(&mut self) -> AudioAccount {
        account(&self.reports())
    }

    /// The service's reports since the last time.
    pub fn reports(&mut self) -> Vec<Report> {
        std::iter::from_fn(|| self.reports.try_recv().ok()).map(|observed| observed.report).collect()
    }
}

/// The caller's audio account, from the last report of a call.
///
/// # Panics
/// If the call has not ended.
#[must_use]
pub fn account(reports: &[Report]) -> AudioAccount {
    let ended = reports.iter().rev().find_map(|report| match report {
        Report::Ended { audio, .. } => Some(*audio),
        _ => None,
    });
    ended.expect("the call has ended")
}
