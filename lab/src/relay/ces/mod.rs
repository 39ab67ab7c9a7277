//! A call with an agent of the Customer Engagement Suite: one stream for all of it, in both directions at once.
//!
//! Each direction is a loop of its own that reads one side and writes the other. Both run in one task: the only queue
//! is that of gRPC's requests, and no read is dropped before the call is over.

pub(super) mod grpc;
pub(super) mod websocket;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use super::Failure;
use super::twilio::Caller;

/// The event that starts the agent; the service sends it too.
const KICK_START: &str = "session_start";

/// How long the agent may take to read the last words of a caller who has gone, and to end the stream.
const END_TIMEOUT: Duration = Duration::from_secs(1);

fn session(call_sid: &str) -> String {
    format!("projects/p/locations/global/apps/load/sessions/{call_sid}")
}

/// Collects this many bytes of audio for a message. `false`: the caller has gone, and this is the last of it.
async fn collect_audio(caller: &mut Caller, audio: &mut Vec<u8>, bytes: usize) -> bool {
    while audio.len() < bytes {
        if !caller.hear(audio).await {
            return false;
        }
    }
    true
}

/// Runs both directions until the agent ends the stream or the caller has gone. In the latter case the connection stays
/// open until the agent has read what is on its way.
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
