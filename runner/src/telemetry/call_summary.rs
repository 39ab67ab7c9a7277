//! What a call was, in a few figures: its last log line, and its last event.

use std::collections::VecDeque;

use dialbridge_core::ending::{CallLimit, VirtualAgentStatus};
use dialbridge_core::report::{CloseReason, Stages};
use dialbridge_core::stages::{Interval, SlowStage, TurnStage};
use dialbridge_core::{Report, TurnId, UpdateResult};
use serde_json::{Map, Value};

use super::metrics::result_of;

/// The median is that of so many turns, the last ones. A call may take hours.
const MAX_WAITS: usize = 1_000;

/// What a call was until now.
#[derive(Debug, Default)]
pub(super) struct CallSummary {
    /// Turns that were opened.
    pub(super) turns: u64,
    pub(super) failed_turns: u64,
    pub(super) barge_ins: u64,
    no_inputs: u64,
    /// How long the caller waited for the answers to his last words, in milliseconds.
    waits_ms: VecDeque<u64>,
    slowest: Option<SlowestTurn>,
    outcome: Outcome,
    /// The limit that has ended the call.
    limit: Option<CallLimit>,
    /// gRPC's code of the last failed turn.
    last_fault: Option<String>,
    /// What came of the update with the last TwiML.
    update: Option<UpdateResult>,
}

/// What has become of the call.
#[derive(Debug, Default)]
enum Outcome {
    /// Its media stream has not started.
    #[default]
    NotStarted,
    /// The agent has the call.
    Open,
    /// There was no room for the call.
    TurnedAway,
    /// The agent's part is over.
    HandedOff(VirtualAgentStatus),
}

/// The turn whose answer the caller waited longest for.
#[derive(Debug)]
struct SlowestTurn {
    turn: TurnId,
    wait_ms: u64,
    stage: Option<TurnStage>,
}

/// How a media stream ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum StreamEnd {
    Closed(CloseReason),
    /// The call's task has panicked.
    Panic,
}

impl StreamEnd {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Closed(reason) => reason.as_str(),
            Self::Panic => "panic",
        }
    }

    /// The status of a call that ended before the agent's part did.
    fn status(self) -> &'static str {
        match self {
            Self::Closed(CloseReason::Stop) => VirtualAgentStatus::Hangup.as_str(),
            Self::Closed(CloseReason::Migrated | CloseReason::TakenOver) => "migrated",
            Self::Closed(CloseReason::NoStart | CloseReason::WrongCall) => "not-started",
            Self::Closed(_) => "broken-off",
            Self::Panic => VirtualAgentStatus::Failed.as_str(),
        }
    }
}

impl CallSummary {
    /// Takes note of a report. A turn's stages have their own method.
    pub(super) fn report(&mut self, report: &Report) {
        match report {
            Report::Started { .. } => self.outcome = Outcome::Open,
            Report::TurnOpened { .. } => self.turns += 1,
            Report::TurnFailed { fault, .. } => {
                self.failed_turns += 1;
                self.last_fault = Some(fault.code.clone());
            }
            Report::BargeIn { .. } => self.barge_ins += 1,
            Report::NoInput { .. } => self.no_inputs += 1,
            Report::TurnedAway => self.outcome = Outcome::TurnedAway,
            Report::LimitReached(limit) => self.limit = Some(*limit),
            Report::HandedOff { status } => self.outcome = Outcome::HandedOff(*status),
            _ => {}
        }
    }

    /// Takes note of how long the caller waited for an answer. Only his words make him wait.
    pub(super) fn stages(&mut self, stages: &Stages, slow_stage: Option<SlowStage>) {
        let Some(wait_ms) = stages.whole().filter(|_| stages.is_spoken()).map(Interval::ms) else { return };
        if self.waits_ms.len() == MAX_WAITS {
            self.waits_ms.pop_front();
        }
        self.waits_ms.push_back(wait_ms);
        if self.slowest.as_ref().is_none_or(|slowest| slowest.wait_ms < wait_ms) {
            let longest = || TurnStage::ALL.into_iter().max_by_key(|stage| stages.interval(*stage).map(Interval::ms));
            let stage = slow_stage.map(|slow| slow.stage).or_else(longest);
            self.slowest = Some(SlowestTurn { turn: stages.turn, wait_ms, stage });
        }
    }

    /// Takes note of what came of an update with new TwiML.
    pub(super) fn updated(&mut self, result: UpdateResult) {
        self.update = Some(result);
    }

    /// Whether there was a call. A probe, such as `doctor`'s, opens a media stream and closes it again.
    pub(super) fn is_call(&self, end: StreamEnd) -> bool {
        let has_started = !matches!(self.outcome, Outcome::NotStarted);
        has_started || !matches!(end, StreamEnd::Closed(CloseReason::MediaStreamClosed))
    }

    /// Whether the media stream has started, and there was room for the call.
    pub(super) fn has_started(&self) -> bool {
        match self.outcome {
            Outcome::NotStarted | Outcome::TurnedAway => false,
            Outcome::Open | Outcome::HandedOff(_) => true,
        }
    }

    /// The figures as fields of a log line. Absent ones are left out.
    pub(super) fn fields(&self, end: StreamEnd) -> Map<String, Value> {
        let mut waits_ms: Vec<u64> = self.waits_ms.iter().copied().collect();
        waits_ms.sort_unstable();
        let slowest = self.slowest.as_ref();
        let all: [(&str, Value); 12] = [
            ("status", self.status(end).into()),
            ("reason", self.reason(end).into()),
            ("stream_end", end.as_str().into()),
            ("handoff", self.handoff().into()),
            ("turns", self.turns.into()),
            ("failed_turns", self.failed_turns.into()),
            ("barge_ins", self.barge_ins.into()),
            ("no_inputs", self.no_inputs.into()),
            ("median_wait_ms", waits_ms.len().checked_sub(1).map(|last| waits_ms[last / 2]).into()),
            ("slowest_wait_ms", slowest.map(|turn| turn.wait_ms).into()),
            ("slowest_turn", slowest.map(|turn| turn.turn.0).into()),
            ("slowest_stage", slowest.and_then(|turn| turn.stage).map(TurnStage::as_str).into()),
        ];
        all.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn status(&self, end: StreamEnd) -> &'static str {
        match (&self.outcome, self.limit) {
            (Outcome::HandedOff(status), _) => status.as_str(),
            (Outcome::TurnedAway, _) => "turned-away",
            (Outcome::NotStarted | Outcome::Open, Some(limit)) => limit.status().as_str(),
            (Outcome::NotStarted | Outcome::Open, None) => end.status(),
        }
    }

    /// Who or what has ended the call.
    fn reason(&self, end: StreamEnd) -> &str {
        match (&self.outcome, self.limit) {
            (_, Some(limit)) => limit.as_str(),
            (Outcome::HandedOff(VirtualAgentStatus::Failed), None) => self.last_fault.as_deref().unwrap_or("agent"),
            (Outcome::HandedOff(_), None) => "agent",
            (Outcome::TurnedAway, None) => "MAX_CALLS",
            (Outcome::Open, None) if matches!(end, StreamEnd::Closed(CloseReason::Stop)) => "caller",
            (Outcome::NotStarted | Outcome::Open, None) => end.as_str(),
        }
    }

    /// What came of the last TwiML; `None` if the call was to get none.
    fn handoff(&self) -> Option<&'static str> {
        match self.outcome {
            Outcome::NotStarted | Outcome::Open => None,
            Outcome::TurnedAway | Outcome::HandedOff(_) => Some(result_of(self.update)),
        }
    }
}
