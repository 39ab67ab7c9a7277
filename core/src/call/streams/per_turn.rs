//! ES and CX: a stream takes one turn.
//!
//! ```text
//! Idle --audio: Open--> Listening
//! Idle --event, text, digits or tool results: Open, HalfClose--> Responding
//! Listening --end of utterance, an answer: HalfClose--> Responding
//! Listening --digits or a text wait, and the caller pauses after speech: HalfClose--> Responding
//! Listening --audio limit, in a pause after a transcript or in the last moment of speech: HalfClose--> Responding
//! Listening --no-input, if the agent has no event for it: HalfClose--> Responding
//! Listening --end of utterance without speech of the caller's, beside or just after a prompt, or beside digits: Cancel
//!     --> Idle
//! Listening --end of utterance with nothing but echo, or a backchannel in a prompt: Cancel--> Idle
//! Listening --digits or a text complete, no-input with an event, audio limit, without speech: Cancel--> Idle
//! Listening --ended by the server, failed--> Idle (retry)
//! Listening --stalled: Cancel--> Idle (retry)
//! Responding --final part, ended by the server, no more of an open answer in time: Done--> Idle
//! Responding --the agent's part of the call is over for so long that no more words are waited for: Done--> Idle
//! Responding --failed with no answer or only an empty part--> Idle (retry)
//! Responding --failed after a part that is not empty: Done--> Idle
//! Responding --silence is refused--> Idle
//! Responding --no answer or only an empty partial one in time: Cancel--> Idle (retry)
//! Responding --no rest of a partial answer that is not empty in time: Cancel--> Idle
//! Responding --an answer that has not understood words which we ended early: Cancel--> Idle (they go again, once)
//! Listening, Responding --limit of the call, close: Cancel--> Idle
//! ```
//!
//! An answer is complete with its final part, or when the server closes the stream. An answer that did not announce
//! more is also complete after a time without more of it. A complete turn with words in it and no answer is
//! unanswered: the next stream gets the words again, once, if the settings allow it, and else the caller hears a
//! filler. In place of a retry the call gets its backup or ends if the fault does not pass and nothing can be left out,
//! if the budget is spent, or if too many turns have failed.

use serde_json::{Map, Value};

use crate::agent::{Answer, AnswerPart, MAX_TEXT_CHARS, Matched, Prompt, ToolResult, TurnInput};
use crate::call::Timer;
use crate::config::Timeouts;
use crate::report::{EndFoundBy, Report};
use crate::time::CallTime;

use super::answer_parts::{AnswerParts, Earlier};
use super::heard::{Heard, StreamWatchdog};
use super::wait::Wait;
use super::{
    AfterPart, AgentStreams, AtLimit, Broken, Cancelled, Closed, Late, NoInputTurn, OpenStream, Opened, Opening,
    Rotation, StreamEnd, Thinking, Understood,
};

/// The most prompts that wait for the rest of their answer before they are fetched. Further ones do not wait.
const MAX_DEFERRED_PROMPTS: usize = 16;

/// The longest address of a prompt that waits, in bytes. One with a longer address does not wait.
const MAX_DEFERRED_URI_BYTES: usize = 8_192;

/// The stream of an agent that takes one turn in a stream.
#[derive(Debug, Default)]
pub(super) enum PerTurn {
    /// No stream is open.
    #[default]
    Idle,
    /// The caller's audio goes to the agent.
    Listening { stream: Stream, heard: Heard },
    /// All input is sent. We wait for the answer, or for the rest of it.
    Responding { stream: Stream, input: Input, answer: AnswerOfTurn },
}

/// What a stream is in both states.
#[derive(Debug)]
pub(super) struct Stream {
    ids: OpenStream,
    opened_at: CallTime,
    /// Session parameters that it has not confirmed.
    parameters: Map<String, Value>,
}

/// What the turn consists of, when it is complete.
#[derive(Debug)]
pub(super) enum Input {
    /// The caller's audio.
    Audio {
        heard: Heard,
        found_by: EndFoundBy,
        /// Whether the agent has noticed that he said nothing.
        is_no_input: bool,
    },
    /// Anything else.
    Other(TurnInput),
}

/// The answer to a complete turn.
#[derive(Debug)]
pub(super) struct AnswerOfTurn {
    /// When the input was complete.
    asked_at: CallTime,
    parts: AnswerParts,
    audio: AnswerAudio,
    /// Prompts to be fetched. The answer's own audio, which may still come (ES), plays before them.
    deferred: Vec<Prompt>,
    wait: Wait,
}

/// The audio of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnswerAudio {
    /// None has come.
    Awaited,
    /// It plays.
    Playing,
    /// The caller has barged in on it. What comes of it later does not play.
    Cut,
}

impl AnswerOfTurn {
    fn new(asked_at: CallTime, due: CallTime) -> Self {
        let (parts, deferred) = (AnswerParts::default(), Vec::new());
        Self { asked_at, parts, audio: AnswerAudio::Awaited, deferred, wait: Wait::Answer(due) }
    }

    /// Takes out the prompts that wait for the rest of the answer.
    fn defer(&mut self, prompts: &mut Vec<Prompt>) {
        let may_wait = |prompt: &Prompt| prompt.uri.as_ref().is_some_and(|uri| uri.len() <= MAX_DEFERRED_URI_BYTES);
        let room = MAX_DEFERRED_PROMPTS.saturating_sub(self.deferred.len());
        self.deferred.extend(prompts.extract_if(.., |prompt| may_wait(prompt)).take(room));
    }
}

/// What the caller said, as a text. `None` if the agent does not take so long a text.
fn text_of(heard: &Heard) -> Option<String> {
    let text = heard.utterance.text();
    (text.chars().count() <= MAX_TEXT_CHARS).then(|| text.to_owned())
}

impl PerTurn {
    fn stream(&self) -> Option<&Stream> {
        match self {
            Self::Idle => None,
            Self::Listening { stream, .. } | Self::Responding { stream, .. } => Some(stream),
        }
    }

    fn stream_mut(&mut self) -> Option<&mut Stream> {
        match self {
            Self::Idle => None,
            Self::Listening { stream, .. } | Self::Responding { stream, .. } => Some(stream),
        }
    }

    fn answer(&self) -> Option<&AnswerOfTurn> {
        match self {
            Self::Responding { answer, .. } => Some(answer),
            Self::Idle | Self::Listening { .. } => None,
        }
    }

    fn answer_mut(&mut self) -> Option<&mut AnswerOfTurn> {
        match self {
            Self::Responding { answer, .. } => Some(answer),
            Self::Idle | Self::Listening { .. } => None,
        }
    }
}

impl AgentStreams for PerTurn {
    fn open(&self) -> Option<OpenStream> {
        self.stream().map(|stream| stream.ids)
    }

    fn listening(&self) -> Option<(OpenStream, &Heard)> {
        match self {
            Self::Listening { stream, heard } => Some((stream.ids, heard)),
            Self::Idle | Self::Responding { .. } => None,
        }
    }

    fn heard(&self) -> Option<&Heard> {
        match self {
            Self::Listening { heard, .. } | Self::Responding { input: Input::Audio { heard, .. }, .. } => Some(heard),
            Self::Idle | Self::Responding { input: Input::Other(_), .. } => None,
        }
    }

    fn heard_mut(&mut self) -> Option<&mut Heard> {
        match self {
            Self::Listening { heard, .. } | Self::Responding { input: Input::Audio { heard, .. }, .. } => Some(heard),
            Self::Idle | Self::Responding { input: Input::Other(_), .. } => None,
        }
    }

    fn utterance(&self) -> Option<&Heard> {
        match self {
            Self::Listening { heard, .. } => Some(heard),
            Self::Idle | Self::Responding { .. } => None,
        }
    }

    fn awaits_answer(&self) -> bool {
        self.answer().is_some()
    }

    fn is_in_exchange(&self) -> bool {
        self.answer().is_some()
    }

    fn thinking(&self) -> Thinking {
        if self.answer().is_some() { Thinking::Yes } else { Thinking::No }
    }

    fn listens_after(&self, input: &TurnInput) -> bool {
        matches!(input, TurnInput::Audio)
    }

    fn is_told_of_prompts(&self) -> bool {
        true
    }

    fn tool_inputs(&self, results: Vec<ToolResult>) -> Vec<TurnInput> {
        results.into_iter().map(|result| TurnInput::ToolResults(vec![result])).collect()
    }

    fn waits_for_tools(&self) -> bool {
        true
    }

    fn opens(&mut self, opening: Opening) -> Opened {
        let Opening { ids, input, parameters, heard, now, answer_due, .. } = opening;
        let stream = Stream { ids, opened_at: now, parameters };
        match input {
            TurnInput::Audio => {
                *self = Self::Listening { stream, heard };
                Opened::Listening
            }
            input @ (TurnInput::Event(_) | TurnInput::Text(_) | TurnInput::Digits(..) | TurnInput::ToolResults(_)) => {
                let answer = AnswerOfTurn::new(now, answer_due);
                *self = Self::Responding { stream, input: Input::Other(input), answer };
                Opened::InputComplete
            }
        }
    }

    fn note_response(&mut self) {
        if let Self::Listening { heard, .. } = self {
            heard.watchdog = Some(StreamWatchdog::default());
        }
    }

    fn note_transcript(&mut self, is_final: bool, _now: CallTime, _due: CallTime) -> Understood {
        if is_final { Understood::Final } else { Understood::Interim }
    }

    fn has_end_rules(&self) -> bool {
        true
    }

    fn end_utterance(&mut self, found_by: EndFoundBy, now: CallTime, due: CallTime) -> Option<OpenStream> {
        match std::mem::take(self) {
            Self::Listening { stream, heard } => {
                let ids = stream.ids;
                let input = Input::Audio { heard, found_by, is_no_input: false };
                *self = Self::Responding { stream, input, answer: AnswerOfTurn::new(now, due) };
                Some(ids)
            }
            other @ (Self::Idle | Self::Responding { .. }) => {
                *self = other;
                None
            }
        }
    }

    fn words_of_early_end(&self) -> Option<String> {
        match self {
            Self::Responding { input: Input::Audio { heard, found_by, .. }, answer, .. }
                if found_by.is_early() && answer.parts.is_nothing() && !heard.utterance.is_empty() =>
            {
                text_of(heard)
            }
            Self::Idle | Self::Listening { .. } | Self::Responding { .. } => None,
        }
    }

    fn note_no_input(&mut self) {
        if let Self::Responding { input: Input::Audio { is_no_input, .. }, .. } = self {
            *is_no_input = true;
        }
    }

    fn note_answer(&mut self, answer: &Answer, now: CallTime) -> Option<Earlier> {
        if answer.matched == Matched::NoInput {
            self.note_no_input();
        }
        let Self::Responding { stream, answer: so_far, .. } = self else { return None };
        stream.parameters.clear();
        so_far.wait.part_came();
        let mut earlier = so_far.parts.note(answer, so_far.asked_at, now);
        // The next stream may get the words again, even if the answer is complete.
        earlier.is_input_answered &= !answer.is_empty();
        Some(earlier)
    }

    fn answer_parts(&mut self) -> Option<&mut AnswerParts> {
        Some(&mut self.answer_mut()?.parts)
    }

    fn cut_answer(&mut self) {
        if let Some(answer) = self.answer_mut().filter(|answer| answer.audio == AnswerAudio::Playing) {
            answer.audio = AnswerAudio::Cut;
            answer.deferred.clear();
        }
    }

    fn is_answer_cut(&self) -> bool {
        self.answer().is_some_and(|answer| answer.audio == AnswerAudio::Cut)
    }

    fn arrange(&mut self, part: AnswerPart, mut prompts: Vec<Prompt>) -> Vec<Prompt> {
        if let Some(answer) = self.answer_mut() {
            answer.parts.arrange(part, &mut prompts);
            if part == AnswerPart::Open {
                answer.defer(&mut prompts);
            }
        }
        prompts
    }

    fn report_part(&mut self, answer: &mut Answer, audio_ms: u64, thought_ms: u64) -> Option<Report> {
        Some(Report::Answered {
            turn: self.open()?.turn,
            query_text: std::mem::take(&mut answer.query_text),
            text: std::mem::take(&mut answer.text),
            intent: answer.intent.take().unwrap_or_default(),
            is_no_match: answer.matched == Matched::NoMatch && answer.part != AnswerPart::Partial,
            parameters: std::mem::take(&mut answer.parameters),
            audio_ms,
            thought_ms,
        })
    }

    fn report_more_audio(&mut self, audio_ms: u64) -> Option<Report> {
        Some(Report::MoreAudio { turn: self.open()?.turn, audio_ms })
    }

    fn after_part(
        &mut self,
        part: AnswerPart,
        audio_ms: u64,
        _is_ending: bool,
        timeouts: &Timeouts,
        now: CallTime,
    ) -> AfterPart {
        let Some(answer) = self.answer_mut() else { return AfterPart::Wait };
        if audio_ms > 0 {
            answer.audio = AnswerAudio::Playing;
        }
        match part {
            AnswerPart::Final => AfterPart::Complete,
            AnswerPart::Open => {
                let is_awaited = answer.audio == AnswerAudio::Awaited;
                let ms = if is_awaited { timeouts.first_audio_ms } else { timeouts.more_audio_ms };
                answer.wait = Wait::Rest(now + ms);
                AfterPart::Wait
            }
            AnswerPart::Partial => {
                answer.wait.for_answer(now + timeouts.answer_ms);
                AfterPart::FinishPlaying
            }
        }
    }

    fn at_limit(&self, at: AtLimit) -> Rotation {
        match self.utterance() {
            None => Rotation::GoOn,
            Some(heard) if heard.utterance.is_empty() && !at.is_speaking => Rotation::Cancel,
            Some(_) if at.is_last_moment || !at.is_speaking => Rotation::EndUtterance,
            Some(_) => Rotation::GoOn,
        }
    }

    fn ended(&self, is_ending: bool) -> StreamEnd {
        match self {
            Self::Listening { .. } if !is_ending => StreamEnd::WithoutAnswer,
            Self::Idle | Self::Listening { .. } | Self::Responding { .. } => StreamEnd::Complete,
        }
    }

    fn deadline(&self) -> Option<(CallTime, Timer)> {
        self.answer()?.wait.deadline()
    }

    fn late(&mut self) -> Late {
        match self.answer_mut().map(|answer| std::mem::take(&mut answer.wait)) {
            Some(Wait::Rest(_)) => Late::Settled,
            Some(Wait::Answer(_) | Wait::Nothing) | None => Late::NoAnswer,
        }
    }

    fn salvage(&mut self) -> Option<Broken> {
        let is_answered = self.answer().is_some_and(|answer| answer.parts.is_something());
        let was_listening = matches!(self, Self::Listening { .. });
        let input = match self {
            Self::Responding { input: Input::Other(input), .. } => input.clone(),
            Self::Responding { input: Input::Audio { .. }, .. } | Self::Listening { .. } | Self::Idle => {
                TurnInput::Audio
            }
        };
        let has_words = self.heard().is_some_and(|heard| !heard.utterance.is_empty());
        let is_silent = match self {
            Self::Responding { input: Input::Audio { found_by, is_no_input, .. }, .. } => {
                *is_no_input && found_by.is_early()
            }
            Self::Idle | Self::Listening { .. } | Self::Responding { .. } => false,
        };
        let stream = self.stream_mut()?;
        Some(Broken {
            turn: stream.ids.turn,
            opened_at: stream.opened_at,
            was_listening,
            is_answered,
            is_unanswered: !is_answered && (has_words || input != TurnInput::Audio),
            input,
            unanswered: Vec::new(),
            parameters: std::mem::take(&mut stream.parameters),
            has_foreign_results: false,
            is_silent,
        })
    }

    fn close(&mut self) -> Option<Closed> {
        match std::mem::take(self) {
            Self::Responding { stream, input, answer } => {
                let is_answered = answer.parts.is_something();
                let mut closed = Closed {
                    ids: stream.ids,
                    deferred: answer.deferred,
                    is_blank: false,
                    report: None,
                    unanswered: None,
                    ask_again: None,
                    no_input: None,
                };
                match input {
                    Input::Other(input) => closed.unanswered = Some(input).filter(|_| !is_answered),
                    Input::Audio { heard, found_by, is_no_input } => {
                        // A word may be understood after we took it for silence. An agent that found silence itself
                        // knows it.
                        let is_early = found_by.is_early();
                        let has_words = !heard.utterance.is_empty();
                        let is_unanswered = has_words && !is_answered && (is_early || !is_no_input);
                        let again = if is_early { text_of(&heard) } else { None };
                        closed.ask_again = is_unanswered.then(|| again.map_or(TurnInput::Audio, TurnInput::Text));
                        closed.unanswered = (!has_words && !is_answered && !is_no_input).then_some(TurnInput::Audio);
                        closed.no_input = (is_no_input && !has_words).then_some(NoInputTurn { is_answered });
                    }
                }
                Some(closed)
            }
            other @ (Self::Idle | Self::Listening { .. }) => {
                *self = other;
                None
            }
        }
    }

    fn cancel(&mut self) -> Option<Cancelled> {
        match std::mem::take(self) {
            Self::Idle => None,
            Self::Listening { stream, .. } | Self::Responding { stream, .. } => {
                Some(Cancelled { ids: stream.ids, report: None, parameters: stream.parameters })
            }
        }
    }
}
