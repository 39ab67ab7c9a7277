//! The streams to the agent: what a call asks of them, whichever protocol the agent speaks.
//!
//! Two machines answer. [`PerTurn`] is for ES and CX, where a stream takes one turn. [`PerSession`] is for CES, where a
//! stream takes turn after turn. [`streams`] chooses one when an agent gets the call: when it begins, and when a backup
//! takes over. Nothing else in a call asks which one it is. A machine holds the state of the open stream. For each
//! event it returns what the call must do.

mod answer_parts;
mod heard;
mod per_session;
mod per_turn;
mod said;
mod session_stream;
mod wait;

use std::fmt::Debug;

use serde_json::{Map, Value};

use crate::agent::{Answer, AnswerPart, Prompt, ToolResult, TurnInput};
use crate::audio::Position;
use crate::call::Timer;
use crate::call::utterance::Utterance;
use crate::config::{StreamShape, Timeouts};
use crate::ids::{StreamId, TurnId};
use crate::report::{EndFoundBy, Report};
use crate::time::CallTime;

use answer_parts::AnswerParts;
pub(super) use answer_parts::{Earlier, Unspoken};
pub(super) use heard::{CLEAR_SPEECH_MS, Heard, StreamWatchdog};
use per_session::PerSession;
use per_turn::PerTurn;
pub use said::MAX_ANSWER_TEXT_BYTES;

/// How long a stream that is replaced may take for the rest of its answer, and then, half-closed, to end, in
/// milliseconds. Each part of an answer gives it as long again.
pub(super) const LAST_WORDS_MS: u64 = 2_000;

/// The machine for an agent of that kind.
pub(super) fn streams(shape: StreamShape) -> Box<dyn AgentStreams> {
    match shape {
        StreamShape::PerTurn => Box::new(PerTurn::default()),
        StreamShape::PerSession => Box::new(PerSession::default()),
    }
}

/// The open stream and its current turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenStream {
    pub(super) stream: StreamId,
    pub(super) turn: TurnId,
}

/// A stream that opens.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) ids: OpenStream,
    pub(super) input: TurnInput,
    pub(super) is_starting_event: bool,
    /// The session parameters that it brings.
    pub(super) parameters: Map<String, Value>,
    pub(super) heard: Heard,
    /// How much of the caller's audio has come.
    pub(super) position: Position,
    pub(super) now: CallTime,
    pub(super) answer_due: CallTime,
}

/// What follows the opening of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    /// The caller's audio goes to it.
    Listening,
    /// The caller's audio goes to it, and the agent should answer the first input meanwhile.
    ListeningAndThinking,
    /// Its input is complete. It must be half-closed.
    InputComplete,
}

/// What a transcript says about the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Understood {
    /// More may come.
    Interim,
    /// A final transcript. An utterance may have several.
    Final,
    /// The newest transcript of an agent that marks none as final (CES). It may answer now.
    Latest,
}

/// Whether the thinking filler may play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    No,
    /// Only if the caller does not speak.
    UnlessCallerSpeaks,
    Yes,
}

/// What follows a part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterPart {
    /// More of it may come, and may join the audio so far.
    Wait,
    /// More will come later. The audio so far plays to its end.
    FinishPlaying,
    /// The turn is over. Its stream stays open.
    TurnOver,
    /// The turn and its stream are over.
    Complete,
}

/// What follows the end of a stream by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// The answer is complete.
    Complete,
    /// Another stream takes over.
    Replaced,
    /// The stream should have gone on: it has failed.
    WithoutAnswer,
}

/// What follows a deadline of the open stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Late {
    /// Nothing more of the answer has come: it is complete.
    Settled,
    /// The rest of the answer did not come in time: half-close the stream, and another one takes over.
    Replace,
    /// A half-closed stream does not end: cancel it.
    NotEnded,
    /// The agent has not answered the input that the stream began with, and nobody has spoken.
    FirstInput(TurnId, TurnInput),
    /// The agent has not answered.
    NoAnswer,
}

/// The caller and the playout when a stream comes near the most audio that it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct AtLimit {
    pub(super) is_speaking: bool,
    pub(super) is_playing: bool,
    /// Whether the stream must take no more.
    pub(super) is_last_moment: bool,
}

/// How a stream near its limit goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotation {
    GoOn,
    /// There is no transcript, and the caller is silent: cancel it. The next one takes over.
    Cancel,
    /// The utterance ends here.
    EndUtterance,
    /// Half-close it. When it has ended, the next one takes over.
    Replace,
}

/// A turn that is over while its stream stays open.
#[derive(Debug)]
pub(super) struct TurnOver {
    pub(super) turn: TurnId,
    pub(super) report: Option<Report>,
    /// What the agent has answered with nothing: the input that the turn began with, or another.
    pub(super) unanswered: Option<TurnInput>,
    /// What the caller said, if the agent has answered nothing.
    pub(super) unanswered_words: Option<String>,
    /// Whether the stream must be half-closed now, because another one takes over.
    pub(super) must_replace: bool,
}

/// A stream that is over.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) ids: OpenStream,
    /// Prompts to be fetched that waited for the rest of the answer.
    pub(super) deferred: Vec<Prompt>,
    /// Whether nothing happened in its turn. Such a turn began only because the one before was over.
    pub(super) is_blank: bool,
    /// The report of the answer, if answers are reported as a whole (CES).
    pub(super) report: Option<Report>,
    /// The input that the turn began with, if the agent has not answered it and no other stream repeats it.
    pub(super) unanswered: Option<TurnInput>,
    /// What the agent gets again, if it has understood the caller and answered nothing: his audio, or his words if we
    /// ended his utterance before the agent did.
    pub(super) ask_again: Option<TurnInput>,
    /// Set if the agent noticed that the caller said nothing, and nothing was understood later.
    pub(super) no_input: Option<NoInputTurn>,
}

/// A stream that is cancelled.
#[derive(Debug)]
pub(super) struct Cancelled {
    pub(super) ids: OpenStream,
    /// The report of the answer so far, if answers are reported as a whole (CES).
    pub(super) report: Option<Report>,
    /// Session parameters that it has not confirmed.
    pub(super) parameters: Map<String, Value>,
}

/// A turn in which the agent noticed that the caller said nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoInputTurn {
    pub(super) is_answered: bool,
}

/// A stream that failed, or that another one replaces. What the next one needs of it is taken out.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) turn: TurnId,
    pub(super) opened_at: CallTime,
    /// Whether the caller's audio went to it.
    pub(super) was_listening: bool,
    /// Whether a part of an answer came that was not empty.
    pub(super) is_answered: bool,
    /// Whether it got words or another input, and nothing came.
    pub(super) is_unanswered: bool,
    /// What the turn began with.
    pub(super) input: TurnInput,
    /// What it got besides, and has not answered.
    pub(super) unanswered: Vec<TurnInput>,
    /// Whether results of tools that an earlier stream had asked for are among that.
    pub(super) has_foreign_results: bool,
    /// Session parameters that it has not confirmed.
    pub(super) parameters: Map<String, Value>,
    /// Whether we half-closed it because the caller said nothing. The agent may refuse that.
    pub(super) is_silent: bool,
}

/// What a call asks of the streams to the agent. At most one is open at a time. A method that
/// matters to one machine only has a default for the other one.
pub(super) trait AgentStreams: Debug + Send {
    // The open stream.

    /// The open stream. `None` if there is none.
    fn open(&self) -> Option<OpenStream>;

    /// The open stream and what it has heard, if the caller's audio goes to it.
    fn listening(&self) -> Option<(OpenStream, &Heard)>;

    /// What the open stream has heard of the caller. `None` if it has none of his audio.
    fn heard(&self) -> Option<&Heard>;

    /// The same, to add to it.
    fn heard_mut(&mut self) -> Option<&mut Heard>;

    /// Whether the agent must answer in a certain time, or go on with its answer.
    fn awaits_answer(&self) -> bool;

    /// Whether an input waits for its answer, or an answer for its rest.
    fn is_in_exchange(&self) -> bool;

    /// Whether the thinking filler may play.
    fn thinking(&self) -> Thinking;

    /// The open stream's deadline, and what it is for.
    fn deadline(&self) -> Option<(CallTime, Timer)>;

    /// That deadline has passed. Says what follows.
    fn late(&mut self) -> Late;

    /// How the open stream goes on near the most audio that it takes.
    fn at_limit(&self, at: AtLimit) -> Rotation;

    // How a stream begins.

    /// Whether a stream can begin with this input. If not, it begins with audio, and the input follows.
    fn can_begin_with(&self, _input: &TurnInput) -> bool {
        true
    }

    /// Whether a stream that begins with this input gets the caller's audio too.
    fn listens_after(&self, input: &TurnInput) -> bool;

    /// A stream opens.
    fn opens(&mut self, opening: Opening) -> Opened;

    /// What the stream has heard of the caller in this turn was not his.
    fn forget_words(&mut self) {
        if let Some(heard) = self.heard_mut() {
            heard.utterance = Utterance::default();
        }
    }

    // What comes from the agent.

    /// The stream has sent something.
    fn note_response(&mut self);

    /// A transcript came. An agent that may answer it should do so by `due`.
    fn note_transcript(&mut self, is_final: bool, now: CallTime, due: CallTime) -> Understood;

    /// A part of an answer came. Returns what came of it before. `None` if the machine takes no answer now.
    fn note_answer(&mut self, answer: &Answer, now: CallTime) -> Option<Earlier>;

    /// Audio has come in which nobody speaks. Returns whether it is only the lead of an answer. An answer
    /// without a lead would be due at `due`.
    fn note_lead(&mut self, _due: CallTime) -> bool {
        false
    }

    /// The parts of the answer so far, if the agent should answer now.
    fn answer_parts(&mut self) -> Option<&mut AnswerParts>;

    /// The caller may not barge in on this answer.
    fn protect_answer(&mut self) {
        if let Some(parts) = self.answer_parts() {
            parts.is_protected = true;
        }
    }

    /// Audio of this answer plays, and it is that long in milliseconds.
    fn note_audio(&mut self, ms: u64) {
        if let Some(parts) = self.answer_parts() {
            parts.note_audio(ms);
        }
    }

    /// The caller has barged in. That cuts this answer if any of its audio has come.
    fn cut_answer(&mut self) {}

    /// Whether more audio of this answer must not play.
    fn is_answer_cut(&self) -> bool {
        false
    }

    /// The prompts of a part that play now, in order, without what was played before.
    fn arrange(&mut self, part: AnswerPart, prompts: Vec<Prompt>) -> Vec<Prompt>;

    /// What to report of a part. `audio_ms` is the length of its audio, `thought_ms` the time since the end of the
    /// input.
    fn report_part(&mut self, answer: &mut Answer, audio_ms: u64, thought_ms: u64) -> Option<Report>;

    /// What to report of a part that only adds audio to what came before.
    fn report_more_audio(&mut self, audio_ms: u64) -> Option<Report>;

    /// A part with `audio_ms` of audio was queued. `is_ending`: the agent's part of the call is over.
    fn after_part(
        &mut self,
        part: AnswerPart,
        audio_ms: u64,
        is_ending: bool,
        timeouts: &Timeouts,
        now: CallTime,
    ) -> AfterPart;

    /// Takes out what the agent has written in this answer, if no audio came that can be played.
    fn take_unspoken(&mut self) -> Option<Unspoken> {
        self.answer_parts()?.take_unspoken()
    }

    // How a stream ends.

    /// The server closed the stream. `is_ending`: the agent's part of the call is over.
    fn ended(&self, is_ending: bool) -> StreamEnd;

    /// Returns what the next stream must get from one that failed or is replaced.
    fn salvage(&mut self) -> Option<Broken>;

    /// Closes the open stream. `None` if none is open, or if it still listens (ES, CX).
    fn close(&mut self) -> Option<Closed>;

    /// The open stream is cancelled.
    fn cancel(&mut self) -> Option<Cancelled>;

    /// The results of tools, as the inputs in which the agent takes them.
    fn tool_inputs(&self, results: Vec<ToolResult>) -> Vec<TurnInput>;

    // A stream that takes one utterance and no other input.

    /// What the listening stream has heard, if it ends with the utterance.
    fn utterance(&self) -> Option<&Heard> {
        None
    }

    /// Whether a listening stream is told how long the prompt still plays.
    fn is_told_of_prompts(&self) -> bool {
        false
    }

    /// Whether we may end an utterance, by the rules of the settings and the agent.
    fn has_end_rules(&self) -> bool {
        false
    }

    /// The utterance is over. Returns the stream, which must be half-closed and should answer by `due`.
    fn end_utterance(&mut self, _found_by: EndFoundBy, _now: CallTime, _due: CallTime) -> Option<OpenStream> {
        None
    }

    /// What the caller said, if we ended his utterance before the agent did, no answer has come, and the agent takes it
    /// as a text.
    fn words_of_early_end(&self) -> Option<String> {
        None
    }

    /// The agent has noticed that the caller said nothing.
    fn note_no_input(&mut self) {}

    // A stream that takes turn after turn, and other input in between.

    /// The open stream, if it takes input in between its audio.
    fn takes_input(&self) -> Option<StreamId> {
        None
    }

    /// Whether the caller speaks. Returns the stream if it must be told, because that has changed.
    fn note_speech(&mut self, _speaks: bool) -> Option<StreamId> {
        None
    }

    /// The stream got session parameters.
    fn note_parameters(&mut self, _parameters: Map<String, Value>) {}

    /// The stream got this input. Returns whether the agent should answer it by `due`.
    fn note_input(&mut self, _input: &TurnInput, _now: CallTime, _due: CallTime) -> bool {
        false
    }

    /// Whether the agent takes nothing but their results while its tools run.
    fn waits_for_tools(&self) -> bool;

    /// The stream has asked for tools.
    fn note_tool_calls(&mut self) {}

    /// The agent has stopped its answer. It should answer what the caller has said by `due`.
    fn note_interrupted(&mut self, _due: CallTime) {}

    /// Whether the agent's own messages stop its prompts.
    fn stops_prompts(&self) -> bool {
        false
    }

    /// Whether the agent itself notices speech during a playout that began at this position.
    fn hears_barge_in(&self, _playout_began: Position) -> bool {
        false
    }

    /// Whether an answer brings only the parameters that changed, which join the earlier ones.
    fn adds_parameters(&self) -> bool {
        false
    }

    /// Whether the server may have lost the session when a stream fails.
    fn may_lose_session(&self) -> bool {
        false
    }

    /// Whether the caller has said something in this turn that the agent has not answered.
    fn has_unanswered_speech(&self) -> bool {
        false
    }

    /// The agent will not answer the input that the turn began with.
    fn skip_first_input(&mut self) {}

    /// The turn is over, and its stream stays open for the turn `next`.
    fn turn_over(&mut self, _next: TurnId) -> Option<TurnOver> {
        None
    }

    /// The server will cut the stream soon. Returns the stream if it must be half-closed at once.
    fn go_away(&mut self, _now: CallTime) -> Option<StreamId> {
        None
    }

    /// Another stream will take over. Returns this one, which must be half-closed.
    fn replace(&mut self, _now: CallTime) -> Option<StreamId> {
        None
    }

    /// Whether another stream takes over when this one ends, however it ends.
    fn is_being_replaced(&self) -> bool {
        false
    }

    /// The shortest time from one stream to the next, in milliseconds, if a server ends them at once.
    fn min_stream_ms(&self) -> u64 {
        0
    }
}
