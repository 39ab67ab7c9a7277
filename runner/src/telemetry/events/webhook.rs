//! A webhook and its queue of events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::request::Builder;
use http_body_util::Full;
use tokio::task::JoinSet;

use super::signature;
use crate::settings::{Secret, WebhookSecret};
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

/// How many callbacks are posted at once, each in a request of its own.
const AT_ONCE: usize = 32;

/// One callback.
const ONE: OutboxLimits = OutboxLimits { items: 1, bytes: 0 };

/// `datacontenttype` of a batch in CloudEvents' JSON format.
const BATCH_TYPE: &str = "application/cloudevents-batch+json";

/// The header with Twilio's signature.
const TWILIOS_HEADER: &str = "x-twilio-signature";

/// The type of a callback's body.
const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// Signs a request as Twilio does: with this token, of this URL and form.
pub(crate) type SignAsTwilio = fn(&Secret, &str, &[(String, String)]) -> String;

/// What is posted, and how it is signed.
#[derive(Debug, Clone)]
pub(super) enum Posts {
    /// CloudEvents, signed with each of these secrets.
    Events(Vec<WebhookSecret>),
    /// Forms as Twilio's connector posts them, signed as Twilio signs, if there is a token.
    Callbacks(Option<Secret>, SignAsTwilio),
}

/// A webhook.
pub(in crate::telemetry) struct Webhook {
    url: Secret,
    posts: Posts,
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
    pub(super) fn new(url: Secret, posts: Posts, client: HttpClient, clock: WallClock, metrics: Arc<Metrics>) -> Self {
        Self { url, posts, outbox: Outbox::new(QUEUE), losses: Losses::default(), client, clock, metrics }
    }

    /// What the log calls what is posted, and the setting that names the webhook.
    fn names(&self) -> (&'static str, &'static str) {
        match self.posts {
            Posts::Events(_) => ("events", "EVENT_WEBHOOK_URL"),
            Posts::Callbacks(..) => ("status callbacks", "STATUS_CALLBACK_URL"),
        }
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
        tokio::join!(self.post_all(), self.losses.log_each_interval(self.names().0, || self.waiting()));
    }

    async fn post_all(self: &Arc<Self>) {
        match &self.posts {
            Posts::Events(_) => self.post_batches().await,
            Posts::Callbacks(..) => self.post_each().await,
        }
    }

    async fn post_batches(&self) {
        loop {
            let batch = self.outbox.batch(BATCH).await;
            self.post(format!("[{}]", batch.join(",")).into(), batch.len()).await;
            self.outbox.settle(batch.len());
        }
    }

    /// Posts each form in a request of its own, many at once. A later one may be there first, so a form may count as settled
    /// while up to [`AT_ONCE`] earlier ones are on their way.
    async fn post_each(self: &Arc<Self>) {
        let mut posting = JoinSet::new();
        loop {
            tokio::select! {
                forms = self.outbox.batch(ONE), if posting.len() < AT_ONCE => {
                    for form in forms {
                        let webhook = self.clone();
                        posting.spawn(async move { webhook.post(form.into(), 1).await });
                    }
                }
                Some(_) = posting.join_next() => self.outbox.settle(1),
            }
        }
    }

    /// Posts a body with this many events.
    async fn post(&self, body: Bytes, count: usize) {
        match post(&self.client, RETRY_POLICY, || self.request(&body)).await {
            Ok(()) => self.metrics.events("sent", count),
            Err(NotTaken(why)) => {
                let (what, setting) = self.names();
                tracing::debug!(why, count, "{setting} does not take {what}");
                self.lose(count);
            }
        }
    }

    /// The request for a batch. Each attempt has a new signature, because a signature expires soon.
    fn request(&self, body: &Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        let request =
            Request::post(self.url.expose()).header("user-agent", concat!("dialbridge/", env!("CARGO_PKG_VERSION")));
        let request = match &self.posts {
            Posts::Events(secrets) => {
                let signed = signature::headers(secrets, self.clock.now_ms(), body);
                with_headers(request.header("content-type", BATCH_TYPE), signed.into_iter().flatten())
            }
            Posts::Callbacks(token, sign) => {
                let form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
                let signature = token.as_ref().map(|token| sign(token, self.url.expose(), &form));
                let signed = signature.map(|signature| (TWILIOS_HEADER, signature));
                with_headers(request.header("content-type", FORM_TYPE), signed.into_iter())
            }
        };
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
        self.losses.log(self.names().0, self.waiting());
    }
}

fn with_headers(request: Builder, headers: impl Iterator<Item = (&'static str, String)>) -> Builder {
    headers.fold(request, |request, (name, value)| request.header(name, value))
}
