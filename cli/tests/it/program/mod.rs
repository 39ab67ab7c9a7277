//! The program in a process of its own, and the lab around it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use dialbridge_lab::agent::{LabAgent, Script, ServedAgent};
use dialbridge_lab::net::Net;
use dialbridge_lab::twilio::{Account, PhoneNumber, ServedRest, SimulatedTwilio};

/// The account's token: a secret, like everything called `planted`.
pub(crate) const PLANTED_TOKEN: &str = "planted-auth-token-0123456789";

/// An agent and a Twilio on ports of their own.
pub(crate) struct Lab {
    pub(crate) agent: ServedAgent,
    pub(crate) twilio: SimulatedTwilio,
    pub(crate) rest: ServedRest,
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

/// A service that runs until this is dropped.
pub(crate) struct Service {
    child: Child,
}

impl Service {
    /// Starts it and waits for its first line.
    pub(crate) async fn start(mut command: Command) -> Self {
        tokio::task::spawn_blocking(move || {
            let mut child = command.arg("serve").stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            assert!(line.contains("serving"), "{line}");
            // The log must be read to its end, or the service would block on writing.
            std::thread::spawn(move || lines.lines().map_while(Result::ok).for_each(drop));
            Self { child }
        })
        .await
        .unwrap()
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
