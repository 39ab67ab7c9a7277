//! The agent of a call that is played in a closed loop: what it says comes when what leads to it has happened.
//!
//! An event has a cause. A transcript follows the caller's audio that it covers, an answer follows our half-close, later
//! parts follow the earlier ones. When the call goes another way, sooner or later, with another prompt cut, the event
//! moves with its cause.
//!
//! Nobody knows an answer to what neither the tape nor the test has. If the call gives the agent such input, that is a
//! [`Divergence`], and the agent stays silent from there on.

use std::fmt;
use std::ops::Range;

use crate::agent::{AgentCommand, AgentEvent, TurnInput, TurnStart};
use crate::audio::MULAW_SILENCE;
use crate::ids::StreamId;
use crate::replay::caller_place::{CallerSteps, Heard, Place};
use crate::replay::planned_stream::{Cause, PlannedStream};
use crate::replay::recorded_agent::RecordedAgent;
use crate::replay::script::Script;
use crate::time::CallTime;

/// Where a call leaves its recording, or the test that describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// When.
    pub at: CallTime,
    /// The difference, as a sentence.
    pub what: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} s {}", self.at, self.what)
    }
}

/// Who knows what the agent says. `Err` of each function is a sentence that says why nobody knows.
#[derive(Debug)]
pub(super) enum AgentSource {
    /// A tape.
    Tape(Box<RecordedAgent>),
    /// A test.
    Test(Script),
}

impl AgentSource {
    fn open(&mut self, id: StreamId, start: &TurnStart, steps: &CallerSteps) -> Result<PlannedStream, String> {
        match self {
            Self::Tape(recorded) => recorded.open(id, start),
            Self::Test(script) => script.open(start, steps),
        }
    }

    fn send(&mut self, stream: &mut PlayedStream, input: &TurnInput, steps: &CallerSteps) -> Result<(), String> {
        match self {
            Self::Tape(recorded) => recorded.send(stream.id, input, &mut stream.plan, stream.played),
            Self::Test(script) => script.send(input, &mut stream.plan, steps),
        }
    }

    fn half_close(&mut self, plan: &mut PlannedStream, heard: Heard, steps: &CallerSteps) -> Result<(), String> {
        // We ended the utterance, so the agent does not.
        plan.events.retain(|next| !matches!(next.event, AgentEvent::EndOfUtterance { .. }));
        match self {
            Self::Tape(recorded) => recorded.half_close(plan, heard),
            Self::Test(script) => script.half_close(plan, heard, steps),
        }
    }
}

/// A stream of the call that is played.
#[derive(Debug)]
struct PlayedStream {
    id: StreamId,
    plan: PlannedStream,
    /// Where in the caller's audio it was opened, in milliseconds.
    opened_ms: u64,
    /// How many events have been played.
    played: usize,
    opened: CallTime,
    last_event: CallTime,
    half_closed: Option<CallTime>,
}

const HALF_HEARD: &str = "in a prompt that must not be interrupted: the agent hears only the end of what he says, and the \
                          test does not say what it makes of that";

/// The agent.
#[derive(Debug)]
pub(super) struct PlayedAgent {
    source: AgentSource,
    live: Vec<PlayedStream>,
    /// How far the agent has been given the caller's audio, in milliseconds, and since when.
    given: Vec<(u64, CallTime)>,
    /// The caller's audio that the agent did not hear, because a prompt must not be interrupted: places in it, in
    /// milliseconds.
    unheard: Vec<Range<u64>>,
    pub(super) divergence: Option<Divergence>,
}

impl PlayedAgent {
    pub(super) fn new(source: AgentSource) -> Self {
        Self { source, live: Vec::new(), given: Vec::new(), unheard: Vec::new(), divergence: None }
    }

    /// The call passes this to a stream. `received_ms` is how much of the caller's audio it has got.
    pub(super) fn command(
        &mut self,
        now: CallTime,
        id: StreamId,
        command: &AgentCommand,
        received_ms: u64,
        steps: &CallerSteps,
    ) {
        if self.divergence.is_some() {
            return;
        }
        let done = match command {
            AgentCommand::Open(start) => self.open(now, id, start, received_ms, steps),
            AgentCommand::Audio(audio) => {
                self.give(now, audio, received_ms);
                Ok(())
            }
            AgentCommand::Send(input) => self.send(now, id, input, steps),
            AgentCommand::HalfClose => self.half_close(now, id, steps),
            AgentCommand::Cancel => {
                self.live.retain(|stream| stream.id != id);
                Ok(())
            }
            AgentCommand::Parameters(_) | AgentCommand::CallerSpeaks(_) | AgentCommand::Done => Ok(()),
        };
        if let Err(what) = done {
            self.diverge(now, what);
        }
    }

    fn diverge(&mut self, at: CallTime, what: String) {
        self.live.clear();
        self.divergence = Some(Divergence { at, what });
    }

    fn give(&mut self, now: CallTime, audio: &[u8], received_ms: u64) {
        let before_ms = self.given_ms();
        if before_ms < received_ms || self.given.is_empty() {
            self.given.push((received_ms, now));
        }
        // The call sends silence instead of the caller's audio to an agent that cannot be told of its prompt.
        if audio.iter().all(|&code| code == MULAW_SILENCE) {
            match self.unheard.last_mut().filter(|last| last.end == before_ms) {
                Some(last) => last.end = received_ms,
                None => self.unheard.push(before_ms..received_ms),
            }
        }
    }

    fn given_ms(&self) -> u64 {
        self.given.last().map_or(0, |(ms, _)| *ms)
    }

    fn open(
        &mut self,
        now: CallTime,
        id: StreamId,
        start: &TurnStart,
        opened_ms: u64,
        steps: &CallerSteps,
    ) -> Result<(), String> {
        let plan = self.source.open(id, start, steps)?;
        if let Some(window) = start.barge_in {
            self.unheard.push(opened_ms..opened_ms + window.protected_ms);
        }
        self.live.push(PlayedStream {
            id,
            plan,
            opened_ms,
            played: 0,
            opened: now,
            last_event: now,
            half_closed: None,
        });
        Ok(())
    }

    fn send(&mut self, now: CallTime, id: StreamId, input: &TurnInput, steps: &CallerSteps) -> Result<(), String> {
        let Some(stream) = self.live.iter_mut().find(|stream| stream.id == id) else { return Ok(()) };
        self.source.send(stream, input, steps)?;
        stream.last_event = now;
        Ok(())
    }

    fn half_close(&mut self, now: CallTime, id: StreamId, steps: &CallerSteps) -> Result<(), String> {
        let given_ms = self.given_ms();
        let Some(stream) = self.live.iter_mut().find(|stream| stream.id == id) else { return Ok(()) };
        stream.half_closed = Some(now);
        self.source.half_close(&mut stream.plan, steps.heard(stream.opened_ms, given_ms), steps)
    }

    /// When the next event comes if nothing else happens, and which stream's it is.
    pub(super) fn next_at(&self, steps: &CallerSteps) -> Option<CallTime> {
        self.live.iter().filter_map(|stream| self.due(stream, steps)).min()
    }

    /// Takes the event that is due at that time.
    pub(super) fn take(&mut self, at: CallTime, steps: &CallerSteps) -> Option<(StreamId, AgentEvent)> {
        let n = self.live.iter().position(|stream| self.due(stream, steps).is_some_and(|due| due <= at))?;
        if self.pass_over_unheard(n, at, steps) {
            return None;
        }
        let stream = &mut self.live[n];
        let event = stream.plan.events.pop_front()?.event;
        stream.played += 1;
        stream.last_event = at;
        if let AgentSource::Test(script) = &mut self.source {
            script.go_on(&mut stream.plan);
        }
        let id = stream.id;
        if event.is_last() {
            self.live.remove(n);
        }
        Some((id, event))
    }

    /// The agent of a test says nothing to speech that it did not hear. Returns whether that was next.
    fn pass_over_unheard(&mut self, n: usize, at: CallTime, steps: &CallerSteps) -> bool {
        let plan = &mut self.live[n].plan;
        let (AgentSource::Test(script), Some(Cause::Audio(Place::Step(step, ms)))) =
            (&mut self.source, plan.events.front().map(|next| next.cause))
        else {
            return false;
        };
        let Some(span) = script.speech(step).cloned() else { return false };
        let is_heard = |ms| {
            let position = steps.position(Place::Step(step, ms), 0).unwrap_or_default();
            !self.unheard.iter().any(|unheard| unheard.contains(&position))
        };
        match (is_heard(span.start), ms <= span.end, is_heard(span.end - 1)) {
            (true, ..) => return false,
            (false, true, _) => drop(plan.events.pop_front()),
            (false, false, false) => script.pass_over(step, plan),
            (false, false, true) => self.diverge(at, format!("the caller begins step {} {HALF_HEARD}", step + 1)),
        }
        true
    }

    /// When the stream's next event comes; `None` if its cause has not happened.
    fn due(&self, stream: &PlayedStream, steps: &CallerSteps) -> Option<CallTime> {
        let next = stream.plan.events.front()?;
        if stream.plan.sent.front().is_some_and(|(after, _)| *after <= stream.played) {
            return None;
        }
        let due = match next.cause {
            Cause::Opening => stream.opened + next.after_ms,
            Cause::Before => stream.last_event + next.after_ms,
            Cause::HalfClose => stream.half_closed? + next.after_ms,
            Cause::Audio(place) => {
                let given = self.given_at(steps.position(place, stream.opened_ms));
                // If we end the utterance before the agent does, it knows at once all that it will ever know.
                given.map(|at| at + next.after_ms).into_iter().chain(stream.half_closed).min()?
            }
        };
        Some(due.max(stream.last_event))
    }

    /// When the agent had been given the caller's audio up to there.
    fn given_at(&self, position: Option<u64>) -> Option<CallTime> {
        let position = position?;
        let n = self.given.partition_point(|(ms, _)| *ms < position);
        self.given.get(n).map(|(_, at)| *at)
    }
}
