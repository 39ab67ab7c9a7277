//! Reads what somebody types or a pipe delivers: line by line, secrets without an echo.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

/// The longest line, in bytes; longer ones are cut.
const MAX_BYTES: u64 = 64 * 1024;

/// Prints to standard error; standard output is for the commands.
pub(super) fn say(text: &str) {
    // A failed write means that nobody reads it.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Lines from the standard input.
pub(crate) struct Input {
    lines: mpsc::Receiver<String>,
    is_terminal: bool,
}

impl Input {
    /// Starts to read the standard input.
    pub(crate) fn stdin() -> Self {
        let (sender, lines) = mpsc::channel(1);
        // Nobody waits for this thread: it may block in a read until the process ends, and must not keep the process
        // from ending.
        std::thread::spawn(move || read(&sender));
        Self { lines, is_terminal: io::stdin().is_terminal() }
    }

    /// Asks, and returns the next line without its end and the space around it; `None` if there are no more.
    pub(crate) async fn ask(&mut self, prompt: &str) -> Option<String> {
        // A failed write means that nobody reads the question.
        let _ = write!(io::stderr(), "{prompt}");
        let line = self.lines.recv().await;
        if !self.is_terminal {
            // The typed line end was not shown.
            let _ = writeln!(io::stderr());
        }
        line.map(|line| line.trim().to_owned())
    }

    /// Asks for a secret: turns the echo off before it prints the question.
    pub(super) async fn ask_secret(&mut self, prompt: &str) -> Option<String> {
        let _hidden = self.is_terminal.then(EchoOff::new);
        self.ask(prompt).await
    }
}

fn read(sender: &mpsc::Sender<String>) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        match (&mut input).take(MAX_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if sender.blocking_send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        }
    }
}

/// A terminal without an echo, until this is dropped.
struct EchoOff(Option<Termios>);

impl EchoOff {
    fn new() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            hidden.local_modes.insert(LocalModes::ECHONL);
            // A terminal that cannot turn the echo off shows what is typed, as with any other program.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &hidden);
        }
        Self(before)
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
