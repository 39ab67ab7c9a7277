//! Shows an agent's metrics as 0 before anything counts. An alert does not notice a counter that first appears as 1.

use dialbridge_core::ending::{CallLimit, VirtualAgentStatus as Status};
use dialbridge_core::report::{BargeInBy, CloseReason, EndFoundBy, GuardedFrom};
use dialbridge_core::stages::TurnStage;

use super::{AUDIO_OUTCOMES, AgentLabels, CODES, Labels, Metrics, OTHER_CODE, TookOver};

/// The inputs that a turn can begin with.
const INPUTS: [&str; 5] = ["audio", "event", "text", "digits", "tool result"];

const STATUSES: [Status; 5] =
    [Status::Completed, Status::LiveAgentHandoff, Status::Hangup, Status::Paused, Status::Failed];

const REASONS: [CloseReason; 11] = [
    CloseReason::Stop,
    CloseReason::MediaStreamClosed,
    CloseReason::NotReading,
    CloseReason::TakenOver,
    CloseReason::NoStart,
    CloseReason::NoFrames,
    CloseReason::WrongCall,
    CloseReason::HandedOff,
    CloseReason::NotUpdated,
    CloseReason::CallGone,
    CloseReason::Migrated,
];

const BOUNDS: [CallLimit; 4] = [CallLimit::Call, CallLimit::Silence, CallLimit::FailedTurns, CallLimit::NoInputTurns];

const INTERRUPTIONS: [BargeInBy; 4] = [BargeInBy::Speech, BargeInBy::Voice, BargeInBy::Dtmf, BargeInBy::Agent];

const GUARDED: [GuardedFrom; 3] = [GuardedFrom::Echo, GuardedFrom::Backchannel, GuardedFrom::Doubt];

/// The kinds of what can be left out.
const LEFT_OUT: [&str; 9] =
    ["answer", "digit", "event", "handoff", "language", "parameter", "payload", "tool-result", "transfer"];

impl Metrics {
    /// Shows an agent's metrics, all of them 0.
    pub(in crate::telemetry) fn show_agent(&self, agent: &AgentLabels) {
        let labels = |name, value| Labels { agent: agent.clone(), more: (name, value) };
        for family in [
            &self.calls,
            &self.no_inputs,
            &self.no_matches,
            &self.retries,
            &self.unanswered,
            &self.taken_over,
            &self.prompts_refused,
            &self.answers_without_audio,
        ] {
            let _ = family.get_or_create(agent);
        }
        let _ = self.call_seconds.get_or_create(agent);
        let _ = self.turn_seconds.get_or_create(agent);
        let _ = self.speech_in_flight.get_or_create(agent);
        let _ = self.first_audio_seconds.get_or_create(agent);
        for found_by in EndFoundBy::ALL {
            let _ = self.utterance_end_seconds.get_or_create(&labels("found_by", found_by.as_str()));
        }
        for stage in TurnStage::ALL {
            let _ = self.stage_seconds.get_or_create(&labels("stage", stage.as_str()));
            let _ = self.slow_turns.get_or_create(&labels("stage", stage.as_str()));
        }
        for outcome in AUDIO_OUTCOMES {
            let _ = self.audio.get_or_create(&labels("outcome", outcome));
        }
        let statuses = STATUSES.map(|status| (&self.handoffs, "status", status.as_str()));
        let reasons = REASONS.map(|reason| (&self.calls_ended, "reason", reason.as_str()));
        let bounds = BOUNDS.map(|bound| (&self.limits, "limit", bound.as_str()));
        let left_out = LEFT_OUT.map(|what| (&self.left_out, "what", what));
        let interruptions = INTERRUPTIONS.map(|by| (&self.barge_ins, "by", by.as_str()));
        let guarded = GUARDED.map(|from| (&self.prompts_guarded, "from", from.as_str()));
        let inputs = INPUTS.map(|input| (&self.turns, "input", input));
        let backups = TookOver::ALL.map(|when| (&self.backups, "during", when.as_str()));
        let codes = CODES.into_iter().filter(|code| *code != "OK").chain([OTHER_CODE]);
        let faults = codes.map(|code| (&self.faults, "code", code));
        let all = statuses
            .into_iter()
            .chain(reasons)
            .chain(left_out)
            .chain(bounds)
            .chain(interruptions)
            .chain(guarded)
            .chain(inputs)
            .chain(backups)
            .chain(faults);
        for (family, name, value) in all {
            let _ = family.get_or_create(&labels(name, value));
        }
    }
}
