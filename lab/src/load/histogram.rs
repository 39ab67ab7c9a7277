//! How often each latency occurred. By hand: hdrhistogram costs only 0.6 s of CPU, but it would replace sixty lines, and the
//! published figures were measured with these classes.

use serde::{Deserialize, Serialize};

/// Each power of two has this many classes: a value is accurate to 1.6 percent.
const CLASSES: u64 = 64;

/// log2 of that.
const CLASS_BITS: u32 = 6;

/// Larger values than 2^40 microseconds (twelve days) count as that.
const MAX_US: u64 = (1 << 40) - 1;

/// Values in microseconds, by class.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max: u64,
}

/// The summary of a histogram; all in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// How many values there were.
    pub count: u64,
    /// Half of the values are no larger.
    pub p50_us: u64,
    /// 99 of a hundred values are no larger.
    pub p99_us: u64,
    /// The largest.
    pub max_us: u64,
}

impl Histogram {
    /// Counts a value.
    pub fn record(&mut self, us: u64) {
        let class = class_of(us);
        if class >= self.counts.len() {
            self.counts.resize(class + 1, 0);
        }
        self.counts[class] += 1;
        self.count += 1;
        self.max = self.max.max(us);
    }

    /// The smallest value that this many of a thousand do not exceed, at most 1.6 percent too large; 0 without values.
    #[must_use]
    pub fn per_mille(&self, share: u64) -> u64 {
        let rank = (self.count * share).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (class, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return highest_in(class).min(self.max);
            }
        }
        0
    }

    /// The summary.
    #[must_use]
    pub fn latency(&self) -> Latency {
        Latency { count: self.count, p50_us: self.per_mille(500), p99_us: self.per_mille(990), max_us: self.max }
    }
}

fn class_of(us: u64) -> usize {
    let us = us.min(MAX_US);
    let class = if us < CLASSES {
        us
    } else {
        let shift = us.ilog2() - CLASS_BITS;
        CLASSES * u64::from(shift) + (us >> shift)
    };
    usize::try_from(class).unwrap_or(usize::MAX)
}

/// The largest value of a class.
fn highest_in(class: usize) -> u64 {
    let class = class as u64;
    if class < 2 * CLASSES {
        return class;
    }
    let shift = class / CLASSES - 1;
    ((CLASSES + class % CLASSES + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_class_that_holds_it() {
        for us in (0..5_000).chain([65_535, 65_536, 1_000_000, 123_456_789, MAX_US]) {
            let class = class_of(us);
            assert!(us <= highest_in(class), "{us}");
            assert!(class == 0 || us > highest_in(class - 1), "{us}");
            assert!(highest_in(class) - us <= us / CLASSES, "{us}");
        }
    }

    #[test]
    fn percentiles_of_made_up_values_are_what_they_must_be() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.latency(), Latency::default());
        (1..=60).for_each(|us| histogram.record(us));
        assert_eq!(histogram.latency(), Latency { count: 60, p50_us: 30, p99_us: 60, max_us: 60 });
        let mut skewed = Histogram::default();
        (0..990).for_each(|_| skewed.record(10));
        (0..10).for_each(|_| skewed.record(50_000));
        assert_eq!(skewed.latency(), Latency { count: 1_000, p50_us: 10, p99_us: 10, max_us: 50_000 });
        skewed.record(50_000);
        assert_eq!(skewed.per_mille(990), 50_000, "a class's end beyond the largest value is that value");
    }

    #[test]
    fn a_value_beyond_all_reason_is_counted_all_the_same() {
        let mut histogram = Histogram::default();
        histogram.record(u64::MAX);
        assert_eq!(histogram.latency(), Latency { count: 1, p50_us: MAX_US, p99_us: MAX_US, max_us: u64::MAX });
    }
}
