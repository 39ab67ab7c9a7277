//! The time of a call: whole milliseconds since it began, passed in by the driver.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// A moment of one call, in milliseconds since the `now` that was passed to `Call::new`.
///
/// It has a type of its own so that nobody confuses it with Twilio's stream time or with a count of samples. It counts
/// whole milliseconds so that a tape that stores `at_ms` replays to the same outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallTime(u64);

impl CallTime {
    /// The beginning of the call.
    pub const START: Self = Self(0);

    /// The moment `ms` milliseconds after the call began.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the call began.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// Milliseconds from `earlier` to this moment; 0 if `earlier` is the later one.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The moment that many milliseconds later. Saturates at the largest value.
impl Add<u64> for CallTime {
    type Output = Self;

    fn add(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// The moment that many milliseconds earlier, but not before the call began.
impl Sub<u64> for CallTime {
    type Output = Self;

    fn sub(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }
}

impl fmt::Display for CallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_never_wraps_around() {
        assert_eq!(CallTime::from_ms(3) - 5, CallTime::START);
        assert_eq!(CallTime::from_ms(u64::MAX) + 5, CallTime::from_ms(u64::MAX));
        assert_eq!(CallTime::from_ms(3).ms_since(CallTime::from_ms(5)), 0);
    }

    #[test]
    fn a_moment_prints_as_seconds() {
        assert_eq!(CallTime::from_ms(61_007).to_string(), "61.007");
    }
}
