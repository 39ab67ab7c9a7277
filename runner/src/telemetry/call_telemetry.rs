//! The telemetry of one call.

use std::sync::Arc;
use std::time::Duration;

use dialbridge_core::report::{AudioAccount, Stages};
use dialbridge_core::stages::StageLimits;
use dialbridge_core::{CallSid, CallTime, Report, UpdateResult};
use tracing::Span;

use super::Telemetry;
use super::call_summary::{CallSummary, StreamEnd};
use super::events::{CallEvents, CallOfTurns, Common, TurnCallbacks};
use super::metrics::{AgentLabels, Metrics};
use super::name_in;
use super::trace_context::TraceContext;
use super::traces::CallTrace;
use crate::settings::{AgentConfig, Redaction};
use crate::telemetry::call_log;

/// How long the end of a call waits for its events, if nobody waits for the call itself.
const FLUSH: Duration = Duration::from_secs(1);

/// The telemetry of one call.
#[derive(Debug)]
pub struct CallTelemetry {
    call_sid: CallSid,
    agent: AgentLabels,
    slow: StageLimits,
    metrics: Arc<Metrics>,
    events: Option<CallEvents>,
    callbacks: Option<TurnCallbacks>,
    trace: Option<CallTrace>,
    summary: CallSummary,
    span: Span,
    last: CallTime,
    has_ended: bool,
}

/// Identifies a call.
#[derive(Debug)]
pub(crate) struct CallIdentity<'a> {
    pub(crate) call_sid: &'a CallSid,
    pub(crate) account_sid: Option<&'a str>,
    /// When the ticket was issued, in milliseconds since 1970.
    pub(crate) issued_ms: u64,
    /// The agent's name in the settings.
    pub(crate) agent: &'a str,
    /// The agent that it stands in for.
    pub(crate) backup_of: Option<&'a str>,
    pub(crate) language: &'a str,
    /// The service's URL.
    pub(crate) service: String,
    /// The trace that led to the call.
    pub(crate) trace: Option<TraceContext>,
}

impl Telemetry {
    /// Starts the telemetry of a call.
    pub(crate) fn call(&self, identity: CallIdentity<'_>, settings: &AgentConfig) -> CallTelemetry {
        let agent = AgentLabels { name: identity.agent.into(), edition: settings.address.edition() };
        let began_ms = self.clock.now_ms();
        let trace = self.exporter.as_ref().and_then(|exporter| {
            // The request has decided whether its trace is kept; the call does the same.
            let context = identity.trace.or_else(|| exporter.sample(None)).filter(|context| context.is_sampled)?;
            let attributes = vec![
                ("twilio.call_sid", identity.call_sid.as_str().into()),
                ("dialbridge.agent", identity.agent.into()),
                ("dialbridge.edition", agent.edition.into()),
            ];
            CallTrace::begin(exporter.clone(), context, began_ms, attributes)
        });
        let context = trace.as_ref().map(CallTrace::context).or(identity.trace);
        let events = settings.events.as_ref().and_then(|config| {
            let common = Common {
                source: format!("{}/agents/{}", identity.service, identity.agent),
                call_sid: identity.call_sid.clone(),
                issued_ms: identity.issued_ms,
                began_ms,
                agent: agent.name.clone(),
                edition: agent.edition,
                backup_of: identity.backup_of.map(Into::into),
                language: identity.language.to_owned(),
                traceparent: context.filter(|context| context.span_id != 0).map(|context| context.to_string()),
            };
            Some(CallEvents::new(self.events.webhook(config)?, config.redaction, common))
        });
        let callbacks = self.events.callback(settings).map(|webhook| {
            let call = CallOfTurns {
                call_sid: identity.call_sid.clone(),
                account_sid: identity.account_sid.map(ToOwned::to_owned),
                edition: agent.edition,
                language: identity.language.to_owned(),
                began_ms,
            };
            TurnCallbacks::new(webhook, call)
        });
        let span = self.log_span(context);
        name_in(&span, &agent.name, agent.edition);
        CallTelemetry {
            call_sid: identity.call_sid.clone(),
            agent,
            slow: settings.slow,
            metrics: self.metrics.clone(),
            events,
            callbacks,
            trace,
            summary: CallSummary::default(),
            span,
            last: CallTime::START,
            has_ended: false,
        }
    }
}

impl CallTelemetry {
    /// Reports an event of the call. Never waits.
    pub(crate) fn report(&mut self, at: CallTime, report: &Report) {
        self.last = at;
        self.summary.report(report);
        self.span.in_scope(|| call_log::log(&self.call_sid, at, report));
        self.metrics.report(&self.agent, report);
        self.events.iter_mut().for_each(|events| events.report(at, report));
        self.callbacks.iter_mut().for_each(|callbacks| callbacks.report(at, report));
        self.trace.iter_mut().for_each(|trace| trace.report(at, report));
        if let Report::Stages(stages) = report {
            self.stages(at, report, stages);
        }
        if let Report::Ended { reason, audio, .. } = report {
            self.ended(at, StreamEnd::Closed(*reason), audio, Some(report));
        }
    }

    /// The agent's backup has the call from here on.
    pub(crate) fn use_backup(&mut self, name: &str, edition: &'static str, language: &str, redaction: Redaction) {
        let backup_of = std::mem::replace(&mut self.agent, AgentLabels { name: name.into(), edition }).name;
        self.metrics.has_taken_over(&self.agent);
        name_in(&self.span, name, edition);
        self.events.iter_mut().for_each(|events| events.use_backup(&self.agent, &backup_of, language, redaction));
        self.callbacks.iter_mut().for_each(|callbacks| callbacks.use_backup(edition, language));
    }

    fn stages(&mut self, at: CallTime, report: &Report, stages: &Stages) {
        let slow_stage = self.slow.slow_stage(stages);
        self.span.in_scope(|| call_log::log_stages(&self.call_sid, at, report, stages, slow_stage));
        self.summary.stages(stages, slow_stage);
        self.metrics.stages(&self.agent, stages, slow_stage);
        self.events.iter_mut().for_each(|events| events.stages(at, stages, slow_stage));
        self.trace.iter_mut().for_each(|trace| trace.stages(stages, slow_stage));
    }

    /// `report` is the one of the end, if the call could still report it.
    fn ended(&mut self, at: CallTime, end: StreamEnd, audio: &AudioAccount, report: Option<&Report>) {
        self.has_ended = true;
        if !self.summary.is_call(end) {
            self.span
                .in_scope(|| tracing::debug!(call_sid = %self.call_sid, "a media stream was closed before its start"));
            return;
        }
        let reason = end.as_str();
        self.span.in_scope(|| call_log::log_end(&self.call_sid, at, report, || self.summary.fields(end)));
        self.metrics.ended(&self.agent, reason, audio);
        if self.summary.has_started() {
            self.metrics.call_lasted(&self.agent, at.as_ms());
        }
        self.events.iter_mut().for_each(|events| events.ended(at, reason, &self.summary, audio));
        self.trace.iter_mut().for_each(|trace| trace.ended(at, reason));
    }

    /// Reports the result of an update with new TwiML. `None`: Twilio ended the stream before it answered.
    pub(crate) fn updated(&mut self, result: Option<UpdateResult>) {
        if let Some(result) = result {
            self.summary.updated(result);
        }
        self.metrics.updated(result);
    }

    /// Reports how many messages are queued for the media stream.
    pub(crate) fn queued(&self, messages: usize) {
        self.metrics.queued(messages);
    }

    /// The span of the call's log lines.
    pub(crate) fn log_span(&self) -> &Span {
        &self.span
    }

    /// Waits briefly until the call's events are sent. Used where nobody waits for the call: a platform that counts
    /// requests may take the CPU away when the last request has ended.
    pub(crate) async fn flushed(&self) {
        let events = async {
            if let Some(events) = &self.events {
                events.flushed().await;
            }
        };
        let callbacks = async {
            if let Some(callbacks) = &self.callbacks {
                callbacks.flushed().await;
            }
        };
        let _ = tokio::time::timeout(FLUSH, async { tokio::join!(events, callbacks) }).await;
    }
}

impl Drop for CallTelemetry {
    /// A call whose task has panicked has not reported its end.
    fn drop(&mut self) {
        if !self.has_ended && std::thread::panicking() {
            self.ended(self.last, StreamEnd::Panic, &AudioAccount::default(), None);
        }
    }
}
