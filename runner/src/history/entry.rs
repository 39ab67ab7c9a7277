//! One call as the page shows it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dialbridge_core::stages::StageLimits;
use dialbridge_core::{CallSid, CallTime, CloseReason, Report};
use serde_json::{Map, Value, json};

use super::archive::Archive;
use super::event_line::{event_line, latency_ms};
use super::lines::Lines;
use super::outcome::{CallOutcome, LastTwimlKind};
use dialbridge_core::ending::VirtualAgentStatus;

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
    /// The agent that it stands in for.
    pub(crate) backup_of: Option<String>,
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
    /// Where its tape is written, if it is recorded.
    pub(crate) tape: Option<PathBuf>,
}

/// The tape of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeptTape {
    /// There is none.
    NotRecorded,
    /// It is being written.
    Live,
    /// It has words that the page may not show.
    Private,
    /// It may be given to whoever may open the page.
    Open {
        /// Where it is.
        path: PathBuf,
        /// The call.
        call_sid: CallSid,
    },
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
    status: Option<VirtualAgentStatus>,
    last_twiml: LastTwimlKind,
    ended: Option<(u64, CloseReason)>,
    /// The call time of the last report.
    last_ms: u64,
    lines: Lines,
    /// The summary of a call that an archive kept.
    kept: Option<Map<String, Value>>,
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
    /// The call found no room: `MAX_CALLS` are live.
    TurnedAway,
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
            Self::Over | Self::NoCall | Self::TurnedAway => "over",
        }
    }

    /// The phase after this report.
    fn after(self, report: &Report) -> Self {
        let is_speaking = self == Self::Speaking;
        let next = match report {
            Report::Ended { reason: CloseReason::MediaStreamClosed, .. } if self == Self::Opening => {
                return Self::NoCall;
            }
            Report::TurnedAway => return Self::TurnedAway,
            Report::Ended { .. } if self == Self::TurnedAway => return self,
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
            | Report::BackupTookOver { .. }
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
            | Report::AnswerTruncated { .. }
            | Report::LimitReached(_) => self,
        };
        if matches!(self, Self::Ending | Self::Over | Self::NoCall | Self::TurnedAway) { self } else { next }
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
            last_twiml: LastTwimlKind::default(),
            ended: None,
            last_ms: 0,
            lines: Lines::up_to(max_bytes),
            kept: None,
        }
    }

    pub(super) fn call_sid(&self) -> &CallSid {
        &self.start.call_sid
    }

    /// A finished call of an archive. Its tape is in one of the `folders`, if it is still there. `shows_words`: whether
    /// transcripts may be shown now; a timeline that has some is left out without it. `None` if it cannot be a call.
    pub(super) fn of_json(id: u64, kept: &Value, folders: &[PathBuf], shows_words: bool) -> Option<Self> {
        let (call, lines) = (kept["call"].as_object()?, kept["lines"].as_array()?);
        let text = |name: &str| call.get(name).and_then(Value::as_str);
        let has_words = call.get("words") == Some(&Value::Bool(true));
        let is_browser = text("kind") == Some("browser");
        // The page reads these without a look.
        call.get("latenciesMs")?.as_array()?;
        call.get("turns")?.as_u64().and(call.get("failed")?.as_u64())?;
        let tape = text("tape").and_then(|name| Path::new(name).file_name());
        let tape = tape.and_then(|name| folders.iter().map(|folder| folder.join(name)).find(|path| path.exists()));
        let start = CallStart {
            call_sid: CallSid::new(text("callSid")?).ok()?,
            agent: text("agent")?.to_owned(),
            backup_of: text("backupOf").map(ToOwned::to_owned),
            language: text("language")?.to_owned(),
            kind: if is_browser { "browser" } else { "phone" },
            began_ms: call.get("beganMs")?.as_u64()?,
            words: has_words && (shows_words || is_browser),
            slow: StageLimits::NONE,
            tape,
        };
        let mut entry = Self::new(id, start);
        (entry.state, entry.kept) = (CallPhase::Over, Some(call.clone()));
        let lines = lines.iter().filter_map(Value::as_object).filter(|_| entry.start.words == has_words);
        for line in lines {
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
            self.latencies_ms.extend(latency_ms(stages).filter(|_| stages.is_spoken()));
            if self.latencies_ms.len() > MAX_LATENCIES {
                self.latencies_ms.pop_front();
            }
        }
        if let Report::TurnFailed { .. } = report {
            self.failed += 1;
        }
        if let Report::BackupTookOver { backup, backup_of } = report {
            (self.start.agent, self.start.backup_of) = (backup.clone(), Some(backup_of.clone()));
        }
        if let Report::HandedOff { status } = report {
            self.status = Some(*status);
        }
        if let Report::Ended { reason, .. } = report {
            self.ended = Some((at.as_ms(), *reason));
        }
        if let Some(line) = event_line(report, self.start.words, self.start.slow) {
            let is_passing = matches!(report, Report::Transcript { is_final: false, .. });
            self.lines.add(at.as_ms(), line, is_passing);
        }
    }

    /// Notes the language of the call's backup.
    pub(super) fn use_language(&mut self, language: &str) {
        language.clone_into(&mut self.start.language);
    }

    /// Notes the TwiML that the call gets at this point. A call from the browser shows what a phone call would get; that
    /// of a phone call is not shown, because it has numbers.
    pub(super) fn twiml(&mut self, twiml: &str) {
        self.last_twiml = LastTwimlKind::of(twiml);
        if self.start.kind != "browser" {
            return;
        }
        let line: Map<String, Value> =
            [("what".to_owned(), "twiml".into()), ("twiml".to_owned(), twiml.into())].into_iter().collect();
        self.lines.add(self.last_ms, line, false);
    }

    /// Marks the call as over, whether that was reported or not.
    pub(super) fn close(&mut self) {
        if !self.is_over() {
            self.state = CallPhase::Over;
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, CallPhase::Over | CallPhase::NoCall | CallPhase::TurnedAway)
    }

    /// Whether there was a call. If not, the list of finished calls leaves it out.
    pub(super) fn is_call(&self) -> bool {
        self.state != CallPhase::NoCall
    }

    /// The call as the list shows it.
    pub(super) fn summary(&self) -> Value {
        let CallStart { call_sid, agent, backup_of, language, kind, began_ms, words, slow: _, tape } = &self.start;
        let tape = tape.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
        if let Some(mut kept) = self.kept.clone() {
            kept.extend([("id".to_owned(), self.id.into()), ("words".to_owned(), (*words).into())]);
            kept.insert("tape".to_owned(), tape.into());
            return Value::Object(kept);
        }
        json!({
            "id": self.id, "callSid": call_sid.as_str(), "agent": agent, "backupOf": backup_of,
            "language": language, "kind": kind,
            "beganMs": began_ms, "state": self.state.as_str(), "turns": self.turns, "failed": self.failed,
            "latenciesMs": self.latencies_ms, "status": self.status.map(VirtualAgentStatus::as_str),
            "tookMs": self.is_over().then_some(self.ended.map_or(self.last_ms, |(ms, _)| ms)),
            "reason": self.is_over().then_some(self.ended.map_or("broke off", |(_, reason)| reason.as_str())),
            "outcome": self.outcome().map(CallOutcome::as_str),
            "tape": tape, "words": words,
        })
    }

    /// What became of the call; `None` while it is live.
    pub(super) fn outcome(&self) -> Option<CallOutcome> {
        if self.state == CallPhase::TurnedAway {
            return Some(CallOutcome::TurnedAway);
        }
        let reason = self.ended.map(|(_, reason)| reason);
        self.is_over().then(|| CallOutcome::of(self.status, reason, self.last_twiml))
    }

    /// When the call began, in milliseconds since 1970.
    pub(super) fn began_ms(&self) -> u64 {
        self.start.began_ms
    }

    /// The time of the last report, in milliseconds since 1970.
    pub(super) fn last_at_ms(&self) -> u64 {
        self.start.began_ms + self.last_ms
    }

    /// The lines of the timeline after this number, each with its number.
    pub(super) fn lines_after(&self, number: u64) -> Vec<(u64, Arc<str>)> {
        self.lines.after(number)
    }

    /// What the page may do with the call's tape.
    pub(super) fn tape(&self) -> KeptTape {
        match &self.start.tape {
            None => KeptTape::NotRecorded,
            Some(_) if !self.is_over() => KeptTape::Live,
            Some(_) if !self.start.words => KeptTape::Private,
            Some(path) => KeptTape::Open { path: path.clone(), call_sid: self.start.call_sid.clone() },
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.lines.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::agent::Intent;
    use dialbridge_core::report::{AudioAccount, BargeInBy, EndFoundBy};
    use dialbridge_core::{StreamSid, TurnId};

    fn entry() -> Entry {
        Entry::new(
            7,
            CallStart {
                call_sid: CallSid::new("CA1").unwrap(),
                agent: "sales".to_owned(),
                backup_of: None,
                language: "en-US".to_owned(),
                kind: "phone",
                began_ms: 1_000,
                words: false,
                slow: StageLimits::NONE,
                tape: None,
            },
        )
    }

    fn answered(audio_ms: u64) -> Report {
        Report::Answered {
            turn: TurnId(1),
            query_text: String::new(),
            text: String::new(),
            intent: Intent::default(),
            is_no_match: false,
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
    fn a_person_who_was_asked_for_and_a_hang_up_is_no_success() {
        let outcome = |twiml: Option<&str>, status| {
            let mut entry = entry();
            entry.report(CallTime::from_ms(5), &Report::HandedOff { status });
            twiml.into_iter().for_each(|twiml| entry.twiml(twiml));
            assert_eq!(entry.summary()["outcome"], Value::Null, "it is live");
            entry.close();
            entry.summary()["outcome"].clone()
        };
        let (person, completed) = (VirtualAgentStatus::LiveAgentHandoff, VirtualAgentStatus::Completed);
        assert_eq!(outcome(Some("<Response><Hangup/></Response>"), person), "person-missed");
        assert_eq!(outcome(Some("<Response><Dial>1</Dial></Response>"), person), "person");
        assert_eq!(outcome(Some("<Response><Hangup/></Response>"), completed), "completed");
        assert_eq!(outcome(None, VirtualAgentStatus::Failed), "failed");
    }

    #[test]
    fn a_call_that_found_no_room_is_told_and_stays_in_the_list() {
        let ended = |reason| Report::Ended { reason, audio: AudioAccount::default(), unheard_ms: 0 };
        for reason in [CloseReason::Stop, CloseReason::MediaStreamClosed] {
            let mut entry = entry();
            entry.report(CallTime::from_ms(5), &Report::TurnedAway);
            entry.report(CallTime::from_ms(9), &ended(reason));
            entry.close();
            assert_eq!((&entry.summary()["outcome"], entry.is_call()), (&"turned-away".into(), true));
        }
    }

    #[test]
    fn a_call_that_ends_without_a_word_broke_off() {
        let mut entry = entry();
        entry.close();
        assert!(entry.is_over());
        assert_eq!(entry.summary()["reason"], "broke off");
    }
}
