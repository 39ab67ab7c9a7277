//! A call with an agent of the Customer Engagement Suite: one stream for all of it, in both directions at once.
//!
//! Either direction is a loop of its own that reads one side and writes the other, and both are one task: there is no queue
//! but that of gRPC's requests, and no read is dropped before the call is over.

pub(super) mod grpc;
pub(super) mod websocket;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use super::Failure;
use super::twilio::Caller;

/// The event with which the agent begins to speak; the service sends it too.
const KICK_START: &str = "session_start";

/// How long the agent may take to read the last words of a caller who has gone, and to end the stream.
const END_TIMEOUT: Duration = Duration::from_secs(1);

fn session(call_sid: &str) -> String {
    format!("projects/p/locations/global/apps/load/sessions/{call_sid}")
}

/// Gathers so many bytes of audio for a message. `false`: the caller has gone, and this is the last of it.
async fn collect_audio(caller: &mut Caller, audio: &mut Vec<u8>, bytes: usize) -> bool {
    while audio.len() < bytes {
        if !caller.hear(audio).await {
            return false;
        }
    }
    true
}

/// Runs both directions until the agent ends the stream. A caller who has gone is the end as well, but the connection
/// goes only once the agent has read what is on its way.
async fn run(
    to_agent: impl Future<Output = Result<(), Failure>>,
    to_caller: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let mut to_caller = pin!(to_caller);
    tokio::select! {
        ended = &mut to_caller => return ended,
        ended = to_agent => ended?,
    }
    timeout(END_TIMEOUT, to_caller).await?
}
