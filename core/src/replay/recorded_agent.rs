//! The agent of a recorded call, played in a closed loop: what it said comes when what led to it has happened again.
//!
//! A recorded event has a cause. A transcript follows the caller's audio that it covers, an answer follows our
//! half-close, later parts follow the earlier ones. The recording says how long after its cause each event came. When
//! the call goes otherwise than it did, sooner or later, with another prompt cut, the event moves with its cause.
//!
//! The tape knows no answer to what nobody said. If the call gives the agent other input than then, that is a
//! [`Divergence`], and the agent stays silent from there on.

use std::collections::VecDeque;
use std::fmt;

use serde_json::Value;

use crate::agent::{AgentCommand, AgentEvent};
use crate::audio::BYTES_PER_MS;
use crate::ids::StreamId;
use crate::replay::caller_place::{CallerSteps, Place};
use crate::tape::{Mask, Tape, TapeInput, TapeWriter};
use crate::time::CallTime;
use crate::twilio::{Inbound, parse};

/// How much of a step the agent may hear more or less than in the recording, in milliseconds, before its answer is one
/// to something else.
const MAX_HEARD_DIFFERENCE_MS: u64 = 240;

/// Where a call leaves its recording.
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

/// The cause of a recorded event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The stream was opened.
    Opening,
    /// The agent was given the caller's audio up to this place.
    Audio(Place),
    /// The event before it on the same stream, or input that was sent after that event.
    Before,
    /// We half-closed the stream.
    HalfClose,
}

#[derive(Debug, Clone, PartialEq)]
struct RecordedEvent {
    cause: Cause,
    /// How long after its cause it came, in milliseconds.
    after_ms: u64,
    event: AgentEvent,
}

/// A stream of the recording.
#[derive(Debug, Default)]
struct RecordedStream {
    id: Option<StreamId>,
    /// The input that opened it, as a line of the tape has it, without session parameters.
    input: Value,
    /// Where in the caller's audio it was opened, in milliseconds.
    opened_ms: u64,
    /// The input that was sent on it between the audio (CES), with the number of events before.
    sent: VecDeque<(usize, Value)>,
    events: VecDeque<RecordedEvent>,
    /// The step that the agent had heard when the input ended, and how much of its speech.
    heard: Option<(usize, u64)>,
}

/// A stream of the call that is played.
#[derive(Debug)]
struct PlayedStream {
    id: StreamId,
    recorded: RecordedStream,
    opened_ms: u64,
    /// How many events have been played.
    played: usize,
    opened: CallTime,
    last_event: CallTime,
    half_closed: Option<CallTime>,
}

/// The agent of a tape.
#[derive(Debug)]
pub(super) struct RecordedAgent {
    recorded: VecDeque<RecordedStream>,
    live: Vec<PlayedStream>,
    /// How far the agent has been given the caller's audio, in milliseconds, and since when.
    given: Vec<(u64, CallTime)>,
    writer: TapeWriter,
    pub(super) divergence: Option<Divergence>,
}

impl RecordedAgent {
    pub(super) fn of(tape: &Tape, steps: &CallerSteps) -> Self {
        let recorded = Analysis::of(tape, steps);
        let writer = TapeWriter::new(Mask::default());
        Self { recorded, live: Vec::new(), given: Vec::new(), writer, divergence: None }
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
        match command {
            AgentCommand::Open(_) => self.open(now, id, command, received_ms),
            AgentCommand::Audio(_) => {
                if self.given.last().is_none_or(|(ms, _)| *ms < received_ms) {
                    self.given.push((received_ms, now));
                }
            }
            AgentCommand::Send(_) => self.send(now, id, command),
            AgentCommand::HalfClose => self.half_close(now, id, steps),
            AgentCommand::Cancel => self.live.retain(|stream| stream.id != id),
            AgentCommand::Parameters(_) | AgentCommand::CallerSpeaks(_) | AgentCommand::Done => {}
        }
    }

    fn open(&mut self, now: CallTime, id: StreamId, command: &AgentCommand, received_ms: u64) {
        let input = self.input_of(id, command);
        let recorded = self.recorded.pop_front().unwrap_or_default();
        // Nobody knows what the agent says on a stream that the recording does not have. If the caller says nothing on it
        // either, nobody has to.
        if (recorded.id.is_some() || !is_audio(&input)) && recorded.input != input {
            let then = if recorded.id.is_some() { described(&recorded.input) } else { "nothing".to_owned() };
            self.diverge(
                now,
                format!("the agent is given {}; in the recording it was given {then}", described(&input)),
            );
            return;
        }
        self.live.push(PlayedStream {
            id,
            recorded,
            opened_ms: received_ms,
            played: 0,
            opened: now,
            last_event: now,
            half_closed: None,
        });
    }

    fn send(&mut self, now: CallTime, id: StreamId, command: &AgentCommand) {
        let input = self.input_of(id, command);
        let Some(stream) = self.live.iter_mut().find(|stream| stream.id == id) else { return };
        match stream.recorded.sent.pop_front() {
            Some((after, then)) if then == input && after >= stream.played => stream.last_event = now,
            then => {
                let then = then.map_or("nothing".to_owned(), |(_, then)| described(&then));
                self.diverge(
                    now,
                    format!("the agent is given {}; in the recording it was given {then}", described(&input)),
                );
            }
        }
    }

    fn half_close(&mut self, now: CallTime, id: StreamId, steps: &CallerSteps) {
        let given_ms = self.given_ms();
        let Some(stream) = self.live.iter_mut().find(|stream| stream.id == id) else { return };
        stream.half_closed = Some(now);
        stream.recorded.events.retain(|next| !matches!(next.event, AgentEvent::EndOfUtterance { .. }));
        let Some(fault) = heard_difference(stream, given_ms, steps) else { return };
        self.diverge(now, fault);
    }

    fn diverge(&mut self, at: CallTime, what: String) {
        self.live.clear();
        self.divergence = Some(Divergence { at, what });
    }

    /// The input of a command as a tape has it, without what comes with it.
    fn input_of(&mut self, id: StreamId, command: &AgentCommand) -> Value {
        let output = crate::call::Output::Agent(id, command.clone());
        let line = self.writer.output(CallTime::START, &output, &crate::ids::StreamSid::default());
        input_of(line.as_deref().unwrap_or_default())
    }

    fn given_ms(&self) -> u64 {
        self.given.last().map_or(0, |(ms, _)| *ms)
    }

    /// When the next event comes if nothing else happens, and which stream's it is.
    pub(super) fn next_at(&self, steps: &CallerSteps) -> Option<CallTime> {
        self.live.iter().filter_map(|stream| self.due(stream, steps)).min()
    }

    /// Takes the event that is due at that time.
    pub(super) fn take(&mut self, at: CallTime, steps: &CallerSteps) -> Option<(StreamId, AgentEvent)> {
        let n = self.live.iter().position(|stream| self.due(stream, steps).is_some_and(|due| due <= at))?;
        let stream = &mut self.live[n];
        let event = stream.recorded.events.pop_front()?.event;
        stream.played += 1;
        stream.last_event = at;
        let id = stream.id;
        if event.is_last() {
            self.live.remove(n);
        }
        Some((id, event))
    }

    /// When the stream's next event comes; `None` if its cause has not happened.
    fn due(&self, stream: &PlayedStream, steps: &CallerSteps) -> Option<CallTime> {
        let next = stream.recorded.events.front()?;
        if stream.recorded.sent.front().is_some_and(|(after, _)| *after <= stream.played) {
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

/// Whether the agent has heard as much of the caller's step as in the recording.
fn heard_difference(stream: &PlayedStream, given_ms: u64, steps: &CallerSteps) -> Option<String> {
    let heard = steps.heard(stream.opened_ms, given_ms);
    let (then, now) = match (stream.recorded.heard, heard) {
        (None, None) => return None,
        (Some((then, ms)), Some((now, now_ms))) if then == now => (ms, now_ms),
        (_, Some((now, _))) if stream.recorded.id.is_none() => {
            return Some(format!("the caller takes step {}; the recording has ended by then", now + 1));
        }
        (then, now) => {
            let name =
                |heard: Option<(usize, u64)>| heard.map_or("no step".to_owned(), |(n, _)| format!("step {}", n + 1));
            let (then, now) = (name(then), name(now));
            return Some(format!("the agent answers {now} of the caller; in the recording it answered {then} here"));
        }
    };
    let differs = then.abs_diff(now) > MAX_HEARD_DIFFERENCE_MS;
    let seconds = |ms: u64| format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10);
    differs.then(|| {
        let (now, then) = (seconds(now), seconds(then));
        format!("the utterance ends after {now} of the caller's speech; in the recording it ended after {then}")
    })
}

fn is_audio(input: &Value) -> bool {
    input["input"] == "audio"
}

/// The input of a line of a tape: `input`, and what it holds.
fn input_of(line: &str) -> Value {
    let mut line: Value = serde_json::from_str(line).unwrap_or_default();
    let mut input = line["message"].take();
    if let Value::Object(input) = &mut input {
        input.retain(|name, _| matches!(name.as_str(), "input" | "name" | "text" | "keys" | "tools"));
    }
    input
}

fn described(input: &Value) -> String {
    let text = |name: &str| input[name].as_str().unwrap_or_default();
    match text("input") {
        "audio" => "the caller's audio".to_owned(),
        "event" => format!("the event {}", text("name")),
        "text" => format!("the text \"{}\"", text("text")),
        "digits" => format!("the digits {}", text("keys")),
        other => format!("a {other}"),
    }
}

/// Reads a tape for what led to each event of the agent.
struct Analysis<'a> {
    steps: &'a CallerSteps,
    streams: VecDeque<RecordedStream>,
    /// The last event of each stream, or the last input that it was sent.
    last: Vec<CallTime>,
    opened: Vec<CallTime>,
    half_closed: Vec<Option<CallTime>>,
    received_bytes: usize,
    /// How far the agent had been given the caller's audio, in milliseconds, and when.
    given: Vec<(u64, CallTime)>,
}

impl<'a> Analysis<'a> {
    fn of(tape: &Tape, steps: &'a CallerSteps) -> VecDeque<RecordedStream> {
        let mut analysis = Analysis {
            steps,
            streams: VecDeque::new(),
            last: Vec::new(),
            opened: Vec::new(),
            half_closed: Vec::new(),
            received_bytes: 0,
            given: Vec::new(),
        };
        let mut outputs = tape.inputs_before.iter().zip(&tape.outputs).peekable();
        for (n, (at, input)) in tape.inputs.iter().enumerate() {
            while let Some((_, line)) = outputs.next_if(|(before, _)| **before <= n) {
                analysis.output(line);
            }
            analysis.input(*at, input);
        }
        outputs.for_each(|(_, line)| analysis.output(line));
        analysis.streams
    }

    fn input(&mut self, at: CallTime, input: &TapeInput) {
        match input {
            TapeInput::Twilio(text) => {
                if let Ok(Inbound::Media(media)) = parse(text) {
                    self.received_bytes += media.payload_bytes();
                }
            }
            TapeInput::Agent(id, event) => self.event(at, *id, event.clone()),
            TapeInput::TwilioBinary
            | TapeInput::TwilioClosed
            | TapeInput::NotReading
            | TapeInput::TakenOver
            | TapeInput::Admitted(_)
            | TapeInput::AudioRoom(_)
            | TapeInput::Text(_)
            | TapeInput::Updated(_)
            | TapeInput::Fetched(..)
            | TapeInput::ToolsRun(..)
            | TapeInput::Migrate
            | TapeInput::Timeout => {}
        }
    }

    fn output(&mut self, line: &str) {
        let parsed: Value = serde_json::from_str(line).unwrap_or_default();
        let at = CallTime::from_ms(parsed["at_ms"].as_u64().unwrap_or_default());
        let id = parsed["turn"].as_u64().and_then(|id| u32::try_from(id).ok()).map(StreamId);
        let received_ms = (self.received_bytes / BYTES_PER_MS) as u64;
        let n = self.streams.iter().position(|stream| stream.id == id);
        match (parsed["message"]["command"].as_str().unwrap_or_default(), n) {
            ("open", _) => {
                let opened_ms = received_ms;
                self.streams.push_back(RecordedStream { id, input: input_of(line), opened_ms, ..Default::default() });
                self.last.push(at);
                self.opened.push(at);
                self.half_closed.push(None);
            }
            ("audio", _) => self.given.push((received_ms, at)),
            ("send", Some(n)) => {
                let events = self.streams[n].events.len();
                self.streams[n].sent.push_back((events, input_of(line)));
                self.last[n] = at;
            }
            ("finishInput", Some(n)) => {
                self.half_closed[n] = Some(at);
                let given_ms = self.given.last().map_or(0, |(ms, _)| *ms);
                self.streams[n].heard = self.steps.heard(self.streams[n].opened_ms, given_ms);
            }
            _ => {}
        }
    }

    fn event(&mut self, at: CallTime, id: StreamId, event: AgentEvent) {
        let Some(n) = self.streams.iter().position(|stream| stream.id == Some(id)) else { return };
        let (cause, caused) = self.cause(n, &event);
        let after_ms = at.ms_since(caused);
        self.streams[n].events.push_back(RecordedEvent { cause, after_ms, event });
        self.last[n] = at;
    }

    /// The cause of an event, and its time.
    fn cause(&self, n: usize, event: &AgentEvent) -> (Cause, CallTime) {
        let stream = &self.streams[n];
        if let Some(at) = self.half_closed[n] {
            return (Cause::HalfClose, at);
        }
        let covered_ms = match event {
            // A final one waits for the end of the utterance, whatever it covers.
            AgentEvent::Transcript(transcript) if !transcript.is_final => {
                transcript.end_ms.map(|ms| stream.opened_ms + ms)
            }
            AgentEvent::Transcript(_) => None,
            AgentEvent::EndOfUtterance { .. } | AgentEvent::Interrupted { .. } => None,
            AgentEvent::Answer(_) | AgentEvent::GoAway | AgentEvent::Ended | AgentEvent::Failed(_) => {
                return match stream.events.is_empty() && stream.sent.is_empty() {
                    true => (Cause::Opening, self.opened[n]),
                    false => (Cause::Before, self.last[n]),
                };
            }
        };
        let given = covered_ms.and_then(|ms| self.given.get(self.given.partition_point(|(given, _)| *given < ms)));
        match given.or(self.given.last()) {
            Some((ms, at)) if *ms >= stream.opened_ms => {
                (Cause::Audio(self.steps.place(covered_ms.unwrap_or(*ms).min(*ms), stream.opened_ms)), *at)
            }
            _ => (Cause::Before, self.last[n]),
        }
    }
}
