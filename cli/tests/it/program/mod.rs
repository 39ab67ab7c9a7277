//! The program in a process of its own, and the lab around it.

mod terminal;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use dialbridge_lab::agent::{LabAgent, Script, ServedAgent};
use dialbridge_lab::net::Net;
use dialbridge_lab::served::Served;
use dialbridge_lab::twilio::{Account, PhoneNumber, SimulatedTwilio};
use serde_json::Value;

pub(crate) use terminal::Terminal;

/// The account's token: a secret, like everything called `planted`.
pub(crate) const PLANTED_TOKEN: &str = "planted-auth-token-0123456789";

/// An agent and a Twilio on ports of their own.
pub(crate) struct Lab {
    pub(crate) agent: ServedAgent,
    pub(crate) twilio: SimulatedTwilio,
    pub(crate) rest: Served,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        let agent = LabAgent::new(Script::bakery().unwrap()).serve_on_loopback().await.unwrap();
        let twilio = SimulatedTwilio::new(Account::new(Some(PLANTED_TOKEN)), Net::Tcp);
        let rest = twilio.serve_rest_on_loopback().await.unwrap();
        Self { agent, twilio, rest }
    }

    /// Points a number of the account to a service.
    pub(crate) fn point(&self, number: &str, service: &str) {
        self.twilio.account_state().numbers = vec![PhoneNumber::leading_to(1, number, service)];
    }
}

/// An empty folder for a test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("program").join(name);
    // Before the first run there is none.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The program in that folder, without the developer's environment.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialbridge"));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder).current_dir(folder);
    command
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) errors: String,
}

/// Runs it to its end with that input.
pub(crate) async fn run(mut command: Command, input: &str) -> Run {
    let input = input.to_owned();
    let done = tokio::task::spawn_blocking(move || {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // The program may end before it has read all input.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().unwrap()
    });
    let Output { status, stdout, stderr } = done.await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: status.code().unwrap(), output: text(stdout), errors: text(stderr) }
}

/// A service on a port of its own, unless the command names one; it runs until this is dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: SocketAddr,
    /// A line for each agent.
    pub(crate) first_lines: Vec<Value>,
    log: Receiver<String>,
}

impl Service {
    /// Starts it and waits for its first line.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::with_agents(1, command)
    }

    /// Starts it and waits for as many lines as there are agents.
    pub(crate) fn with_agents(count: usize, command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let first_lines: Vec<Value> =
            lines.by_ref().take(count).map(|line| serde_json::from_str(&line).unwrap()).collect();
        let port = u16::try_from(first_lines[0]["port"].as_u64().unwrap()).unwrap();
        let (sender, log) = sync_channel(1_000);
        // The log must be read to its end, or the service would block on writing.
        std::thread::spawn(move || lines.for_each(|line| drop(sender.try_send(line))));
        Self { child, address: ([127, 0, 0, 1], port).into(), first_lines, log }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The lines of its log with these words, since this was last called.
    pub(crate) fn lines_with(&self, words: &str) -> Vec<String> {
        self.log.try_iter().filter(|line| line.contains(words)).collect()
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap().success());
    }

    pub(crate) fn exit_code(mut self) -> Option<i32> {
        self.wait()
    }

    /// Waits until it has ended. Returns its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
