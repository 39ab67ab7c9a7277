//! Frames are gathered under load: before the thread waits for sockets it sleeps for a moment, so that one wake-up serves
//! all that came meanwhile, and one write to a connection of the agent's carries the frames of several calls. To wake and
//! to write costs several times what is done with a frame.
//!
//! What it adds to a frame's way is bounded by the moment's length. Only a runtime of one thread does it: with more of
//! them the one that sleeps may be the one that is needed.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// With fewer media sockets than these less than four frames come in a moment, and to sleep and to wait costs more than
/// it saves (docs/performance.md).
const MIN_SOCKETS: usize = 300;

/// Microseconds; 0: it is not done. There is one for the process, for its one thread.
static SLEEP_US: AtomicU64 = AtomicU64::new(0);

/// Media sockets of the process.
static SOCKETS: AtomicUsize = AtomicUsize::new(0);

/// An open media socket, which is counted until this is dropped.
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

/// Has the process gather for so long, once there is load.
pub fn set_sleep(sleep: Duration) {
    SLEEP_US.store(u64::try_from(sleep.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// The moment of a thread that is about to wait.
pub fn coalesce() {
    let sleep = SLEEP_US.load(Ordering::Relaxed);
    if sleep > 0 && SOCKETS.load(Ordering::Relaxed) >= MIN_SOCKETS {
        std::thread::sleep(Duration::from_micros(sleep));
    }
}
