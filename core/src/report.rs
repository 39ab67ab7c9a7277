//! What a call reports: facts for logs, timelines and metrics. Nobody has to act on them.

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

/// One fact. Its time is that of the input that caused it.
///
/// The enum is exhaustive: a new variant does not compile until log, page, metrics, events and traces handle it.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// Twilio sent `start`.
    Started {
        /// The call's id.
        call_sid: CallSid,
        /// The media stream's id.
        stream_sid: StreamSid,
        /// The caller's number, if the stream's parameters contain it. Personal.
        from: Option<String>,
        /// The called number, if the stream's parameters contain it. Personal.
        to: Option<String>,
    },
    /// We opened a stream to the agent.
    TurnOpened {
        /// Which one.
        turn: TurnId,
        /// `audio`, `event`, `text`, `digits` or `tool result`.
        input: &'static str,
        /// Audio of the caller that waited for this stream, in milliseconds.
        waited_ms: u64,
        /// The part of it that the last stream had got and no longer heard, in milliseconds.
        resent_ms: u64,
    },
    /// The recogniser sent a transcript.
    Transcript {
        /// In which turn.
        turn: TurnId,
        /// What the caller said. Personal: not for a log above DEBUG.
        text: String,
        /// Whether the transcript is final.
        is_final: bool,
    },
    /// The caller has stopped speaking.
    EndOfUtterance {
        /// In which turn.
        turn: TurnId,
        /// Whether the caller said anything.
        spoken: bool,
        /// Who found the end.
        found_by: EndFoundBy,
        /// How long the caller's voice had ended by then, in milliseconds of his audio. `None` if it was not heard.
        silence_ms: Option<u64>,
    },
    /// An answer, or a part of one, came.
    Answered {
        /// In which turn.
        turn: TurnId,
        /// What the agent understood the caller to say. Personal.
        query_text: String,
        /// What the agent says. Personal, because it may repeat what the caller said.
        text: String,
        /// The intent that matched.
        intent: Intent,
        /// Whether the agent says that it did not understand the caller. A part that others follow does not say it.
        is_no_match: bool,
        /// Parameters of the result. Personal.
        parameters: Map<String, Value>,
        /// Length of this part's audio, in milliseconds.
        audio_ms: u64,
        /// From the end of the input to this part, in milliseconds.
        thought_ms: u64,
    },
    /// More audio of an answer came, without anything else.
    MoreAudio {
        /// In which turn.
        turn: TurnId,
        /// Length of the audio, in milliseconds.
        audio_ms: u64,
    },
    /// The times of a turn's stages. Reported when the caller begins to hear the answer, or when it is certain that he
    /// will not.
    Stages(Box<Stages>),
    /// A prompt could not be played.
    PromptRefused {
        /// Why.
        why: String,
    },
    /// An answer has text, and no audio came that can be played. We synthesise the text.
    AnswerWithoutAudio {
        /// Which turn.
        turn: TurnId,
        /// Why audio that came cannot be played: the name of its coding, or a sentence. `None`: none came.
        fault: Option<String>,
        /// Whether it is the first such answer of the media stream.
        is_first: bool,
    },
    /// A later response cut a filler, or audio that the agent allows to be cut.
    Cancelled {
        /// Audio that the caller did not hear, in milliseconds.
        cut_ms: u64,
    },
    /// We play a filler.
    Filler {
        /// `thinking`, `retrying`, `greeting` (the agent has not greeted the caller), `unspoken` (an answer could not be
        /// played) or `unanswered` (nothing came).
        which: &'static str,
    },
    /// A custom payload came.
    Payload {
        /// In which turn.
        turn: TurnId,
        /// The payload. May be personal.
        payload: Value,
    },
    /// The `dialbridge` part of a custom payload is not valid.
    PayloadRefused {
        /// In which turn.
        turn: TurnId,
        /// Why.
        why: String,
    },
    /// The agent wants its client to run a tool. We have none and tell the agent so.
    ToolRefused {
        /// In which turn.
        turn: TurnId,
        /// Resource name of the tool.
        tool: String,
    },
    /// A tool was run, or could not be run. We tell the agent.
    ToolRun {
        /// The turn in which the agent asked for it.
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
    /// A webhook of the agent failed. The agent answered all the same.
    WebhookFailed {
        /// In which turn.
        turn: TurnId,
        /// The webhook's status.
        why: String,
    },
    /// The agent did not answer the starting event. It gets the starting text instead.
    StartingEventUnanswered {
        /// In which turn.
        turn: TurnId,
    },
    /// The agent understood the caller and answered nothing.
    TurnUnanswered {
        /// In which turn.
        turn: TurnId,
        /// Whether the agent gets the words again. Otherwise the caller hears a filler.
        asks_again: bool,
    },
    /// The caller spoke or pressed a key during the prompt, and we cut it.
    BargeIn {
        /// The turn of what the caller said, if it has one already.
        turn: Option<TurnId>,
        /// What interrupted.
        by: BargeInBy,
        /// How much of the playout the caller heard, in milliseconds.
        played_ms: u64,
        /// How much was cut off, in milliseconds.
        cut_ms: u64,
    },
    /// Words did not interrupt the prompt.
    PromptGuarded {
        /// In which turn they were understood.
        turn: TurnId,
        /// What they are.
        from: GuardedFrom,
    },
    /// The caller has heard everything that was queued.
    Played {
        /// Length of the playout, in milliseconds.
        played_ms: u64,
        /// Whether the last mark came back. If not, we stopped waiting for it.
        by_mark: bool,
    },
    /// The caller said nothing while the agent spoke or while he pressed keys, so we replaced the stream.
    NoInputTurnReplaced {
        /// The turn of the old stream.
        turn: TurnId,
    },
    /// A stream reached nearly the most audio that the agent allows. We ended or replaced it.
    Rotated {
        /// The turn of the old stream.
        turn: TurnId,
        /// Whether the caller was speaking.
        in_speech: bool,
    },
    /// A stream failed.
    TurnFailed {
        /// Which turn.
        turn: TurnId,
        /// Why.
        fault: AgentFault,
        /// The backoff before the next attempt, in milliseconds; `None` if there is no next attempt.
        retry_in_ms: Option<u64>,
        /// Audio that we send again to the next stream, in milliseconds.
        again_ms: u64,
    },
    /// The agent cannot be had, and its backup has the call from here on.
    BackupTookOver {
        /// The backup's name in the settings.
        backup: String,
        /// The name of the agent that could not be had.
        backup_of: String,
    },
    /// We dropped audio of the caller because no stream took it for too long.
    AudioDropped {
        /// Length of the dropped audio, in milliseconds.
        ms: u64,
    },
    /// The caller pressed a key. The report does not say which one.
    Digit,
    /// The digits are complete and wait for the agent.
    DigitsComplete {
        /// How many, without the finish digit.
        count: usize,
    },
    /// We dropped a digit because too many wait already.
    DigitDropped,
    /// The caller said nothing.
    NoInput {
        /// How many times in a row.
        in_a_row: u32,
        /// Whether we tell the agent by an event. If not, the agent noticed by itself.
        by_event: bool,
    },
    /// Twilio sent an event of an unknown kind.
    UnknownEvent {
        /// Its name, 40 characters at most.
        event: String,
    },
    /// The agent's answer is longer than what a call keeps of it. The caller hears all of it, but its report or the
    /// hand-off lacks a part.
    AnswerTruncated {
        /// The turn.
        turn: TurnId,
    },
    /// Not all of what the agent knows fits into the call's last TwiML.
    HandoffShortened {
        /// The names of what was left out.
        left_out: String,
        /// The names of what was shortened.
        shortened: String,
    },
    /// Results of tools were dropped, because too many wait already or a second stream has failed that got them. The
    /// agent gets no answer to that request.
    ToolResultsDropped {
        /// The turn in which the agent asked for it.
        turn: TurnId,
    },
    /// The agent asks for a transfer to an address that the service does not dial.
    TransferRefused {
        /// In which turn.
        turn: TurnId,
        /// Why. Without the number.
        why: String,
    },
    /// A transfer to a number needs a caller ID, because the caller has no number, and there is none.
    CallerIdMissing,
    /// There is no room for the call. It gets the TwiML for that, and the agent never hears of it.
    TurnedAway,
    /// A limit of the settings ends the call.
    LimitReached(CallLimit),
    /// The agent's part is over. The call gets its last TwiML.
    HandedOff {
        /// How it ended.
        status: VirtualAgentStatus,
    },
    /// The call is over.
    Ended {
        /// Why.
        reason: CloseReason,
        /// What happened to the caller's audio.
        audio: AudioAccount,
        /// Audio of the agent that the caller did not hear, in milliseconds.
        unheard_ms: u64,
    },
}

/// Who found the end of an utterance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndFoundBy {
    /// The agent's recogniser.
    Agent,
    /// We: no other transcript followed a final one.
    Final,
    /// We: the caller was silent, and his words were known (`quick`).
    Quick,
    /// We: the caller was silent for long enough.
    Silence,
    /// We: digits that the caller pressed were complete.
    Digits,
    /// The agent: it answered.
    Answer,
    /// We: the stream takes no more audio.
    AudioLimit,
}

impl EndFoundBy {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Agent, Self::Final, Self::Quick, Self::Silence, Self::Digits, Self::Answer, Self::AudioLimit];

    /// A word for logs, metrics and traces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Final => "final",
            Self::Quick => "quick",
            Self::Silence => "silence",
            Self::Digits => "digits",
            Self::Answer => "answer",
            Self::AudioLimit => "audio-limit",
        }
    }

    /// Whether the agent's recogniser may not have been done.
    #[must_use]
    pub fn is_early(self) -> bool {
        match self {
            Self::Final | Self::Quick | Self::Silence | Self::Digits => true,
            Self::Agent | Self::Answer | Self::AudioLimit => false,
        }
    }
}

/// What cut a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BargeInBy {
    /// A transcript.
    Speech,
    /// Our voice detector.
    Voice,
    /// A key.
    Dtmf,
    /// The agent: it heard the caller speak, or a newer answer replaces the old one (CES).
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

/// What did not interrupt a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardedFrom {
    /// The agent's own words that came back.
    Echo,
    /// Words that alone do not interrupt.
    Backchannel,
    /// Words that may be the agent's own.
    Doubt,
}

impl GuardedFrom {
    /// A word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Backchannel => "backchannel",
            Self::Doubt => "doubt",
        }
    }
}

/// The times of one turn's stages. `None` means that the stage did not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stages {
    /// Which turn.
    pub turn: TurnId,
    /// `audio`, `event`, `text`, `digits` or `tool result`.
    pub input: &'static str,
    /// We opened the stream.
    pub opened: CallTime,
    /// The caller began to speak.
    pub speech_began: Option<CallTime>,
    /// The caller stopped speaking, by our voice detector.
    pub speech_ended: Option<CallTime>,
    /// The input was complete: `END_OF_SINGLE_UTTERANCE` came, or the digits were complete.
    pub input_complete: Option<CallTime>,
    /// The last final transcript came.
    pub final_transcript: Option<CallTime>,
    /// The first part of the answer came.
    pub answered: Option<CallTime>,
    /// The first audio of the answer went to Twilio.
    pub first_audio_sent: Option<CallTime>,
    /// The caller began to hear that audio.
    pub first_audio_played: Option<CallTime>,
}

/// Why the media stream was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CloseReason {
    /// Twilio sent `stop`: the caller hung up, or the call went on to other TwiML.
    Stop,
    /// The WebSocket closed without a `stop`.
    MediaStreamClosed,
    /// Twilio did not read what we sent.
    NotReading,
    /// The call goes on over another media stream, which came before this one had ended.
    TakenOver,
    /// No `start` came.
    NoStart,
    /// The WebSocket is open, but Twilio sends nothing over it, not even silence.
    NoFrames,
    /// The `start` named another call than this media stream was opened for.
    WrongCall,
    /// The call got its last TwiML, but no `stop` followed.
    HandedOff,
    /// We could not update the call over REST. It goes on through `<Connect action>`.
    NotUpdated,
    /// Twilio says that the call is over.
    CallGone,
    /// The call goes on over another media stream.
    Migrated,
}

impl CloseReason {
    /// The reason as it stands in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::MediaStreamClosed => "media stream closed",
            Self::NotReading => "twilio does not read",
            Self::TakenOver => "taken over",
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

/// What happened to the caller's audio, in bytes of mu-law (8 per millisecond). `received` is the sum of `written`,
/// `dropped`, `left` and `after_end`. Withheld audio was written as silence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AudioAccount {
    /// Came from Twilio.
    pub received: u64,
    /// Written to a stream, each byte counted once.
    pub written: u64,
    /// Written again, because a stream had failed or no longer listened.
    pub resent: u64,
    /// The part of `received` that came during a prompt without barge-in and was sent on as silence.
    pub withheld: u64,
    /// Dropped because no stream took it for 30 seconds.
    pub dropped: u64,
    /// Came after the agent's part was over.
    pub after_end: u64,
    /// Still waiting for a stream when the call ended.
    pub left: u64,
}
