//! Runs a stream from its opening to its end.

use dialbridge_core::AgentEvent;
use dialbridge_core::agent::AgentFault;
use tonic::Code;

use super::grpc::Grpc;
use super::outgoing::Outgoing;
use super::transport::{Incoming, Transport};
use super::websocket::WebSockets;
use super::{convert, fault};
use crate::auth::Auth;
use crate::session::SessionContext;
use crate::stream::{OpenedStream, Streams};

/// The transport of an agent's streams.
pub(crate) enum Carrier {
    /// gRPC.
    Grpc(Streams),
    /// A WebSocket for each stream.
    WebSocket(WebSockets),
}

/// Runs a stream to its end and reports what the agent says. Dropping it resets the stream.
pub(crate) async fn run(carrier: Carrier, auth: Auth, context: SessionContext, opened: OpenedStream) {
    let began = tokio::time::Instant::now();
    let ended = match carrier {
        Carrier::Grpc(streams) => stream(&Grpc(streams), &context, &opened).await,
        Carrier::WebSocket(sockets) => stream(&sockets, &context, &opened).await,
    };
    opened.send_end(ended, &auth, began).await;
}

async fn stream(transport: &impl Transport, context: &SessionContext, opened: &OpenedStream) -> Result<(), AgentFault> {
    let (outgoing, listening) = Outgoing::new(context, &opened.start, opened.pipe.clone())
        .map_err(|error| fault::fault(Code::InvalidArgument, &error.to_string()))?;
    let incoming = transport.open(context, outgoing).await;
    let mut incoming = incoming.map_err(|fault| fault::with_hint(fault, &context.session))?;
    while let Some(message) = incoming.next().await? {
        let mut event = convert::event(message, context.ces.output);
        // A message without an event gives its room back.
        incoming.give_room(event.as_mut_slice());
        let Some(event) = event else { continue };
        if matches!(&event, AgentEvent::Answer(answer) if answer.end.is_some()) {
            listening.stop();
        }
        if opened.events.send((opened.id, event)).await.is_err() {
            // Nobody listens: the call is over.
            return Ok(());
        }
    }
    Ok(())
}
