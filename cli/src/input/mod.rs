//! Asks people: at a terminal with a line editor and lists to choose from, elsewhere line by line.
//!
//! - `terminal` draws the questions and reads the keys.
//! - `lines` reads lines from a pipe, or from a terminal that cannot draw.
//! - `echo` keeps a terminal from showing what is typed, and gives it back as it was.

mod echo;
mod lines;
mod terminal;

use std::io::{IsTerminal, Write, stderr, stdin};

use crate::drawing::can_draw;

pub(crate) use lines::Lines;
pub(crate) use terminal::Terminal;

/// Prints to standard error; standard output is for the commands.
pub(crate) fn say(text: &str) {
    // A failed write means that nobody reads it.
    let _ = writeln!(stderr(), "{text}");
}

/// Where the answers come from.
pub(crate) enum Input {
    /// Somebody at a terminal.
    Terminal(Terminal),
    /// A pipe, or a terminal that cannot draw.
    Lines(Lines),
}

impl Input {
    /// The standard input.
    pub(crate) fn stdin() -> Self {
        if is_terminal() { Self::Terminal(Terminal) } else { Self::Lines(Lines::stdin()) }
    }

    /// Asks, and returns the answer without the space around it; `None` if there are no more.
    pub(crate) async fn ask(&mut self, prompt: &str) -> Option<String> {
        match self {
            Self::Terminal(terminal) => terminal.ask(prompt).await,
            Self::Lines(lines) => lines.ask(prompt).await,
        }
    }

    /// Asks for a secret, and does not show what is typed.
    pub(crate) async fn ask_secret(&mut self, prompt: &str) -> Option<String> {
        match self {
            Self::Terminal(terminal) => terminal.ask_secret(prompt).await,
            Self::Lines(lines) => lines.ask_secret(prompt).await,
        }
    }
}

/// Whether questions can be drawn: on the standard error, with keys from the standard input.
pub(crate) fn is_terminal() -> bool {
    can_draw() && stdin().is_terminal() && stderr().is_terminal()
}
