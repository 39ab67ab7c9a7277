//! What an agent has to say on a stream, and what each of it waits for.

use std::collections::VecDeque;

use serde_json::Value;

use crate::agent::AgentEvent;
use crate::replay::caller_place::Place;

/// The cause of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The stream was opened.
    Opening,
    /// The agent was given the caller's audio up to this place.
    Audio(Place),
    /// The event before it on the same stream, or input that was sent after that event.
    Before,
    /// We half-closed the stream.
    HalfClose,
}

/// An event that comes when its cause has happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PlannedEvent {
    pub(super) cause: Cause,
    /// How long after its cause it comes, in milliseconds.
    pub(super) after_ms: u64,
    pub(super) event: AgentEvent,
}

/// What an agent has to say on a stream.
#[derive(Debug, Default)]
pub(super) struct PlannedStream {
    /// The input that must be sent on it between the audio (CES), with the number of events before.
    pub(super) sent: VecDeque<(usize, Value)>,
    pub(super) events: VecDeque<PlannedEvent>,
    /// The step that the agent has heard when the input ends, and how much of its speech.
    pub(super) heard: Option<(usize, u64)>,
    /// Whether the agent's recogniser ends the utterance.
    pub(super) agent_ends: bool,
}
