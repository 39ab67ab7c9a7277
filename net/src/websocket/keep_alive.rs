//! Whether the peer is still there.

use std::sync::atomic::{AtomicBool, Ordering};

/// The peer's signs of life.
#[derive(Debug, Default)]
pub(super) struct KeepAlive {
    /// Whether any frame has come since the last ping.
    is_heard: AtomicBool,
    /// Whether the peer has answered a ping. One that never has may just be one that does not.
    answers: AtomicBool,
}

impl KeepAlive {
    pub(super) fn heard(&self, is_pong: bool) {
        self.is_heard.store(true, Ordering::Relaxed);
        if is_pong {
            self.answers.store(true, Ordering::Relaxed);
        }
    }

    /// To be asked when the next ping is due: whether nothing came since the last one, though the peer answers pings.
    pub(super) fn is_gone(&self) -> bool {
        !self.is_heard.swap(false, Ordering::Relaxed) && self.answers.load(Ordering::Relaxed)
    }
}
