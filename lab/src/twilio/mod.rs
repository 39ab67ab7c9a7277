//! A simulated Twilio: it places calls at a service as Twilio does, and plays the caller.
//!
//! Facts and sources: Twilio's pages on Media Streams, TwiML, webhooks and the Calls resource.

mod account;
mod account_state;
mod answers;
mod behaviour;
mod call;
mod call_state;
mod caller;
mod events;
mod faults;
mod http_client;
mod known_call;
mod media_stream;
mod numbers;
mod overrides;
mod placed;
mod plan;
mod rest;
mod status;
mod streaming;
pub mod twiml;
mod verbs;
mod webhooks;

pub use account::{Account, sign};
pub use account_state::AccountState;
pub use behaviour::{AbnormalClose, TwilioBehaviour};
pub use call_state::{CallRecord, StepSpan};
pub use caller::{Recordings, parse_steps};
pub use events::{CallEvent, CallEventKind};
pub use faults::{CallFault, RestFault};
pub use known_call::KnownCall;
pub use numbers::PhoneNumber;
pub use placed::PlacedCall;
pub use plan::{CallPlan, Echo, Hold, OtherSide, Queue, SentText};

pub use dialbridge_core::replay::{CallerStep, When};

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::net::Net;

/// Twilio: one account, its live calls, its REST API. Clones share everything.
#[derive(Debug, Clone)]
pub struct SimulatedTwilio {
    account: Account,
    net: Net,
    live: Arc<Mutex<BTreeMap<String, mpsc::Sender<Update>>>>,
    /// The next answers of the hand-off handler.
    handed_off: Arc<Mutex<VecDeque<String>>>,
    /// The faults of the next requests to the REST API.
    rest_faults: Arc<Mutex<VecDeque<RestFault>>>,
    account_state: Arc<Mutex<AccountState>>,
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
        Self {
            account,
            net,
            live: Arc::default(),
            handed_off: Arc::default(),
            rest_faults: Arc::default(),
            account_state: Arc::default(),
        }
    }

    /// Queues a document as an answer of the hand-off handler; each request takes one. When none is left, the handler
    /// says that the hand-off arrived, and hangs up.
    pub fn answer_hand_off(&self, twiml: impl Into<String>) {
        self.handed_off.lock().unwrap_or_else(PoisonError::into_inner).push_back(twiml.into());
    }

    /// Makes the next requests to the REST API fail, with one fault each. Later requests work again.
    pub fn fail_rest(&self, faults: impl IntoIterator<Item = RestFault>) {
        self.rest_faults.lock().unwrap_or_else(PoisonError::into_inner).extend(faults);
    }

    fn next_rest_fault(&self) -> Option<RestFault> {
        self.rest_faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn hand_off(&self) -> String {
        let told = self.handed_off.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        told.unwrap_or_else(|| "<Response><Say>The hand-off arrived.</Say><Hangup/></Response>".to_owned())
    }

    /// The ids of the live calls.
    #[must_use]
    pub fn live_calls(&self) -> Vec<String> {
        self.live().keys().cloned().collect()
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
