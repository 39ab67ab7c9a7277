//! Agents of the Customer Engagement Suite: whole calls over both transports.

mod assumptions;
mod conversation;
mod endings;
mod inputs;
mod interruption;
mod reconnect;
mod tools;

use dialbridge_core::Report;
use dialbridge_lab::agent::StreamRecord;

/// The numbers of all frames that reached the agent, stream after stream.
fn heard(streams: &[StreamRecord]) -> Vec<u32> {
    streams.iter().flat_map(|stream| dialbridge_tests::numbers(&stream.audio)).collect()
}

/// What the agent has said, answer by answer.
fn texts(reports: &[Report]) -> Vec<String> {
    let text = |report: &Report| match report {
        Report::Answered { text, .. } => Some(text.clone()),
        _ => None,
    };
    reports.iter().filter_map(text).collect()
}

fn count(reports: &[Report], wanted: impl Fn(&Report) -> bool) -> usize {
    reports.iter().filter(|report| wanted(report)).count()
}

/// How many turns failed, by their codes.
fn faults(reports: &[Report]) -> Vec<String> {
    let code = |report: &Report| match report {
        Report::TurnFailed { fault, .. } => Some(fault.code.clone()),
        _ => None,
    };
    reports.iter().filter_map(code).collect()
}

/// That the agent had nothing to complain of.
fn assert_well_served(streams: &[StreamRecord]) {
    for stream in streams {
        assert_eq!(stream.refused, None);
        assert_eq!(stream.gaps, [], "audio is sent without a pause");
    }
}
