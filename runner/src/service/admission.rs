//! Whether a call comes in: what the webhooks, the media streams and the softphone check and count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::drain::Drain;
use crate::call::calls::Calls;
use crate::settings::{AgentConfig, Config};
use crate::telemetry::Telemetry;
use crate::telemetry::clock::WallClock;
use crate::telemetry::log_limit::LogLimit;
use crate::twilio::ticket::TicketSigner;

/// What decides whether a call comes in.
pub(crate) struct Admission {
    pub(crate) config: Arc<Config>,
    pub(crate) calls: Calls,
    pub(crate) signer: Arc<TicketSigner>,
    pub(crate) clock: WallClock,
    pub(crate) telemetry: Arc<Telemetry>,
    /// For log lines about refused requests.
    pub(crate) refusal_log: Arc<LogLimit>,
    /// For log lines about parameters that had no room.
    pub(crate) parameter_log: LogLimit,
    pub(crate) drain: Drain,
    /// Whether the warm-up of the agents is over.
    pub(crate) is_warm: AtomicBool,
}

impl Admission {
    /// The agent of this name; `None` if it is not configured.
    pub(crate) fn agent(&self, name: &str) -> Option<&AgentConfig> {
        self.config.agents.get(name)
    }

    /// Whether the instance takes calls: the warm-up of the agents is over, and the instance is not ending.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_warm.load(Ordering::Relaxed) && !self.drain.is_draining()
    }

    /// Whether there is no room for another call.
    pub(crate) fn is_full(&self) -> bool {
        self.calls.started() >= self.config.limits.max_calls
    }
}
