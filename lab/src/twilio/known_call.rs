//! A call that the REST API knows but nobody plays, for tests of updates.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::twilio::SimulatedTwilio;

/// How many updates are kept.
const UPDATES: usize = 64;

/// A call that is in progress until this is dropped.
#[derive(Debug)]
pub struct KnownCall {
    twilio: SimulatedTwilio,
    call_sid: String,
    taking: JoinHandle<()>,
    twiml: mpsc::Receiver<String>,
}

impl KnownCall {
    /// The documents that it was given since this was last called.
    pub fn updates(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.twiml.try_recv().ok()).collect()
    }
}

impl Drop for KnownCall {
    fn drop(&mut self) {
        self.taking.abort();
        self.twilio.live().remove(&self.call_sid);
    }
}

impl SimulatedTwilio {
    /// Registers a call with that id at the REST API; the call accepts every update.
    #[must_use]
    pub fn add_known_call(&self, call_sid: &str) -> KnownCall {
        let (updates, mut came) = mpsc::channel(UPDATES);
        let (sender, twiml) = mpsc::channel(UPDATES);
        self.live().insert(call_sid.to_owned(), updates);
        let taking = tokio::spawn(async move {
            while let Some(update) = came.recv().await {
                let _ = update.taken.send(());
                // If nobody reads the update, it is dropped.
                let _ = sender.try_send(update.twiml);
            }
        });
        KnownCall { twilio: self.clone(), call_sid: call_sid.to_owned(), taking, twiml }
    }
}
