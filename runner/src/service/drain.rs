//! The end of an instance: its calls go over to others, and its answers are given until nobody asks any more.
//!
//! Cloud Run sends SIGTERM and gives ten seconds. `/ready` fails from then on and no media socket is opened, but the
//! webhooks are answered, for Twilio may ask this very instance how a call goes on that another one carries.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When the process ends at the latest, whatever is still going on.
const EXIT_DEADLINE: Duration = Duration::from_millis(9_500);

/// For so long no socket must have been open and nobody must have asked anything before the process ends.
const QUIET_TIME: Duration = Duration::from_millis(500);

/// How often it is looked at.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Whether the instance is ending, and when it was last asked something.
#[derive(Debug)]
pub struct Drain {
    is_draining: AtomicBool,
    last_request: Mutex<Instant>,
}

impl Default for Drain {
    fn default() -> Self {
        Self { is_draining: AtomicBool::new(false), last_request: Mutex::new(Instant::now()) }
    }
}

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// No socket was open and nobody asked any more.
    Quiet,
    /// The time was over.
    DeadlinePassed,
}

impl Drain {
    /// Whether no media socket is opened any more.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// A request came that is no probe's.
    pub(crate) fn note_request(&self) {
        if self.is_draining() {
            *self.last_request.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    /// Begins to drain.
    pub(crate) fn begin(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
        self.note_request();
    }

    /// How long the process may still take, once it drains.
    pub(crate) fn left(began: Instant) -> Duration {
        EXIT_DEADLINE.saturating_sub(began.elapsed())
    }

    /// Returns when nothing goes on any more, or when the time is over. `open` says how many sockets are open.
    pub(crate) async fn wait(&self, open: impl Fn() -> usize) -> Drained {
        let began = Instant::now();
        while began.elapsed() < EXIT_DEADLINE {
            // What follows a call is asked right after its socket has closed, and the page is told of its end then.
            if open() > 0 {
                self.note_request();
            }
            let quiet_for = self.last_request.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            if quiet_for >= QUIET_TIME {
                return Drained::Quiet;
            }
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
        Drained::DeadlinePassed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_nobody_uses_ends_after_half_a_second() {
        let drain = Drain::default();
        let began = Instant::now();
        drain.begin();
        assert_eq!(drain.wait(|| 0).await, Drained::Quiet);
        assert_eq!(began.elapsed().as_millis() / 100, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_keep_it_and_an_open_socket_keeps_it_for_nine_and_a_half_seconds() {
        let drain = Arc::new(Drain::default());
        drain.begin();
        let asking = drain.clone();
        let asks = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(300)).await;
                asking.note_request();
            }
        });
        let began = Instant::now();
        assert_eq!(drain.wait(|| 0).await, Drained::Quiet);
        assert_eq!(began.elapsed().as_millis() / 100, 35);
        assert!(asks.is_finished());
        let began = Instant::now();
        assert_eq!(drain.wait(|| usize::from(began.elapsed().as_secs() < 3)).await, Drained::Quiet);
        assert_eq!(began.elapsed().as_millis() / 100, 34, "half a second after the last socket has closed");
        let began = Instant::now();
        assert_eq!(drain.wait(|| 1).await, Drained::DeadlinePassed);
        assert_eq!(began.elapsed().as_millis() / 100, 95);
    }
}
