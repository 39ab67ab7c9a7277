//! Limits the log lines that strangers can cause.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often a limit lets a line through.
const EVERY: Duration = Duration::from_secs(10);

/// Lets one line through every ten seconds, and counts the others.
#[derive(Debug, Default)]
pub struct LogLimit(Mutex<Option<State>>);

#[derive(Debug)]
struct State {
    since: Instant,
    withheld: u64,
}

impl LogLimit {
    /// Returns how many lines were withheld since the last one, if a line may be written. Else counts this one and
    /// returns `None`.
    pub fn allow(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match state.as_mut() {
            Some(state) if now - state.since < EVERY => {
                state.withheld += 1;
                None
            }
            _ => {
                let withheld = state.as_ref().map_or(0, |state| state.withheld);
                *state = Some(State { since: now, withheld: 0 });
                Some(withheld)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_in_ten_seconds_and_the_count_of_the_others() {
        let limit = LogLimit::default();
        assert_eq!(limit.allow(), Some(0));
        assert!((0..500).all(|_| limit.allow().is_none()));
        tokio::time::advance(EVERY).await;
        assert_eq!(limit.allow(), Some(500));
        assert_eq!(limit.allow(), None);
    }
}
