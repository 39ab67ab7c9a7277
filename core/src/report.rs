//! What a call tells about itself: facts for logs, timelines and figures. Nobody has to act on them.

mod description;
mod field;
mod samples;

use std::fmt;

use serde_json::{Map, Value};

use crate::agent::{AgentFault, Intent};
use crate::ending::{CallLimit, VirtualAgentStatus};
use crate::ids::{CallSid, StreamSid, TurnId};
use crate::time::CallTime;

pub use field::{Field, FieldValue, Personal};
pub use samples::{PLANTED, samples};

/// One fact. The moment is that of the input that brought it about.
///
/// The enum is exhaustive: a new kind does not compile until log, page, metrics, events and traces have decided about it.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// Twilio's `start` came.
    Started {
        /// The call.
        call_sid: CallSid,
        /// The stream.
        stream_sid: StreamSid,
        /// The caller's number, where the stream's parameters name it. Personal.
        from: Option<String>,
        /// The called number, likewise.
        to: Option<String>,
    },
    /// A stream to the agent was opened.
    TurnOpened {
        /// Which one.
        turn: TurnId,
        /// `audio`, `event`, `text`, `digits` or `tool result`.
        input: &'static str,
        /// Audio that had waited for it, in milliseconds.
        waited_ms: u64,
    },
    /// The agent understood something.
    Transcript {
        /// In which turn.
        turn: TurnId,
        /// The words. Personal: not for a log above DEBUG.
        text: String,
        /// Whether they will not change any more.
        is_final: bool,
    },
    /// The caller has stopped speaking.
    EndOfUtterance {
        /// In which turn.
        turn: TurnId,
        /// Whether anything was said.
        spoken: bool,
    },
    /// An answer, or a part of one, came.
    Answered {
        /// In which turn.
        turn: TurnId,
        /// What the agent took the caller to have said. Personal.
        query_text: String,
        /// What the agent says. Personal, for it may repeat the caller's words.
        text: String,
        /// What matched.
        intent: Intent,
        /// Parameters of the result. Personal.
        parameters: Map<String, Value>,
        /// Audio of this part, in milliseconds.
        audio_ms: u64,
        /// From the end of the input to this part, in milliseconds.
        thought_ms: u64,
    },
    /// More audio of an answer came, and nothing else.
    MoreAudio {
        /// In which turn.
        turn: TurnId,
        /// So many milliseconds.
        audio_ms: u64,
    },
    /// When what happened in a turn: comes when its answer begins to be heard, or when that will not be.
    Stages(Box<Stages>),
    /// A prompt could not be played.
    PromptRefused {
        /// Why.
        why: String,
    },
    /// A later response has cut a recording of ours, or audio that may be cut.
    Cancelled {
        /// Milliseconds that were not heard.
        cut_ms: u64,
    },
    /// A recording of ours is played.
    Filler {
        /// `thinking` or `retrying`.
        which: &'static str,
    },
    /// A custom payload came.
    Payload {
        /// In which turn.
        turn: TurnId,
        /// The payload. May be personal.
        payload: Value,
    },
    /// What stands under `dialbridge` in a custom payload is not understood.
    PayloadRefused {
        /// In which turn.
        turn: TurnId,
        /// Why.
        why: String,
    },
    /// The agent wants a tool run by its client, which has none, and is told so.
    ToolRefused {
        /// In which turn.
        turn: TurnId,
        /// Resource name of the tool.
        tool: String,
    },
    /// A tool was run, or could not be, and the agent is told.
    ToolRun {
        /// In which turn it was asked for.
        turn: TurnId,
        /// Resource name of the tool.
        tool: String,
        /// Why it has no result.
        fault: Option<String>,
    },
    /// The agent says that the conversation is a success.
    Succeeded {
        /// In which turn.
        turn: TurnId,
    },
    /// A webhook of the agent's failed; the agent has answered all the same.
    WebhookFailed {
        /// In which turn.
        turn: TurnId,
        /// Its status.
        why: String,
    },
    /// The agent left the starting event unanswered, and gets the starting text.
    StartingEventUnanswered {
        /// In which turn.
        turn: TurnId,
    },
    /// The caller spoke, or pressed a key, into the prompt, which was cut.
    BargeIn {
        /// The turn of the caller's words, where they have one already.
        turn: Option<TurnId>,
        /// What interrupted.
        by: BargeInBy,
        /// What of the playout was heard, in milliseconds.
        played_ms: u64,
        /// What was cut off, in milliseconds.
        cut_ms: u64,
    },
    /// All that was queued was heard.
    Played {
        /// How much it was, in milliseconds.
        played_ms: u64,
        /// Whether the last mark came back; otherwise its time was over.
        by_mark: bool,
    },
    /// Nothing was said while the agent spoke or keys were pressed, and the stream was replaced.
    NoInputTurnReplaced {
        /// The old one.
        turn: TurnId,
    },
    /// A stream has taken nearly as much audio as the agent allows, and was ended or replaced.
    Rotated {
        /// The old one.
        turn: TurnId,
        /// Whether the caller was speaking.
        in_speech: bool,
    },
    /// A stream failed.
    TurnFailed {
        /// Which one.
        turn: TurnId,
        /// Why.
        fault: AgentFault,
        /// The pause before another attempt, in milliseconds; `None` when there is none.
        retry_in_ms: Option<u64>,
        /// Audio that the next stream gets again, in milliseconds.
        again_ms: u64,
    },
    /// Audio of the caller's was dropped because nothing took it for too long.
    AudioDropped {
        /// So many milliseconds.
        ms: u64,
    },
    /// A key was pressed. Which one is nobody's business.
    Digit,
    /// The keys are complete and wait for the agent.
    DigitsComplete {
        /// How many, without the one that ended them.
        count: usize,
    },
    /// Too many keys wait already: one was dropped.
    DigitDropped,
    /// The caller said nothing.
    NoInput {
        /// How many times in a row.
        in_a_row: u32,
        /// Whether the agent is told by an event of ours; otherwise it has noticed.
        by_event: bool,
    },
    /// Twilio sent an event of an unknown kind.
    UnknownEvent {
        /// Its name, 40 characters at most.
        event: String,
    },
    /// A bound of the settings ends the call.
    LimitReached(CallLimit),
    /// The agent's part is over, and the call gets its last TwiML.
    HandedOff {
        /// How it ended.
        status: VirtualAgentStatus,
    },
    /// The call is over.
    Ended {
        /// Why.
        reason: CloseReason,
        /// What became of the caller's audio.
        audio: AudioAccount,
    },
}

/// What interrupted a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BargeInBy {
    /// Words.
    Speech,
    /// The level of the caller's voice.
    Voice,
    /// A key.
    Dtmf,
    /// The agent itself: the caller spoke, or a newer answer replaces the old one (CES).
    Agent,
}

impl BargeInBy {
    /// A word for logs and traces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Speech => "speech",
            Self::Voice => "voice",
            Self::Dtmf => "dtmf",
            Self::Agent => "agent",
        }
    }
}

/// When what happened in a turn, each a moment of the call; `None` for what did not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stages {
    /// Which turn.
    pub turn: TurnId,
    /// `audio`, `event`, `text`, `digits` or `tool result`.
    pub input: &'static str,
    /// The stream was opened.
    pub opened: CallTime,
    /// The caller began to speak.
    pub speech_began: Option<CallTime>,
    /// The caller fell silent, by the level of his voice.
    pub speech_ended: Option<CallTime>,
    /// The input was complete: `END_OF_SINGLE_UTTERANCE` came, the keys were complete.
    pub input_complete: Option<CallTime>,
    /// The last final transcript came.
    pub final_transcript: Option<CallTime>,
    /// The first part of the answer came.
    pub answered: Option<CallTime>,
    /// The first audio of the answer went to Twilio.
    pub first_audio_sent: Option<CallTime>,
    /// The caller began to hear it.
    pub first_audio_played: Option<CallTime>,
}

/// Why the socket was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CloseReason {
    /// Twilio sent `stop`: the caller hung up, or the call has gone on to other TwiML.
    Stop,
    /// The socket closed without a `stop`.
    MediaStreamClosed,
    /// No `start` came.
    NoStart,
    /// The socket is open and nothing comes over it any more, not even silence.
    NoFrames,
    /// The `start` was of another call than the socket's.
    WrongCall,
    /// The call has its last TwiML, and no `stop` came for it.
    HandedOff,
    /// The call could not be updated over REST: it goes on through `<Connect action>`.
    NotUpdated,
    /// Twilio does not know the call any more.
    CallGone,
    /// The call goes on over another media socket.
    Migrated,
}

impl CloseReason {
    /// The reason as logs and figures have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::MediaStreamClosed => "media stream closed",
            Self::NoStart => "no start",
            Self::NoFrames => "no frames",
            Self::WrongCall => "start of another call",
            Self::HandedOff => "handed off",
            Self::NotUpdated => "not updated over REST",
            Self::CallGone => "call gone",
            Self::Migrated => "migrated",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of the caller's audio, in bytes of mu-law (8 a millisecond). What came is what was written, dropped or left,
/// and what came after the end; what was withheld was written as silence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AudioAccount {
    /// Came from Twilio.
    pub received: u64,
    /// Was written to a stream, each byte counted once.
    pub written: u64,
    /// Was written once more, after a stream had failed.
    pub resent: u64,
    /// Of all that came: what came while a prompt might not be interrupted, and went on as silence.
    pub withheld: u64,
    /// Was dropped because nothing took it for 30 seconds.
    pub dropped: u64,
    /// Came after the agent's part was over.
    pub after_end: u64,
    /// Still waited for a stream when the call ended.
    pub left: u64,
}
