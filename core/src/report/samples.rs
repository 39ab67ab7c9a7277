//! One report of each kind, for tests of everything that is made from reports.

use serde_json::{Map, json};

use super::{AudioAccount, BargeInBy, CloseReason, EndFoundBy, GuardedFrom, Report, Stages};
use crate::agent::{AgentFault, Intent};
use crate::ending::{CallLimit, VirtualAgentStatus};
use crate::ids::{CallSid, StreamSid, TurnId};
use crate::time::CallTime;

/// Every personal value of a sample begins with this text, and no other value contains it. The field's name follows.
pub const PLANTED: &str = "planted";

macro_rules! samples {
    ($($kind:ident $({ $($fields:tt)* })? $(($inner:expr))?,)*) => {
        // A kind without a sample does not compile.
        #[expect(unreachable_patterns, reason = "a kind may have several samples")]
        const _: fn(&Report) = |report| match report {
            $(Report::$kind { .. } => {})*
        };

        /// At least one report of each kind. Personal values begin with [`PLANTED`].
        #[must_use]
        pub fn samples() -> Vec<Report> {
            vec![$(Report::$kind $({ $($fields)* })? $(($inner))?,)*]
        }
    };
}

const TURN: TurnId = TurnId(7);

samples! {
    Started {
        call_sid: CallSid::new("CA1").unwrap_or_else(|_| unreachable!()),
        stream_sid: StreamSid::new("MZ1").unwrap_or_default(),
        from: planted("from").into(),
        to: planted("to").into(),
    },
    TurnOpened { turn: TURN, input: "audio", waited_ms: 260, resent_ms: 240 },
    Transcript { turn: TURN, text: planted("text"), is_final: false },
    Transcript { turn: TURN, text: planted("text"), is_final: true },
    EndOfUtterance { turn: TURN, spoken: true, found_by: EndFoundBy::Quick, silence_ms: Some(360) },
    EndOfUtterance { turn: TURN, spoken: true, found_by: EndFoundBy::Agent, silence_ms: None },
    EndOfUtterance { turn: TURN, spoken: false, found_by: EndFoundBy::Agent, silence_ms: None },
    Answered {
        turn: TURN,
        query_text: planted("query_text"),
        text: planted("text"),
        intent: Intent { display_name: "order.bread".to_owned(), ..Intent::default() },
        is_no_match: true,
        parameters: Map::from_iter([("bread".to_owned(), planted("parameters").into())]),
        audio_ms: 900,
        thought_ms: 250,
    },
    MoreAudio { turn: TURN, audio_ms: 300 },
    Stages(Box::new(stages())),
    PromptRefused { why: "it is no WAV".to_owned() },
    AnswerWithoutAudio { turn: TURN, fault: None, is_first: true },
    AnswerWithoutAudio { turn: TURN, fault: Some("OUTPUT_AUDIO_ENCODING_MP3".to_owned()), is_first: false },
    Cancelled { cut_ms: 40 },
    Filler { which: "thinking" },
    Payload { turn: TURN, payload: json!({ "text": planted("payload") }) },
    PayloadRefused { turn: TURN, why: "it is no object".to_owned() },
    ToolRefused { turn: TURN, tool: tool() },
    ToolRun { turn: TURN, tool: tool(), fault: None },
    ToolRun { turn: TURN, tool: tool(), fault: Some("the shop is closed".to_owned()) },
    Succeeded { turn: TURN },
    WebhookFailed { turn: TURN, why: "NOT_FOUND".to_owned() },
    StartingEventUnanswered { turn: TURN },
    TurnUnanswered { turn: TURN, asks_again: true },
    TurnUnanswered { turn: TURN, asks_again: false },
    BargeIn { turn: Some(TURN), by: BargeInBy::Speech, played_ms: 1_600, cut_ms: 2_400 },
    BargeIn { turn: None, by: BargeInBy::Dtmf, played_ms: 1_600, cut_ms: 2_400 },
    PromptGuarded { turn: TURN, from: GuardedFrom::Echo },
    Played { played_ms: 900, by_mark: true },
    Played { played_ms: 900, by_mark: false },
    NoInputTurnReplaced { turn: TURN },
    Rotated { turn: TURN, in_speech: true },
    Rotated { turn: TURN, in_speech: false },
    TurnFailed { turn: TURN, fault: fault(), retry_in_ms: Some(500), again_ms: 700 },
    TurnFailed { turn: TURN, fault: fault(), retry_in_ms: None, again_ms: 0 },
    BackupTookOver { backup: "old-es".to_owned(), backup_of: "new-cx".to_owned() },
    AudioDropped { ms: 60 },
    Digit,
    DigitsComplete { count: 4 },
    DigitDropped,
    NoInput { in_a_row: 2, by_event: true },
    NoInput { in_a_row: 2, by_event: false },
    UnknownEvent { event: "resumed".to_owned() },
    AnswerTruncated { turn: TurnId(2) },
    HandoffShortened { left_out: "parameters.story".to_owned(), shortened: "AgentHandoffParameters.notes".to_owned() },
    ToolResultsDropped { turn: TURN },
    TransferRefused { turn: TURN, why: "it has no country code".to_owned() },
    CallerIdMissing,
    TurnedAway,
    LimitReached(CallLimit::Silence),
    HandedOff { status: VirtualAgentStatus::Completed },
    Ended { reason: CloseReason::Stop, audio: AudioAccount { received: 1_600, written: 1_600, ..AudioAccount::default() }, unheard_ms: 1_500 },
}

fn planted(field: &str) -> String {
    format!("{PLANTED} {field}")
}

fn tool() -> String {
    "projects/p/locations/us/apps/a/tools/stock".to_owned()
}

fn fault() -> AgentFault {
    AgentFault { code: "UNAVAILABLE".to_owned(), message: "closed".to_owned(), transient: true }
}

/// An answer that the caller does not hear: one time is absent.
fn stages() -> Stages {
    let at = |ms| Some(CallTime::from_ms(ms));
    Stages {
        turn: TURN,
        input: "audio",
        opened: CallTime::from_ms(500),
        speech_began: at(1_000),
        speech_ended: at(2_000),
        input_complete: at(2_700),
        final_transcript: at(2_690),
        answered: at(2_950),
        first_audio_sent: at(2_951),
        first_audio_played: None,
    }
}
