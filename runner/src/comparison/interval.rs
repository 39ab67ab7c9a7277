//! How sure a figure is: intervals that have the true one in 95 of 100 cases.

/// How many standard deviations 95 % reach to each side.
const Z: f64 = 1.96;

/// The chance that the true figure is below the interval, and that it is above it.
const TAIL: f64 = 0.025;

/// Up to so many values the ranks of a quantile are exact. Above, the normal distribution is as good, and quicker.
const MAX_EXACT: u64 = 2_000;

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

/// The values that bound a quantile, by their ranks among the sorted ones, counted from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ranks {
    /// `None`: even the least value may be above the quantile.
    pub(super) low: Option<u64>,
    /// `None`: even the greatest value may be below the quantile.
    pub(super) high: Option<u64>,
}

/// Between which of `n` values a quantile is.
pub(super) fn ranks(quantile: f64, n: u64) -> Ranks {
    if n <= MAX_EXACT { exact_ranks(quantile, n) } else { normal_ranks(quantile, real(n)) }
}

/// By the binomial distribution of how many values are below the quantile.
fn exact_ranks(quantile: f64, n: u64) -> Ranks {
    let mut ranks = Ranks::default();
    let odds = (quantile / (1.0 - quantile)).ln();
    let mut log_chance = real(n) * (1.0 - quantile).ln();
    let mut at_most = 0.0;
    for below in 0..n {
        at_most += log_chance.exp();
        if at_most <= TAIL {
            ranks.low = Some(below + 1);
        }
        if at_most >= 1.0 - TAIL {
            ranks.high = Some(below + 1);
            break;
        }
        log_chance += (real(n - below) / real(below + 1)).ln() + odds;
    }
    ranks
}

/// Rounded to the wider side. The greatest values are far from the ranks.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ranks are positive, and a cast saturates")]
fn normal_ranks(quantile: f64, n: f64) -> Ranks {
    let spread = Z * (n * quantile * (1.0 - quantile)).sqrt();
    let (low, high) = ((n * quantile - spread).floor(), (n * quantile + spread).ceil() + 1.0);
    Ranks { low: Some(low as u64), high: Some(high as u64) }
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

    /// The chance that fewer than `rank` of `n` values are below the quantile.
    fn fewer(rank: u64, quantile: f64, n: u64) -> f64 {
        let log_choices = |k: u64| (1..=k).map(|i| (real(n - k + i) / real(i)).ln()).sum::<f64>();
        let chance = |k: u64| (log_choices(k) + real(k) * quantile.ln() + real(n - k) * (1.0 - quantile).ln()).exp();
        (0..rank).map(chance).sum()
    }

    #[test]
    fn a_quantile_is_between_its_ranks_in_95_of_100_cases_and_they_are_no_wider_than_that() {
        for n in [10, 30, 60, 100, 500, MAX_EXACT + 1] {
            for quantile in [0.5, 0.95] {
                let Ranks { low, high } = ranks(quantile, n);
                let (below, above) =
                    (low.map_or(0.0, |low| fewer(low, quantile, n)), high.map_or(1.0, |high| fewer(high, quantile, n)));
                let what = format!("{quantile} of {n}: {low:?} to {high:?}");
                assert!(below <= TAIL && above >= 1.0 - TAIL, "{what}");
                // The next value on each side, if there is one. The approximation may be two ranks wider.
                let slack = if n > MAX_EXACT { 3 } else { 1 };
                let inner = (low.unwrap_or(0) + slack, high.unwrap_or(n + 1) - slack);
                assert!(fewer(inner.0, quantile, n) > TAIL, "{what}");
                assert!(fewer(inner.1, quantile, n) < 1.0 - TAIL, "{what}");
            }
        }
    }

    #[test]
    fn a_quantile_that_no_value_bounds_is_open() {
        assert_eq!(ranks(0.5, 100), Ranks { low: Some(40), high: Some(61) }, "as in the tables of the sign test");
        assert_eq!(ranks(0.5, 6), Ranks { low: Some(1), high: Some(6) });
        for n in 0..6 {
            assert_eq!(ranks(0.5, n), Ranks::default(), "{n}");
        }
        assert!((30..72).all(|n| ranks(0.95, n).high.is_none() && ranks(0.95, n).low.is_some()));
        assert_eq!(ranks(0.95, 72).high, Some(72));
        assert_eq!(ranks(0.95, 1), Ranks::default());
    }

    #[test]
    fn intervals_that_touch_at_a_buckets_bound_do_not_overlap() {
        let (low, high) = (Interval { low: 0.5, high: 1.0 }, Interval { low: 1.0, high: 2.0 });
        assert!(high.is_above(low) && !low.is_above(high) && !low.is_above(low));
        let point = Interval { low: 1.0, high: 1.0 };
        assert!(!point.is_above(point));
    }
}
