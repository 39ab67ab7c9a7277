//! What was said in the session so far, for a server that may have lost it.
//!
//! An agent with one stream for the whole call (CES) keeps the conversation itself. If its stream fails, nobody knows
//! whether it still has it, so the next stream brings what the caller and the agent said. A stream that replaces
//! another one without a failure brings nothing.
//!
//! ```text
//! Keeps --stream failed--> Doubtful --next stream opens with the past turns--> Sent --it responds--> Keeps
//! Sent --stream failed--> Doubtful
//! Sent --refused as INVALID_ARGUMENT--> Refuses
//! any --a backup takes over--> Doubtful (CES), Keeps (ES, CX)
//! ```

use std::collections::VecDeque;

use crate::agent::PastTurn;

/// How many turns are kept. The oldest go first.
pub(super) const MAX_PAST_TURNS: usize = 40;

/// How much of them is kept, in bytes.
pub(super) const MAX_PAST_BYTES: usize = 16 << 10;

/// How much of what one side said in a turn is kept, in bytes: its beginning.
pub(super) const MAX_SAID_BYTES: usize = 2 << 10;

/// The past turns of a session, and whether the server has them.
#[derive(Debug, Default)]
pub(super) struct PastTurns {
    turns: VecDeque<PastTurn>,
    bytes: usize,
    server: Server,
}

/// What the server knows of the past turns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Server {
    /// It has kept them, as far as we know.
    #[default]
    Keeps,
    /// It may have lost them.
    Doubtful,
    /// The open stream brought them. It has not responded.
    Sent,
    /// It refuses to be told of them.
    Refuses,
}

impl PastTurns {
    /// Adds a turn. The oldest ones go if there is no room.
    pub(super) fn add(&mut self, caller: &str, agent: &str) {
        let kept = |said: &str| said[..said.floor_char_boundary(MAX_SAID_BYTES)].to_owned();
        let turn = PastTurn { caller: kept(caller), agent: kept(agent) };
        if bytes_of(&turn) == 0 {
            return;
        }
        self.bytes += bytes_of(&turn);
        self.turns.push_back(turn);
        while self.turns.len() > MAX_PAST_TURNS || self.bytes > MAX_PAST_BYTES {
            let Some(oldest) = self.turns.pop_front() else { return };
            self.bytes -= bytes_of(&oldest);
        }
    }

    /// The next stream opens. Returns the turns that it brings. `None` if the server has the session as far as we know.
    pub(super) fn bring(&mut self) -> Option<Vec<PastTurn>> {
        match self.server {
            Server::Doubtful => {
                self.server = Server::Sent;
                Some(self.turns.iter().cloned().collect())
            }
            Server::Keeps | Server::Sent | Server::Refuses => None,
        }
    }

    /// Another agent has the call. `needs_them`: it keeps the conversation itself, and does not have it.
    pub(super) fn change_server(&mut self, needs_them: bool) {
        self.server = if needs_them { Server::Doubtful } else { Server::Keeps };
    }

    /// The open stream has sent something: the server has taken what it was told.
    pub(super) fn note_response(&mut self) {
        if self.server == Server::Sent {
            self.server = Server::Keeps;
        }
    }

    /// The stream has failed. `is_refusal`: the server says that a request is not valid. Returns whether it may have
    /// refused the past turns.
    pub(super) fn note_failure(&mut self, is_refusal: bool) -> bool {
        let refuses_turns = is_refusal && self.server == Server::Sent && !self.turns.is_empty();
        self.server = match self.server {
            Server::Sent if refuses_turns => Server::Refuses,
            Server::Keeps | Server::Doubtful | Server::Sent => Server::Doubtful,
            Server::Refuses => Server::Refuses,
        };
        refuses_turns
    }
}

fn bytes_of(turn: &PastTurn) -> usize {
    turn.caller.len() + turn.agent.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_turns_are_kept_within_bounds() {
        let mut past = PastTurns::default();
        past.add("", "");
        for n in 0..100 {
            past.add(&format!("{n}"), "yes");
        }
        past.note_failure(false);
        let turns = past.bring().unwrap();
        assert_eq!((turns.len(), turns[0].caller.as_str()), (MAX_PAST_TURNS, "60"));
        for _ in 0..20 {
            past.add(&"ä".repeat(MAX_SAID_BYTES), "x");
        }
        past.note_failure(false);
        let turns = past.bring().unwrap();
        let bytes: usize = turns.iter().map(bytes_of).sum();
        assert!((MAX_PAST_BYTES - 2 * MAX_SAID_BYTES..=MAX_PAST_BYTES).contains(&bytes), "{bytes}");
        assert_eq!(past.bytes, bytes);
        assert_eq!(turns.last().unwrap().caller.len(), MAX_SAID_BYTES);
    }

    #[test]
    fn they_are_brought_after_a_failure_until_the_server_responds_or_refuses_them() {
        let mut past = PastTurns::default();
        past.add("two loaves", "Two loaves.");
        assert_eq!(past.bring(), None);
        assert!(!past.note_failure(true), "they were not told");
        assert_eq!(past.bring().map(|turns| turns.len()), Some(1));
        assert!(!past.note_failure(false));
        assert_eq!(past.bring().map(|turns| turns.len()), Some(1), "it has not responded");
        past.note_response();
        assert_eq!(past.bring(), None);
        past.note_failure(false);
        assert!(past.bring().is_some());
        assert!(past.note_failure(true));
        past.note_failure(false);
        assert_eq!(past.bring(), None, "it refuses them");
    }
}
