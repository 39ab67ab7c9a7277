//! The processes of a load: the service or the relay, and the agent. Each is this program with another command.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dialbridge_lab::agent::Edition;
use dialbridge_lab::load::AgentFigures;
use dialbridge_lab::load::process::{Usage, pinned};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::load_agent::{BEGIN, REPORT};
use crate::args::{LoadArgs, LoadTarget};
use dialbridge_net::proxy;
use dialbridge_runner::settings::Settings;

/// How long a process may take to start, and the agent to answer.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// How many of the service's warnings and errors are kept.
const MAX_COMPLAINTS: usize = 5;

/// How a log line of a warning or an error begins.
const COMPLAINTS: [&str; 2] = [r#""severity":"WARNING""#, r#""severity":"ERROR""#];

/// The auth token of a service that is started for a load.
pub(super) const TOKEN: &str = "the-loads-auth-token";

/// A child process; it ends when this is dropped.
#[derive(Debug)]
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts this program with other arguments.
    fn start(arguments: &[&str], environment: &[(String, String)], core: Option<usize>) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        // Neither the environment nor a `.env` may make one load differ from the next.
        for name in Settings::names().chain(proxy::variables()) {
            command.env_remove(name);
        }
        command.envs(environment.iter().cloned()).current_dir(std::env::temp_dir());
        // A child inherits the core of the thread that starts it, from its first instruction on.
        let _guard = core.map(pinned).transpose().map_err(|error| format!("core {core:?}: {error}"))?;
        let mut child = command.spawn().map_err(|error| format!("{arguments:?} cannot be started: {error}"))?;
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        Ok(Self { child, lines })
    }

    fn pid(&self) -> Result<u32, String> {
        self.child.id().ok_or_else(|| "a process has ended".to_owned())
    }

    fn usage(&self) -> Result<Usage, String> {
        Usage::of(self.pid()?).map_err(|error| format!("a process has ended: {error}"))
    }
}

/// The agent's process.
#[derive(Debug)]
pub(super) struct AgentProcess {
    process: Process,
    input: ChildStdin,
    port: u16,
}

impl AgentProcess {
    pub(super) async fn start(port: u16, load: &LoadArgs, core: Option<usize>) -> Result<Self, String> {
        let (port, seconds) = (port.to_string(), load.long_answers.map(|seconds| seconds.to_string()));
        let mut arguments = vec!["load-agent", "--port", &port];
        arguments.extend(load.failing.then_some("--faults"));
        let distance = load.distance.map(|ms| ms.to_string());
        arguments.extend(distance.iter().flat_map(|ms| ["--distance", ms.as_str()]));
        arguments.extend(seconds.iter().flat_map(|seconds| ["--long-answers", seconds.as_str()]));
        let mut process = Process::start(&arguments, &[], core)?;
        let input = process.child.stdin.take().ok_or("no input")?;
        let told = timeout(START_TIMEOUT, process.lines.next_line()).await.ok().and_then(Result::ok).flatten();
        let told: Option<Value> = told.and_then(|line| serde_json::from_str(&line).ok());
        let port = told.and_then(|told| u16::try_from(told.get("port")?.as_u64()?).ok());
        let port = port.ok_or("the load's agent did not start")?;
        Ok(Self { process, input, port })
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Begins the measuring window.
    pub(super) async fn begin(&mut self) -> Result<(), String> {
        self.tell(BEGIN).await.map(drop)
    }

    pub(super) async fn report(&mut self) -> Result<AgentFigures, String> {
        self.tell(REPORT).await
    }

    pub(super) fn usage(&self) -> Result<Usage, String> {
        self.process.usage()
    }

    async fn tell(&mut self, word: &str) -> Result<AgentFigures, String> {
        let answer = async {
            self.input.write_all(format!("{word}\n").as_bytes()).await.ok()?;
            serde_json::from_str(&self.process.lines.next_line().await.ok()??).ok()
        };
        timeout(START_TIMEOUT, answer).await.ok().flatten().ok_or_else(|| "the load's agent does not answer".to_owned())
    }
}

/// The process of the service, or of the relay.
#[derive(Debug)]
pub(super) struct ServiceProcess {
    port: u16,
    pid: u32,
    complaints: Arc<Mutex<Vec<String>>>,
    _reading: JoinSet<()>,
}

/// What to start.
pub(super) struct ServiceSpec<'a> {
    pub(super) against: LoadTarget,
    pub(super) edition: Edition,
    /// The agent's URL.
    pub(super) agent: &'a str,
    pub(super) calls: u16,
    pub(super) settings: &'a [(String, String)],
    pub(super) core: Option<usize>,
}

impl ServiceSpec<'_> {
    fn start(&self, port: u16) -> Result<Process, String> {
        let port = port.to_string();
        match self.against {
            LoadTarget::Relay | LoadTarget::CoalescingRelay => {
                let message_ms = if self.against == LoadTarget::Relay { "20" } else { "60" };
                let transport = self.settings.iter().rfind(|(name, _)| name == "CES_TRANSPORT");
                let transport = transport.map_or("websocket", |(_, transport)| transport);
                let (agent, edition) = (self.agent, self.edition.name());
                let whom = ["--agent", agent, "--edition", edition, "--transport", transport];
                let how = ["--port", &port, "--message-ms", message_ms];
                Process::start(&[&["relay"][..], &whom, &how].concat(), &[], self.core)
            }
            LoadTarget::Service => {
                let own = [
                    ("HOST", "127.0.0.1".to_owned()),
                    ("PORT", port),
                    ("DIALOGFLOW_AGENT", agent_name(self.edition).to_owned()),
                    ("DIALOGFLOW_ENDPOINT", self.agent.to_owned()),
                    ("TWILIO_AUTH_TOKEN", TOKEN.to_owned()),
                    ("MAX_CALLS", self.calls.to_string()),
                ];
                let own = own.map(|(name, value)| (name.to_owned(), value));
                let environment: Vec<(String, String)> = own.into_iter().chain(self.settings.iter().cloned()).collect();
                Process::start(&["serve"], &environment, self.core)
            }
        }
    }
}

/// The name of the load's agent.
fn agent_name(edition: Edition) -> &'static str {
    match edition {
        Edition::Cx => "projects/p/locations/global/agents/load",
        Edition::Es => "projects/p/agent",
        Edition::Ces => "projects/p/locations/global/apps/load",
    }
}

impl ServiceProcess {
    /// Starts it, and waits until it is ready.
    pub(super) async fn start(spec: &ServiceSpec<'_>) -> Result<Self, String> {
        let port = free_port().map_err(|error| format!("no free port: {error}"))?;
        let process = spec.start(port)?;
        let complaints = Arc::default();
        let pid = process.pid()?;
        let mut reading = JoinSet::new();
        reading.spawn(read_log(process, Arc::clone(&complaints)));
        let service = Self { port, pid, complaints, _reading: reading };
        match timeout(START_TIMEOUT, ready(port)).await {
            Ok(()) => Ok(service),
            Err(_) => Err(format!("the service does not become ready: {}", service.complaints().join("; "))),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn usage(&self) -> Result<Usage, String> {
        Usage::of(self.pid).map_err(|error| format!("the service has ended: {error}"))
    }

    /// The first of its warnings and errors.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads the log to its end, or the service would block on writing; keeps warnings and errors. Dropping this
/// ends the process.
async fn read_log(mut process: Process, complaints: Arc<Mutex<Vec<String>>>) {
    while let Ok(Some(line)) = process.lines.next_line().await {
        if !COMPLAINTS.iter().any(|severity| line.contains(severity)) {
            continue;
        }
        let mut complaints = complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.len() < MAX_COMPLAINTS {
            complaints.push(line);
        }
    }
}

/// A port that nobody listens on. It is very likely still free a moment later; if not, the service reports it.
fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Returns when the service reports that it is ready.
async fn ready(port: u16) {
    while !is_ready(port).await.unwrap_or(false) {
        sleep(Duration::from_millis(20)).await;
    }
}

async fn is_ready(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}
