//! An open stream of an agent that takes turn after turn in it, and the turn that it is in.

use serde_json::{Map, Value};

use crate::agent::{Answer, AnswerPart, Intent, ToolOutcome, TurnInput};
use crate::audio::Position;
use crate::ids::{StreamId, TurnId};
use crate::parameters::bytes_of_map;
use crate::report::Report;
use crate::time::CallTime;

use super::answer_parts::{AnswerParts, Earlier};
use super::heard::Heard;
use super::said::Said;
use super::wait::Wait;
use super::{Broken, OpenStream};

/// How many unanswered inputs we keep for the next stream.
const MAX_UNANSWERED_INPUTS: usize = 128;

/// How much of the results of tools we keep for the next stream, in bytes. An agent may ask for sixteen at once, which
/// have 256 KiB each at most.
const MAX_RESULT_BYTES: usize = 1 << 20;

/// How long the result of a tool is on its way to the agent, and a part of an answer on its way back, in milliseconds. A
/// part that comes sooner does not answer the result.
const RESULT_FLIGHT_MS: u64 = 300;

/// What a stream is in all states.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) opened_at: CallTime,
    /// How much of the caller's audio had come when it was opened.
    pub(super) opened: Position,
    pub(super) heard: Heard,
    /// Whether the caller spoke when the stream was last told.
    pub(super) caller_speaks: bool,
    /// Session parameters that it has not confirmed.
    pub(super) parameters: Map<String, Value>,
    /// What it got in between its audio, and the agent has not answered.
    pub(super) unanswered: Vec<TurnInput>,
    /// Whether it has asked for tools.
    pub(super) wants_tools: bool,
    pub(super) turn: Turn,
    pub(super) wait: Wait,
}

/// The current turn of a stream.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) id: TurnId,
    pub(super) begins: Begins,
    /// When the input was complete, as far as we know.
    pub(super) asked_at: CallTime,
    pub(super) answer: AnswerParts,
    /// Whether audio came before the answer in which nobody speaks.
    pub(super) has_lead: bool,
    /// Whether words were understood since the answer began.
    pub(super) is_spoken_into: bool,
    /// Whether the agent has stopped its answer, and no more of one has come.
    pub(super) is_interrupted: bool,
    pub(super) said: Said,
    /// What got an empty answer: a text, or results of tools.
    pub(super) left: Option<TurnInput>,
}

/// What a turn begins with.
#[derive(Debug)]
pub(super) enum Begins {
    /// The caller's audio.
    Audio,
    /// An event or a text.
    Input(TurnInput),
    /// The same, but we wait for its answer no more. The next stream gets it again if this one fails.
    UnansweredInput(TurnInput),
}

impl Turn {
    pub(super) fn new(id: TurnId, begins: Begins, now: CallTime) -> Self {
        Self {
            id,
            begins,
            asked_at: now,
            answer: AnswerParts::default(),
            has_lead: false,
            is_spoken_into: false,
            is_interrupted: false,
            said: Said::default(),
            left: None,
        }
    }

    /// The input that it began with.
    pub(super) fn input(&self) -> Option<&TurnInput> {
        match &self.begins {
            Begins::Audio => None,
            Begins::Input(input) | Begins::UnansweredInput(input) => Some(input),
        }
    }

    /// The input that it began with, if we still wait for its answer.
    pub(super) fn awaited_input(&self) -> Option<&TurnInput> {
        match &self.begins {
            Begins::Input(input) if !self.answer.is_something() => Some(input),
            Begins::Input(_) | Begins::Audio | Begins::UnansweredInput(_) => None,
        }
    }
}

impl Stream {
    pub(super) fn open(&self) -> OpenStream {
        OpenStream { stream: self.id, turn: self.turn.id }
    }

    /// It got an input in between its audio.
    pub(super) fn note_input(&mut self, input: &TurnInput) {
        let bytes: usize = self.unanswered.iter().chain([input]).map(bytes_of_results).sum();
        if self.unanswered.len() < MAX_UNANSWERED_INPUTS && bytes <= MAX_RESULT_BYTES {
            self.unanswered.push(input.clone());
        }
    }

    /// A part of an answer came. What it says answers what it got before, as far as we know, unless that was sent just
    /// now. The end of an answer that had begun before answers results alone, because the agent asks for tools in the
    /// middle of one.
    pub(super) fn note_answered(&mut self, answer: &Answer, earlier: Earlier, now: CallTime) {
        let was_on_its_way = now.ms_since(self.turn.asked_at) < RESULT_FLIGHT_MS;
        if earlier.is_input_answered {
            let mut left = self.unanswered.drain(..).filter(is_question);
            self.turn.left = left.next().filter(|_| answer.is_empty());
        } else if !answer.is_empty() && !was_on_its_way {
            self.unanswered.retain(|input| !is_question(input));
        } else if answer.part == AnswerPart::Final {
            self.unanswered.retain(|input| !matches!(input, TurnInput::ToolResults(_)));
        }
    }

    /// Whether it got something in between that it should answer, and has not.
    pub(super) fn has_question(&self) -> bool {
        self.unanswered.iter().any(is_question)
    }

    /// Whether it got results of tools that an earlier stream has asked for, and has not answered them.
    pub(super) fn has_foreign_results(&self) -> bool {
        let is_result = |input: &TurnInput| matches!(input, TurnInput::ToolResults(_));
        !self.wants_tools && self.unanswered.iter().any(is_result)
    }

    /// What the caller said in this turn, if the agent has answered nothing.
    pub(super) fn unanswered_words(&self) -> Option<String> {
        // If the turn began with another input, its empty answer is to that.
        let is_to_words = self.turn.awaited_input().is_none() && !self.heard.utterance.is_empty();
        let is_unanswered = is_to_words && !self.turn.answer.is_something();
        is_unanswered.then(|| self.heard.utterance.text().to_owned())
    }

    /// What the next stream must get from this one.
    pub(super) fn salvage(&mut self, was_listening: bool) -> Broken {
        let is_answered = self.turn.answer.is_something();
        let has_input = self.turn.input().is_some() || !self.unanswered.is_empty();
        Broken {
            turn: self.turn.id,
            opened_at: self.opened_at,
            was_listening,
            is_answered,
            is_unanswered: !is_answered && (has_input || !self.heard.utterance.is_empty()),
            input: self.turn.input().cloned().unwrap_or(TurnInput::Audio),
            has_foreign_results: self.has_foreign_results(),
            unanswered: std::mem::take(&mut self.unanswered),
            parameters: std::mem::take(&mut self.parameters),
            is_silent: false,
        }
    }

    /// The report of the answer, if there was one. The end of the conversation alone is not an answer.
    pub(super) fn answer_report(&self) -> Option<Report> {
        let Said { text, intent, parameters, audio_ms, .. } = &self.turn.said;
        let says = !text.is_empty() || *audio_ms > 0 || !parameters.is_empty() || *intent != Intent::default();
        (self.turn.answer.is_something() && says).then(|| Report::Answered {
            turn: self.turn.id,
            query_text: self.heard.utterance.text().to_owned(),
            text: text.clone(),
            intent: intent.clone(),
            is_no_match: false,
            parameters: parameters.clone(),
            audio_ms: *audio_ms,
            thought_ms: self.turn.answer.thought_ms,
        })
    }
}

/// Whether the agent should answer that input. It decides itself how many digits it answers.
fn is_question(input: &TurnInput) -> bool {
    matches!(input, TurnInput::Event(_) | TurnInput::Text(_) | TurnInput::ToolResults(_))
}

/// How much room the results of tools take, in bytes.
fn bytes_of_results(input: &TurnInput) -> usize {
    let TurnInput::ToolResults(results) = input else { return 0 };
    let outcomes = results.iter().map(|result| match &result.outcome {
        ToolOutcome::Done(result) => bytes_of_map(result),
        ToolOutcome::Failed(why) => why.len(),
        ToolOutcome::Refused => 0,
    });
    outcomes.sum()
}
