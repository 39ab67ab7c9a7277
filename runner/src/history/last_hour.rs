//! The last hour of this instance in figures: its calls, how many failed, and how long callers waited.

use std::collections::VecDeque;

use serde_json::{Value, json};

const MINUTES: u64 = 60;

const MINUTE_MS: u64 = 60_000;

/// How many waits are kept: the latest ones.
const MAX_WAITS: usize = 4_096;

/// The figures. Times are in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct LastHour {
    /// The minutes in which a call ended, oldest first.
    minutes: VecDeque<Minute>,
    /// The minute of a wait and its length in milliseconds, oldest first.
    waits: VecDeque<(u64, u64)>,
}

#[derive(Debug)]
struct Minute {
    number: u64,
    calls: u32,
    failed: u32,
}

impl LastHour {
    /// Adds a caller's wait for an answer.
    pub(super) fn add_wait(&mut self, at_ms: u64, wait_ms: u64) {
        if self.waits.len() == MAX_WAITS {
            self.waits.pop_front();
        }
        self.waits.push_back((at_ms / MINUTE_MS, wait_ms));
    }

    /// Adds a call that is over.
    pub(super) fn add_call(&mut self, at_ms: u64, is_failed: bool) {
        let number = at_ms / MINUTE_MS;
        // Calls do not end in the order in which we hear of it. A minute that has begun takes the late ones.
        if self.minutes.back().is_none_or(|last| last.number < number) {
            self.minutes.push_back(Minute { number, calls: 0, failed: 0 });
        }
        while self.minutes.front().is_some_and(|first| first.number + MINUTES <= number) {
            self.minutes.pop_front();
        }
        if let Some(minute) = self.minutes.back_mut() {
            minute.calls += 1;
            minute.failed += u32::from(is_failed);
        }
    }

    /// The figures for the page.
    pub(super) fn summary(&self, now_ms: u64) -> Value {
        let now = now_ms / MINUTE_MS;
        let is_recent = |number: u64| number + MINUTES > now;
        let minutes: Vec<&Minute> = self.minutes.iter().filter(|minute| is_recent(minute.number)).collect();
        let in_minute =
            |ago: u64| minutes.iter().find(|minute| minute.number + ago == now).map_or(0, |minute| minute.calls);
        let mut waits: Vec<u64> = self.waits.iter().filter(|(at, _)| is_recent(*at)).map(|(_, ms)| *ms).collect();
        waits.sort_unstable();
        json!({
            "calls": minutes.iter().map(|minute| minute.calls).sum::<u32>(),
            "failed": minutes.iter().map(|minute| minute.failed).sum::<u32>(),
            "medianMs": percentile(&waits, 50),
            "p95Ms": percentile(&waits, 95),
            "callsByMinute": (0..MINUTES).rev().map(in_minute).collect::<Vec<u32>>(),
        })
    }
}

/// The nearest rank of sorted values; `None` if there are none.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = MINUTES * MINUTE_MS;

    #[test]
    fn what_is_older_than_an_hour_does_not_count() {
        let mut hour = LastHour::default();
        hour.add_call(0, true);
        hour.add_wait(0, 9_000);
        hour.add_call(30 * MINUTE_MS, false);
        hour.add_call(30 * MINUTE_MS, true);
        (1..=100).for_each(|ms| hour.add_wait(30 * MINUTE_MS, ms));
        let then = hour.summary(HOUR_MS - 1);
        assert_eq!((&then["calls"], &then["failed"], &then["callsByMinute"][0]), (&3.into(), &2.into(), &1.into()));
        let now = hour.summary(HOUR_MS);
        assert_eq!((&now["calls"], &now["failed"]), (&2.into(), &1.into()));
        assert_eq!((&now["medianMs"], &now["p95Ms"]), (&50.into(), &95.into()));
        let by_minute = now["callsByMinute"].as_array().unwrap();
        assert_eq!((by_minute.len(), &by_minute[29]), (60, &2.into()));
    }

    #[test]
    fn waits_are_bounded_and_without_any_there_is_no_median() {
        let mut hour = LastHour::default();
        assert_eq!(hour.summary(0)["medianMs"], Value::Null);
        (0..2 * MAX_WAITS as u64).for_each(|ms| hour.add_wait(0, ms));
        (0..2 * HOUR_MS).step_by(1_000).for_each(|ms| hour.add_call(ms, false));
        assert_eq!((hour.waits.len(), hour.minutes.len()), (MAX_WAITS, 60));
    }
}
