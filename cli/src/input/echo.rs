//! Keeps a terminal from showing what is typed.

use std::io;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// A terminal without an echo, until this is dropped. Without a terminal it does nothing.
pub(super) struct EchoOff(Option<Termios>);

impl EchoOff {
    /// For lines: shows only their ends.
    pub(super) fn for_lines() -> Self {
        Self::with(|modes| {
            modes.remove(LocalModes::ECHO);
            modes.insert(LocalModes::ECHONL);
        })
    }

    /// For keys: shows nothing, and hands each key on at once. The prompt library turns the echo off only while it waits
    /// for a key; between two keys of a paste the terminal would show the second one itself.
    pub(super) fn for_keys() -> Self {
        Self::with(|modes| modes.remove(LocalModes::ECHO | LocalModes::ICANON))
    }

    fn with(change: impl Fn(&mut LocalModes)) -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut hidden = before.clone();
            change(&mut hidden.local_modes);
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
