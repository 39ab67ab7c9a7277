//! The streams to the agent that a call may still tell something.

use std::collections::BTreeMap;

use dialbridge_core::{AgentEvent, TurnId};

use crate::agent::TurnHandle;

/// The handles of streams, by their turns. Each is kept until its stream is given up or over, and no longer: a handle
/// keeps the buffers of what its stream was sent.
#[derive(Debug)]
pub(crate) struct OpenTurns<H = TurnHandle>(BTreeMap<TurnId, H>);

impl<H> Default for OpenTurns<H> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<H> OpenTurns<H> {
    /// A stream is opened.
    pub(crate) fn open(&mut self, turn: TurnId, handle: H) {
        self.0.insert(turn, handle);
    }

    /// The handle of a stream that is not over.
    pub(crate) fn get(&self, turn: TurnId) -> Option<&H> {
        self.0.get(&turn)
    }

    /// Nothing more is told to a stream.
    pub(crate) fn forget(&mut self, turn: TurnId) {
        self.0.remove(&turn);
    }
}

/// Whether a stream says nothing after that.
pub(crate) fn is_last_word(event: &AgentEvent) -> bool {
    matches!(event, AgentEvent::Ended | AgentEvent::Failed(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::agent::AgentFault;

    #[test]
    fn a_stream_has_said_its_last_word_when_it_has_ended_or_failed() {
        let fault = AgentFault { code: "UNAVAILABLE".to_owned(), message: String::new(), transient: true };
        assert!(is_last_word(&AgentEvent::Failed(fault)) && is_last_word(&AgentEvent::Ended));
        for more in [AgentEvent::GoAway, AgentEvent::EndOfUtterance, AgentEvent::Answer(Box::default())] {
            assert!(!is_last_word(&more), "{more:?}");
        }
    }

    #[test]
    fn a_handle_goes_with_its_turn() {
        let mut turns = OpenTurns::default();
        turns.open(TurnId(1), "one");
        turns.open(TurnId(2), "two");
        turns.forget(TurnId(1));
        assert_eq!((turns.get(TurnId(1)), turns.get(TurnId(2))), (None, Some(&"two")));
    }
}
