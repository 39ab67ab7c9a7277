//! Whether an agent is down for all calls.
//!
//! ```text
//! Closed --failures in a row for some time--> Open
//! Open --its pause is over, a new call comes--> Reserved
//! Open, Reserved --its pause is over, a stream opens--> Probing
//! Reserved --no stream opened in time--> Open
//! Probing --failed--> Open, with a longer pause
//! any --a stream succeeds, or a probe does not fail in time--> Closed
//! ```
//!
//! All calls of an agent share one breaker. While it is open, new calls get their fallback at once, and one call at a
//! time tries the agent. A short fault does not open it: calls retry for longer than that.

/// How many failures in a row open the breaker.
const MIN_FAILURES: u32 = 5;

/// How long the row of failures must last, in milliseconds.
const MIN_ROW_MS: u64 = 3_000;

/// A failure so long after the one before begins another row, in milliseconds.
const MAX_GAP_MS: u64 = 10_000;

/// The first pause between two probes, in milliseconds. Each further one is twice as long.
const FIRST_PAUSE_MS: u64 = 1_000;

/// The longest pause between two probes, in milliseconds.
const MAX_PAUSE_MS: u64 = 30_000;

/// How long a new call may take to open its stream, and a probe to fail, in milliseconds.
const PROBE_MS: u64 = 10_000;

/// How long a stream waits for its turn at most, in milliseconds. Then it tries, whatever the others found: a call has a
/// budget of its own, and its caller waits.
pub const MAX_WAIT_MS: u64 = 5_000;

/// A stream that fails later than this after its opening was taken by the agent, in milliseconds.
const MAX_OPENING_MS: u64 = 15_000;

/// The faults that mean all calls, by gRPC's codes: no quota, no server, refused credentials.
const CODES: [&str; 4] = ["RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNAUTHENTICATED", "PERMISSION_DENIED"];

/// The breaker of one agent. Times are milliseconds of one clock that never goes back.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed(Row),
    /// Nobody tries until then.
    Open {
        probes: u32,
        until_ms: u64,
    },
    /// A new call may try.
    Reserved {
        probes: u32,
        until_ms: u64,
    },
    /// A stream tries. If it does not fail until then, it has succeeded.
    Probing {
        probes: u32,
        until_ms: u64,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed(Row::default())
    }
}

/// Failures in a row.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    failures: u32,
    since_ms: u64,
    last_ms: u64,
}

impl Breaker {
    /// Whether it is open: the agent was down when it was last tried.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed(_))
    }

    /// A new call comes. Returns whether it may try the agent. If not, it gets its fallback.
    pub fn admit(&mut self, now_ms: u64) -> bool {
        self.settle(now_ms);
        match self.state {
            State::Closed(_) => true,
            State::Open { probes, until_ms } if until_ms <= now_ms => {
                self.state = State::Reserved { probes, until_ms: now_ms + PROBE_MS };
                true
            }
            State::Open { .. } | State::Reserved { .. } | State::Probing { .. } => false,
        }
    }

    /// A call wants to open a stream. Returns when to ask again; `None` if the stream may open.
    pub fn begin(&mut self, now_ms: u64) -> Option<u64> {
        self.settle(now_ms);
        match self.state {
            State::Closed(_) => None,
            State::Open { until_ms, .. } if until_ms > now_ms => Some(until_ms),
            State::Open { probes, .. } | State::Reserved { probes, .. } => {
                self.state = State::Probing { probes, until_ms: now_ms + PROBE_MS };
                None
            }
            State::Probing { until_ms, .. } => Some(until_ms),
        }
    }

    /// A stream has got its first message.
    pub fn succeeded(&mut self) {
        self.state = State::default();
    }

    /// A stream that a call opened at `opened_ms` has failed with this gRPC code, without a message.
    pub fn failed(&mut self, code: &str, opened_ms: u64, now_ms: u64) {
        if !CODES.contains(&code) || now_ms.saturating_sub(opened_ms) > MAX_OPENING_MS {
            return;
        }
        match self.state {
            State::Closed(row) => {
                let row = row.with_failure(now_ms);
                let is_long = now_ms.saturating_sub(row.since_ms) >= MIN_ROW_MS;
                self.state = State::Closed(row);
                if row.failures >= MIN_FAILURES && is_long {
                    self.open(0, now_ms);
                }
            }
            State::Probing { probes, .. } => self.open(probes + 1, now_ms),
            State::Open { .. } | State::Reserved { .. } => {}
        }
    }

    fn open(&mut self, probes: u32, now_ms: u64) {
        let pause_ms = FIRST_PAUSE_MS.saturating_mul(1 << probes.min(16)).min(MAX_PAUSE_MS);
        self.state = State::Open { probes, until_ms: now_ms + pause_ms };
    }

    /// Leaves a state whose time is over.
    fn settle(&mut self, now_ms: u64) {
        match self.state {
            State::Reserved { probes, until_ms } if until_ms <= now_ms => self.state = State::Open { probes, until_ms },
            State::Probing { until_ms, .. } if until_ms <= now_ms => self.state = State::default(),
            State::Closed(_) | State::Open { .. } | State::Reserved { .. } | State::Probing { .. } => {}
        }
    }
}

impl Row {
    fn with_failure(self, now_ms: u64) -> Self {
        let goes_on = self.failures > 0 && now_ms.saturating_sub(self.last_ms) <= MAX_GAP_MS;
        let (failures, since_ms) = if goes_on { (self.failures + 1, self.since_ms) } else { (1, now_ms) };
        Self { failures, since_ms, last_ms: now_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A breaker that opened at 4,000 ms.
    fn open() -> Breaker {
        let mut breaker = Breaker::default();
        for n in 0..5 {
            assert!(!breaker.is_open());
            breaker.failed("UNAVAILABLE", n * 1_000, n * 1_000);
        }
        breaker
    }

    #[test]
    fn a_row_of_failures_opens_it_and_the_first_success_closes_it() {
        let mut breaker = open();
        assert!(breaker.is_open() && !breaker.admit(4_500));
        assert_eq!(breaker.begin(4_500), Some(5_000));
        breaker.succeeded();
        assert!(!breaker.is_open() && breaker.admit(4_600));
        assert_eq!(breaker.begin(4_600), None);
    }

    #[test]
    fn a_short_fault_of_many_calls_does_not_open_it() {
        let mut breaker = Breaker::default();
        (0..200).for_each(|n| breaker.failed("UNAVAILABLE", n * 10, n * 10));
        breaker.failed("UNAVAILABLE", 20_000, 20_000);
        assert!(!breaker.is_open(), "the last failure is another row");
    }

    #[test]
    fn failures_between_successes_do_not_open_it() {
        let mut breaker = Breaker::default();
        for n in 0..100 {
            breaker.failed("RESOURCE_EXHAUSTED", n * 1_000, n * 1_000);
            assert!(!breaker.is_open());
            if n % 4 == 3 {
                breaker.succeeded();
            }
        }
    }

    #[test]
    fn only_faults_that_meet_all_calls_count() {
        let mut breaker = Breaker::default();
        (0..100).for_each(|n| breaker.failed("INVALID_ARGUMENT", n * 1_000, n * 1_000));
        assert!(!breaker.is_open());
    }

    #[test]
    fn one_call_probes_and_the_pauses_grow() {
        let mut breaker = open();
        let mut now_ms = 4_000;
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let next_ms = breaker.begin(now_ms).unwrap();
            pauses.push(next_ms - now_ms);
            now_ms = next_ms;
            assert!(breaker.admit(now_ms), "this call probes");
            assert!(!breaker.admit(now_ms), "and no other");
            assert_eq!(breaker.begin(now_ms), None, "its stream opens");
            assert!(breaker.begin(now_ms).is_some(), "and no other");
            breaker.failed("UNAVAILABLE", now_ms, now_ms);
            assert!(breaker.is_open());
        }
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    }

    #[test]
    fn a_call_that_does_not_come_leaves_the_probe_to_the_next_one() {
        let mut breaker = open();
        assert!(breaker.admit(5_000));
        assert!(!breaker.admit(5_000 + PROBE_MS - 1));
        assert!(breaker.admit(5_000 + PROBE_MS));
    }

    #[test]
    fn a_probe_that_does_not_fail_has_succeeded() {
        let mut breaker = open();
        assert_eq!(breaker.begin(5_000), None);
        assert!(!breaker.admit(5_001));
        assert!(breaker.admit(5_000 + PROBE_MS));
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_stream_that_breaks_later_says_nothing_of_other_calls() {
        let mut breaker = Breaker::default();
        for n in 0..100 {
            let now_ms = 100_000 + n * 1_000;
            breaker.failed("UNAVAILABLE", now_ms - MAX_OPENING_MS - 1, now_ms);
        }
        assert!(!breaker.is_open());
    }
}
