//! The calls of `dev`, printed as they come.

use std::collections::BTreeMap;

use dialbridge_core::{CallSid, Report};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::timeline::{reported, say, seconds, written};
use dialbridge_runner::call::watch::Observed;

/// Prints what calls report, until there are no more reports.
pub(super) async fn print(mut observed: mpsc::Receiver<Observed>) {
    let mut calls = Calls::default();
    while let Some(seen) = observed.recv().await {
        for line in calls.lines(&seen) {
            say(&line);
        }
    }
}

/// The calls that are under way, each with its number and its beginning.
#[derive(Default)]
struct Calls {
    live: BTreeMap<CallSid, (u64, Instant)>,
    count: u64,
}

impl Calls {
    /// The lines of a report.
    fn lines(&mut self, seen: &Observed) -> Vec<String> {
        let mut lines = Vec::new();
        if matches!(seen.report, Report::Started { .. }) && !self.live.contains_key(&seen.call_sid) {
            self.count += 1;
            self.live.insert(seen.call_sid.clone(), (self.count, seen.at));
            lines.push(format!("Call {} comes in.", self.count));
        }
        // A media stream without a call is a check, or a stranger's.
        let Some(&(n, began)) = self.live.get(&seen.call_sid) else { return lines };
        if let Some((who, what)) = described(&seen.report) {
            let at_ms = u64::try_from((seen.at - began).as_millis()).unwrap_or(u64::MAX);
            lines.push(format!("{n:>3} {}", written(at_ms, who, &what)));
        }
        if let Report::Ended { reason, .. } = &seen.report {
            self.live.remove(&seen.call_sid);
            lines.push(format!("Call {n} is over here: {reason}."));
        }
        lines
    }
}

/// Who did what. There is no simulated Twilio here that sees some of it.
fn described(report: &Report) -> Option<(&'static str, String)> {
    match report {
        Report::Played { played_ms, .. } => Some(("agent", format!("was heard to the end, {}", seconds(*played_ms)))),
        Report::Digit => Some(("caller", "presses a key".to_owned())),
        Report::NoInput { .. } => Some(("caller", "says nothing".to_owned())),
        other => reported(other),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dialbridge_core::report::CloseReason;

    use super::*;

    #[test]
    fn each_call_has_a_number_and_a_clock_of_its_own() {
        let (mut calls, start) = (Calls::default(), Instant::now());
        let mut lines = |call: &str, at_ms, report| {
            let call_sid = call.to_owned().try_into().unwrap();
            calls.lines(&Observed { call_sid, at: start + Duration::from_millis(at_ms), report })
        };
        let started = |call: &str| Report::Started {
            call_sid: call.to_owned().try_into().unwrap(),
            stream_sid: dialbridge_core::StreamSid::default(),
            from: None,
            to: None,
        };
        let ended = || Report::Ended { reason: CloseReason::Stop, audio: Default::default(), unheard_ms: 0 };
        assert_eq!(lines("CA1", 0, started("CA1")), ["Call 1 comes in."]);
        assert_eq!(lines("CA2", 500, started("CA2")), ["Call 2 comes in."]);
        assert_eq!(lines("CA2", 500, Report::Digit), ["  2    0.000  caller  presses a key"]);
        assert_eq!(lines("CA1", 1_250, Report::Digit), ["  1    1.250  caller  presses a key"]);
        assert_eq!(lines("CA1", 2_000, ended()), ["Call 1 is over here: stop."]);
        assert_eq!(lines("CA1", 3_000, started("CA1")), ["Call 3 comes in."]);
        assert!(lines("CA4", 3_000, ended()).is_empty(), "a media socket on which no call began");
    }
}
