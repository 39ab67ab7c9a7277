//! Tells whether the peer is still there.

use std::sync::atomic::{AtomicBool, Ordering};

/// The peer's signs of life.
#[derive(Debug, Default)]
pub(super) struct KeepAlive {
    /// Whether any frame came since the last ping.
    is_heard: AtomicBool,
    /// Whether the peer has ever answered a ping. A peer that never has may not support pings.
    answers: AtomicBool,
}

impl KeepAlive {
    pub(super) fn heard(&self, is_pong: bool) {
        self.is_heard.store(true, Ordering::Relaxed);
        if is_pong {
            self.answers.store(true, Ordering::Relaxed);
        }
    }

    /// Call it when the next ping is due. True if nothing came since the last one, although the peer answers pings.
    pub(super) fn is_gone(&self) -> bool {
        !self.is_heard.swap(false, Ordering::Relaxed) && self.answers.load(Ordering::Relaxed)
    }
}
