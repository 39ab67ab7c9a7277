//! Reads what a pipe delivers, or what somebody types at a terminal that cannot draw: line by line.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use tokio::sync::mpsc;

use super::echo::EchoOff;

/// The longest line, in bytes; longer ones are cut.
const MAX_BYTES: u64 = 64 * 1024;

/// Lines from the standard input.
pub(crate) struct Lines {
    lines: mpsc::Receiver<String>,
    is_terminal: bool,
}

impl Lines {
    /// Starts to read the standard input.
    pub(super) fn stdin() -> Self {
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
        let _hidden = EchoOff::for_lines();
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
