//! An open stream of an agent that takes turn after turn in it, and the turn that it is in.

use serde_json::{Map, Value};

use crate::agent::{Answer, AnswerPart, Intent, TurnInput};
use crate::audio::Position;
use crate::ids::{StreamId, TurnId};
use crate::report::Report;
use crate::time::CallTime;

use super::OpenStream;
use super::answer_parts::{AnswerParts, Earlier};
use super::heard::Heard;
use super::said::Said;
use super::wait::Wait;

/// How many unanswered inputs we keep for the next stream.
const MAX_UNANSWERED_INPUTS: usize = 32;

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
    /// Digits, texts and results of tools that it got and the agent has not answered.
    pub(super) unanswered: Vec<TurnInput>,
    pub(super) tools: Tools,
    pub(super) turn: Turn,
    pub(super) wait: Wait,
}

/// Whose results of tools a stream got first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tools {
    /// It has asked for none and got none.
    #[default]
    Unused,
    /// It has asked for tools itself.
    Own,
    /// It got results that an earlier stream had asked for.
    Foreign,
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
    pub(super) said: Said,
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
        Self { id, begins, asked_at: now, answer: AnswerParts::default(), has_lead: false, said: Said::default() }
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
        // The caller would have to repeat digits and texts, and an agent waits for the results of its tools.
        let is_repeated = matches!(input, TurnInput::Digits(..) | TurnInput::Text(_) | TurnInput::ToolResults(_));
        if is_repeated && self.unanswered.len() < MAX_UNANSWERED_INPUTS {
            self.unanswered.push(input.clone());
        }
        if matches!(input, TurnInput::ToolResults(_)) && self.tools == Tools::Unused {
            self.tools = Tools::Foreign;
        }
    }

    /// A part of an answer came. The agent asks for tools in the middle of one, and goes on with it when it has the
    /// results.
    pub(super) fn note_answered(&mut self, answer: &Answer, earlier: Earlier) {
        if earlier.is_input_answered {
            self.unanswered.clear();
        } else if !answer.is_empty() || answer.part == AnswerPart::Final {
            self.unanswered.retain(|input| !matches!(input, TurnInput::ToolResults(_)));
        }
    }

    /// What the caller said in this turn, if the agent has answered nothing.
    pub(super) fn unanswered_words(&self) -> Option<String> {
        // If the turn began with another input, its empty answer is to that.
        let is_to_words = self.turn.input().is_none() && !self.heard.utterance.is_empty();
        let is_unanswered = is_to_words && !self.turn.answer.is_something();
        is_unanswered.then(|| self.heard.utterance.text().to_owned())
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
