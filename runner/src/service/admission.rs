//! Whether a call comes in: what the webhooks, the media streams and the softphone check and count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};

use super::drain::Drain;
use crate::call::agent_breaker::AgentBreaker;
use crate::call::calls::Calls;
use crate::settings::{AgentConfig, Config};
use crate::telemetry::clock::WallClock;
use crate::telemetry::log_limit::LogLimit;
use crate::telemetry::{Telemetry, name_agent};
use crate::twilio::ticket::TicketSigner;

/// What decides whether a call comes in.
pub(crate) struct Admission {
    pub(crate) config: Arc<Config>,
    pub(crate) calls: Calls,
    /// The breaker of each agent, by its name.
    pub(crate) breakers: BTreeMap<String, Arc<AgentBreaker>>,
    pub(crate) signer: Arc<TicketSigner>,
    pub(crate) clock: WallClock,
    pub(crate) telemetry: Arc<Telemetry>,
    /// For log lines about refused requests.
    pub(crate) refusal_log: Arc<LogLimit>,
    /// For the log line about URLs that Twilio cannot open.
    pub(crate) closed_log: Once,
    /// For the log line about hosts whose callers may have no TLS.
    pub(crate) no_tls_log: Once,
    /// For log lines about requests to paths that we do not have.
    pub(crate) path_log: LogLimit,
    /// For log lines about parameters that are left out.
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

    /// Names the agent in all further log lines of the current span.
    pub(crate) fn name_in_log(&self, agent: &str) {
        if let Some(config) = self.agent(agent) {
            name_agent(agent, config);
        }
    }

    /// Counts what is left out of a voice-url, or of a stream's parameters, for a call of this agent.
    pub(crate) fn left_out(&self, agent: &str, what: &'static str, count: usize) {
        if let Some(config) = self.agent(agent) {
            self.telemetry.left_out(agent, config, what, count);
        }
    }

    /// Whether a new call may try this agent. If not, the agent is down for all calls.
    pub(crate) fn admits(&self, agent: &str) -> bool {
        self.breakers.get(agent).is_none_or(|breaker| breaker.admit())
    }

    /// Whether this agent is down for all calls.
    pub(crate) fn is_down(&self, agent: &str) -> bool {
        self.breakers.get(agent).is_some_and(|breaker| breaker.is_open())
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
