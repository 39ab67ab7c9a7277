//! Events of calls for the users' own systems: CloudEvents 1.0 (<https://github.com/cloudevents/spec>), posted to a webhook.
//!
//! A call puts its events into a bounded queue and goes on; a task of the webhook's own posts them, in batches, one batch at
//! a time, so that the events of a call come in their order. What is not taken in time is counted as lost.

mod call_events;
mod signature;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::metrics::Metrics;
use crate::settings::{AgentConfig, EventsConfig};
use crate::telemetry::clock::WallClock;
use dialbridge_net::http_client::HttpClient;

pub(super) use call_events::{CallEvents, Common};
use webhook::Webhook;

/// All webhooks that get events; agents with the same one share it.
#[derive(Debug, Default)]
pub(super) struct Events(BTreeMap<String, Arc<Webhook>>);

/// What tells one webhook from another.
fn key(config: &EventsConfig) -> String {
    let secrets = config.secrets.iter().map(|secret| secret.expose());
    std::iter::once(config.url.expose()).chain(secrets).collect::<Vec<_>>().join("\n")
}

impl Events {
    /// The webhooks of all agents; their tasks are `tasks`'.
    pub(super) fn start<'a>(
        agents: impl Iterator<Item = &'a AgentConfig>,
        client: &HttpClient,
        clock: WallClock,
        metrics: &Arc<Metrics>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let mut all = BTreeMap::new();
        for config in agents.filter_map(|agent| agent.events.as_ref()) {
            all.entry(key(config)).or_insert_with(|| {
                let webhook = Arc::new(Webhook::new(config, client.clone(), clock, metrics.clone()));
                tasks.spawn(webhook.clone().run());
                webhook
            });
        }
        Self(all)
    }

    /// The webhook that an agent's events go to.
    pub(super) fn webhook(&self, config: &EventsConfig) -> Option<Arc<Webhook>> {
        self.0.get(&key(config)).cloned()
    }

    /// How many events wait to be sent.
    pub(super) fn waiting(&self) -> u64 {
        self.0.values().map(|webhook| webhook.waiting()).sum()
    }

    /// Sends what waits, for so long at most; what is left then is lost.
    pub(super) async fn flush(&self, timeout: Duration) {
        let all = async {
            for webhook in self.0.values() {
                webhook.flushed(webhook.last()).await;
            }
        };
        let _ = tokio::time::timeout(timeout, all).await;
        for webhook in self.0.values() {
            webhook.give_up();
        }
    }
}
