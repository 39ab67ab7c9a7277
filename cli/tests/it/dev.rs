//! `dev` as people use it: against the lab's Twilio, with a front end of one's own or a stand-in for a tunnel.
#![cfg(feature = "lab")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use dialbridge_lab::twilio::{CallPlan, CallerStep, PhoneNumber, When};

use crate::program::{Lab, PLANTED_TOKEN, Service, folder, program, run};

const KEPT: &str = ".dialbridge-number.json";
const NUMBER: &str = "+15550100";

/// The line that says that the number is pointed.
const POINTED: &str = "Ctrl-C ends";

fn before() -> PhoneNumber {
    PhoneNumber { voice_application_sid: "AP1".to_owned(), ..PhoneNumber::leading_to(1, NUMBER, "https://old.test") }
}

async fn lab() -> Lab {
    let lab = Lab::start().await;
    lab.twilio.account_state().numbers = vec![before()];
    lab
}

/// Where the number's calls go.
fn goes_to(lab: &Lab) -> (String, String) {
    let number = lab.twilio.account_state().numbers[0].clone();
    (number.voice_url, number.voice_application_sid)
}

fn is_put_back(lab: &Lab, folder: &Path) -> bool {
    goes_to(lab) == (before().voice_url, before().voice_application_sid) && !folder.join(KEPT).exists()
}

fn with_account(mut command: Command, lab: &Lab) -> Command {
    command
        .env("TWILIO_ACCOUNT_SID", &lab.twilio.account().sid)
        .env("TWILIO_AUTH_TOKEN", PLANTED_TOKEN)
        .env("TWILIO_API_URL", lab.rest.url());
    command
}

fn dev(folder: &Path, lab: &Lab, port: u16) -> Command {
    let mut command = with_account(program(folder), lab);
    command.args(["dev", "--number", NUMBER]).env("PORT", port.to_string());
    command
}

/// A port below those that the system gives to whoever asks for any, so that nobody takes it before `dev` does.
fn reserved_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 1_000).unwrap() * 10;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed)).find(is_free).unwrap()
}

fn dev_at_url(folder: &Path, lab: &Lab) -> (Command, String) {
    let port = reserved_port();
    let (mut command, url) = (dev(folder, lab, port), format!("http://127.0.0.1:{port}"));
    command.args(["--url", &url]);
    (command, url)
}

/// A stand-in for a tunnel in a folder of its own on the PATH. `$4` is the URL of this machine's port.
fn with_tunnel(mut command: Command, folder: &Path, script: &str) -> Command {
    let programs = folder.join("programs");
    fs::create_dir_all(&programs).unwrap();
    let path = programs.join("cloudflared");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    command
}

/// `dev` while it runs.
struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(1_000);
        std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        Self { child, lines, seen: String::new() }
    }

    /// Waits for a line with that text.
    fn expect(&mut self, text: &str) {
        loop {
            let Ok(line) = self.lines.recv_timeout(Duration::from_secs(30)) else {
                let errors = self.errors();
                panic!("{text:?} is not shown: {}\n{errors}", self.seen);
            };
            self.seen = format!("{}{line}\n", self.seen);
            if line.contains(text) {
                return;
            }
        }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap().success());
    }

    fn errors(&mut self) -> String {
        let _ = self.child.kill();
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        errors
    }

    /// The exit code and all that was said.
    fn end(mut self) -> (Option<i32>, String) {
        loop {
            match self.lines.recv_timeout(Duration::from_secs(30)) {
                Ok(line) => self.seen = format!("{}{line}\n", self.seen),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {}", self.seen),
            }
        }
        let code = self.child.wait().unwrap().code();
        let errors = self.errors();
        (code, std::mem::take(&mut self.seen) + &errors)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first line of the page's answer.
fn status_of_page(url: &str) -> String {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    BufReader::new(stream).lines().next().unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_shown_as_they_come_and_a_signal_puts_the_number_back() {
    let (folder, lab) = (folder("dev-call"), lab().await);
    let (command, url) = dev_at_url(&folder, &lab);
    let mut running = Running::start(command);
    running.expect(POINTED);
    assert_eq!(goes_to(&lab), (format!("{url}/twiml"), String::new()));
    running.expect("Twilio cannot reach that URL");
    assert!(status_of_page(&url).starts_with("HTTP/1.1 401 "), "the page is closed: {}", status_of_page(&url));

    let steps = vec![CallerStep::HangUp { when: When::AgentSilent(300) }];
    lab.twilio.call(CallPlan::new(format!("{url}/twiml"), steps)).await;
    running.expect("Call 1 comes in.");
    running.expect("(turn 1, welcome)");
    running.expect("Call 1 is over here: stop.");
    running.signal("-TERM");
    let (code, told) = running.end();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("+15550100 leads to TwiML app AP1 again."), "{told}");
    assert!(told.contains("The lab's agent answers") && told.contains("The page at / is closed"), "{told}");
    assert!(is_put_back(&lab, &folder));
    assert!(!told.contains("planted"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_the_number_is_put_back_by_another_run() {
    let (folder, lab) = (folder("dev-crash"), lab().await);
    for restored_by_dev in [false, true] {
        let mut running = Running::start(dev_at_url(&folder, &lab).0);
        running.expect(POINTED);
        running.signal("-KILL");
        assert_eq!(running.end().0, None);
        assert!(!is_put_back(&lab, &folder));
        if restored_by_dev {
            let mut second = Running::start(dev_at_url(&folder, &lab).0);
            second.expect("On exit it leads to TwiML app AP1 again");
            second.signal("-INT");
            assert_eq!(second.end().0, Some(0));
        } else {
            let mut restore = with_account(program(&folder), &lab);
            restore.args(["number", "restore"]);
            assert_eq!(run(restore, "").await.code, 0);
        }
        assert!(is_put_back(&lab, &folder));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_somebody_changes_meanwhile_stays_as_it_is_and_that_is_told() {
    let (folder, lab) = (folder("dev-changed"), lab().await);
    let mut running = Running::start(dev_at_url(&folder, &lab).0);
    running.expect(POINTED);
    lab.twilio.account_state().numbers[0].voice_url = "https://new.test/twiml".to_owned();
    running.signal("-HUP");
    let (code, told) = running.end();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("somebody has changed +15550100 since it was pointed"), "{told}");
    assert_eq!(goes_to(&lab).0, "https://new.test/twiml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_is_started_without_secrets_and_ends_with_dev() {
    let (folder, lab) = (folder("dev-tunnel"), lab().await);
    let script = "trap 'echo > interrupted' INT; env > seen-environment; echo $$ > pid; echo \"INF |  $4  |\" >&2
        while :; do sleep 0.1; done";
    let mut command = with_tunnel(dev(&folder, &lab, 0), &folder, script);
    command.process_group(0);
    let mut running = Running::start(command);
    running.expect(POINTED);
    assert!(goes_to(&lab).0.starts_with("http://127.0.0.1:"), "{:?}", goes_to(&lab));
    // As the keyboard does it: to all processes of the group.
    let group = format!("-{}", running.child.id());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
    let (code, told) = running.end();
    assert_eq!(code, Some(0), "{told}");
    assert!(is_put_back(&lab, &folder));
    assert!(!folder.join("interrupted").exists(), "the tunnel stays until the number is put back");
    assert!(!fs::read_to_string(folder.join("seen-environment")).unwrap().contains("planted"));
    let pid = fs::read_to_string(folder.join("pid")).unwrap();
    let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "the tunnel has ended: {state}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_that_ends_ends_dev_and_puts_the_number_back() {
    let (folder, lab) = (folder("dev-tunnel-ends"), lab().await);
    let script = "echo \"INF |  $4  |\" >&2; while [ ! -e stop ]; do sleep 0.1; done; echo 'ERR no edge' >&2; exit 3";
    let mut running = Running::start(with_tunnel(dev(&folder, &lab, 0), &folder, script));
    running.expect(POINTED);
    fs::write(folder.join("stop"), "").unwrap();
    let (code, told) = running.end();
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("cloudflared has ended (exit status: 3); it said: ERR no edge; calls do not come"), "{told}");
    assert!(is_put_back(&lab, &folder));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_url_that_leads_here_no_number_is_changed() {
    let (folder, lab) = (folder("dev-no-url"), lab().await);
    let elsewhere = Service::start(program(&folder).arg("serve").env("PORT", "0"));
    let with = |arguments: &[&str]| {
        let mut command = dev(&folder, &lab, 0);
        command.args(arguments);
        command
    };
    let silent = with_tunnel(with(&["--tunnel-seconds", "1"]), &folder, "echo INF still trying; exec sleep 600");
    let ends = with_tunnel(with(&[]), &folder.join("ends"), "echo 'ERR no network' >&2; exit 1");
    for (command, code, part) in [
        (silent, 1, "cloudflared names no URL within 1 s; it said: INF still trying; try again, or give --url"),
        (ends, 1, "cloudflared has ended (exit status: 1); it said: ERR no network"),
        (with(&[]), 64, "neither cloudflared nor ngrok is installed"),
        (with(&["--url", &elsewhere.url()]), 1, "another process answers there"),
        (with(&["--url", "calls.example.com"]), 78, "--url is"),
    ] {
        let told = run(command, "").await;
        assert_eq!(told.code, code, "{part}: {told:?}");
        assert!(told.errors.contains(part), "{part}: {told:?}");
        assert!(is_put_back(&lab, &folder));
    }
    let mut no_account = program(&folder);
    no_account.arg("dev");
    let told = run(no_account, "").await;
    assert_eq!(told.code, 78, "{told:?}");
}
