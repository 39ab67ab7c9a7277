//! Telemetry of calls: the log, metrics for Prometheus, traces, and events. It decides nothing about a call, and no
//! call waits for it.

mod call_log;
mod call_summary;
mod call_telemetry;
pub mod clock;
mod events;
pub mod log;
pub mod log_limit;
mod losses;
mod metrics;
mod outbox;
mod post;
mod rfc3339;
pub mod trace_context;
mod traces;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dialbridge_core::UpdateResult;
use tokio::task::JoinSet;
use tracing::Span;
use tracing::field::Empty;

use crate::settings::{AgentConfig, Config};
use crate::telemetry::clock::WallClock;
use dialbridge_net::http_client::HttpClient;
use events::{Events, SignAsTwilio};
use metrics::{AgentLabels, Metrics, TookOver};
use trace_context::{TraceContext, new_span_id};
use traces::{Exporter, Finished, Kind};

pub use call_log::is_warning;
pub(crate) use call_telemetry::CallIdentity;
pub use call_telemetry::CallTelemetry;
pub use metrics::RefusalReason;
pub(crate) use metrics::{Now, TextFormat};

/// What all calls of an instance share.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Arc<Metrics>,
    events: Events,
    exporter: Option<Arc<Exporter>>,
    /// The project of the traces in log lines.
    project: Option<String>,
    clock: WallClock,
    /// The tasks that send. They end when this is dropped.
    tasks: Mutex<JoinSet<()>>,
}

/// The project of the default agent: the second part of its name.
fn project_of(config: &Config) -> Option<String> {
    let agent = config.agents.get(&config.default_agent)?;
    agent.address.name().split('/').nth(1).map(ToOwned::to_owned)
}

/// Names the agent in all further log lines of the current request or call.
pub(crate) fn name_agent(name: &str, agent: &AgentConfig) {
    name_in(&Span::current(), name, agent.address.edition());
}

fn name_in(span: &Span, name: &str, edition: &str) {
    span.record("agent", name).record("edition", edition);
}

/// A request and its trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestTrace {
    /// The trace with the span that the request's results belong to.
    pub(crate) context: TraceContext,
    /// The parent of the request's span; 0: none.
    parent_id: u64,
    from_ms: u64,
    /// Whether the request has a span of its own.
    is_exported: bool,
}

impl Telemetry {
    /// Starts sending. Must run inside tokio.
    pub(crate) fn start(config: &Config, client: &HttpClient, clock: WallClock, sign: SignAsTwilio) -> Self {
        let metrics = Arc::new(Metrics::new());
        for (name, settings) in &config.agents {
            metrics.show_agent(&AgentLabels { name: name.as_str().into(), edition: settings.address.edition() });
        }
        let mut tasks = JoinSet::new();
        let events = Events::start(config.agents.values(), &config.twilio, sign, client, clock, &metrics, &mut tasks);
        let exporter = config.traces.as_ref().map(|traces| {
            let exporter = Arc::new(Exporter::new(traces, client.clone(), metrics.clone()));
            tasks.spawn(exporter.clone().run());
            exporter
        });
        let project = config.log_project.clone().or_else(|| project_of(config));
        Self { metrics, events, exporter, project, clock, tasks: Mutex::new(tasks) }
    }

    /// Counts a request that was refused.
    pub fn refused(&self, why: RefusalReason) {
        self.metrics.refused(why);
    }

    /// Notes whether this agent is down for all calls.
    pub(crate) fn agent_is_down(&self, name: &str, agent: &AgentConfig, is_down: bool) {
        let labels = AgentLabels { name: name.into(), edition: agent.address.edition() };
        self.metrics.agent_is_down(&labels, is_down);
    }

    /// Counts a new call that gets the backup of this agent, because the agent is down for all calls.
    pub(crate) fn backup_took_over(&self, name: &str, agent: &AgentConfig) {
        let labels = AgentLabels { name: name.into(), edition: agent.address.edition() };
        self.metrics.backup_took_over(labels, TookOver::Webhook);
    }

    /// Counts what is left out of a call's request.
    pub(crate) fn left_out(&self, name: &str, agent: &AgentConfig, what: &'static str, count: usize) {
        self.metrics.left_out(AgentLabels { name: name.into(), edition: agent.address.edition() }, what, count);
    }

    /// Counts the result of an update with new TwiML.
    pub(crate) fn updated(&self, result: UpdateResult) {
        self.metrics.updated(Some(result));
    }

    /// All metrics as text.
    pub(crate) fn metrics_text(&self, now: Now) -> String {
        let spans_waiting = self.exporter.as_ref().map_or(0, |exporter| exporter.waiting());
        self.metrics.text(&Now { events_waiting: self.events.waiting(), spans_waiting, ..now })
    }

    /// All metrics as text, with the gauges as `/metrics` has last set them. Changes nothing.
    pub(crate) fn counted_text(&self) -> String {
        self.metrics.encoded()
    }

    /// The trace of a request that may start a call; `None` if it has no trace.
    pub(crate) fn request(&self, came: Option<TraceContext>) -> Option<RequestTrace> {
        let from_ms = self.clock.now_ms();
        let context = match &self.exporter {
            None => came?,
            Some(exporter) => exporter.sample(came)?,
        };
        let own = new_span_id().filter(|_| self.exporter.is_some() && context.is_sampled);
        let parent_id = context.span_id;
        let context = TraceContext { span_id: own.unwrap_or(parent_id), ..context };
        Some(RequestTrace { context, parent_id, from_ms, is_exported: own.is_some() })
    }

    /// Exports the span of a request that was answered.
    pub(crate) fn answered(&self, request: RequestTrace, path: &'static str, method: &str, status: u16) {
        let Some(exporter) = self.exporter.as_ref().filter(|_| request.is_exported) else { return };
        exporter.put(Finished {
            trace_id: request.context.trace_id,
            span_id: request.context.span_id,
            parent_id: request.parent_id,
            name: path,
            kind: Kind::Server,
            from_ms: request.from_ms,
            to_ms: self.clock.now_ms(),
            attributes: vec![
                ("http.request.method", method.into()),
                ("url.path", path.into()),
                ("http.response.status_code", u64::from(status).into()),
            ],
            events: Vec::new(),
            failed: (status >= 500).then(|| "the request was not answered".to_owned()),
        });
    }

    /// The span for log lines of a request or a call: they have its fields. [`name_agent`] adds the agent.
    pub(crate) fn log_span(&self, context: Option<TraceContext>) -> Span {
        let trace = context.map(|context| match &self.project {
            Some(project) => format!("projects/{project}/traces/{}", context.trace_hex()),
            None => context.trace_hex(),
        });
        let (span_id, trace_sampled) =
            (context.map(|context| context.span_hex()), context.map(|context| context.is_sampled));
        // At level error, so that the span exists at any LOG_LEVEL.
        tracing::error_span!("lines", agent = Empty, edition = Empty, trace, span_id, trace_sampled)
    }

    /// Sends all that is queued, at most for this long. The rest is lost.
    pub(crate) async fn flush(&self, timeout: Duration) {
        let spans = async {
            if let Some(exporter) = &self.exporter {
                exporter.flush(timeout).await;
            }
        };
        tokio::join!(self.events.flush(timeout), spans);
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}
