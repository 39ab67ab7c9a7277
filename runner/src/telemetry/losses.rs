//! Counts what could not be sent, and logs the count at intervals: a line for each loss would be a flood.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often losses are logged.
const EVERY: Duration = Duration::from_secs(30);

/// Losses of one kind.
#[derive(Debug, Default)]
pub(super) struct Losses {
    all: AtomicU64,
    logged: AtomicU64,
}

impl Losses {
    /// Counts more losses.
    pub(super) fn add(&self, count: usize) {
        self.all.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// How many were lost in total.
    pub(super) fn count(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    /// How many were lost since the last call of this.
    fn unlogged(&self) -> u64 {
        let all = self.count();
        all - self.logged.swap(all, Ordering::Relaxed)
    }

    /// Logs the losses since the last time, if there are any.
    pub(super) fn log(&self, what: &'static str, waiting: u64) {
        let lost = self.unlogged();
        if lost > 0 {
            tracing::warn!(what, lost, lost_in_all = self.count(), waiting, "telemetry of calls was lost");
        }
    }

    /// Logs losses at intervals. Never returns.
    pub(super) async fn log_each_interval(&self, what: &'static str, waiting: impl Fn() -> u64) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.log(what, waiting());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_said_once() {
        let losses = Losses::default();
        losses.add(3);
        losses.add(4);
        assert_eq!((losses.unlogged(), losses.unlogged(), losses.count()), (7, 0, 7));
        losses.add(1);
        assert_eq!((losses.unlogged(), losses.count()), (1, 8));
    }
}
