//! A simulated Twilio: it places calls at a service as Twilio does, and plays the caller.
//!
//! Facts and sources: Twilio's pages on Media Streams, TwiML, webhooks and the Calls resource.

mod account;
mod call;
mod caller;
mod events;
mod habits;
mod http_client;
mod media_socket;
mod rest;
pub mod twiml;

pub use account::{Account, sign};
pub use call::{CallPlan, CallRecord};
pub use caller::{CallerStep, Recordings, When, parse_steps};
pub use events::{CallEvent, What};
pub use habits::{AbnormalClose, Habits};
pub use rest::ServedRest;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::net::Net;

/// Twilio: one account, its live calls, its REST API. Clones are the same Twilio.
#[derive(Debug, Clone)]
pub struct SimulatedTwilio {
    account: Account,
    net: Net,
    live: Arc<Mutex<BTreeMap<String, mpsc::Sender<Update>>>>,
}

/// New TwiML for a live call.
#[derive(Debug)]
struct Update {
    twiml: String,
    taken: oneshot::Sender<()>,
}

impl SimulatedTwilio {
    /// An account without calls.
    #[must_use]
    pub fn new(account: Account, net: Net) -> Self {
        Self { account, net, live: Arc::default() }
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<String, mpsc::Sender<Update>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
