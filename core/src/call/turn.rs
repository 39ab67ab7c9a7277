//! An open stream to the agent, from its opening to its end.
//!
//! A stream for one turn (ES, CX):
//!
//! ```text
//! Idle --open with audio--> Listening --end of utterance, an answer, digits after speech: HalfClose--> Responding
//! Idle --open with other input, HalfClose--> Responding --answer complete: Done--> Idle
//! Listening --nothing said, and a prompt, digits, no-input or the audio limit: Cancel--> Idle
//! Listening --audio limit while the caller speaks: HalfClose--> Responding
//! ```
//!
//! Its answer is complete with the final part, or when the server closes the stream. An answer that did not announce
//! more is also complete after a time without more of it.
//!
//! A stream for the whole call (CES):
//!
//! ```text
//! Idle --open with audio, an event or a text--> Listening --go away, audio limit: HalfClose--> Responding
//! Listening --a turn is complete--> Listening
//! Listening, Responding --the server closes it: Done--> Idle
//! Responding --the server does not close it in time: Cancel--> Idle
//! ```
//!
//! Either:
//!
//! ```text
//! Listening, Responding --failed--> Idle; no answer in time, stalled: Cancel--> Idle
//! Listening, Responding --limit of the call, close: Cancel--> Idle
//! ```
//!
//! A stream that failed without an answer delays the next one by a backoff.

use serde_json::{Map, Value};

use crate::agent::{Intent, Prompt, TurnInput};
use crate::call::caller_audio::Position;
use crate::call::utterance::Utterance;
use crate::checksum::Checksum;
use crate::ids::{StreamId, TurnId};
use crate::time::CallTime;

/// With this much voice, in milliseconds, the caller has spoken. A cough or a slammed door is shorter.
pub(super) const CLEAR_SPEECH_MS: u64 = 600;

/// What a stream has heard since its last response.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StreamWatchdog {
    /// Milliseconds of voice.
    pub(super) voice_ms: u64,
    /// Where the voice began.
    pub(super) from: Option<Position>,
    /// Milliseconds in which it should have responded.
    pub(super) ms: u64,
}

impl StreamWatchdog {
    /// Where clear speech began to which the stream has not responded.
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
    /// All input is sent. We wait for the answer, or for the rest of it.
    Responding(OpenTurn),
}

/// An open stream.
#[derive(Debug)]
pub(super) struct OpenTurn {
    /// The stream.
    pub(super) id: StreamId,
    /// The current turn.
    pub(super) number: TurnId,
    pub(super) input: TurnInput,
    pub(super) opened_at: CallTime,
    /// How much of the caller's audio had come when the stream was opened.
    pub(super) opened: Position,
    /// Where this stream's audio begins in the caller's audio.
    pub(super) began: Position,
    /// When the input was complete.
    pub(super) finished_at: CallTime,
    pub(super) utterance: Utterance,
    pub(super) watchdog: StreamWatchdog,
    /// Whether the stream has responded.
    pub(super) has_responded: bool,
    pub(super) answered: Answered,
    /// Whether any audio of the answer has come.
    pub(super) has_audio: bool,
    /// Whether the agent has noticed the no-input.
    pub(super) is_no_input: bool,
    /// The audio of its partial responses, which the final one may repeat.
    pub(super) partial: Repeated,
    /// Session parameters that we sent since the agent last responded.
    pub(super) unconfirmed_parameters: Map<String, Value>,
    /// The answer so far of the current turn, if one stream has many turns.
    pub(super) answer_so_far: AnswerSoFar,
    /// From the end of the input to the first part of the answer, in milliseconds.
    pub(super) thought_ms: u64,
    /// Whether we have stopped waiting for an answer to the starting event.
    pub(super) is_starting_event_skipped: bool,
    /// Whether the stream has asked for tools.
    pub(super) has_asked_for_tools: bool,
    /// Whether the stream got results of tools that an earlier stream had asked for.
    pub(super) has_others_results: bool,
    /// Digits and texts that it got since the agent last began to answer.
    pub(super) unanswered_inputs: Vec<TurnInput>,
    /// Whether another stream takes over when this one has finished its answer.
    pub(super) is_restart_pending: bool,
    /// Whether the stream is half-closed for another one to take over.
    pub(super) is_restarting: bool,
    /// Whether the caller may not barge in on its answer, whichever message the audio comes in.
    pub(super) is_protected: bool,
    /// Prompts to be fetched of an answer whose own audio may still come (ES). They play after that audio.
    pub(super) deferred_prompts: Vec<Prompt>,
}

/// The answer so far, if it comes in many parts.
#[derive(Debug, Default)]
pub(super) struct AnswerSoFar {
    pub(super) text: String,
    pub(super) intent: Intent,
    pub(super) parameters: Map<String, Value>,
    pub(super) audio_ms: u64,
}

/// Audio that may be repeated: its length in bytes and its checksum.
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

    /// The new part of the audio, which may begin with a repetition of the earlier audio.
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
    /// Nothing.
    No,
    /// A part without text, audio or end.
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

    /// Takes the turn out if it is listening.
    pub(super) fn take_listening(&mut self) -> Option<OpenTurn> {
        match std::mem::take(self) {
            Self::Listening(turn) => Some(turn),
            other @ (Self::Idle | Self::Responding(_)) => {
                *self = other;
                None
            }
        }
    }

    /// Takes the turn out if it waits for its answer.
    pub(super) fn take_responding(&mut self) -> Option<OpenTurn> {
        match std::mem::take(self) {
            Self::Responding(turn) => Some(turn),
            other @ (Self::Idle | Self::Listening(_)) => {
                *self = other;
                None
            }
        }
    }

    /// Takes the turn out, whatever its state.
    pub(super) fn take(&mut self) -> Option<OpenTurn> {
        match std::mem::take(self) {
            Self::Idle => None,
            Self::Listening(turn) | Self::Responding(turn) => Some(turn),
        }
    }

    /// Whether the open stream has this id.
    pub(super) fn is(&self, id: StreamId) -> bool {
        self.open().is_some_and(|turn| turn.id == id)
    }
}
