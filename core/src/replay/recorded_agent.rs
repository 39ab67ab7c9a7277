//! What the agent of a recorded call says when the call is played again.
//!
//! The recording says what led to each event and how long after its cause it came. It knows no answer to what nobody said.

use std::collections::VecDeque;

use serde_json::Value;

use crate::agent::{AgentCommand, AgentEvent, TurnInput, TurnStart};
use crate::audio::BYTES_PER_MS;
use crate::call::Output;
use crate::ids::{StreamId, StreamSid};
use crate::replay::caller_place::{CallerSteps, Heard};
use crate::replay::planned_stream::{Cause, PlannedEvent, PlannedStream};
use crate::tape::{Mask, Tape, TapeInput, TapeWriter};
use crate::time::CallTime;
use crate::twilio::{Inbound, parse};

/// How much of a step the agent may hear more or less than in the recording, in milliseconds, before its answer is one
/// to something else.
pub(super) const MAX_HEARD_DIFFERENCE_MS: u64 = 240;

/// A stream of the recording.
#[derive(Debug, Default)]
struct RecordedStream {
    id: Option<StreamId>,
    /// The input that opened it, as a line of the tape has it, without session parameters.
    input: Value,
    /// Where in the caller's audio it was opened, in milliseconds.
    opened_ms: u64,
    plan: PlannedStream,
}

/// The agent of a tape.
#[derive(Debug)]
pub(super) struct RecordedAgent {
    streams: VecDeque<RecordedStream>,
    writer: TapeWriter,
}

impl RecordedAgent {
    pub(super) fn of(tape: &Tape, steps: &CallerSteps) -> Self {
        Self { streams: Analysis::of(tape, steps), writer: TapeWriter::new(Mask::default()) }
    }

    pub(super) fn open(&mut self, id: StreamId, start: &TurnStart) -> Result<PlannedStream, String> {
        let input = self.input_of(id, AgentCommand::Open(Box::new(start.clone())));
        let Some(recorded) = self.streams.pop_front() else {
            // If the caller says nothing on a stream that the recording does not have, nobody has to know an answer.
            return if is_audio(&input) { Ok(PlannedStream::default()) } else { Err(given_instead(&input, None)) };
        };
        if recorded.input == input { Ok(recorded.plan) } else { Err(given_instead(&input, Some(&recorded.input))) }
    }

    pub(super) fn send(
        &mut self,
        id: StreamId,
        input: &TurnInput,
        plan: &mut PlannedStream,
        played: usize,
    ) -> Result<(), String> {
        let input = self.input_of(id, AgentCommand::Send(input.clone()));
        match plan.sent.pop_front() {
            Some((after, then)) if then == input && after >= played => Ok(()),
            then => Err(given_instead(&input, then.as_ref().map(|(_, then)| then))),
        }
    }

    /// Whether the agent has heard as much of the caller's step as in the recording.
    pub(super) fn half_close(&self, plan: &PlannedStream, heard: Heard) -> Result<(), String> {
        let (then, now) = match (plan.heard, heard) {
            (None, None) => return Ok(()),
            (Some((then, ms)), Some((now, now_ms))) if then == now => (ms, now_ms),
            (None, Some((now, _))) if self.streams.is_empty() && plan.events.is_empty() => {
                return Err(format!("the caller takes step {}; the recording has ended by then", now + 1));
            }
            (then, now) => {
                let name = |heard: Heard| heard.map_or("no step".to_owned(), |(n, _)| format!("step {}", n + 1));
                let (then, now) = (name(then), name(now));
                return Err(format!("the agent answers {now} of the caller; in the recording it answered {then} here"));
            }
        };
        if then.abs_diff(now) <= MAX_HEARD_DIFFERENCE_MS {
            return Ok(());
        }
        let (now, then) = (seconds(now), seconds(then));
        Err(format!("the utterance ends after {now} of the caller's speech; in the recording it ended after {then}"))
    }

    /// The input of a command as a tape has it, without what comes with it.
    fn input_of(&mut self, id: StreamId, command: AgentCommand) -> Value {
        let line = self.writer.output(CallTime::START, &Output::Agent(id, command), &StreamSid::default());
        input_of(line.as_deref().unwrap_or_default())
    }
}

/// A duration for people.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10)
}

fn given_instead(input: &Value, then: Option<&Value>) -> String {
    let then = then.map_or("nothing".to_owned(), described);
    format!("the agent is given {}; in the recording it was given {then}", described(input))
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
                let plan = PlannedStream::default();
                self.streams.push_back(RecordedStream { id, input: input_of(line), opened_ms, plan });
                self.last.push(at);
                self.opened.push(at);
                self.half_closed.push(None);
            }
            ("audio", _) => self.given.push((received_ms, at)),
            ("send", Some(n)) => {
                let events = self.streams[n].plan.events.len();
                self.streams[n].plan.sent.push_back((events, input_of(line)));
                self.last[n] = at;
            }
            ("finishInput", Some(n)) => {
                self.half_closed[n] = Some(at);
                let given_ms = self.given.last().map_or(0, |(ms, _)| *ms);
                self.streams[n].plan.heard = self.steps.heard(self.streams[n].opened_ms, given_ms);
            }
            _ => {}
        }
    }

    fn event(&mut self, at: CallTime, id: StreamId, event: AgentEvent) {
        let Some(n) = self.streams.iter().position(|stream| stream.id == Some(id)) else { return };
        let (cause, caused) = self.cause(n, &event);
        let after_ms = at.ms_since(caused);
        self.streams[n].plan.events.push_back(PlannedEvent { cause, after_ms, event });
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
                return match stream.plan.events.is_empty() && stream.plan.sent.is_empty() {
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
