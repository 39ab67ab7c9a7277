//! The events of one call.

use std::sync::Arc;

use dialbridge_core::report::{AudioAccount, Stages};
use dialbridge_core::stages::{SlowStage, TurnStage};
use dialbridge_core::{CallSid, CallTime, Report};
use serde_json::{Map, Value, json};

use super::webhook::Webhook;
use crate::settings::Redaction;
use crate::telemetry::call_summary::CallSummary;
use crate::telemetry::metrics::AgentLabels;
use crate::telemetry::rfc3339::rfc3339;

/// Where the events of a call go, and their common fields.
#[derive(Debug)]
pub(in crate::telemetry) struct CallEvents {
    webhook: Arc<Webhook>,
    redaction: Redaction,
    common: Common,
    /// How many events there were.
    count: u64,
    /// The queue number of the last event.
    last: u64,
}

/// The common fields of a call's events.
#[derive(Debug, Clone)]
pub(in crate::telemetry) struct Common {
    /// The agent's URL at this service.
    pub(in crate::telemetry) source: String,
    pub(in crate::telemetry) call_sid: CallSid,
    /// When the stream's ticket was issued, in milliseconds since 1970. Distinguishes the streams of a call.
    pub(in crate::telemetry) issued_ms: u64,
    /// When the stream's call time began, in milliseconds since 1970.
    pub(in crate::telemetry) began_ms: u64,
    pub(in crate::telemetry) agent: Arc<str>,
    pub(in crate::telemetry) edition: &'static str,
    /// The agent that this one stands in for.
    pub(in crate::telemetry) backup_of: Option<Arc<str>>,
    pub(in crate::telemetry) language: String,
    pub(in crate::telemetry) traceparent: Option<String>,
}

impl CallEvents {
    pub(in crate::telemetry) fn new(webhook: Arc<Webhook>, redaction: Redaction, common: Common) -> Self {
        Self { webhook, redaction, common, count: 0, last: 0 }
    }

    /// The agent's backup has the call from here on. Of both agents' redactions the stricter one holds.
    pub(in crate::telemetry) fn use_backup(
        &mut self,
        backup: &AgentLabels,
        backup_of: &Arc<str>,
        language: &str,
        redaction: Redaction,
    ) {
        self.redaction = self.redaction.max(redaction);
        language.clone_into(&mut self.common.language);
        self.common.agent = backup.name.clone();
        self.common.edition = backup.edition;
        self.common.backup_of = Some(backup_of.clone());
    }

    /// Sends an event for a report, if it has one. Stages and the end have their own methods.
    pub(in crate::telemetry) fn report(&mut self, at: CallTime, report: &Report) {
        match report {
            Report::Started { stream_sid, from, to, .. } => {
                let mut data = json!({ "streamSid": stream_sid.as_str(), "language": self.common.language });
                if self.redaction < Redaction::All {
                    data["from"] = json!(from);
                    data["to"] = json!(to);
                }
                self.send(at, "started", data);
            }
            Report::Transcript { turn, text, is_final: true } => {
                let words = text.split_whitespace().count();
                let mut data = json!({ "turn": turn.0, "words": words });
                self.add_words(&mut data, &[("text", text)]);
                self.send(at, "transcript", data);
            }
            Report::Answered { turn, query_text, text, intent, is_no_match: _, parameters, audio_ms, thought_ms } => {
                let mut data = json!({
                    "turn": turn.0,
                    "intent": { "name": intent.name, "displayName": intent.display_name },
                    "audioMs": audio_ms,
                    "thoughtMs": thought_ms,
                });
                self.add_words(&mut data, &[("queryText", query_text), ("text", text)]);
                if self.redaction < Redaction::Words {
                    data["parameters"] = Value::Object(parameters.clone());
                }
                self.send(at, "intent", data);
            }
            Report::BackupTookOver { backup, .. } => self.send(at, "backup", json!({ "backup": backup })),
            Report::HandedOff { status } => self.send(at, "handoff", json!({ "status": status.as_str() })),
            // These are for operators only, or have their own methods.
            Report::TurnOpened { .. }
            | Report::TurnFailed { .. }
            | Report::BargeIn { .. }
            | Report::Transcript { is_final: false, .. }
            | Report::EndOfUtterance { .. }
            | Report::MoreAudio { .. }
            | Report::Stages(_)
            | Report::PromptRefused { .. }
            | Report::AnswerWithoutAudio { .. }
            | Report::Cancelled { .. }
            | Report::Filler { .. }
            | Report::Payload { .. }
            | Report::PayloadRefused { .. }
            | Report::ToolRefused { .. }
            | Report::ToolRun { .. }
            | Report::Succeeded { .. }
            | Report::WebhookFailed { .. }
            | Report::StartingEventUnanswered { .. }
            | Report::TurnUnanswered { .. }
            | Report::PromptGuarded { .. }
            | Report::Played { .. }
            | Report::NoInputTurnReplaced { .. }
            | Report::Rotated { .. }
            | Report::AudioDropped { .. }
            | Report::Digit
            | Report::DigitsComplete { .. }
            | Report::DigitDropped
            | Report::NoInput { .. }
            | Report::UnknownEvent { .. }
            | Report::HandoffShortened { .. }
            | Report::ToolResultsDropped { .. }
            | Report::TransferRefused { .. }
            | Report::CallerIdMissing
            | Report::TurnedAway
            | Report::AnswerTruncated { .. }
            | Report::LimitReached(_)
            | Report::Ended { .. } => {}
        }
    }

    /// Sends an event for a turn with its stages.
    pub(in crate::telemetry) fn stages(&mut self, at: CallTime, stages: &Stages, slow_stage: Option<SlowStage>) {
        let times = TurnStage::ALL.into_iter().filter_map(|stage| {
            let stretch = stages.interval(stage)?;
            Some((stage.as_str().to_owned(), stretch.ms().into()))
        });
        let times: Map<String, Value> = times.collect();
        let mut data = json!({
            "turn": stages.turn.0,
            "input": stages.input,
            "wholeMs": stages.whole().map(|whole| whole.ms()),
            "stagesMs": times,
            "slow": slow_stage.is_some(),
        });
        if let Some(slow_stage) = slow_stage {
            data["slowStage"] = slow_stage.stage.as_str().into();
        }
        self.send(at, "turn", data);
    }

    /// Sends an event for the end of the stream.
    pub(in crate::telemetry) fn ended(
        &mut self,
        at: CallTime,
        reason: &str,
        summary: &CallSummary,
        audio: &AudioAccount,
    ) {
        let ms = |bytes: u64| bytes / dialbridge_core::audio::BYTES_PER_MS as u64;
        let data = json!({
            "reason": reason,
            "durationMs": at.as_ms(),
            "turns": summary.turns,
            "failedTurns": summary.failed_turns,
            "bargeIns": summary.barge_ins,
            "audioMs": {
                "received": ms(audio.received),
                "written": ms(audio.written),
                "resent": ms(audio.resent),
                "withheld": ms(audio.withheld),
                "dropped": ms(audio.dropped),
            },
        });
        self.send(at, "ended", data);
    }

    /// Returns when all events so far were sent or lost.
    pub(in crate::telemetry) async fn flushed(&self) {
        self.webhook.flushed(self.last).await;
    }

    fn add_words(&self, data: &mut Value, words: &[(&str, &str)]) {
        if self.redaction < Redaction::Words {
            for (name, text) in words {
                data[*name] = (*text).into();
            }
        }
    }

    fn send(&mut self, at: CallTime, kind: &str, mut data: Value) {
        let common = &self.common;
        self.count += 1;
        data["callSid"] = common.call_sid.as_str().into();
        data["agent"] = (*common.agent).into();
        data["edition"] = common.edition.into();
        if let Some(backup_of) = &common.backup_of {
            data["backupOf"] = (**backup_of).into();
        }
        let mut event = json!({
            "specversion": "1.0",
            "id": format!("{}-{}-{}", common.call_sid, common.issued_ms, self.count),
            "source": common.source,
            "type": format!("dialbridge.call.{kind}"),
            "subject": common.call_sid.as_str(),
            "time": rfc3339(common.began_ms + at.as_ms()),
            // The CloudEvents extension for order. It is compared as text.
            "sequence": format!("{:010}", self.count),
            "datacontenttype": "application/json",
            "data": data,
        });
        if let Some(traceparent) = &common.traceparent {
            event["traceparent"] = traceparent.as_str().into();
        }
        self.last = self.webhook.put(event.to_string()).unwrap_or(self.last);
    }
}
