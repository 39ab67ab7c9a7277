//! Agents of Google's Customer Engagement Suite: one `BidiRunSession` for the whole call, over gRPC or over a WebSocket.
//!
//! `request` and `convert` have core's words as CES's messages and the other way round, `json` their form on a WebSocket,
//! `outgoing` what is sent when; `grpc` and `websocket` carry it, and `fault` says why one of them ended.

mod config;
mod convert;
mod fault;
mod grpc;
mod json;
mod outgoing;
mod request;
mod socket;
#[cfg(test)]
mod tests;
mod websocket;

use std::future::Future;

use dialbridge_core::AgentEvent;
use dialbridge_core::agent::AgentFault;
use tonic::Code;

use super::SessionContext;
use super::auth::{Auth, AuthError};
use super::stream::{Streams, Turn};

use grpc::Grpc;
use outgoing::Outgoing;

pub use config::CesConfig;
pub(super) use websocket::WebSockets;

/// The largest message that is taken, in bytes: tonic's own bound of 4 MiB is less than a long prompt in LINEAR16.
const MOST_BYTES: usize = 32 << 20;

/// What carries an agent's streams.
pub(super) enum Carrier {
    /// gRPC.
    Grpc(Streams),
    /// A WebSocket for each.
    WebSocket(WebSockets),
}

/// A way to carry a stream.
trait Transport: Send + Sync {
    /// What comes over a stream of it.
    type Incoming: Incoming;

    /// Opens a stream, and sends what is to go out for as long as there is anything. What is sent and received ends when
    /// what is returned is dropped.
    fn open(
        &self,
        context: &SessionContext,
        outgoing: Outgoing,
    ) -> impl Future<Output = Result<Self::Incoming, AgentFault>> + Send;
}

/// The messages of the server's.
trait Incoming: Send {
    /// The next one; `None` when the server has closed the stream, and all was well.
    fn next(&mut self) -> impl Future<Output = Result<Option<convert::Message>, AgentFault>> + Send;
}

/// Runs a stream to its end and tells what the agent says. Dropping it resets the stream.
pub(super) async fn run(carrier: Carrier, auth: Auth, context: SessionContext, turn: Turn) {
    let began = tokio::time::Instant::now();
    let ended = match carrier {
        Carrier::Grpc(streams) => stream(&Grpc { streams, pipe: turn.pipe.clone() }, &context, &turn).await,
        Carrier::WebSocket(sockets) => stream(&sockets, &context, &turn).await,
    };
    turn.tell_end(ended, &auth, began).await;
}

async fn stream(transport: &impl Transport, context: &SessionContext, turn: &Turn) -> Result<(), AgentFault> {
    let (outgoing, listening) = Outgoing::new(context, &turn.start, turn.pipe.clone())
        .map_err(|error| fault::fault(Code::InvalidArgument, &error.to_string()))?;
    let opened = transport.open(context, outgoing).await;
    let mut incoming = opened.map_err(|fault| fault::with_hint(fault, &context.session))?;
    while let Some(message) = incoming.next().await? {
        let Some(event) = convert::event(message, context.ces.output) else { continue };
        if matches!(&event, AgentEvent::Answer(answer) if answer.end.is_some()) {
            listening.is_over();
        }
        if turn.events.send((turn.id, event)).await.is_err() {
            // Nobody listens any more: the call is over.
            return Ok(());
        }
    }
    Ok(())
}

/// There is no token to send.
fn no_token(error: &AuthError) -> AgentFault {
    AgentFault { code: "UNAUTHENTICATED".to_owned(), message: error.to_string(), transient: true }
}
