//! Sends spans by OTLP over HTTP with protobuf (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>). The messages come from
//! `opentelemetry-proto`; queue and batches are ours, bounded and counted as the events' are. `opentelemetry-otlp` with its
//! SDK would do that part, but takes 17 s of CPU to build alone, some of it for crates that
//! we build anyway; 2 s is our limit.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Full;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message as _;
use tokio::sync::Notify;

use super::span::{Finished, key_value};
use crate::settings::{Sampler, Secret, TracesConfig};
use crate::telemetry::losses::Losses;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::outbox::{Outbox, OutboxLimits};
use crate::telemetry::post::{NotTaken, RetryPolicy, post};
use crate::telemetry::trace_context::TraceContext;
use dialbridge_net::http_client::HttpClient;

/// How many spans may wait, and how many we send at once: OpenTelemetry's own defaults. Spans are small, so we do not
/// count their bytes.
const QUEUE: OutboxLimits = OutboxLimits { items: 2_048, bytes: usize::MAX };
const BATCH: OutboxLimits = OutboxLimits { items: 512, bytes: usize::MAX };

/// How long we wait for more spans after the first, so that a request has more than one.
const BATCH_PAUSE: Duration = Duration::from_secs(2);

/// How often we try to post a batch.
const ATTEMPTS: u32 = 3;

/// What the log calls the losses.
const WHAT: &str = "spans";

/// Sends spans to an OTLP endpoint.
pub(in crate::telemetry) struct Exporter {
    url: Secret,
    headers: Vec<(HeaderName, HeaderValue)>,
    policy: RetryPolicy,
    resource: Resource,
    sampler: Sampler,
    outbox: Outbox<Finished>,
    /// Ends the wait for more spans.
    hurry: Notify,
    losses: Losses,
    client: HttpClient,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Exporter {
    pub(in crate::telemetry) fn new(config: &TracesConfig, client: HttpClient, metrics: Arc<Metrics>) -> Self {
        Self {
            url: config.url.clone(),
            headers: config.headers.clone(),
            policy: RetryPolicy { attempts: ATTEMPTS, timeout: config.timeout },
            resource: resource(config),
            sampler: config.sampler,
            outbox: Outbox::new(QUEUE),
            hurry: Notify::new(),
            losses: Losses::default(),
            client,
            metrics,
        }
    }

    /// The trace of a request that came with the trace `came`, or without one: the same trace, or a new one. Decides
    /// whether it is sampled. `None` if the system has no random bytes.
    pub(in crate::telemetry) fn sample(&self, came: Option<TraceContext>) -> Option<TraceContext> {
        let context = match came {
            Some(came) if self.sampler.follows_parent => return Some(came),
            Some(came) => came,
            None => TraceContext::begin(false)?,
        };
        Some(TraceContext { is_sampled: is_in_share(context.trace_id, self.sampler.ratio), ..context })
    }

    /// Queues a span. Never waits.
    pub(in crate::telemetry) fn put(&self, span: Finished) {
        if self.outbox.put(span, 0).is_none() {
            self.lose(1);
        }
    }

    /// Posts the queued spans. Never returns.
    pub(in crate::telemetry) async fn run(self: Arc<Self>) {
        tokio::join!(self.post_all(), self.losses.log_each_interval(WHAT, || self.waiting()));
    }

    async fn post_all(&self) {
        loop {
            let mut batch = self.outbox.batch(OutboxLimits { items: 1, ..BATCH }).await;
            // A flush between two batches leaves its permit, which ends the next wait.
            let _ = tokio::time::timeout(BATCH_PAUSE, self.hurry.notified()).await;
            if self.outbox.waiting() > batch.len() as u64 {
                let most = OutboxLimits { items: BATCH.items - batch.len(), ..BATCH };
                batch.extend(self.outbox.batch(most).await);
            }
            let count = batch.len();
            let body = Bytes::from(self.message(batch).encode_to_vec());
            match post(&self.client, self.policy, || self.request(&body)).await {
                Ok(()) => self.metrics.spans("sent", count),
                Err(NotTaken(why)) => {
                    tracing::debug!(why, spans = count, "OTEL_EXPORTER_OTLP_ENDPOINT does not take spans");
                    self.lose(count);
                }
            }
            self.outbox.settle(count);
        }
    }

    fn message(&self, spans: Vec<Finished>) -> ExportTraceServiceRequest {
        let scope = InstrumentationScope {
            name: "dialbridge".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let spans = spans.into_iter().map(Finished::into_span).collect();
        let spans = ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
        let resource = Some(self.resource.clone());
        let all = ResourceSpans { resource, scope_spans: vec![spans], ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![all] }
    }

    fn request(&self, body: &Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::post(self.url.expose())
            .header("content-type", "application/x-protobuf")
            .header("user-agent", concat!("dialbridge/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::from(body.clone()))
    }

    fn lose(&self, count: usize) {
        self.losses.add(count);
        self.metrics.spans("lost", count);
    }

    /// How many spans are queued.
    pub(in crate::telemetry) fn waiting(&self) -> u64 {
        self.outbox.waiting()
    }

    /// Sends the queued spans, at most for this long. The rest is lost.
    pub(in crate::telemetry) async fn flush(&self, timeout: Duration) {
        let last = self.outbox.last();
        let all = async {
            while self.outbox.waiting() > 0 {
                self.hurry.notify_one();
                let a_moment = Duration::from_millis(100);
                let _ = tokio::time::timeout(a_moment, self.outbox.settled(last)).await;
            }
        };
        let _ = tokio::time::timeout(timeout, all).await;
        self.lose(usize::try_from(self.waiting()).unwrap_or(usize::MAX));
        self.losses.log(WHAT, self.waiting());
    }
}

fn resource(config: &TracesConfig) -> Resource {
    let own = [("service.name", config.service_name.as_str()), ("service.version", env!("CARGO_PKG_VERSION"))];
    let told = |name: &str| config.resource.iter().any(|(other, _)| other == name && other != "service.name");
    let own = own.into_iter().filter(|(name, _)| !told(name)).map(|(name, value)| key_value(name, value.into()));
    // OTEL_SERVICE_NAME overrides a service.name in the resource attributes.
    let more = config.resource.iter().filter(|(name, _)| name != "service.name");
    let attributes: Vec<KeyValue> =
        own.chain(more.map(|(name, value)| key_value(name, value.as_str().into()))).collect();
    Resource { attributes, ..Resource::default() }
}

/// Whether a trace is in the share that is traced. Its id decides, so that all services decide alike.
fn is_in_share(trace_id: u128, ratio: f64) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half of the id is what is looked at")]
    let lower = trace_id as u64 >> 1;
    #[expect(clippy::cast_precision_loss, reason = "a share need not be exact to the last bit")]
    let share = lower as f64 / (1_u64 << 63) as f64;
    // The share of the largest ids is rounded to 1.
    ratio >= 1.0 || share < ratio
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_traces_is_kept() {
        assert!((0..100).all(|n| is_in_share(u128::MAX - n, 1.0) && !is_in_share(n, 0.0)));
        let kept =
            (0..1_000_u64).filter(|n| is_in_share(u128::from(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)), 0.25)).count();
        assert!((200..300).contains(&kept), "{kept}");
    }
}
