//! Coalesces frames under load: the thread sleeps briefly before it waits for its sockets. One wake-up then serves all
//! frames that came meanwhile, and one write to the agent carries frames of several calls. A wake-up and a write cost
//! several times as much as handling a frame.
//!
//! The sleep bounds the delay of a frame. Only a runtime with one thread does this: with more threads the sleeping one
//! may be the one that is needed.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// With fewer media streams, fewer than four frames come during a sleep. Sleeping then costs more than it saves
/// (docs/performance.md).
const MIN_SOCKETS: usize = 300;

/// How long to sleep, in microseconds; 0: not at all. The process has one value, for its one thread.
static SLEEP_US: AtomicU64 = AtomicU64::new(0);

/// The open media streams of the process.
static SOCKETS: AtomicUsize = AtomicUsize::new(0);

/// Counts an open media stream until it is dropped.
#[derive(Debug)]
pub(crate) struct SocketCount(());

impl SocketCount {
    pub(crate) fn new() -> Self {
        SOCKETS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for SocketCount {
    fn drop(&mut self) {
        SOCKETS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sets how long the process sleeps under load.
pub fn set_sleep(sleep: Duration) {
    SLEEP_US.store(u64::try_from(sleep.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Sleeps if there is load. The thread calls this before it waits.
pub fn coalesce() {
    let sleep = SLEEP_US.load(Ordering::Relaxed);
    if sleep > 0 && SOCKETS.load(Ordering::Relaxed) >= MIN_SOCKETS {
        std::thread::sleep(Duration::from_micros(sleep));
    }
}
