//! Agents of the Customer Engagement Suite: whole calls over both transports.

mod assumptions;
mod conversation;
mod endings;
mod inputs;
mod interruption;
mod reconnect;
mod tools;

use dialbridge_lab::agent::StreamRecord;

/// The numbers of all frames that reached the agent, stream by stream.
fn heard(streams: &[StreamRecord]) -> Vec<u32> {
    streams.iter().flat_map(|stream| dialbridge_tests::numbers(&stream.audio)).collect()
}

/// Asserts that the agent found no fault with its streams.
fn assert_well_served(streams: &[StreamRecord]) {
    for stream in streams {
        assert_eq!(stream.refused, None);
        assert_eq!(stream.gaps, [], "audio is sent without a pause");
    }
}
