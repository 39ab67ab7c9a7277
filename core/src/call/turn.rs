//! The turn: one stream to the agent, from its opening to its answer.
//!
//! ```text
//! Idle --open with audio--> Listening --end of utterance, an answer: HalfClose--> Responding --complete: Done--> Idle
//! Idle --open with an event or a text, HalfClose-------------------------------> Responding
//! Listening --nothing said beside a prompt, rotation: Cancel--> Idle
//! Listening, Responding --failed--> Idle, after a pause
//! ```
//!
//! Where one stream lasts for the whole call it stays in Listening, turn after turn, and Responding is a stream that was
//! half-closed so that another one takes over.
//!
//! An answer is complete with its final part, or when the server closes the stream, or when it has been quiet for a
//! while after an answer that promised no more.

use serde_json::{Map, Value};

use crate::agent::{Intent, Prompt, TurnInput};
use crate::call::caller_audio::Position;
use crate::call::utterance::Utterance;
use crate::checksum::Checksum;
use crate::ids::TurnId;
use crate::time::CallTime;

/// With so much voice something has been said, and no cough or slammed door, in milliseconds.
pub(super) const CLEAR_SPEECH_MS: u64 = 600;

/// What a stream has heard since it said something.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StreamWatchdog {
    /// Milliseconds of voice.
    pub(super) voice_ms: u64,
    /// Where the voice began.
    pub(super) from: Option<Position>,
    /// Milliseconds in which it should have said something.
    pub(super) ms: u64,
}

impl StreamWatchdog {
    /// Where clear speech began that nothing was said of.
    pub(super) fn speech_from(&self) -> Option<Position> {
        self.from.filter(|_| self.voice_ms >= CLEAR_SPEECH_MS)
    }
}

/// Where the call stands with the agent.
#[derive(Debug, Default)]
pub(super) enum TurnState {
    /// No stream is open.
    #[default]
    Idle,
    /// The caller's audio goes to the agent.
    Listening(OpenTurn),
    /// All input is in; the answer is awaited, or a part of it has come.
    Responding(OpenTurn),
}

/// A stream that is open.
#[derive(Debug)]
pub(super) struct OpenTurn {
    /// The stream.
    pub(super) id: TurnId,
    /// The turn that goes on in it, as it is told: the stream's own, but where one stream has many turns.
    pub(super) number: TurnId,
    pub(super) input: TurnInput,
    pub(super) opened_at: CallTime,
    /// How much of the caller's audio had come when it was opened.
    pub(super) opened: Position,
    /// Where in the caller's audio this stream's began.
    pub(super) began: Position,
    /// When the input was complete.
    pub(super) finished_at: CallTime,
    pub(super) utterance: Utterance,
    pub(super) watchdog: StreamWatchdog,
    /// Whether the stream has said anything.
    pub(super) has_responded: bool,
    pub(super) answered: Answered,
    /// Whether any audio of the answer has come.
    pub(super) has_audio: bool,
    /// Whether the agent has noticed that nothing was said.
    pub(super) is_no_input: bool,
    /// The audio of its partial answers, which the final one may repeat.
    pub(super) partial: Repeated,
    /// The session parameters that it was told since the agent last said something.
    pub(super) unconfirmed_parameters: Map<String, Value>,
    /// What the agent has said in a turn of a stream that has many.
    pub(super) answer_so_far: AnswerSoFar,
    /// From the end of the input to the first part of the answer, in milliseconds.
    pub(super) thought_ms: u64,
    /// Whether the starting event was not answered, and is not waited for any more.
    pub(super) is_starting_event_skipped: bool,
    /// Whether it has asked for tools.
    pub(super) has_asked_for_tools: bool,
    /// Whether it was told of tools that an earlier stream had asked for.
    pub(super) has_others_results: bool,
    /// Keys and texts that it got since the agent last began to answer.
    pub(super) unanswered_inputs: Vec<TurnInput>,
    /// Whether another stream is to take over when this one has said what it is saying.
    pub(super) is_restart_pending: bool,
    /// Whether the stream is half-closed for another one to take over.
    pub(super) is_restarting: bool,
    /// Whether its answer may not be interrupted, whichever message its audio comes in.
    pub(super) is_protected: bool,
    /// What is to be fetched of an answer whose own audio may still come (ES): it is played after that.
    pub(super) deferred_prompts: Vec<Prompt>,
}

/// What the agent has said so far, of an answer that comes in many pieces.
#[derive(Debug, Default)]
pub(super) struct AnswerSoFar {
    pub(super) text: String,
    pub(super) intent: Intent,
    pub(super) parameters: Map<String, Value>,
    pub(super) audio_ms: u64,
}

/// Audio that may come again: how many bytes, and their checksum.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Repeated {
    bytes: usize,
    sum: Checksum,
}

impl Repeated {
    pub(super) fn add(&mut self, audio: &[u8]) {
        self.bytes += audio.len();
        self.sum.add(audio);
    }

    /// What of the audio is new, when it may begin with what was there already.
    pub(super) fn new_part<'a>(&self, audio: &'a [u8]) -> &'a [u8] {
        match audio.split_at_checked(self.bytes) {
            Some((again, new)) if self.bytes > 0 && Checksum::of(again) == self.sum => new,
            _ => audio,
        }
    }
}

/// How much of the answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    /// None of it.
    No,
    /// A part without words, audio or end.
    Empty,
    /// Something.
    Yes,
}

impl TurnState {
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    pub(super) fn open(&self) -> Option<&OpenTurn> {
        match self {
            Self::Idle => None,
            Self::Listening(turn) | Self::Responding(turn) => Some(turn),
        }
    }

    pub(super) fn open_mut(&mut self) -> Option<&mut OpenTurn> {
        match self {
            Self::Idle => None,
            Self::Listening(turn) | Self::Responding(turn) => Some(turn),
        }
    }

    /// Leaves the turn that listens, if one does.
    pub(super) fn take_listening(&mut self) -> Option<OpenTurn> {
        match std::mem::take(self) {
            Self::Listening(turn) => Some(turn),
            other @ (Self::Idle | Self::Responding(_)) => {
                *self = other;
                None
            }
        }
    }

    /// Leaves the turn whose answer is awaited, if there is one.
    pub(super) fn take_responding(&mut self) -> Option<OpenTurn> {
        match std::mem::take(self) {
            Self::Responding(turn) => Some(turn),
            other @ (Self::Idle | Self::Listening(_)) => {
                *self = other;
                None
            }
        }
    }

    /// Leaves the turn, whatever its state.
    pub(super) fn take(&mut self) -> Option<OpenTurn> {
        match std::mem::take(self) {
            Self::Idle => None,
            Self::Listening(turn) | Self::Responding(turn) => Some(turn),
        }
    }

    /// The stream that is open, if it is that one.
    pub(super) fn is(&self, id: TurnId) -> bool {
        self.open().is_some_and(|turn| turn.id == id)
    }
}
