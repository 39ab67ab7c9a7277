//! CES: a stream takes turn after turn.
//!
//! The caller's audio goes on while the agent answers, and other input goes in between. The agent says when a turn is
//! over and when its prompt must stop. We half-close a stream that will be cut or has had nearly all the audio that it
//! takes, and another stream carries on in the same session. What the caller says meanwhile waits for it.
//!
//! ```text
//! Idle --audio, an event or a text: Open--> Listening
//! Listening --the turn is complete--> Listening
//! Listening --the starting event is not answered: the starting text, if there is one--> Listening
//! Listening --go away, and no answer or only an empty part or a quiet lead has come: HalfClose--> Closing
//! Listening --go away in the middle of an answer--> FinishingAnswer
//! Listening, FinishingAnswer --audio limit: HalfClose--> Closing
//! FinishingAnswer --the turn is complete, or the rest does not come in time: HalfClose--> Closing
//! Closing --the turn is complete--> Closing
//! FinishingAnswer --ended by the server, failed: Done--> Idle
//! Closing --ended by the server, failed: Done--> Idle (if it had to close at once and has not answered: retry)
//! Closing --the server does not end it in time: Cancel--> Idle (the same)
//! Listening --ended by the server or failed, without an answer--> Idle (retry)
//! Listening --ended by the server or failed, in an answer: Done--> Idle
//! any open --the agent's part of the call is over, and no more words come or are waited for: Done--> Idle
//! Listening --no answer in time, stalled: Cancel--> Idle (retry)
//! Listening --no more of an answer that has begun in time: Cancel--> Idle
//! any open --limit of the call, close: Cancel--> Idle
//! ```
//!
//! While a stream listens, an answer that has begun and announces no more has no deadline. Its server may never say
//! that it is complete, and the caller may need a while for his next words, which have one. Words that end with nothing
//! are unanswered: the stream gets them once more, as a text.

use serde_json::{Map, Value};

use crate::agent::{Answer, AnswerPart, Prompt, ToolResult, TurnInput};
use crate::audio::Position;
use crate::call::Timer;
use crate::call::utterance::Utterance;
use crate::config::Timeouts;
use crate::ids::{StreamId, TurnId};
use crate::report::Report;
use crate::time::CallTime;

use super::answer_parts::{AnswerParts, Earlier};
use super::heard::Heard;
use super::session_stream::{Begins, Stream, Turn};
use super::wait::Wait;
use super::{
    AfterPart, AgentStreams, AtLimit, Broken, Cancelled, Closed, LAST_WORDS_MS, Late, OpenStream, Opened, Opening,
    Rotation, StreamEnd, Thinking, TurnOver, Understood,
};

/// How long we wait for an answer to the starting event, in milliseconds. After that, we assume that the agent does not
/// know the event.
const UNKNOWN_EVENT_MS: u64 = 8_000;

/// How long the lead of an answer may last, in milliseconds. More than 5 s were seen.
const MAX_LEAD_MS: u64 = 10_000;

/// The shortest time between two streams, in milliseconds, if a server ends them at once.
const MIN_STREAM_MS: u64 = 250;

/// The stream of an agent that takes turn after turn in a stream.
#[derive(Debug, Default)]
pub(super) enum PerSession {
    /// No stream is open.
    #[default]
    Idle,
    /// The caller's audio goes to the agent, and the agent's answers come meanwhile.
    Listening(Stream),
    /// The same, but the server will cut the stream. We half-close it when the rest of the answer has come, because not
    /// every transport delivers it after a half-close.
    FinishingAnswer(Stream),
    /// The stream is half-closed. When it has ended, another one takes over.
    Closing(Stream),
}

impl PerSession {
    fn stream(&self) -> Option<&Stream> {
        match self {
            Self::Idle => None,
            Self::Listening(stream) | Self::FinishingAnswer(stream) | Self::Closing(stream) => Some(stream),
        }
    }

    fn stream_mut(&mut self) -> Option<&mut Stream> {
        match self {
            Self::Idle => None,
            Self::Listening(stream) | Self::FinishingAnswer(stream) | Self::Closing(stream) => Some(stream),
        }
    }

    fn take(&mut self) -> Option<Stream> {
        match std::mem::take(self) {
            Self::Idle => None,
            Self::Listening(stream) | Self::FinishingAnswer(stream) | Self::Closing(stream) => Some(stream),
        }
    }

    /// We sent something that the agent should answer. A stream that will be replaced gets no more time by it.
    fn await_answer(&mut self, now: CallTime, due: CallTime) {
        let must_end = self.is_being_replaced();
        let Some(stream) = self.stream_mut() else { return };
        stream.turn.asked_at = now;
        if !must_end {
            stream.wait.for_answer(due);
        }
    }

    /// The open stream, if the caller's audio goes to it.
    fn listening_stream(&self) -> Option<&Stream> {
        match self {
            Self::Listening(stream) | Self::FinishingAnswer(stream) => Some(stream),
            Self::Idle | Self::Closing(_) => None,
        }
    }
}

impl AgentStreams for PerSession {
    fn open(&self) -> Option<OpenStream> {
        self.stream().map(Stream::open)
    }

    fn listening(&self) -> Option<(OpenStream, &Heard)> {
        self.listening_stream().map(|stream| (stream.open(), &stream.heard))
    }

    fn heard(&self) -> Option<&Heard> {
        self.stream().map(|stream| &stream.heard)
    }

    fn heard_mut(&mut self) -> Option<&mut Heard> {
        self.stream_mut().map(|stream| &mut stream.heard)
    }

    fn takes_input(&self) -> Option<StreamId> {
        self.listening_stream().map(|stream| stream.id)
    }

    fn awaits_answer(&self) -> bool {
        self.stream().is_some_and(|stream| stream.wait.is_for_answer())
    }

    fn thinking(&self) -> Thinking {
        let is_unanswered =
            self.stream().is_some_and(|stream| !stream.turn.answer.is_something() || stream.wait.is_for_answer());
        if is_unanswered { Thinking::UnlessCallerSpeaks } else { Thinking::No }
    }

    fn is_in_exchange(&self) -> bool {
        self.stream().is_some_and(|stream| {
            let is_asked = stream.wait.is_for_answer() || !stream.unanswered.is_empty();
            is_asked || stream.turn.answer.is_something() || matches!(self, Self::Closing(_))
        })
    }

    fn stops_prompts(&self) -> bool {
        true
    }

    /// The agent may not know of a prompt from an earlier stream.
    fn hears_barge_in(&self, playout_began: Position) -> bool {
        self.stream().is_none_or(|stream| stream.opened <= playout_began)
    }

    fn can_begin_with(&self, input: &TurnInput) -> bool {
        matches!(input, TurnInput::Event(_) | TurnInput::Text(_))
    }

    fn listens_after(&self, _input: &TurnInput) -> bool {
        true
    }

    fn tool_inputs(&self, results: Vec<ToolResult>) -> Vec<TurnInput> {
        vec![TurnInput::ToolResults(results)]
    }

    fn waits_for_tools(&self) -> bool {
        false
    }

    fn adds_parameters(&self) -> bool {
        true
    }

    fn may_lose_session(&self) -> bool {
        true
    }

    fn opens(&mut self, opening: Opening) -> Opened {
        let Opening { ids, input, is_starting_event, parameters, heard, position, now, answer_due } = opening;
        // An agent that does not know the event may refuse it or stay silent.
        let due = if is_starting_event { now + UNKNOWN_EVENT_MS } else { answer_due };
        let (begins, wait) = match input {
            TurnInput::Audio => (Begins::Audio, Wait::Nothing),
            input @ (TurnInput::Event(_) | TurnInput::Text(_) | TurnInput::Digits(..) | TurnInput::ToolResults(_)) => {
                (Begins::Input(input), Wait::Answer(due))
            }
        };
        *self = Self::Listening(Stream {
            id: ids.stream,
            opened_at: now,
            opened: position,
            heard,
            caller_speaks: false,
            parameters,
            unanswered: Vec::new(),
            wants_tools: false,
            turn: Turn::new(ids.turn, begins, now),
            wait,
        });
        if wait.is_for_answer() { Opened::ListeningAndThinking } else { Opened::Listening }
    }

    /// It may take a voice for noise and stay silent, so it is watched only until it has responded once.
    fn note_response(&mut self) {
        if let Some(stream) = self.stream_mut() {
            stream.heard.watchdog = None;
        }
    }

    fn note_speech(&mut self, speaks: bool) -> Option<StreamId> {
        match self {
            Self::Listening(stream) | Self::FinishingAnswer(stream) if stream.caller_speaks != speaks => {
                stream.caller_speaks = speaks;
                Some(stream.id)
            }
            Self::Idle | Self::Listening(_) | Self::FinishingAnswer(_) | Self::Closing(_) => None,
        }
    }

    fn note_parameters(&mut self, parameters: Map<String, Value>) {
        if let Some(stream) = self.stream_mut() {
            stream.parameters.extend(parameters);
        }
    }

    fn note_input(&mut self, input: &TurnInput, now: CallTime, due: CallTime) -> bool {
        // The agent decides how many digits it answers.
        let is_question = !matches!(input, TurnInput::Digits(..));
        if is_question {
            self.await_answer(now, due);
        }
        if let Some(stream) = self.stream_mut() {
            stream.note_input(input);
        }
        is_question
    }

    fn note_tool_calls(&mut self) {
        if let Some(stream) = self.stream_mut() {
            stream.wants_tools = true;
        }
    }

    /// What the caller has said into the answer is answered by another one, though more of this one may have come.
    fn note_interrupted(&mut self, due: CallTime) {
        let must_end = self.is_being_replaced();
        let Some(Stream { turn, wait, .. }) = self.stream_mut() else { return };
        turn.is_interrupted = turn.answer.is_something();
        if turn.is_interrupted && turn.is_spoken_into && !must_end {
            wait.for_answer(due);
        }
    }

    /// The agent marks no transcript as final, and its answer does not say what it understood.
    fn note_transcript(&mut self, _is_final: bool, now: CallTime, due: CallTime) -> Understood {
        self.await_answer(now, due);
        if let Some(stream) = self.stream_mut() {
            stream.turn.is_spoken_into = stream.turn.answer.is_something();
        }
        Understood::Latest
    }

    /// The agent need not answer its own words.
    fn forget_words(&mut self) {
        let must_end = self.is_being_replaced();
        let (Self::Listening(stream) | Self::FinishingAnswer(stream)) = self else { return };
        stream.heard.utterance = Utterance::default();
        let is_into_nothing = !stream.turn.answer.is_something();
        let is_for_words = is_into_nothing || std::mem::take(&mut stream.turn.is_spoken_into);
        if is_for_words && !must_end && stream.unanswered.is_empty() && stream.turn.awaited_input().is_none() {
            stream.wait.part_came();
        }
    }

    fn note_answer(&mut self, answer: &Answer, now: CallTime) -> Option<Earlier> {
        let stream = self.stream_mut()?;
        stream.parameters.clear();
        if !answer.is_empty() && std::mem::take(&mut stream.turn.is_interrupted) {
            stream.turn.is_spoken_into = false;
        }
        let earlier = stream.turn.answer.note(answer, stream.turn.asked_at, now);
        stream.note_answered(answer, earlier, now);
        // A part that only sets variables is no answer, and the end of one that was interrupted is none to what the
        // caller has said into it.
        let is_answer = !answer.is_empty() || (answer.part == AnswerPart::Final && !stream.turn.is_interrupted);
        if is_answer && !stream.has_question() {
            stream.wait.part_came();
        }
        Some(earlier)
    }

    /// The answer after a lead gets more time, but noise that never ends gets it only once, and a stream that will be
    /// replaced gets none.
    fn note_lead(&mut self, due: CallTime) -> bool {
        let must_end = self.is_being_replaced();
        let Some(stream) = self.stream_mut() else { return false };
        let is_lead = !stream.turn.answer.is_something();
        let is_first = is_lead && !std::mem::replace(&mut stream.turn.has_lead, true);
        if is_first && !must_end && stream.wait.is_for_answer() {
            stream.wait.for_answer(due + MAX_LEAD_MS);
        }
        is_lead
    }

    fn answer_parts(&mut self) -> Option<&mut AnswerParts> {
        Some(&mut self.stream_mut()?.turn.answer)
    }

    /// The parts of an answer come in the order in which they are played.
    fn arrange(&mut self, part: AnswerPart, mut prompts: Vec<Prompt>) -> Vec<Prompt> {
        if let Some(stream) = self.stream_mut() {
            stream.turn.answer.arrange(part, &mut prompts);
        }
        prompts
    }

    fn report_part(&mut self, answer: &mut Answer, audio_ms: u64, _thought_ms: u64) -> Option<Report> {
        let turn = &mut self.stream_mut()?.turn;
        let is_truncated = turn.said.is_truncated;
        turn.said.add(answer, audio_ms);
        (turn.said.is_truncated && !is_truncated).then_some(Report::AnswerTruncated { turn: turn.id })
    }

    fn report_more_audio(&mut self, audio_ms: u64) -> Option<Report> {
        self.stream_mut()?.turn.said.audio_ms += audio_ms;
        None
    }

    fn after_part(
        &mut self,
        part: AnswerPart,
        _audio_ms: u64,
        is_ending: bool,
        timeouts: &Timeouts,
        now: CallTime,
    ) -> AfterPart {
        let must_end = self.is_being_replaced();
        let Some(stream) = self.stream_mut() else { return AfterPart::Wait };
        match (part, is_ending) {
            (AnswerPart::Partial, _) => {
                let ms = if must_end { LAST_WORDS_MS } else { timeouts.answer_ms };
                stream.wait.for_answer(now + ms);
                AfterPart::FinishPlaying
            }
            // The agent's last words may still be on their way.
            (AnswerPart::Final | AnswerPart::Open, true) => {
                stream.wait = Wait::Rest(now + timeouts.more_audio_ms);
                AfterPart::Wait
            }
            (AnswerPart::Final | AnswerPart::Open, false) => {
                // The agent itself says when its answer is complete.
                if must_end {
                    stream.wait = Wait::Answer(now + LAST_WORDS_MS);
                }
                if part == AnswerPart::Final { AfterPart::TurnOver } else { AfterPart::Wait }
            }
        }
    }

    fn turn_over(&mut self, next: TurnId) -> Option<TurnOver> {
        let must_replace = matches!(self, Self::FinishingAnswer(_));
        let stream = self.stream_mut()?;
        let over = TurnOver {
            turn: stream.turn.id,
            report: stream.answer_report(),
            unanswered: stream.turn.awaited_input().cloned().or(stream.turn.left.take()),
            unanswered_words: stream.unanswered_words(),
            must_replace,
        };
        let goes_on = stream.turn.is_interrupted && stream.turn.is_spoken_into && stream.wait.is_for_answer();
        // Until the caller is understood, the thought counts from the end of the last turn's input.
        stream.turn = Turn::new(next, Begins::Audio, stream.turn.asked_at);
        if !goes_on {
            stream.heard.utterance = Utterance::default();
        }
        Some(over)
    }

    fn go_away(&mut self, now: CallTime) -> Option<StreamId> {
        if matches!(self, Self::Listening(stream) if !stream.turn.answer.is_something()) {
            return self.replace(now);
        }
        *self = match std::mem::take(self) {
            Self::Listening(mut stream) => {
                stream.wait.for_answer(now + LAST_WORDS_MS);
                Self::FinishingAnswer(stream)
            }
            other @ (Self::Idle | Self::FinishingAnswer(_) | Self::Closing(_)) => other,
        };
        None
    }

    fn at_limit(&self, at: AtLimit) -> Rotation {
        let is_silent =
            self.listening_stream().is_some_and(|stream| stream.heard.utterance.is_empty() && !at.is_speaking);
        if at.is_last_moment || (is_silent && !at.is_playing) { Rotation::Replace } else { Rotation::GoOn }
    }

    fn replace(&mut self, now: CallTime) -> Option<StreamId> {
        match std::mem::take(self) {
            Self::Listening(mut stream) | Self::FinishingAnswer(mut stream) => {
                let id = stream.id;
                stream.wait.for_answer(now + LAST_WORDS_MS);
                *self = Self::Closing(stream);
                Some(id)
            }
            other @ (Self::Idle | Self::Closing(_)) => {
                *self = other;
                None
            }
        }
    }

    fn is_being_replaced(&self) -> bool {
        matches!(self, Self::FinishingAnswer(_) | Self::Closing(_))
    }

    fn ended(&self, is_ending: bool) -> StreamEnd {
        match self {
            Self::FinishingAnswer(_) | Self::Closing(_) => StreamEnd::Replaced,
            Self::Listening(_) if !is_ending => StreamEnd::WithoutAnswer,
            Self::Idle | Self::Listening(_) => StreamEnd::Complete,
        }
    }

    fn deadline(&self) -> Option<(CallTime, Timer)> {
        self.stream()?.wait.deadline()
    }

    fn late(&mut self) -> Late {
        let wait = self.stream_mut().map(|stream| std::mem::take(&mut stream.wait));
        match (self, wait) {
            (_, Some(Wait::Rest(_))) => Late::Settled,
            (Self::FinishingAnswer(_), _) => Late::Replace,
            (Self::Closing(_), _) => Late::NotEnded,
            (Self::Listening(stream), _) if !stream.turn.answer.is_something() && stream.heard.utterance.is_empty() => {
                let first = stream.turn.awaited_input().cloned();
                first.map_or(Late::NoAnswer, |input| Late::FirstInput(stream.turn.id, input))
            }
            (Self::Idle | Self::Listening(_), _) => Late::NoAnswer,
        }
    }

    fn has_unanswered_speech(&self) -> bool {
        self.stream().is_some_and(|stream| !stream.turn.answer.is_something() && !stream.heard.utterance.is_empty())
    }

    fn skip_first_input(&mut self) {
        if let Some(stream) = self.stream_mut()
            && let Begins::Input(input) = std::mem::replace(&mut stream.turn.begins, Begins::Audio)
        {
            stream.turn.begins = Begins::UnansweredInput(input);
        }
    }

    fn salvage(&mut self) -> Option<Broken> {
        let was_listening = self.listening_stream().is_some();
        Some(self.stream_mut()?.salvage(was_listening))
    }

    fn close(&mut self) -> Option<Closed> {
        // The next stream gets its first input again.
        let is_repeated = matches!(self, Self::Closing(_));
        let stream = self.take()?;
        let report = stream.answer_report();
        let is_blank = stream.turn.input().is_none() && stream.heard.utterance.is_empty() && report.is_none();
        let unanswered = stream.turn.awaited_input().filter(|_| !is_repeated).cloned();
        Some(Closed {
            ids: stream.open(),
            deferred: Vec::new(),
            is_blank,
            report,
            unanswered,
            ask_again: None,
            no_input: None,
        })
    }

    fn cancel(&mut self) -> Option<Cancelled> {
        let stream = self.take()?;
        Some(Cancelled { ids: stream.open(), report: stream.answer_report(), parameters: stream.parameters })
    }

    fn min_stream_ms(&self) -> u64 {
        MIN_STREAM_MS
    }
}
