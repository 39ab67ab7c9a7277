//! The breaker of one agent, shared by its calls: core's rule with a clock, a log line and a place to wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dialbridge_agents::OpenPermit;
use dialbridge_core::agent::AgentFault;
use dialbridge_core::breaker::{Breaker, MAX_WAIT_MS};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The breaker of one agent.
#[derive(Debug)]
pub(crate) struct AgentBreaker {
    agent: String,
    began: Instant,
    breaker: Mutex<Breaker>,
    closed: Notify,
}

impl AgentBreaker {
    pub(crate) fn new(agent: &str) -> Self {
        let (began, breaker, closed) = (Instant::now(), Mutex::default(), Notify::new());
        Self { agent: agent.to_owned(), began, breaker, closed }
    }

    /// Whether the agent is down for all calls.
    pub(crate) fn is_open(&self) -> bool {
        self.change(|breaker, _| breaker.is_open())
    }

    /// Whether a new call may try the agent.
    pub(crate) fn admit(&self) -> bool {
        self.change(Breaker::admit)
    }

    /// What a stream waits for before it opens; `None` if it need not wait.
    pub(crate) fn permit(self: &Arc<Self>) -> Option<OpenPermit> {
        let breaker = self.clone();
        let until = self.begin()?;
        Some(Box::pin(async move {
            let _ = tokio::time::timeout(Duration::from_millis(MAX_WAIT_MS), breaker.wait(until)).await;
        }))
    }

    async fn wait(&self, mut until: Instant) {
        loop {
            let closed = self.closed.notified();
            let _ = tokio::time::timeout_at(until, closed).await;
            match self.begin() {
                Some(next) => until = next,
                None => return,
            }
        }
    }

    fn begin(&self) -> Option<Instant> {
        self.change(Breaker::begin).map(|at_ms| self.began + Duration::from_millis(at_ms))
    }

    /// A stream has got its first message.
    pub(crate) fn succeeded(&self) {
        self.change(|breaker, _| breaker.succeeded());
    }

    /// A stream without a message has failed. The call opened it at `opened`.
    pub(crate) fn failed(&self, fault: &AgentFault, opened: Instant) {
        let opened_ms = self.ms(opened);
        let has_opened = self.change(|breaker, now_ms| {
            let was_open = breaker.is_open();
            breaker.failed(&fault.code, opened_ms, now_ms);
            !was_open && breaker.is_open()
        });
        if has_opened {
            tracing::error!(
                agent = self.agent,
                code = fault.code,
                "the agent fails for all calls: new calls get its backup, or their fallback, until it answers again"
            );
        }
    }

    fn ms(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    /// Asks or tells the breaker something. Wakes the streams that wait and logs a line if it closes.
    fn change<R>(&self, change: impl FnOnce(&mut Breaker, u64) -> R) -> R {
        let now_ms = self.ms(Instant::now());
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let was_open = breaker.is_open();
        let result = change(&mut breaker, now_ms);
        if was_open && !breaker.is_open() {
            self.closed.notify_waiters();
            tracing::warn!(agent = self.agent, "the agent answers again");
        }
        result
    }
}
