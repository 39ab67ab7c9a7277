//! A call that was played or recorded, step by step of its caller: what the agent understood and said, and when.

use std::collections::BTreeMap;

use crate::agent::{AgentCommand, AgentEvent, Answer, AnswerPart};
use crate::audio::BYTES_PER_MS;
use crate::call::Output;
use crate::ending::VirtualAgentStatus;
use crate::ids::{StreamId, TurnId};
use crate::replay::heard_prompts::HeardPrompts;
use crate::replay::unlike::Place;
use crate::replay::{CallerStep, Divergence, PlayedHandoff, PlayedTurn, Replayed, replay};
use crate::report::{CloseReason, Report, Stages};
use crate::tape::{Conversation, Tape, TapeInput};
use crate::time::CallTime;
use crate::twilio::{Inbound, parse};

/// A call, step by step.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayedCall {
    /// The outputs of the call.
    pub replayed: Replayed,
    /// When the caller took his steps.
    pub steps: Vec<StepTimes>,
    /// The messages of the agent, in order.
    pub messages: Vec<AgentMessage>,
    /// Where the call left its tape. From there on the agent says nothing.
    pub divergence: Option<Divergence>,
    /// Whether the caller hung up because the time of his next step did not come.
    pub gave_up: bool,
    /// The answers among the messages by their numbers, each with the time at which its input was complete.
    answers: Vec<(CallTime, usize)>,
    pub(super) prompts: HeardPrompts,
}

/// A message of the agent.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentMessage {
    /// When.
    pub at: CallTime,
    /// On which stream.
    pub stream: StreamId,
    /// What.
    pub event: AgentEvent,
}

/// When the caller took a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepTimes {
    /// When it began; `None` if he never came to it.
    pub began: Option<CallTime>,
    /// When it ended.
    pub ended: Option<CallTime>,
    /// When he fell silent: the end of the last voiced frame, or the beginning of a step in which he only waits. `None`:
    /// he pressed keys, for example.
    pub fell_silent: Option<CallTime>,
    /// From when on he waits for the answer, in milliseconds from its beginning.
    waits_from_ms: Option<u64>,
}

impl StepTimes {
    pub(super) fn of(step: &CallerStep) -> Self {
        Self { waits_from_ms: step.waits_from_ms(), ..Self::default() }
    }

    pub(super) fn begin(&mut self, at: CallTime) {
        self.began = Some(at);
        self.fell_silent = self.waits_from_ms.map(|ms| at + ms);
    }

    pub(super) fn end(&mut self, at: CallTime) {
        self.ended = Some(at);
    }

    /// When the caller began to wait for the answer: when he fell silent, or else when the step was over.
    pub(super) fn waits_from(&self) -> Option<CallTime> {
        self.fell_silent.or(self.ended).or(self.began)
    }
}

impl PlayedCall {
    /// The call of a tape, as it went. `steps` are those of the caller of a conversation file, for the end of his speech in
    /// each. A tape of any other call has none: then each input that the agent answered is a step.
    ///
    /// ```
    /// use dialbridge_core::replay::PlayedCall;
    /// use dialbridge_core::tape::Tape;
    ///
    /// let tape = Tape::parse(r#"{"tape":1,"edition":"cx","marks":"simulated","config":{"greeting":{"text":"hi"}}}
    /// {"at_ms":0,"from":"twilio","message":{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}}
    /// {"at_ms":900,"from":"agent","turn":1,"message":{"event":"answer","part":"final","text":"Hello"}}"#)?;
    /// assert_eq!(PlayedCall::recorded(&tape, &[]).turn(1).reply(), "Hello");
    /// # Ok::<(), dialbridge_core::tape::TapeError>(())
    /// ```
    #[must_use]
    pub fn recorded(tape: &Tape, steps: &[CallerStep]) -> Self {
        let replayed = replay(tape);
        let times = match &tape.header.conversation {
            Some(conversation) => conversation_times(tape, conversation, steps),
            None => answered_times(&replayed),
        };
        let messages = tape.inputs.iter().filter_map(|(at, input)| {
            let TapeInput::Agent(stream, event) = input else { return None };
            Some(AgentMessage { at: *at, stream: *stream, event: event.clone() })
        });
        Self::new(replayed, times, messages.collect())
    }

    /// The turn with that number, from 1. Turn 1 is the greeting, if the agent greets the caller. Then each step of the
    /// caller's begins a turn. The trace counts streams to the agent instead: digits and events open one of their own.
    ///
    /// # Panics
    /// If the call did not come to that turn.
    #[must_use]
    #[track_caller]
    pub fn turn(&self, number: usize) -> PlayedTurn<'_> {
        let before = usize::from(self.is_greeted());
        let turn = match number.checked_sub(before + 1) {
            Some(step) => self.turn_of_step(step),
            None => (number == 1).then(|| self.greeting()),
        };
        let Some(turn) = turn else {
            let why = if self.gave_up {
                "the caller hung up, because the time of his next step did not come"
            } else {
                "it ended"
            };
            let come = self.steps.iter().filter(|step| step.began.is_some()).count() + before;
            Place::new(self, self.ended()).fail(format_args!("the call has no turn {number}: {why} after turn {come}"));
        };
        turn
    }

    /// A call that kept to its tape.
    pub(super) fn new(replayed: Replayed, steps: Vec<StepTimes>, messages: Vec<AgentMessage>) -> Self {
        let answers = answers(&replayed, &messages);
        let prompts = HeardPrompts::of(&replayed);
        Self { replayed, steps, messages, divergence: None, gave_up: false, answers, prompts }
    }

    /// The part before the first step: the greeting.
    #[must_use]
    pub fn greeting(&self) -> PlayedTurn<'_> {
        PlayedTurn { call: self, step: None, from: CallTime::START, to: self.next_step(0) }
    }

    /// The part from a step until the next. `None` if the caller never came to it.
    #[must_use]
    pub fn turn_of_step(&self, step: usize) -> Option<PlayedTurn<'_>> {
        let from = self.steps.get(step)?.began?;
        Some(PlayedTurn { call: self, step: Some(step), from, to: self.next_step(step + 1) })
    }

    /// The number of a step's turn; `None`: the greeting's.
    pub(super) fn number_of(&self, step: Option<usize>) -> usize {
        step.map_or(1, |step| step + 1 + usize::from(self.is_greeted()))
    }

    /// Whether the agent speaks first: it gets an event or a text before the caller does anything.
    fn is_greeted(&self) -> bool {
        greets(&self.replayed)
    }

    /// The hand-off.
    ///
    /// # Panics
    /// If there was none: the agent's part of the call did not end.
    #[must_use]
    #[track_caller]
    pub fn handoff(&self) -> PlayedHandoff<'_> {
        let Some(handoff) = PlayedHandoff::of(self) else {
            Place::new(self, self.ended()).fail("the call was not handed off: the agent's part did not end");
        };
        handoff
    }

    /// Checks that the call went as its tape or test describes it.
    ///
    /// # Panics
    /// If it gave the agent something else. The agent says nothing from there on.
    #[track_caller]
    pub fn assert_no_divergence(&self) {
        if let Some(Divergence { at, what }) = &self.divergence {
            Place::new(self, *at).fail(format_args!("at {at} s {what}"));
        }
    }

    /// Panics if the caller did not come to each of his first `count` steps.
    #[track_caller]
    pub(crate) fn assert_steps_taken(&self, count: usize) {
        let missed = self.steps.iter().take(count).position(|step| step.began.is_none());
        if let Some(step) = missed {
            let why = if self.gave_up { "its time did not come in 20 s" } else { "the call ended before its time" };
            Place::new(self, self.ended()).fail(format_args!("the caller never came to step {}: {why}", step + 1));
        }
    }

    fn next_step(&self, step: usize) -> CallTime {
        self.steps.iter().skip(step).find_map(|times| times.began).unwrap_or(CallTime::from_ms(u64::MAX))
    }

    /// The status with which the agent's part ended; `None` if the caller hung up before.
    #[must_use]
    pub fn status(&self) -> Option<VirtualAgentStatus> {
        self.find(|report| if let Report::HandedOff { status } = report { Some(*status) } else { None })
    }

    /// Why the media stream was closed.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.find(|report| if let Report::Ended { reason, .. } = report { Some(*reason) } else { None })
    }

    /// When the call ended.
    #[must_use]
    pub fn ended(&self) -> CallTime {
        self.replayed.steps.last().map_or(CallTime::START, |(at, _)| *at)
    }

    /// How many turns the agent answered, the greeting included.
    #[must_use]
    pub fn turns(&self) -> usize {
        let mut turns: Vec<TurnId> = Vec::new();
        for (_, report) in self.reports() {
            if let Report::Answered { turn, .. } = report
                && turns.last() != Some(turn)
            {
                turns.push(*turn);
            }
        }
        turns.len()
    }

    /// The TwiML that the call got at its hand-off.
    #[must_use]
    pub fn twiml(&self) -> Option<&str> {
        self.replayed.outputs().find_map(|(_, output)| match output {
            Output::Update { twiml } => Some(twiml.as_str()),
            Output::Twilio(_)
            | Output::Agent(..)
            | Output::Admit(_)
            | Output::Fetch(..)
            | Output::RunTools(..)
            | Output::UseBackup
            | Output::Report(_)
            | Output::Close(_) => None,
        })
    }

    /// The prompts that were cut: when, and when the caller had begun to hear them.
    #[must_use]
    pub fn prompt_cuts(&self) -> Vec<(CallTime, CallTime)> {
        self.prompts.cuts().map(|(at, played_ms)| (at, at - played_ms)).collect()
    }

    /// The reports of the call, in order, each with its time.
    pub fn reports(&self) -> impl Iterator<Item = (CallTime, &Report)> {
        self.replayed.reports()
    }

    fn find<T>(&self, wanted: impl Fn(&Report) -> Option<T>) -> Option<T> {
        self.reports().find_map(|(_, report)| wanted(report))
    }

    /// The answers of the agent, each with the time at which its input was complete.
    pub(super) fn answers(&self) -> impl Iterator<Item = (CallTime, &Answer)> {
        self.answers.iter().filter_map(|(at, n)| {
            let AgentEvent::Answer(answer) = &self.messages.get(*n)?.event else { return None };
            Some((*at, &**answer))
        })
    }
}

/// The numbers of the answers, each with the time at which its input was complete. An agent with one stream for the whole
/// call does not say which input it answers: all parts of its answer have the time of the first one.
fn answers(replayed: &Replayed, messages: &[AgentMessage]) -> Vec<(CallTime, usize)> {
    let mut half_closed: BTreeMap<StreamId, CallTime> = BTreeMap::new();
    for (at, output) in replayed.outputs() {
        if let Output::Agent(stream, AgentCommand::HalfClose) = output {
            half_closed.entry(*stream).or_insert(at);
        }
    }
    let mut began: Option<(StreamId, CallTime)> = None;
    let numbered = messages.iter().enumerate().filter_map(|(n, message)| {
        let AgentEvent::Answer(answer) = &message.event else { return None };
        if let Some(complete) = half_closed.get(&message.stream).filter(|at| **at <= message.at) {
            return Some((*complete, n));
        }
        let at = began.filter(|(stream, _)| *stream == message.stream).map_or(message.at, |(_, at)| at);
        began = (answer.part != AnswerPart::Final).then_some((message.stream, at));
        Some((at, n))
    });
    numbered.collect()
}

/// When the caller of a conversation file took his steps.
fn conversation_times(tape: &Tape, conversation: &Conversation, steps: &[CallerStep]) -> Vec<StepTimes> {
    let positions = FrameTimes::of(tape);
    let times = steps.iter().zip(&conversation.steps).map(|(step, recorded)| {
        let mut times = StepTimes::of(step);
        if let Some(from_ms) = recorded.from_ms {
            times.began = Some(positions.before(from_ms) + 1);
            times.fell_silent = times.waits_from_ms.map(|ms| positions.at(from_ms + ms));
        }
        times.ended = recorded.to_ms.map(|ms| positions.at(ms));
        times
    });
    times.collect()
}

/// Whether the agent speaks first: it gets an event or a text before the caller does anything.
fn greets(replayed: &Replayed) -> bool {
    let input = |(_, report): (CallTime, &Report)| {
        if let Report::TurnOpened { input, .. } = report { Some(*input) } else { None }
    };
    let mut opened = replayed.reports().filter_map(input);
    opened.next().is_some_and(|input| input != "audio")
}

/// When the caller began each input that the agent answered, except for the greeting.
fn answered_times(replayed: &Replayed) -> Vec<StepTimes> {
    let stages = replayed
        .reports()
        .filter_map(|(_, report)| if let Report::Stages(stages) = report { Some(&**stages) } else { None });
    let mut answered: Vec<&Stages> = stages.filter(|stages| stages.answered.is_some()).collect();
    answered.sort_by_key(|stages| stages.turn);
    let mut from = CallTime::START;
    let times = answered.into_iter().skip(usize::from(greets(replayed))).filter(|stages| stages.input != "tool result");
    times
        .map(|stages| {
            let complete = stages.input_complete.or(stages.answered).unwrap_or(stages.opened);
            let digits =
                replayed.reports().filter(|(at, report)| **report == Report::Digit && (from..=complete).contains(at));
            let began = if stages.input == "digits" { digits.map(|(at, _)| at).next() } else { stages.speech_began };
            from = complete;
            let (began, fell_silent) = (Some(began.unwrap_or(complete)), stages.speech_ended);
            StepTimes { began, ended: Some(complete), fell_silent, waits_from_ms: None }
        })
        .collect()
}

/// When the caller's audio came, frame by frame.
struct FrameTimes(Vec<(u64, CallTime)>);

impl FrameTimes {
    fn of(tape: &Tape) -> Self {
        let mut received = 0;
        let mut times = Vec::new();
        for (at, input) in &tape.inputs {
            let TapeInput::Twilio(text) = input else { continue };
            let Ok(Inbound::Media(media)) = parse(text) else { continue };
            times.push(((received / BYTES_PER_MS) as u64, *at));
            received += media.payload_bytes();
        }
        Self(times)
    }

    /// When the frame before that position came. Whatever a step causes comes later, even if it overtakes the step's own
    /// first frame.
    fn before(&self, position_ms: u64) -> CallTime {
        let n = self.0.partition_point(|(ms, _)| *ms < position_ms);
        n.checked_sub(1).and_then(|n| self.0.get(n)).map_or(CallTime::START, |(_, at)| *at)
    }

    /// When the audio at that position came.
    fn at(&self, position_ms: u64) -> CallTime {
        let n = self.0.partition_point(|(ms, _)| *ms <= position_ms);
        let before = n.checked_sub(1).and_then(|n| self.0.get(n));
        before.map_or(CallTime::START, |(ms, at)| *at + (position_ms - ms))
    }
}
