//! Facts of calls for those who watch: the demo's timeline, tests.

use std::fmt;
use std::sync::Arc;

use dialbridge_core::{CallSid, Report};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A fact of a call, for those who watch: the demo's timeline, tests.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The call.
    pub call_sid: CallSid,
    /// When it was.
    pub at: Instant,
    /// What it was.
    pub report: Report,
}

/// Whoever watches calls: called with each fact, in the call's own task, so it must not wait.
#[derive(Clone)]
pub struct Watch(pub Arc<dyn Fn(&Observed) + Send + Sync>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    /// Sends each fact into a channel; whoever reads too slowly misses some.
    #[must_use]
    pub fn into_channel(sender: mpsc::Sender<Observed>) -> Self {
        Self(Arc::new(move |observed| {
            let _ = sender.try_send(observed.clone());
        }))
    }
}
