//! How the taps of a filter are computed.
//!
//! Every filter is one low pass, sinc times Kaiser window, with its middle at 4 kHz: a telephone's pass band ends at
//! 3.4 kHz, so the stop band begins at 4.6 kHz, whose alias at 8 kHz is 3.4 kHz. The low pass is sampled at `phases`
//! times the source rate and split into rows (phases). Row p holds the taps for an output sample that lies `p / phases`
//! of a source sample after a source sample:
//!
//! `row[p][m] = h(p / phases - (m - taps / 2 + 1))`, with m below `taps` and h symmetric, in source samples
//!
//! Each row is rounded to `i16` so that it sums to a power of 2 exactly: a constant signal keeps its value in every
//! phase. Only operations that IEEE 754 defines to the bit are used, so all machines compute the same taps.

use std::f64::consts::PI;

const CUTOFF_HZ: f64 = 4000.0;
/// Kaiser's beta for a stop band of 76 dB. Below that the rounding of the taps to 16 bits is what limits.
const BETA: f64 = 7.42;

/// The rows 0 to `phases / 2`, one after another, and the power of 2 to which each of them sums.
///
/// That power is the first that fits: a conversion whose rows have a large sum of absolute taps, or one tap of nearly
/// 1.0 as those that add samples do, must do with 14.
pub(super) fn rows(from_hz: u32, phases: usize, taps: usize) -> (Vec<i16>, u32) {
    let exact: Vec<Vec<f64>> = (0..=phases / 2).map(|phase| row(phase, phases, from_hz, taps)).collect();
    let at = |bits: u32| exact.iter().map(|row| quantise(row, bits)).collect::<Option<Vec<_>>>();
    let fifteen = at(15).map(|rows| (rows, 15));
    let (rows, bits) = fifteen.or_else(|| at(14).map(|rows| (rows, 14))).unwrap_or_default();
    (rows.concat(), bits)
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred at most")]
fn row(phase: usize, phases: usize, from_hz: u32, taps: usize) -> Vec<f64> {
    let half = (taps / 2) as f64;
    let offset = phase as f64 / phases as f64;
    (0..taps).map(|tap| low_pass(offset - (tap as f64 - half + 1.0), from_hz, half)).collect()
}

/// h at `position`, in source samples from its middle. Not normalised.
fn low_pass(position: f64, from_hz: u32, half: f64) -> f64 {
    if position.abs() >= half {
        return 0.0;
    }
    let x = 2.0 * CUTOFF_HZ / f64::from(from_hz) * position;
    let sinc = if x == 0.0 { 1.0 } else { sine_of_pi_times(x) / (PI * x) };
    sinc * bessel_i0(BETA * (1.0 - (position / half) * (position / half)).sqrt())
}

/// sin(πx) by its power series. The sine of the standard library differs from machine to machine.
fn sine_of_pi_times(x: f64) -> f64 {
    let whole = x.round();
    let angle = PI * (x - whole);
    let (mut sum, mut term, mut k) = (angle, angle, 1.0);
    while term.abs() > 1e-18 {
        term *= -angle * angle / ((2.0 * k) * (2.0 * k + 1.0));
        sum += term;
        k += 1.0;
    }
    if whole % 2.0 == 0.0 { sum } else { -sum }
}

/// The modified Bessel function of the first kind and order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= (x / (2.0 * k)) * (x / (2.0 * k));
        sum += term;
        k += 1.0;
    }
    sum
}

/// `row` scaled and rounded to integers that sum to 2 to the power of `bits`.
///
/// What rounding leaves over goes, one unit each, to the taps that rounding moved farthest the other way.
///
/// `None` if a tap leaves an `i16`, or if some samples could make the sum of products leave an `i32`.
#[expect(clippy::cast_possible_truncation, reason = "taps are far smaller than an i64")]
fn quantise(row: &[f64], bits: u32) -> Option<Vec<i16>> {
    let gain = f64::from(1 << bits) / row.iter().sum::<f64>();
    let mut rounded: Vec<i64> = row.iter().map(|tap| (tap * gain + 0.5).floor() as i64).collect();
    let missing = (1 << bits) - rounded.iter().sum::<i64>();
    // In billionths, so that taps that differ by the machine's rounding alone count as equal.
    #[expect(clippy::cast_precision_loss, reason = "taps are far smaller than 2 to the power of 53")]
    let moved = |tap: usize| ((row[tap] * gain - rounded[tap] as f64) * 1e9).round() as i64 * missing.signum();
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by_key(|&tap| (-moved(tap), tap));
    for &tap in order.iter().take(usize::try_from(missing.abs()).ok()?) {
        rounded[tap] += missing.signum();
    }
    let most = rounded.iter().map(|tap| tap.abs()).sum::<i64>() * 32768 + (1 << (bits - 1));
    let fits = most <= i64::from(i32::MAX);
    rounded.into_iter().map(|tap| i16::try_from(tap).ok().filter(|_| fits)).collect()
}
