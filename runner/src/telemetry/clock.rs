//! The wall clock, for tickets: milliseconds since 1970, the same for all instances.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Where the time comes from.
#[derive(Debug, Clone, Copy)]
pub enum WallClock {
    /// The system clock.
    System,
    /// A clock that starts at a given time and continues with tokio's clock, which a test may pause.
    Since {
        /// The time at `at`, in milliseconds since 1970.
        began_ms: u64,
        /// When the clock started.
        at: Instant,
    },
}

impl WallClock {
    /// The time in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        match self {
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).map(ms).unwrap_or(0),
            Self::Since { began_ms, at } => began_ms + ms(at.elapsed()),
        }
    }
}
