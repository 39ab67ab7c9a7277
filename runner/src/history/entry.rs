//! One call as the page shows it.

use std::collections::VecDeque;
use std::sync::Arc;

use dialbridge_core::report::CloseReason;
use dialbridge_core::stages::StageLimits;
use dialbridge_core::{CallSid, CallTime, Report};
use serde_json::{Map, Value, json};

use super::archive::Archive;
use super::event_line::{event_line, latency_ms};
use super::lines::Lines;

/// How many latencies of a call are kept: those of its last turns.
const MAX_LATENCIES: usize = 20;

/// How many bytes of a timeline are kept. A line without transcripts has about a hundred.
const MAX_BYTES: usize = 16 << 10;

/// The same for a timeline with transcripts.
const MAX_BYTES_WITH_WORDS: usize = 64 << 10;

/// What is known of a call when it begins.
#[derive(Debug, Clone)]
pub(crate) struct CallStart {
    /// The call.
    pub(crate) call_sid: CallSid,
    /// The agent's name in the settings.
    pub(crate) agent: String,
    /// Its language.
    pub(crate) language: String,
    /// `phone` or `browser`.
    pub(crate) kind: &'static str,
    /// When the call began, in milliseconds since 1970.
    pub(crate) began_ms: u64,
    /// Whether transcripts may be shown.
    pub(crate) words: bool,
    /// How long the stages of a turn may take.
    pub(crate) slow: StageLimits,
}

/// A call.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    start: CallStart,
    state: CallPhase,
    turns: u32,
    failed: u32,
    latencies_ms: VecDeque<u64>,
    status: Option<String>,
    ended: Option<(u64, String)>,
    /// The call time of the last report.
    last_ms: u64,
    lines: Lines,
}

/// What is happening in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallPhase {
    /// The stream has not started.
    Opening,
    /// The agent listens, and nobody speaks.
    Listening,
    /// The caller speaks, or presses keys.
    Hearing,
    /// The agent prepares its answer.
    Thinking,
    /// The agent speaks.
    Speaking,
    /// The agent has finished with the call.
    Ending,
    /// The call is over.
    Over,
    /// The stream was closed before its start: a probe, such as `doctor`'s.
    NoCall,
}

impl CallPhase {
    fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Listening => "listening",
            Self::Hearing => "caller speaks",
            Self::Thinking => "agent thinks",
            Self::Speaking => "agent speaks",
            Self::Ending => "ending",
            Self::Over | Self::NoCall => "over",
        }
    }

    /// The phase after this report.
    fn after(self, report: &Report) -> Self {
        let is_speaking = self == Self::Speaking;
        let next = match report {
            Report::Ended { reason: CloseReason::MediaStreamClosed, .. } if self == Self::Opening => {
                return Self::NoCall;
            }
            Report::Ended { .. } => return Self::Over,
            Report::HandedOff { .. } => return Self::Ending,
            Report::Started { .. } | Report::Played { .. } => Self::Listening,
            Report::TurnOpened { input, .. } if !is_speaking => {
                if *input == "audio" {
                    Self::Listening
                } else {
                    Self::Thinking
                }
            }
            Report::Transcript { .. } | Report::Digit if !is_speaking => Self::Hearing,
            Report::BargeIn { .. } => Self::Hearing,
            Report::EndOfUtterance { spoken: true, .. } | Report::DigitsComplete { .. } => Self::Thinking,
            Report::Answered { audio_ms: 1.., .. } | Report::MoreAudio { .. } | Report::Filler { .. } => Self::Speaking,
            Report::TurnOpened { .. }
            | Report::Transcript { .. }
            | Report::EndOfUtterance { .. }
            | Report::Answered { .. }
            | Report::Stages(_)
            | Report::PromptRefused { .. }
            | Report::AnswerWithoutAudio { .. }
            | Report::Cancelled { .. }
            | Report::Payload { .. }
            | Report::PayloadRefused { .. }
            | Report::ToolRefused { .. }
            | Report::ToolRun { .. }
            | Report::Succeeded { .. }
            | Report::WebhookFailed { .. }
            | Report::StartingEventUnanswered { .. }
            | Report::TurnUnanswered { .. }
            | Report::PromptGuarded { .. }
            | Report::NoInputTurnReplaced { .. }
            | Report::Rotated { .. }
            | Report::TurnFailed { .. }
            | Report::AudioDropped { .. }
            | Report::Digit
            | Report::DigitDropped
            | Report::NoInput { .. }
            | Report::UnknownEvent { .. }
            | Report::HandoffShortened { .. }
            | Report::ToolResultsDropped { .. }
            | Report::TransferRefused { .. }
            | Report::CallerIdMissing
            | Report::TurnedAway
            | Report::AnswerTruncated { .. }
            | Report::LimitReached(_) => self,
        };
        if matches!(self, Self::Ending | Self::Over | Self::NoCall) { self } else { next }
    }
}

impl Entry {
    pub(super) fn new(id: u64, start: CallStart) -> Self {
        let max_bytes = if start.words { MAX_BYTES_WITH_WORDS } else { MAX_BYTES };
        Self {
            id,
            start,
            state: CallPhase::Opening,
            turns: 0,
            failed: 0,
            latencies_ms: VecDeque::new(),
            status: None,
            ended: None,
            last_ms: 0,
            lines: Lines::up_to(max_bytes),
        }
    }

    pub(super) fn call_sid(&self) -> &CallSid {
        &self.start.call_sid
    }

    /// A finished call of an archive. `None` if it cannot be one.
    pub(super) fn of_json(id: u64, kept: &Value) -> Option<Self> {
        let (call, lines) = (&kept["call"], kept["lines"].as_array()?);
        let text = |name: &str| call[name].as_str().map(ToOwned::to_owned);
        let count = |name: &str| u32::try_from(call[name].as_u64()?).ok();
        let start = CallStart {
            call_sid: CallSid::new(call["callSid"].as_str()?).ok()?,
            agent: text("agent")?,
            language: text("language")?,
            kind: if call["kind"] == "browser" { "browser" } else { "phone" },
            began_ms: call["beganMs"].as_u64()?,
            words: true,
            slow: StageLimits::NONE,
        };
        let mut entry = Self::new(id, start);
        entry.state = CallPhase::Over;
        (entry.turns, entry.failed) = (count("turns")?, count("failed")?);
        entry.latencies_ms =
            call["latenciesMs"].as_array()?.iter().filter_map(Value::as_u64).take(MAX_LATENCIES).collect();
        entry.status = text("status");
        entry.ended = Some((call["tookMs"].as_u64()?, text("reason")?));
        for line in lines.iter().filter_map(Value::as_object) {
            let at_ms = line.get("atMs").and_then(Value::as_u64).unwrap_or_default();
            entry.lines.add(at_ms, line.clone(), false);
        }
        Some(entry)
    }

    /// Keeps a finished call beyond this instance.
    pub(super) fn keep_in(&self, archive: &Archive) {
        if self.is_call() {
            let lines: Vec<Arc<str>> = self.lines.after(0).into_iter().map(|(_, line)| line).collect();
            let text = format!("{{\"call\":{},\"lines\":[{}]}}", self.summary(), lines.join(","));
            archive.keep(self.start.call_sid.as_str(), self.start.began_ms, text);
        }
    }

    /// Adds a report.
    pub(super) fn report(&mut self, at: CallTime, report: &Report) {
        self.last_ms = at.as_ms();
        self.state = self.state.after(report);
        if let Report::Stages(stages) = report {
            self.turns += 1;
            self.latencies_ms.extend(latency_ms(stages));
            if self.latencies_ms.len() > MAX_LATENCIES {
                self.latencies_ms.pop_front();
            }
        }
        if let Report::TurnFailed { .. } = report {
            self.failed += 1;
        }
        if let Report::HandedOff { status } = report {
            self.status = Some(status.as_str().to_owned());
        }
        if let Report::Ended { reason, .. } = report {
            self.ended = Some((at.as_ms(), reason.to_string()));
        }
        if let Some(line) = event_line(report, self.start.words, self.start.slow) {
            let is_passing = matches!(report, Report::Transcript { is_final: false, .. });
            self.lines.add(at.as_ms(), line, is_passing);
        }
    }

    /// Adds the TwiML that a phone call would get at this point.
    pub(super) fn twiml(&mut self, twiml: &str) {
        let line: Map<String, Value> =
            [("what".to_owned(), "twiml".into()), ("twiml".to_owned(), twiml.into())].into_iter().collect();
        self.lines.add(self.last_ms, line, false);
    }

    /// Marks the call as over, whether that was reported or not.
    pub(super) fn close(&mut self) {
        if !self.is_over() {
            self.state = CallPhase::Over;
        }
        if self.ended.is_none() {
            self.ended = Some((self.last_ms, "broke off".to_owned()));
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, CallPhase::Over | CallPhase::NoCall)
    }

    /// Whether there was a call. If not, the list of finished calls leaves it out.
    pub(super) fn is_call(&self) -> bool {
        self.state != CallPhase::NoCall
    }

    /// The call as the list shows it.
    pub(super) fn summary(&self) -> Value {
        let CallStart { call_sid, agent, language, kind, began_ms, words: _, slow: _ } = &self.start;
        json!({
            "id": self.id, "callSid": call_sid.as_str(), "agent": agent, "language": language, "kind": kind,
            "beganMs": began_ms, "state": self.state.as_str(), "turns": self.turns, "failed": self.failed,
            "latenciesMs": self.latencies_ms, "status": self.status,
            "tookMs": self.ended.as_ref().map(|(ms, _)| ms), "reason": self.ended.as_ref().map(|(_, reason)| reason),
        })
    }

    /// The lines of the timeline after this number, each with its number.
    pub(super) fn lines_after(&self, number: u64) -> Vec<(u64, Arc<str>)> {
        self.lines.after(number)
    }

    pub(super) fn bytes(&self) -> usize {
        self.lines.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::agent::Intent;
    use dialbridge_core::ending::VirtualAgentStatus;
    use dialbridge_core::report::{AudioAccount, BargeInBy, EndFoundBy};
    use dialbridge_core::{StreamSid, TurnId};

    fn entry() -> Entry {
        Entry::new(
            7,
            CallStart {
                call_sid: CallSid::new("CA1").unwrap(),
                agent: "sales".to_owned(),
                language: "en-US".to_owned(),
                kind: "phone",
                began_ms: 1_000,
                words: false,
                slow: StageLimits::NONE,
            },
        )
    }

    fn answered(audio_ms: u64) -> Report {
        Report::Answered {
            turn: TurnId(1),
            query_text: String::new(),
            text: String::new(),
            intent: Intent::default(),
            parameters: Map::new(),
            audio_ms,
            thought_ms: 0,
        }
    }

    #[test]
    fn a_calls_state_follows_its_reports() {
        let turn = TurnId(1);
        let started = Report::Started {
            call_sid: CallSid::new("CA1").unwrap(),
            stream_sid: StreamSid::new("MZ1").unwrap(),
            from: None,
            to: None,
        };
        let opened = |input| Report::TurnOpened { turn, input, waited_ms: 0, resent_ms: 0 };
        let interim = Report::Transcript { turn, text: "x".to_owned(), is_final: false };
        let cut = Report::BargeIn { turn: None, by: BargeInBy::Speech, played_ms: 1, cut_ms: 1 };
        let mut entry = entry();
        let mut states = vec![entry.summary()["state"].as_str().unwrap().to_owned()];
        for report in [
            started,
            opened("event"),
            answered(900),
            opened("audio"),
            interim.clone(),
            cut,
            Report::EndOfUtterance { turn, spoken: true, found_by: EndFoundBy::Agent, silence_ms: Some(700) },
            answered(0),
            answered(300),
            Report::Played { played_ms: 300, by_mark: true },
            Report::HandedOff { status: VirtualAgentStatus::Completed },
            interim,
            Report::Ended { reason: CloseReason::Stop, audio: AudioAccount::default(), unheard_ms: 0 },
        ] {
            entry.report(CallTime::from_ms(5), &report);
            states.push(entry.summary()["state"].as_str().unwrap().to_owned());
        }
        let expected = [
            "opening",
            "listening",
            "agent thinks",
            "agent speaks",
            "agent speaks",
            "agent speaks",
            "caller speaks",
            "agent thinks",
            "agent thinks",
            "agent speaks",
            "listening",
            "ending",
            "ending",
            "over",
        ];
        assert_eq!(states, expected);
        assert_eq!((&entry.summary()["status"], &entry.summary()["reason"]), (&"completed".into(), &"stop".into()));
    }

    #[test]
    fn a_call_that_ends_without_a_word_broke_off() {
        let mut entry = entry();
        entry.close();
        assert!(entry.is_over());
        assert_eq!(entry.summary()["reason"], "broke off");
    }
}
