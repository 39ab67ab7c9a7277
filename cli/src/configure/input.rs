//! What somebody types, or what a pipe gives: line by line, secrets without an echo.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

/// The longest line, in bytes; a longer one is cut.
const MAX_BYTES: u64 = 64 * 1024;

/// Lines from the standard input.
pub(super) struct Input {
    lines: mpsc::Receiver<String>,
    is_terminal: bool,
}

impl Input {
    /// Reads the standard input from now on.
    pub(super) fn stdin() -> Self {
        let (sender, lines) = mpsc::channel(1);
        // A thread that nobody waits for: it may stand in a read that ends with the process alone, and must not keep
        // that from ending.
        std::thread::spawn(move || read(&sender));
        Self { lines, is_terminal: io::stdin().is_terminal() }
    }

    /// Asks, and gives the next line without its end and the space around it; `None` when there are no more.
    pub(super) async fn ask(&mut self, prompt: &str) -> Option<String> {
        // If nobody reads it, there is nobody to be asked.
        let _ = write!(io::stderr(), "{prompt}");
        let line = self.lines.recv().await;
        if !self.is_terminal {
            // Nobody has typed a line end that would be shown.
            let _ = writeln!(io::stderr());
        }
        line.map(|line| line.trim().to_owned())
    }

    /// The same for what the terminal must not show, from before it is asked for.
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

/// A terminal without an echo, for as long as this lives.
struct EchoOff(Option<Termios>);

impl EchoOff {
    fn new() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            hidden.local_modes.insert(LocalModes::ECHONL);
            // A terminal that cannot do it shows what is typed, as any other program's would.
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
