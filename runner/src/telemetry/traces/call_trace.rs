//! The trace of one call.

use std::collections::VecDeque;
use std::sync::Arc;

use dialbridge_core::report::Stages;
use dialbridge_core::stages::{Interval, SlowStage, TurnStage};
use dialbridge_core::{CallTime, Report, TurnId};

use super::exporter::Exporter;
use super::span::{Attributes, Finished, Kind};
use crate::telemetry::trace_context::{TraceContext, new_span_id};

/// How many turns' intents we keep until their stages come. At most a few answers wait for playout at once.
const MAX_INTENTS: usize = 8;

/// The maximum number of events in a call's span: OpenTelemetry's own limit.
const MAX_EVENTS: usize = 128;

/// The spans of a call that is traced.
#[derive(Debug)]
pub(in crate::telemetry) struct CallTrace {
    exporter: Arc<Exporter>,
    /// The trace and the call's span.
    context: TraceContext,
    /// The span of the request that led to the call. 0: there is none.
    parent_id: u64,
    /// When call time began, in milliseconds since 1970.
    began_ms: u64,
    attributes: Attributes,
    events: Vec<(u64, &'static str, Attributes)>,
    open: Option<(TurnId, &'static str, CallTime)>,
    intents: VecDeque<(TurnId, String)>,
}

impl CallTrace {
    /// Begins a call's span as a child of the request's span. `None` if the system has no random bytes.
    pub(in crate::telemetry) fn begin(
        exporter: Arc<Exporter>,
        request: TraceContext,
        began_ms: u64,
        attributes: Attributes,
    ) -> Option<Self> {
        let context = TraceContext { span_id: new_span_id()?, ..request };
        let parent_id = request.span_id;
        let (events, open, intents) = (Vec::new(), None, VecDeque::new());
        Some(Self { exporter, context, parent_id, began_ms, attributes, events, open, intents })
    }

    /// The trace and the call's span.
    pub(in crate::telemetry) fn context(&self) -> TraceContext {
        self.context
    }

    /// Notes a report. Stages and the end have their own methods.
    pub(in crate::telemetry) fn report(&mut self, at: CallTime, report: &Report) {
        match report {
            Report::TurnOpened { turn, input, .. } => self.open = Some((*turn, input, at)),
            Report::TurnFailed { turn, fault, retry_in_ms, .. } => {
                let opened = self.open.take().filter(|(open, ..)| open == turn);
                let (_, input, from) = opened.unwrap_or((*turn, "", at));
                let attributes = vec![
                    ("dialbridge.turn", u64::from(turn.0).into()),
                    ("dialbridge.input", input.into()),
                    ("error.type", fault.code.as_str().into()),
                    ("dialbridge.tried_again", retry_in_ms.is_some().into()),
                ];
                let stretch = Interval { from, to: at };
                self.child("turn", self.context.span_id, stretch, attributes, Some(fault.code.clone()));
            }
            Report::Answered { turn, intent, .. } if !intent.display_name.is_empty() => {
                if self.intents.len() >= MAX_INTENTS {
                    self.intents.pop_front();
                }
                self.intents.push_back((*turn, intent.display_name.clone()));
            }
            Report::BargeIn { by, played_ms, cut_ms, .. } => self.add_event(at, "barge-in", || {
                let heard = ("dialbridge.played_ms", (*played_ms).into());
                vec![("dialbridge.by", by.as_str().into()), heard, ("dialbridge.cut_ms", (*cut_ms).into())]
            }),
            Report::NoInput { in_a_row, .. } => {
                self.add_event(at, "no-input", || vec![("dialbridge.in_a_row", u64::from(*in_a_row).into())])
            }
            Report::LimitReached(bound) => {
                self.add_event(at, "limit reached", || vec![("dialbridge.limit", bound.as_str().into())]);
            }
            Report::HandedOff { status } => self.attributes.push(("dialbridge.status", status.as_str().into())),
            // These are not part of a trace, or have their own methods.
            Report::Started { .. }
            | Report::HandoffShortened { .. }
            | Report::ToolResultsDropped { .. }
            | Report::TransferRefused { .. }
            | Report::CallerIdMissing
            | Report::TurnedAway
            | Report::AnswerTruncated { .. }
            | Report::Transcript { .. }
            | Report::EndOfUtterance { .. }
            | Report::Answered { .. }
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
            | Report::BackupTookOver { .. }
            | Report::PromptGuarded { .. }
            | Report::Played { .. }
            | Report::NoInputTurnReplaced { .. }
            | Report::Rotated { .. }
            | Report::AudioDropped { .. }
            | Report::Digit
            | Report::DigitsComplete { .. }
            | Report::DigitDropped
            | Report::UnknownEvent { .. }
            | Report::Ended { .. } => {}
        }
    }

    /// Exports the span of a turn, with its stages as children.
    pub(in crate::telemetry) fn stages(&mut self, stages: &Stages, slow_stage: Option<SlowStage>) {
        let mut attributes = vec![
            ("dialbridge.turn", u64::from(stages.turn.0).into()),
            ("dialbridge.input", stages.input.into()),
            ("dialbridge.slow", slow_stage.is_some().into()),
        ];
        if let Some(slow_stage) = slow_stage {
            attributes.push(("dialbridge.slow_stage", slow_stage.stage.as_str().into()));
        }
        self.intents.retain(|(turn, intent)| {
            if *turn == stages.turn {
                attributes.push(("dialbridge.intent", intent.as_str().into()));
            }
            *turn != stages.turn
        });
        let parts: Vec<(&'static str, Interval)> = TurnStage::ALL
            .into_iter()
            .filter_map(|stage| Some((stage.as_str(), stages.interval(stage)?)))
            .chain(speech(stages))
            .collect();
        let from = parts.iter().map(|(_, part)| part.from).min().unwrap_or(stages.opened).min(stages.opened);
        let to = parts.iter().map(|(_, part)| part.to).max().unwrap_or(stages.opened);
        let turn = self.child("turn", self.context.span_id, Interval { from, to }, attributes, None);
        for (name, part) in parts {
            self.child(name, turn, part, Vec::new(), None);
        }
    }

    /// Exports the span of the call.
    pub(in crate::telemetry) fn ended(&mut self, at: CallTime, reason: &str) {
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.push(("dialbridge.reason", reason.into()));
        self.exporter.put(Finished {
            trace_id: self.context.trace_id,
            span_id: self.context.span_id,
            parent_id: self.parent_id,
            name: "call",
            kind: Kind::Server,
            from_ms: self.began_ms,
            to_ms: self.began_ms + at.as_ms(),
            attributes,
            events: std::mem::take(&mut self.events),
            failed: None,
        });
    }

    fn add_event(&mut self, at: CallTime, name: &'static str, attributes: impl FnOnce() -> Attributes) {
        if self.events.len() < MAX_EVENTS {
            self.events.push((self.began_ms + at.as_ms(), name, attributes()));
        }
    }

    /// Exports a child span. Returns its id, or the parent's if the system has no random bytes.
    fn child(
        &self,
        name: &'static str,
        parent_id: u64,
        stretch: Interval,
        attributes: Attributes,
        failed: Option<String>,
    ) -> u64 {
        let Some(span_id) = new_span_id() else { return parent_id };
        self.exporter.put(Finished {
            trace_id: self.context.trace_id,
            span_id,
            parent_id,
            name,
            kind: Kind::Internal,
            from_ms: self.began_ms + stretch.from.as_ms(),
            to_ms: self.began_ms + stretch.to.as_ms(),
            attributes,
            events: Vec::new(),
            failed,
        });
        span_id
    }
}

/// When the caller spoke. This is not a stage, because nobody waits during it.
fn speech(stages: &Stages) -> Option<(&'static str, Interval)> {
    let (from, to) = (stages.speech_began?, stages.speech_ended?);
    Some(("speech", Interval { from, to: to.max(from) }))
}
