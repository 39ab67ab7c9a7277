//! Events of calls for the user's own systems: CloudEvents 1.0 (<https://github.com/cloudevents/spec>), posted to a
//! webhook.
//!
//! A call puts its events into a bounded queue and continues. The webhook's task posts them in batches, one at a time,
//! so that the events of a call arrive in order. Callbacks in the form of Twilio's connector go out each in a request of its
//! own, so a later one may arrive first. Events that are not accepted in time count as lost.

mod call_events;
mod signature;
mod turn_callbacks;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::metrics::Metrics;
use crate::settings::{AgentConfig, EventsConfig, Secret, TwilioConfig};
use crate::telemetry::clock::WallClock;
use dialbridge_net::http_client::HttpClient;

pub(super) use call_events::{CallEvents, Common};
pub(super) use turn_callbacks::{CallOfTurns, TurnCallbacks};
pub(crate) use webhook::SignAsTwilio;
use webhook::{Posts, Webhook};

/// All webhooks that get events. Agents with the same webhook share it.
#[derive(Debug, Default)]
pub(super) struct Events(BTreeMap<String, Arc<Webhook>>);

/// The key that distinguishes webhooks.
fn key(config: &EventsConfig) -> String {
    let secrets = config.secrets.iter().map(|secret| secret.expose().escape_ascii().to_string());
    std::iter::once(config.url.expose().to_owned()).chain(secrets).collect::<Vec<_>>().join("\n")
}

/// The key of a webhook that gets callbacks, signed with the token of this account.
fn callback_key(url: &Secret, account: Option<&str>) -> String {
    format!("\n{}\n{}", url.expose(), account.unwrap_or_default())
}

impl Events {
    /// Starts the webhooks of all agents, with their tasks in `tasks`. `twilio` has the tokens that sign
    /// callbacks, and `sign` is how.
    pub(super) fn start<'a>(
        agents: impl Iterator<Item = &'a AgentConfig>,
        twilio: &TwilioConfig,
        sign: SignAsTwilio,
        client: &HttpClient,
        clock: WallClock,
        metrics: &Arc<Metrics>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let mut all = BTreeMap::new();
        let mut add = |key: String, url: &Secret, posts: Posts| {
            all.entry(key).or_insert_with(|| {
                let webhook = Arc::new(Webhook::new(url.clone(), posts, client.clone(), clock, metrics.clone()));
                tasks.spawn(webhook.clone().run());
                webhook
            });
        };
        for agent in agents {
            if let Some(config) = &agent.events {
                add(key(config), &config.url, Posts::Events(config.secrets.clone()));
            }
            if let Some(url) = &agent.status_callback {
                let account = agent.account.as_deref();
                let token = twilio.tokens_of(account).first().cloned();
                add(callback_key(url, account), url, Posts::Callbacks(token, sign));
            }
        }
        Self(all)
    }

    /// The webhook for an agent's callbacks.
    pub(super) fn callback(&self, agent: &AgentConfig) -> Option<Arc<Webhook>> {
        let url = agent.status_callback.as_ref()?;
        self.0.get(&callback_key(url, agent.account.as_deref())).cloned()
    }

    /// The webhook for an agent's events.
    pub(super) fn webhook(&self, config: &EventsConfig) -> Option<Arc<Webhook>> {
        self.0.get(&key(config)).cloned()
    }

    /// How many events are queued.
    pub(super) fn waiting(&self) -> u64 {
        self.0.values().map(|webhook| webhook.waiting()).sum()
    }

    /// Sends the queued events, at most for this long. The rest is lost.
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
