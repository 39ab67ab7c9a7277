//! Lines of a call in the order of their times. They come from two sides, the caller's and the service's, and one that is
//! told late may belong before one that is there already.

use std::collections::BTreeMap;
use std::time::Duration;

use super::timeline::{say, written};
use crate::progress::Progress;

/// How long a line is held back for earlier ones.
pub(super) const HOLD: Duration = Duration::from_millis(100);

/// Lines that are not printed yet.
#[derive(Debug, Default)]
pub(super) struct HeldLines {
    /// By time, and by the order in which they came.
    lines: BTreeMap<(u64, u64), String>,
    count: u64,
}

impl HeldLines {
    /// Adds a line: time, actor, event.
    pub(super) fn add(&mut self, at_ms: u64, who: &str, what: &str) {
        self.lines.insert((at_ms, self.count), written(at_ms, who, what));
        self.count += 1;
    }

    /// Prints the lines that nothing earlier can come before, now that it is `now_ms`.
    pub(super) fn print_due(&mut self, now_ms: u64, progress: &Progress) {
        let hold_ms = u64::try_from(HOLD.as_millis()).unwrap_or(u64::MAX);
        print(&self.take_until(now_ms.saturating_sub(hold_ms)), progress);
    }

    /// Prints what is left.
    pub(super) fn print_rest(mut self, progress: &Progress) {
        print(&self.take_until(u64::MAX), progress);
    }

    fn take_until(&mut self, ms: u64) -> Vec<String> {
        let later = self.lines.split_off(&(ms, u64::MAX));
        std::mem::replace(&mut self.lines, later).into_values().collect()
    }
}

fn print(lines: &[String], progress: &Progress) {
    if !lines.is_empty() {
        progress.aside(|| lines.iter().for_each(|line| say(line)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_told_late_stands_where_it_belongs() {
        let mut held = HeldLines::default();
        held.add(24_530, "twilio", "REST: the call has new TwiML");
        held.add(24_528, "bridge", "hands the call on: completed");
        held.add(24_530, "twilio", "the call is over: twiml");
        assert_eq!(held.take_until(24_527), [""; 0]);
        let printed = held.take_until(24_530);
        let whats: Vec<&str> = printed.iter().map(|line| line.split_once("  ").unwrap().1.trim_start()).collect();
        assert!(whats[0].contains("hands the call on"), "{whats:?}");
        assert!(
            whats[1].contains("new TwiML") && whats[2].contains("is over"),
            "equal times keep their order: {whats:?}"
        );
    }
}
