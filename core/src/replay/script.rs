//! What the agent of a test hears and answers: a recogniser and an agent that follow a script.
//!
//! The recogniser understands one word after another, evenly over the caller's speech. It ends an utterance after
//! [`END_OF_UTTERANCE_MS`] of silence. The agent answers what each turn of the script says.

use std::collections::VecDeque;
use std::ops::Range;

use crate::agent::{AgentEvent, Answer, AnswerPart, Matched, Transcript, TurnInput, TurnStart};
use crate::edition::Edition;
use crate::replay::caller_place::{CallerSteps, Heard, Place};
use crate::replay::planned_stream::{Cause, PlannedEvent, PlannedStream};
use crate::replay::recorded_agent::{MAX_HEARD_DIFFERENCE_MS, seconds};

/// After how much silence the recogniser ends an utterance, in milliseconds.
pub(crate) const END_OF_UTTERANCE_MS: u64 = 700;

/// After how much silence an agent notices that the caller says nothing, in milliseconds.
pub(crate) const NO_INPUT_MS: u64 = 5_000;

/// How long the recogniser takes for a word, in milliseconds.
const RECOGNISER_MS: u64 = 100;

/// When the recogniser has an idea of the first word, in milliseconds from the beginning of speech.
const FIRST_WORD_MS: u64 = 400;

/// When an agent with one stream for the whole call notices that the caller speaks into its prompt, in milliseconds.
const INTERRUPTION_MS: u64 = 200;

/// What the caller does in a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TurnBegin {
    /// Nothing: the agent greets him.
    Greeting,
    /// Says something. The span is that of his voice in the step, in milliseconds.
    Speech {
        span: Range<u64>,
        barges_in: bool,
    },
    /// Presses this many keys.
    Digits(usize),
    Text,
    Silence,
    HangUp,
}

/// A turn of the script.
#[derive(Debug, Clone)]
pub(crate) struct ScriptTurn {
    pub(crate) begin: TurnBegin,
    /// What the recogniser understands.
    pub(crate) understood: String,
    /// The parts of the answer.
    pub(crate) answers: Vec<ScriptAnswer>,
}

/// A part of an answer.
#[derive(Debug, Clone)]
pub(crate) struct ScriptAnswer {
    pub(crate) answer: Answer,
    /// How long the agent thinks before it, in milliseconds.
    pub(crate) after_ms: u64,
}

/// The agent of a test.
#[derive(Debug)]
pub(crate) struct Script {
    edition: Edition,
    /// The greeting, and then a turn for each step of the caller's.
    turns: Vec<ScriptTurn>,
    /// Whether the agent is told by an event that the caller is silent. Otherwise it notices by itself.
    is_told_of_silence: bool,
    /// The first turn that is not answered.
    next: usize,
}

impl Script {
    pub(crate) fn new(edition: Edition, turns: Vec<ScriptTurn>, is_told_of_silence: bool) -> Self {
        Self { edition, turns, is_told_of_silence, next: 0 }
    }

    pub(super) fn open(&mut self, start: &TurnStart, steps: &CallerSteps) -> Result<PlannedStream, String> {
        let agent_ends = start.agent_ends && self.edition != Edition::Ces;
        let mut plan = PlannedStream { agent_ends, ..PlannedStream::default() };
        if start.input != TurnInput::Audio {
            plan.events = self.answer_to(&start.input, Cause::Opening, steps)?;
        }
        match self.edition {
            Edition::Ces => self.go_on(&mut plan),
            Edition::Es | Edition::Cx if start.input == TurnInput::Audio => plan.events = self.hear(agent_ends),
            Edition::Es | Edition::Cx => {}
        }
        Ok(plan)
    }

    /// Input between the audio (CES).
    pub(super) fn send(
        &mut self,
        input: &TurnInput,
        plan: &mut PlannedStream,
        steps: &CallerSteps,
    ) -> Result<(), String> {
        let mut events = self.answer_to(input, Cause::Before, steps)?;
        events.append(&mut plan.events);
        plan.events = events;
        Ok(())
    }

    /// The input of a stream is complete: the agent answers what it has heard, if it does not answer other input.
    pub(super) fn half_close(
        &mut self,
        plan: &mut PlannedStream,
        heard: Heard,
        steps: &CallerSteps,
    ) -> Result<(), String> {
        let is_answered = plan.events.iter().any(|next| matches!(next.event, AgentEvent::Answer(_)));
        if is_answered || self.edition == Edition::Ces {
            return Ok(());
        }
        // Speech that an answer has had, or that the agent could not hear, is none.
        let Some((step, ms)) = heard.filter(|(step, _)| *step + 1 >= self.next) else {
            plan.events = self.answer_to_silence(steps)?;
            return Ok(());
        };
        if let Some(span) = self.speech(step)
            && ms + MAX_HEARD_DIFFERENCE_MS < span.end
        {
            let (heard, whole) = (seconds(ms), seconds(span.end));
            return Err(format!("the utterance ends after {heard} of the {whole} that the caller says in one step"));
        }
        plan.events.extend(self.answer(step + 1, Cause::HalfClose)?);
        Ok(())
    }

    /// Where the caller's voice is in a step, in milliseconds from its beginning. `None`: he says nothing in it.
    pub(super) fn speech(&self, step: usize) -> Option<&Range<u64>> {
        if let TurnBegin::Speech { span, .. } = &self.turns.get(step + 1)?.begin { Some(span) } else { None }
    }

    /// The agent could not hear what the caller said in a step.
    pub(super) fn pass_over(&mut self, step: usize, plan: &mut PlannedStream) {
        self.next = self.next.max(step + 2);
        plan.events = self.hear(plan.agent_ends);
    }

    /// An agent with one stream for the whole call listens again when it has answered.
    pub(super) fn go_on(&mut self, plan: &mut PlannedStream) {
        if self.edition == Edition::Ces && plan.events.is_empty() {
            plan.events = self.hear(false);
        }
    }

    /// What the agent makes of the next thing that it hears. An agent with one stream for the whole call answers it too.
    fn hear(&mut self, agent_ends: bool) -> VecDeque<PlannedEvent> {
        let mut turns = self.turns.iter().enumerate().skip(self.next.max(1));
        // The agent has nothing to say to a silence without an answer.
        let next = turns.find(|(_, turn)| turn.begin != TurnBegin::Silence || !turn.answers.is_empty());
        let Some((n, ScriptTurn { begin, .. })) = next else { return VecDeque::new() };
        let is_ces = self.edition == Edition::Ces;
        match begin {
            TurnBegin::Speech { span, barges_in } => {
                let mut events = self.words(n, span, *barges_in, agent_ends);
                if is_ces {
                    events.extend(self.answer(n, Cause::Before).unwrap_or_default());
                }
                events
            }
            TurnBegin::Silence if self.is_told_of_silence => VecDeque::new(),
            TurnBegin::Silence if is_ces => {
                self.answer(n, Cause::Audio(Place::Step(n - 1, NO_INPUT_MS))).unwrap_or_default()
            }
            TurnBegin::Silence if agent_ends => {
                [at_place(n, NO_INPUT_MS, AgentEvent::EndOfUtterance { end_ms: None })].into()
            }
            TurnBegin::Greeting | TurnBegin::Digits(_) | TurnBegin::Text | TurnBegin::Silence | TurnBegin::HangUp => {
                VecDeque::new()
            }
        }
    }

    /// What the recogniser says of a turn's speech.
    fn words(&self, turn: usize, span: &Range<u64>, barges_in: bool, agent_ends: bool) -> VecDeque<PlannedEvent> {
        let text = &self.turns[turn].understood;
        let mut events = VecDeque::new();
        if barges_in && self.edition == Edition::Ces {
            events.push_back(at_place(turn, span.start + INTERRUPTION_MS, AgentEvent::Interrupted { barge_in: true }));
        }
        let mut ends: Vec<usize> = text.match_indices(' ').map(|(at, _)| at).chain([text.len()]).collect();
        ends.retain(|end| *end > 0);
        for (n, end) in ends.iter().enumerate() {
            let share_ms = (span.end - span.start) * (n as u64 + 1) / ends.len() as u64;
            let ms = if n == 0 { share_ms.min(FIRST_WORD_MS) } else { share_ms };
            let interim = Transcript { text: text[..*end].to_owned(), ..Transcript::default() };
            let event = AgentEvent::Transcript(interim);
            events.push_back(PlannedEvent { after_ms: RECOGNISER_MS, ..at_place(turn, span.start + ms, event) });
        }
        // CES does not say whether a transcript is final.
        let is_final = self.edition != Edition::Ces;
        let whole = Transcript { text: text.clone(), is_final, ..Transcript::default() };
        let whole = AgentEvent::Transcript(whole);
        let end = AgentEvent::EndOfUtterance { end_ms: None };
        let last = (!text.is_empty()).then_some(whole).into_iter().chain(agent_ends.then_some(end));
        events.extend(last.map(|event| at_place(turn, span.end + END_OF_UTTERANCE_MS, event)));
        events
    }

    /// The answer to input that is not audio.
    fn answer_to(
        &mut self,
        input: &TurnInput,
        cause: Cause,
        steps: &CallerSteps,
    ) -> Result<VecDeque<PlannedEvent>, String> {
        let begun = steps.begun();
        let waiting = self.next..(begun + 1).min(self.turns.len());
        let find = |is_it: &dyn Fn(&TurnBegin) -> bool| waiting.clone().find(|n| is_it(&self.turns[*n].begin));
        let turn = match input {
            TurnInput::Audio | TurnInput::ToolResults(_) => None,
            TurnInput::Event(_) | TurnInput::Text(_) if begun == 0 => find(&|begin| *begin == TurnBegin::Greeting),
            TurnInput::Event(_) => find(&|begin| *begin == TurnBegin::Silence),
            TurnInput::Text(_) => find(&|begin| *begin == TurnBegin::Text),
            TurnInput::Digits(..) => find(&|begin| matches!(begin, TurnBegin::Digits(_))),
        };
        let turn = turn.ok_or_else(|| format!("the agent is given {}, which the test does not expect", told(input)))?;
        if let (Edition::Ces, TurnBegin::Digits(left), TurnInput::Digits(digits, _)) =
            (self.edition, &mut self.turns[turn].begin, input)
        {
            // The agent gets each key as it is pressed, and answers the last one.
            *left = left.saturating_sub(digits.digits.len() + usize::from(digits.finish_digit.is_some()));
            if *left > 0 {
                return Ok(VecDeque::new());
            }
        }
        self.answer(turn, cause)
    }

    /// The answer to a caller who has said nothing.
    fn answer_to_silence(&mut self, steps: &CallerSteps) -> Result<VecDeque<PlannedEvent>, String> {
        let turn = steps.begun();
        let is_silence = self.turns.get(turn).is_some_and(|turn| turn.begin == TurnBegin::Silence);
        if is_silence && turn >= self.next && !self.turns[turn].answers.is_empty() {
            return self.answer(turn, Cause::HalfClose);
        }
        let nothing = Answer { part: AnswerPart::Final, matched: Matched::NoInput, ..Answer::default() };
        let events = [AgentEvent::Answer(Box::new(nothing)), AgentEvent::Ended];
        Ok(events.map(|event| PlannedEvent { cause: Cause::HalfClose, after_ms: 0, event }).into())
    }

    /// The answer of a turn. It and the turns before it are over then.
    fn answer(&mut self, turn: usize, cause: Cause) -> Result<VecDeque<PlannedEvent>, String> {
        let ScriptTurn { answers, understood, .. } = &self.turns[turn];
        let Some(last) = answers.len().checked_sub(1) else {
            return Err(format!("the agent has to answer step {turn} of the caller, and the test does not say what"));
        };
        self.next = turn + 1;
        let parts = answers.iter().enumerate().map(|(n, part)| {
            // CES does not say what it has understood.
            let query_text = if self.edition == Edition::Ces { String::new() } else { understood.clone() };
            let answer = Answer { part: self.part(n == last), query_text, ..part.answer.clone() };
            PlannedEvent {
                cause: if n == 0 { cause } else { Cause::Before },
                after_ms: part.after_ms,
                event: AgentEvent::Answer(Box::new(answer)),
            }
        });
        let ends = (self.edition != Edition::Ces).then(|| after(0, AgentEvent::Ended));
        Ok(parts.chain(ends).collect())
    }

    fn part(&self, is_last: bool) -> AnswerPart {
        match (self.edition, is_last) {
            (Edition::Es, _) | (Edition::Ces, false) => AnswerPart::Open,
            (Edition::Cx, false) => AnswerPart::Partial,
            (Edition::Cx | Edition::Ces, true) => AnswerPart::Final,
        }
    }
}

/// An event that comes when the agent has been given a turn's step up to there.
fn at_place(turn: usize, ms: u64, event: AgentEvent) -> PlannedEvent {
    PlannedEvent { cause: Cause::Audio(Place::Step(turn - 1, ms)), after_ms: 0, event }
}

fn after(after_ms: u64, event: AgentEvent) -> PlannedEvent {
    PlannedEvent { cause: Cause::Before, after_ms, event }
}

fn told(input: &TurnInput) -> String {
    match input {
        TurnInput::Event(name) => format!("the event {name}"),
        TurnInput::Text(text) => format!("the text \"{text}\""),
        TurnInput::Digits(digits, _) => format!("the digits {}", digits.digits),
        TurnInput::Audio | TurnInput::ToolResults(_) => format!("a {}", input.kind()),
    }
}
