//! A tunnel: a program on this machine that gives one of its ports a public URL.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use http::Uri;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::doctor::is_loopback;
use dialbridge_runner::settings::Settings;

/// The longest line of its output that is read at once, in bytes.
const MAX_LINE_BYTES: u64 = 8 * 1024;

/// How many lines may wait to be read.
const QUEUE: usize = 64;

/// How many of its last lines are told when it fails.
const TOLD_LINES: usize = 3;

/// A word of at least so many letters and digits may be a token.
const MIN_TOKEN_CHARS: usize = 20;

/// A program that makes tunnels.
struct Program {
    name: &'static str,
    arguments: fn(u16) -> Vec<String>,
    /// The URL in a line of its output.
    url: fn(&str) -> Option<String>,
}

/// The programs that we know. The first needs no account.
const PROGRAMS: [Program; 2] = [
    Program {
        name: "cloudflared",
        arguments: |port| strings(&["tunnel", "--no-autoupdate", "--url", &format!("http://127.0.0.1:{port}")]),
        url: url_of_cloudflared,
    },
    Program {
        name: "ngrok",
        arguments: |port| strings(&["http", &port.to_string(), "--log", "stdout", "--log-format", "json"]),
        url: url_of_ngrok,
    },
];

fn strings(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|&argument| argument.to_owned()).collect()
}

/// `|  https://some-words.trycloudflare.com  |`. Other lines name other URLs of its maker, and the port's own.
fn url_of_cloudflared(line: &str) -> Option<String> {
    let is_tunnel = |url: &&str| {
        let uri: Option<Uri> = url.parse().ok();
        let Some(authority) = uri.as_ref().and_then(Uri::authority) else { return false };
        let host = authority.host();
        let is_quick = host.ends_with(".trycloudflare.com") && host != "api.trycloudflare.com";
        url.starts_with("https://") && is_quick || url.starts_with("http://") && is_loopback(authority.as_str())
    };
    line.split_whitespace().find(is_tunnel).map(ToOwned::to_owned)
}

/// `{"msg":"started tunnel","url":"https://some-words.ngrok-free.app"}`.
fn url_of_ngrok(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["msg"] == "started tunnel").then(|| line["url"].as_str().map(ToOwned::to_owned))?
}

/// Why there is no tunnel.
#[derive(Debug)]
pub(crate) enum TunnelError {
    /// No program is installed.
    NotInstalled,
    /// The program does not make one.
    Failed(String),
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled => f.write_str(
                "no --url is given, and neither cloudflared nor ngrok is installed; install one, or give --url the \
                 public URL of a front end that leads to PORT",
            ),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// A running tunnel. It ends when this is dropped.
pub(crate) struct Tunnel {
    name: &'static str,
    child: Child,
    lines: mpsc::Receiver<String>,
    last: VecDeque<String>,
    /// They read its output. They end with this value.
    _readers: JoinSet<()>,
}

/// The program may have been started by another one that waits for it: all of them end.
impl Drop for Tunnel {
    fn drop(&mut self) {
        let group = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            // It may have ended.
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

impl Tunnel {
    /// Starts the first program that is installed, and waits until it names its URL.
    ///
    /// # Errors
    /// When none is installed, or it names no URL in time.
    pub(crate) async fn start(port: u16, deadline: Duration) -> Result<(Self, String), TunnelError> {
        for program in PROGRAMS {
            let mut tunnel = match Self::spawn(&program, port) {
                Ok(tunnel) => tunnel,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    let why = format!("{} cannot be started: {error}; give --url instead", program.name);
                    return Err(TunnelError::Failed(why));
                }
            };
            return match tokio::time::timeout(deadline, tunnel.url(program.url)).await {
                Ok(Ok(url)) => Ok((tunnel, url)),
                Ok(Err(ended)) => Err(TunnelError::Failed(ended)),
                Err(_) => {
                    let (name, seconds, told) = (program.name, deadline.as_secs(), tunnel.told());
                    let why = format!("{name} names no URL within {seconds} s{told}");
                    Err(TunnelError::Failed(format!("{why}; try again, or give --url instead")))
                }
            };
        }
        Err(TunnelError::NotInstalled)
    }

    fn spawn(program: &Program, port: u16) -> io::Result<Self> {
        let mut command = Command::new(program.name);
        command.args((program.arguments)(port)).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in Settings::names().filter(|name| Settings::is_secret(name)) {
            command.env_remove(name);
        }
        // Ctrl-C is for us: the number is put back before the tunnel ends.
        let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
        let (sender, lines) = mpsc::channel(QUEUE);
        let mut readers = JoinSet::new();
        if let Some(output) = child.stdout.take() {
            readers.spawn(read(output, sender.clone()));
        }
        if let Some(output) = child.stderr.take() {
            readers.spawn(read(output, sender));
        }
        Ok(Self { name: program.name, child, lines, last: VecDeque::new(), _readers: readers })
    }

    /// The URL; an error when the program has ended before it named one.
    async fn url(&mut self, find: fn(&str) -> Option<String>) -> Result<String, String> {
        while let Some(line) = self.lines.recv().await {
            if let Some(url) = find(&line) {
                return Ok(url);
            }
            self.note(line);
        }
        Err(self.end().await)
    }

    /// Reads its output until it ends, and says how it ended.
    pub(crate) async fn ended(&mut self) -> String {
        while let Some(line) = self.lines.recv().await {
            self.note(line);
        }
        self.end().await
    }

    async fn end(&mut self) -> String {
        let status = self.child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
        format!("{} has ended ({status}){}", self.name, self.told())
    }

    fn note(&mut self, line: String) {
        self.last.push_back(line);
        if self.last.len() > TOLD_LINES {
            self.last.pop_front();
        }
    }

    /// Its last lines, for people.
    fn told(&self) -> String {
        let lines: Vec<String> = self.last.iter().map(|line| without_tokens(line)).collect();
        if lines.is_empty() { String::new() } else { format!("; it said: {}", lines.join(" / ")) }
    }
}

/// Sends the lines of an output. Nobody reads them any more once the tunnel is dropped.
async fn read(output: impl AsyncRead + Unpin, lines: mpsc::Sender<String>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        match (&mut output).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if lines.send(String::from_utf8_lossy(&line).trim().to_owned()).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A line with `…` in the place of each word that may be a token. ngrok quotes a wrong one.
fn without_tokens(line: &str) -> String {
    let is_token = |word: &str| {
        let has = |of: fn(&char) -> bool| word.chars().any(|c| of(&c));
        word.len() >= MIN_TOKEN_CHARS && has(char::is_ascii_digit) && has(char::is_ascii_alphabetic)
    };
    let is_in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut shown = String::new();
    for part in line.split_inclusive(|c| !is_in_word(c)) {
        let word = part.trim_end_matches(|c| !is_in_word(c));
        shown.push_str(if is_token(word) { "…" } else { word });
        shown.push_str(&part[word.len()..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_found_among_all_that_the_programs_say() {
        for line in [
            "2026-11-30T06:00:00Z INF Requesting new quick Tunnel on trycloudflare.com...",
            "2026-11-30T06:00:00Z INF Thank you. See (https://www.cloudflare.com/website-terms/)",
            "2026-11-30T06:00:00Z INF Settings: map[ha-connections:1 protocol:quic url:http://127.0.0.1:8080]",
            "failed to request quick Tunnel: Post \"https://api.trycloudflare.com/tunnel\": dial tcp",
            "see https://api.trycloudflare.com/tunnel",
        ] {
            assert_eq!(url_of_cloudflared(line), None, "{line}");
        }
        let line = "2026-11-30T06:00:05Z INF |  https://four-plain-english-words.trycloudflare.com    |";
        assert_eq!(url_of_cloudflared(line).unwrap(), "https://four-plain-english-words.trycloudflare.com");

        let started = r#"{"addr":"http://localhost:8080","lvl":"info","msg":"started tunnel","name":"command_line","obj":"tunnels","url":"https://a-b.ngrok-free.app"}"#;
        assert_eq!(url_of_ngrok(started).unwrap(), "https://a-b.ngrok-free.app");
        for line in ["starting web service", r#"{"msg":"update available","url":"https://ngrok.com/download"}"#] {
            assert_eq!(url_of_ngrok(line), None, "{line}");
        }
    }

    #[test]
    fn what_may_be_a_token_is_not_told() {
        let told = without_tokens("Your authtoken: 2Planted0Token_1234567890abcdef. See ERR_NGROK_105");
        assert_eq!(told, "Your authtoken: …. See ERR_NGROK_105");
        assert_eq!(without_tokens("https://a.trycloudflare.com/x"), "https://a.trycloudflare.com/x");
    }
}
