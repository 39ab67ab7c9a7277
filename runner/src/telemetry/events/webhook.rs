//! A webhook and its queue of events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use super::signature::{HEADER, signature};
use crate::settings::{EventsConfig, Secret};
use crate::telemetry::clock::WallClock;
use crate::telemetry::losses::Losses;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::outbox::{Outbox, OutboxLimits};
use crate::telemetry::post::{NotTaken, RetryPolicy, post};
use dialbridge_net::http_client::HttpClient;

/// How much may be queued: some minutes of a full instance.
const QUEUE: OutboxLimits = OutboxLimits { items: 10_000, bytes: 8 << 20 };

/// How much is posted at once.
const BATCH: OutboxLimits = OutboxLimits { items: 100, bytes: 256 * 1024 };

/// We try to post a batch for at most half a minute.
const RETRY_POLICY: RetryPolicy = RetryPolicy { attempts: 5, timeout: Duration::from_secs(5) };

/// `datacontenttype` of a batch in CloudEvents' JSON format.
const BATCH_TYPE: &str = "application/cloudevents-batch+json";

/// What the log calls the losses.
const WHAT: &str = "events";

/// A webhook.
pub(in crate::telemetry) struct Webhook {
    url: Secret,
    secrets: Vec<Secret>,
    outbox: Outbox<String>,
    losses: Losses,
    client: HttpClient,
    clock: WallClock,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Webhook {
    pub(super) fn new(config: &EventsConfig, client: HttpClient, clock: WallClock, metrics: Arc<Metrics>) -> Self {
        let (url, secrets) = (config.url.clone(), config.secrets.clone());
        Self { url, secrets, outbox: Outbox::new(QUEUE), losses: Losses::default(), client, clock, metrics }
    }

    /// Queues an event. Returns its number in the queue. Never waits.
    pub(super) fn put(&self, event: String) -> Option<u64> {
        let bytes = event.len();
        let number = self.outbox.put(event, bytes);
        if number.is_none() {
            self.lose(1);
        }
        number
    }

    /// Posts the queued events. Never returns.
    pub(super) async fn run(self: Arc<Self>) {
        tokio::join!(self.post_all(), self.losses.log_each_interval(WHAT, || self.waiting()));
    }

    async fn post_all(&self) {
        loop {
            let batch = self.outbox.batch(BATCH).await;
            let body = Bytes::from(format!("[{}]", batch.join(",")));
            match post(&self.client, RETRY_POLICY, || self.request(&body)).await {
                Ok(()) => self.metrics.events("sent", batch.len()),
                Err(NotTaken(why)) => {
                    tracing::debug!(why, events = batch.len(), "EVENT_WEBHOOK_URL does not take events");
                    self.lose(batch.len());
                }
            }
            self.outbox.settle(batch.len());
        }
    }

    /// The request for a batch. Each attempt has a new signature, because a signature expires soon.
    fn request(&self, body: &Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::post(self.url.expose())
            .header("content-type", BATCH_TYPE)
            .header("user-agent", concat!("dialbridge/", env!("CARGO_PKG_VERSION")));
        if let Some(signature) = signature(&self.secrets, self.clock.now_ms(), body) {
            request = request.header(HEADER, signature);
        }
        request.body(Full::from(body.clone()))
    }

    fn lose(&self, count: usize) {
        self.losses.add(count);
        self.metrics.events("lost", count);
    }

    /// The number of the last event that was queued.
    pub(super) fn last(&self) -> u64 {
        self.outbox.last()
    }

    /// Returns when this event and all before it were sent or lost.
    pub(super) async fn flushed(&self, number: u64) {
        self.outbox.settled(number).await;
    }

    /// How many events are queued.
    pub(super) fn waiting(&self) -> u64 {
        self.outbox.waiting()
    }

    /// Gives up the queued events at the end of the instance, and logs the losses.
    pub(super) fn give_up(&self) {
        self.lose(usize::try_from(self.waiting()).unwrap_or(usize::MAX));
        self.losses.log(WHAT, self.waiting());
    }
}
