//! A service of its own for one call: with the settings of the environment, a simulated Twilio, and nothing that a test
//! should not reach: no real Twilio account, no production telemetry, no hand-off handler of somebody's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dialbridge_lab::agent::{LabAgent, ServedAgent};
use dialbridge_lab::net::{Net, Pipes};
use dialbridge_lab::served::Served;
use dialbridge_lab::twilio::{Account, SimulatedTwilio};
use dialbridge_net::dial::{Dial, Tcp};
use dialbridge_runner::call::tape_recorder::CallTape;
use dialbridge_runner::http;
use dialbridge_runner::service::{Dependencies, Service};
use dialbridge_runner::settings::{
    AgentConfig, Config, Endpoint, Platform, SettingErrors, Settings, no_setting, with_settings,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How connections are opened and accepted.
#[derive(Debug, Clone)]
pub struct Surroundings {
    dial: Arc<dyn Dial>,
    /// In place of sockets on the loopback address: then the clock may be a virtual one.
    pipes: Option<Pipes>,
}

impl Surroundings {
    /// Sockets. The service reaches its agent by `dial`.
    #[must_use]
    pub fn sockets(dial: Arc<dyn Dial>) -> Self {
        Self { dial, pipes: None }
    }

    /// Pipes within this process, for agents that are lab scripts.
    #[must_use]
    pub fn pipes() -> Self {
        let pipes = Pipes::default();
        Self { dial: Arc::new(pipes.clone()), pipes: Some(pipes) }
    }
}

/// A service, its lab agents and a simulated Twilio. All of it stops when this is dropped.
pub(super) struct Stack {
    /// The service's URL.
    pub(super) url: String,
    /// The edition of each agent by its name.
    pub(super) editions: BTreeMap<String, &'static str>,
    /// The default agent's name.
    pub(super) default_agent: String,
    pub(super) twilio: SimulatedTwilio,
    pub(super) service: Arc<Service>,
    /// The tapes of the calls that are over.
    pub(super) tapes: mpsc::Receiver<CallTape>,
    _tasks: JoinSet<()>,
    _served: (Option<Served>, Vec<ServedAgent>),
}

/// The auth token of the simulated account.
const TOKEN: &str = "the-tests-auth-token";

/// How many media streams of a call may end before one is read.
const TAPES: usize = 8;

/// Settings that lead out of a test. They are left out.
const LEADS_OUT: [&str; 14] = [
    "TWILIO_API_KEY_SID",
    "TWILIO_API_KEY_SECRET",
    "TWILIO_EDGE",
    "TWILIO_REGION",
    "TICKET_KEY",
    "ADMIN_TOKEN",
    "HISTORY_DIR",
    "RECORD_DIR",
    "OVERFLOW_URL",
    "FALLBACK_TWIML",
    "EVENT_WEBHOOK_URL",
    "STATUS_CALLBACK_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// Runs the tools that an agent asks for. A call reaches it only if its file or the command line names it.
const TOOLS: &str = "CES_TOOL_WEBHOOK_URL";

impl Stack {
    /// Starts a service with these settings. `own` are those of the call alone: they go before all others.
    pub(super) async fn start(surroundings: &Surroundings, given: &Settings, own: &[String]) -> Result<Self, String> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let told = |error: &dyn std::error::Error| error.to_string();
        let (mut tasks, mut served) = (JoinSet::new(), (None, Vec::new()));
        let net = match &surroundings.pipes {
            Some(pipes) => Net::Pipes(pipes.clone()),
            None => Net::Tcp,
        };
        let twilio = SimulatedTwilio::new(Account::new(Some(TOKEN)), net);
        let (rest_url, url, listener) = match &surroundings.pipes {
            Some(pipes) => {
                let rest = twilio.clone();
                accept(&mut tasks, pipes.listen(&format!("twilio-{n}.test:80")), move |pipe| {
                    let rest = rest.clone();
                    async move { rest.serve_rest(pipe).await }
                });
                (format!("http://twilio-{n}.test"), format!("http://service-{n}.test"), None)
            }
            None => {
                let rest = twilio.serve_rest_on_loopback().await.map_err(|error| told(&error))?;
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| told(&error))?;
                let address = listener.local_addr().map_err(|error| told(&error))?;
                let rest_url = rest.url();
                served.0 = Some(rest);
                (rest_url, format!("http://{address}"), Some(listener))
            }
        };
        let mut config = config(given, own, &url, &rest_url, twilio.account())?;
        for (name, agent) in &mut config.agents {
            let Some(lab) = &agent.lab else { continue };
            let lab = LabAgent::new(lab.script.clone());
            let endpoint = match &surroundings.pipes {
                Some(pipes) => {
                    let host = format!("agent-{n}-{name}.test");
                    tasks.spawn(lab.serve_on_pipes(pipes.listen(&format!("{host}:80"))));
                    format!("http://{host}")
                }
                None => {
                    let agent = lab.serve_on_loopback().await.map_err(|error| told(&error))?;
                    let endpoint = agent.endpoint();
                    served.1.push(agent);
                    endpoint
                }
            };
            agent.endpoint = Some(Endpoint { url: endpoint, is_plaintext: true });
        }
        let editions = config.agents.iter().map(|(name, agent)| (name.clone(), agent.address.edition())).collect();
        let default_agent = config.default_agent.clone();
        let (sender, tapes) = mpsc::channel(TAPES);
        let dial = surroundings.dial.clone();
        let dependencies = Dependencies { dial, tapes: Some(sender), ..Dependencies::default() };
        let service = Service::new(config, dependencies).map_err(|error| told(&error))?;
        match (&surroundings.pipes, listener) {
            (_, Some(listener)) => {
                tasks.spawn(http::serve(service.clone(), listener));
            }
            (Some(pipes), None) => {
                let serving = service.clone();
                accept(&mut tasks, pipes.listen(&format!("service-{n}.test:80")), move |pipe| {
                    http::serve_connection(serving.clone(), pipe)
                });
            }
            (None, None) => {}
        }
        Ok(Self { url, editions, default_agent, twilio, service, tapes, _tasks: tasks, _served: served })
    }

    /// The language of an agent's calls.
    pub(super) fn language(&self, agent: &str) -> Option<String> {
        self.service.config().agents.get(agent).map(|agent| agent.language.clone())
    }

    /// The voice-url.
    pub(super) fn voice_url(&self) -> String {
        format!("{}/twiml", self.url)
    }
}

/// The settings of a call, checked.
fn config(given: &Settings, own: &[String], url: &str, rest_url: &str, account: &Account) -> Result<Config, String> {
    let lines = |errors: &SettingErrors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let mut settings = given.clone();
    LEADS_OUT.iter().chain([&TOOLS]).for_each(|name| settings.set(name, ""));
    let (mut of_call, mut tools) = (Vec::new(), None);
    for change in own {
        let (name, value) = change.split_once('=').ok_or_else(|| format!("{change} has no '=', e.g. BARGE_IN=off"))?;
        if !settings.try_set(name, value) {
            return Err(no_setting(name));
        }
        of_call.extend(Settings::is_of_call(name).then(|| change.clone()));
        tools = if name == TOOLS { Some(value) } else { tools };
    }
    settings.set("PUBLIC_URL", url);
    settings.set("TWILIO_ACCOUNT_SID", account.sid.clone());
    settings.set("TWILIO_AUTH_TOKEN", TOKEN);
    settings.set("TWILIO_API_URL", rest_url);
    let mut config = settings.check(Platform::Elsewhere).map_err(|errors| lines(&errors))?;
    config.traces = None;
    config.admin_token = None;
    // A test of an agent is no test of another one that has a share of its callers, or takes over.
    config.shares.clear();
    config.backups.clear();
    for agent in config.agents.values_mut() {
        leave_out(agent, tools);
        agent.call = with_settings(&agent.call, agent.address.edition(), &of_call)?;
        agent.call.handoff.end_of_interaction_url = Some(format!("{rest_url}/handoff"));
    }
    Ok(config)
}

/// Leaves out what the agents' file names outside of the test.
fn leave_out(agent: &mut AgentConfig, tools: Option<&str>) {
    agent.events = None;
    agent.status_callback = None;
    agent.record_dir = None;
    agent.overflow_url = None;
    agent.call.handoff.fallback_twiml = None;
    agent.tools = agent.tools.take().filter(|webhook| tools == Some(webhook.url.as_str()));
    agent.call.has_tools = agent.tools.is_some();
}

fn accept<F: Future<Output = ()> + Send + 'static>(
    tasks: &mut JoinSet<()>,
    mut pipes: mpsc::Receiver<tokio::io::DuplexStream>,
    serve: impl Fn(tokio::io::DuplexStream) -> F + Send + 'static,
) {
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Some(pipe) = pipes.recv().await {
            connections.spawn(serve(pipe));
        }
    });
}

impl Default for Surroundings {
    fn default() -> Self {
        Self::sockets(Arc::new(Tcp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(given: &Settings, own: &[&str]) -> Config {
        let own: Vec<String> = own.iter().map(|change| (*change).to_owned()).collect();
        config(given, &own, "http://service.test", "http://twilio.test", &Account::new(Some(TOKEN))).unwrap()
    }

    #[test]
    fn a_call_posts_to_nothing_that_the_environment_or_the_agents_file_names() {
        let file = std::env::temp_dir().join(format!("dialbridge-stack-{}.toml", std::process::id()));
        let url = "https://example.com/live";
        let names = ["OVERFLOW_URL", "EVENT_WEBHOOK_URL", "STATUS_CALLBACK_URL", TOOLS, "END_OF_INTERACTION_URL"];
        let lines: Vec<String> = names.iter().map(|name| format!("{} = \"{url}\"", name.to_lowercase())).collect();
        let twiml = format!("<Response><Redirect>{url}</Redirect></Response>");
        let agent = "dialogflow_agent = \"projects/p/locations/l/apps/a\"";
        let table = format!("[agents.sales]\n{agent}\nfallback_twiml = \"{twiml}\"\n{}\n", lines.join("\n"));
        std::fs::write(&file, table).unwrap();
        let mut environment = Settings::of(names.map(|name| (name, url)));
        environment.set("FALLBACK_TWIML", twiml);
        let mut in_file = environment.clone();
        in_file.set("DIALBRIDGE_CONFIG", file.display().to_string());
        for given in [&environment, &in_file] {
            let config = checked(given, &[]);
            for agent in config.agents.values() {
                assert!(!format!("{agent:?}").contains(url), "{agent:?}");
                assert!(agent.events.is_none() && agent.status_callback.is_none() && !agent.call.has_tools);
            }
        }
        let named = checked(&in_file, &["CES_TOOL_WEBHOOK_URL=https://example.com/live"]);
        std::fs::remove_file(&file).unwrap();
        assert!(named.agents["sales"].call.has_tools, "its own file names it");
    }

    #[test]
    fn the_settings_of_a_call_go_before_all_others_even_back_to_a_default() {
        let given = Settings::of([("BARGE_IN", "off"), ("SPEAKING_RATE", "2")]);
        let config = checked(&given, &["BARGE_IN=speech", "SPEAKING_RATE=1.5"]);
        let agent = &config.agents[&config.default_agent];
        assert_eq!(agent.call.barge_in.mode, dialbridge_core::config::BargeInMode::Speech);
        assert_eq!(agent.speech.speaking_rate, Some(1.5));
    }
}
