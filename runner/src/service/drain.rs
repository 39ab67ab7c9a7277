//! The end of an instance: its calls migrate to other instances, and it answers webhooks until no more come.
//!
//! Cloud Run sends SIGTERM and allows ten seconds. From then on `/ready` fails and we open no media stream. We still
//! answer webhooks, because Twilio may ask this instance how to continue a call that has moved to another one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// When the process ends at the latest.
const EXIT_DEADLINE: Duration = Duration::from_millis(9_500);

/// The process ends after this long without an open media stream and without a request.
const QUIET_TIME: Duration = Duration::from_millis(500);

/// Whether the instance is ending, and when the last request came.
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
    /// There was no open media stream, and no more requests came.
    Quiet,
    /// Time ran out.
    DeadlinePassed,
}

impl Drain {
    /// Whether the instance is ending and opens no more media streams.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Notes a request that is not a probe.
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

    /// How long the process may still run after a drain that began at `began`.
    pub(crate) fn left(began: Instant) -> Duration {
        EXIT_DEADLINE.saturating_sub(began.elapsed())
    }

    /// Returns when there are no more media streams and requests, or when time is up. `open` returns the number of open
    /// media streams; `left` is notified when one has ended.
    pub(crate) async fn wait(&self, open: impl Fn() -> usize, left: &Notify) -> Drained {
        let quiet = async {
            loop {
                // Twilio asks how to continue right after a media stream has closed, and the page hears of the call's end
                // then.
                while open() > 0 {
                    left.notified().await;
                    self.note_request();
                }
                let last_request = *self.last_request.lock().unwrap_or_else(PoisonError::into_inner);
                if last_request.elapsed() >= QUIET_TIME {
                    return;
                }
                tokio::time::sleep_until(last_request + QUIET_TIME).await;
            }
        };
        tokio::time::timeout(EXIT_DEADLINE, quiet).await.map_or(Drained::DeadlinePassed, |()| Drained::Quiet)
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
        assert_eq!(drain.wait(|| 0, &Notify::new()).await, Drained::Quiet);
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
        assert_eq!(drain.wait(|| 0, &Notify::new()).await, Drained::Quiet);
        assert_eq!(began.elapsed().as_millis() / 100, 35);
        assert!(asks.is_finished());
        let left = Notify::new();
        let began = Instant::now();
        let leaves = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            left.notify_one();
        };
        let open = || usize::from(began.elapsed().as_secs() < 3);
        assert_eq!(tokio::join!(drain.wait(open, &left), leaves).0, Drained::Quiet);
        assert_eq!(began.elapsed().as_millis() / 100, 35, "half a second after the last socket has closed");
        let began = Instant::now();
        assert_eq!(drain.wait(|| 1, &left).await, Drained::DeadlinePassed);
        assert_eq!(began.elapsed().as_millis() / 100, 95);
    }
}
