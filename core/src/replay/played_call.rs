//! A call that was played or recorded, step by step of its caller: what the agent understood and said, and when.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::agent::{AgentCommand, AgentEvent, Answer, AnswerPart};
use crate::audio::BYTES_PER_MS;
use crate::call::Output;
use crate::ending::VirtualAgentStatus;
use crate::ids::{StreamId, TurnId};
use crate::replay::caller::waited_ms;
use crate::replay::heard_prompts::HeardPrompts;
use crate::replay::{CallerStep, Divergence, Replayed, replay};
use crate::report::{CloseReason, Report, Stages};
use crate::tape::{Tape, TapeInput};
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
    prompts: HeardPrompts,
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
    fn waits_from(&self) -> Option<CallTime> {
        self.fell_silent.or(self.ended).or(self.began)
    }
}

/// The part of a call from one step of the caller's until the next.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    call: &'a PlayedCall,
    /// `None`: before the first step.
    step: Option<usize>,
    from: CallTime,
    to: CallTime,
}

/// A prompt that was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptCut {
    /// When.
    pub at: CallTime,
    /// How much of it the caller had heard, in milliseconds.
    pub played_ms: u64,
}

impl PlayedCall {
    /// The call of a tape, as it went. `steps` are those of the caller, for the end of his speech in each.
    #[must_use]
    pub fn recorded(tape: &Tape, steps: &[CallerStep]) -> Self {
        let positions = FrameTimes::of(tape);
        let recorded = tape.header.conversation.iter().flat_map(|conversation| &conversation.steps);
        let times = steps.iter().zip(recorded).map(|(step, recorded)| {
            let mut times = StepTimes::of(step);
            if let Some(from_ms) = recorded.from_ms {
                times.began = Some(positions.before(from_ms) + 1);
                times.fell_silent = times.waits_from_ms.map(|ms| positions.at(from_ms + ms));
            }
            times.ended = recorded.to_ms.map(|ms| positions.at(ms));
            times
        });
        let messages = tape.inputs.iter().filter_map(|(at, input)| {
            let TapeInput::Agent(stream, event) = input else { return None };
            Some(AgentMessage { at: *at, stream: *stream, event: event.clone() })
        });
        Self::new(replay(tape), times.collect(), messages.collect())
    }

    /// A call that kept to its tape.
    pub(super) fn new(replayed: Replayed, steps: Vec<StepTimes>, messages: Vec<AgentMessage>) -> Self {
        let answers = answers(&replayed, &messages);
        let prompts = HeardPrompts::of(&replayed);
        Self { replayed, steps, messages, divergence: None, gave_up: false, answers, prompts }
    }

    /// The part before the first step: the greeting.
    #[must_use]
    pub fn opening(&self) -> Exchange<'_> {
        Exchange { call: self, step: None, from: CallTime::START, to: self.next_step(0) }
    }

    /// The part from a step until the next. `None` if the caller never came to it.
    #[must_use]
    pub fn exchange(&self, step: usize) -> Option<Exchange<'_>> {
        let from = self.steps.get(step)?.began?;
        Some(Exchange { call: self, step: Some(step), from, to: self.next_step(step + 1) })
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
        self.replayed.outputs().filter_map(|(at, output)| Some((at, output.report()?)))
    }

    fn find<T>(&self, wanted: impl Fn(&Report) -> Option<T>) -> Option<T> {
        self.reports().find_map(|(_, report)| wanted(report))
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

impl<'a> Exchange<'a> {
    /// When it began.
    #[must_use]
    pub fn began(&self) -> CallTime {
        self.from
    }

    fn is_within(&self, at: CallTime) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// The answers to this step.
    fn answers(self) -> impl Iterator<Item = &'a Answer> {
        let of_step = self.call.answers.iter().filter(move |(at, _)| self.is_within(*at));
        of_step.filter_map(move |(_, n)| {
            let AgentEvent::Answer(answer) = &self.call.messages.get(*n)?.event else { return None };
            Some(&**answer)
        })
    }

    /// Whether the agent answered.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answers().any(|answer| !answer.is_empty())
    }

    /// The words of the agent.
    #[must_use]
    pub fn reply(&self) -> String {
        let texts: Vec<&str> =
            self.answers().map(|answer| answer.text.as_str()).filter(|text| !text.is_empty()).collect();
        texts.join(" ")
    }

    /// The words that the agent understood.
    #[must_use]
    pub fn understood(&self) -> String {
        let queries = self.answers().map(|answer| answer.query_text.as_str()).filter(|text| !text.is_empty());
        if let Some(query) = queries.last() {
            return query.to_owned();
        }
        let finals = self.call.reports().filter(|(at, _)| self.is_within(*at)).filter_map(|(_, report)| {
            if let Report::Transcript { text, is_final: true, .. } = report { Some(text.as_str()) } else { None }
        });
        finals.last().unwrap_or_default().to_owned()
    }

    /// The display name of the intent that matched; empty: none.
    #[must_use]
    pub fn intent(&self) -> &'a str {
        let intents = self.answers().filter_map(|answer| answer.intent.as_ref());
        intents.map(|intent| intent.display_name.as_str()).last().unwrap_or_default()
    }

    /// The page that the conversation was on; empty: the agent did not say.
    #[must_use]
    pub fn page(&self) -> &'a str {
        self.answers().map(|answer| answer.page.as_str()).filter(|page| !page.is_empty()).last().unwrap_or_default()
    }

    /// Its flow; empty: the agent did not say.
    #[must_use]
    pub fn flow(&self) -> &'a str {
        self.answers().map(|answer| answer.flow.as_str()).filter(|flow| !flow.is_empty()).last().unwrap_or_default()
    }

    /// The parameters of the answers; a later one replaces an earlier one of its name.
    #[must_use]
    pub fn parameters(&self) -> Map<String, Value> {
        self.answers().flat_map(|answer| answer.parameters.clone()).collect()
    }

    /// From the end of the caller's speech, or of his last key, until he began to hear the answer, in milliseconds. It
    /// counts from the beginning of the call for the greeting, and from the beginning of a wait. Negative: the answer
    /// began before he had finished. `None` if he heard none.
    #[must_use]
    pub fn within_ms(&self) -> Option<i64> {
        let from = self.step.map_or(Some(CallTime::START), |step| self.call.steps[step].waits_from())?;
        let sent = self.stages().find_map(|stages| stages.first_audio_sent)?;
        let voice = self.call.prompts.first_voice(sent, self.to);
        voice.map(|heard| waited_ms(from.as_ms(), heard.as_ms()))
    }

    /// The stages of its turns, in order.
    pub fn stages(self) -> impl Iterator<Item = &'a Stages> {
        self.call.reports().filter_map(move |(_, report)| {
            let Report::Stages(stages) = report else { return None };
            let complete = stages.input_complete.or(stages.answered).unwrap_or(stages.opened);
            self.is_within(complete).then_some(&**stages)
        })
    }

    /// The first prompt that was cut.
    #[must_use]
    pub fn prompt_cut(&self) -> Option<PromptCut> {
        let mut cuts = self.call.prompts.cuts().filter(|(at, _)| self.is_within(*at));
        cuts.next().map(|(at, played_ms)| PromptCut { at, played_ms })
    }
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
