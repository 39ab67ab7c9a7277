//! The clock on the wall, for tickets: milliseconds since 1970, the same for all instances.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Tells the time.
#[derive(Debug, Clone, Copy)]
pub enum WallClock {
    /// The system's.
    System,
    /// One that began at a given time and goes on with tokio's clock, which a test may hold.
    Since {
        /// Milliseconds since 1970 at `at`.
        began_ms: u64,
        /// The moment that it began.
        at: Instant,
    },
}

impl WallClock {
    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        match self {
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).map(ms).unwrap_or(0),
            Self::Since { began_ms, at } => began_ms + ms(at.elapsed()),
        }
    }
}
