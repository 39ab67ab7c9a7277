//! How sure a figure is: intervals that have the true one in 95 of 100 cases.

/// How many standard deviations 95 % reach to each side.
const Z: f64 = 1.96;

/// A value and its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Interval {
    /// Whether all of it is above all of the other one.
    pub(super) fn is_above(self, other: Self) -> bool {
        self.low >= other.high && self.high > other.low
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

/// Wilson's interval of a share: `count` of `of`, which is not 0. Both bounds are from 0 to 1.
pub(super) fn wilson(count: u64, of: u64) -> Interval {
    let n = real(of);
    let share = (real(count) / n).min(1.0);
    let (centre, spread) = (share + Z * Z / (2.0 * n), Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt());
    let whole = 1.0 + Z * Z / n;
    Interval { low: ((centre - spread) / whole).max(0.0), high: ((centre + spread) / whole).min(1.0) }
}

/// Between which ranks of `n` sorted values a quantile is: from 0 to `n`.
pub(super) fn ranks(quantile: f64, n: u64) -> Interval {
    let n = real(n);
    let spread = Z * (n * quantile * (1.0 - quantile)).sqrt();
    Interval { low: (n * quantile - spread).max(0.0), high: (n * quantile + spread).min(n) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(interval: Interval) -> (f64, f64) {
        let rounded = |x: f64| (x * 1_000.0).round() / 1_000.0;
        (rounded(interval.low), rounded(interval.high))
    }

    #[test]
    fn wilsons_intervals_are_those_of_the_books() {
        // As in Newcombe 1998, table I.
        assert_eq!(rounded(wilson(81, 263)), (0.255, 0.366));
        assert_eq!(rounded(wilson(15, 148)), (0.062, 0.16));
        assert_eq!(rounded(wilson(0, 20)), (0.0, 0.161));
        assert_eq!(rounded(wilson(1, 29)), (0.006, 0.172));
        assert_eq!(rounded(wilson(5, 5)), (0.566, 1.0));
        assert_eq!(rounded(wilson(9, 5)), (0.566, 1.0), "more than all is all");
    }

    #[test]
    fn a_quantiles_ranks_stay_among_the_values() {
        assert_eq!(rounded(ranks(0.5, 100)), (40.2, 59.8));
        assert_eq!(rounded(ranks(0.95, 4)), (2.946, 4.0));
    }

    #[test]
    fn intervals_that_touch_at_a_buckets_bound_do_not_overlap() {
        let (low, high) = (Interval { low: 0.5, high: 1.0 }, Interval { low: 1.0, high: 2.0 });
        assert!(high.is_above(low) && !low.is_above(high) && !low.is_above(low));
        let point = Interval { low: 1.0, high: 1.0 };
        assert!(!point.is_above(point));
    }
}
