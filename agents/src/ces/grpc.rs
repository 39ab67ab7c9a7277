//! CES over gRPC.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use dialbridge_core::AgentEvent;
use dialbridge_core::agent::AgentFault;
use futures_core::Stream as _;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message as _;
use tonic::Status;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};

use super::convert;
use super::fault::masked;
use super::outgoing::Outgoing;
use super::transport::{Incoming, Transport, no_token};
use crate::channels::Lease;
use crate::fault::fault;
use crate::grpc_stream::{Receiver, Sender, head};
use crate::session::SessionContext;
use crate::stream::Streams;

/// The path of the method.
const METHOD: &str = "/google.cloud.ces.v1.SessionService/BidiRunSession";

/// The header by which Google's front end finds the server of a session. The global host answers UNIMPLEMENTED without
/// it. `session_service.proto` asks for it: `google.api.routing`, the parameter `session` from `config.session`.
const ROUTING: &str = "x-goog-request-params";

/// The characters that are percent-encoded in its value.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Carries streams over the connections that are there for all agents at an endpoint.
pub(super) struct Grpc(pub(super) Streams);

/// An open stream.
pub(super) struct GrpcStream {
    received: Receiver<ces::BidiSessionServerMessage>,
    sending: Sending,
    _lease: Lease,
}

/// Sends messages as they come.
struct Sending {
    outgoing: Outgoing,
    /// The message that waits for room.
    next: Option<ces::BidiSessionClientMessage>,
    /// `None` after the half-close, or if the agent takes no more.
    sender: Option<Sender>,
}

impl Sending {
    /// Sends what there is, as long as there is room.
    fn send(&mut self, cx: &mut Context<'_>) {
        while let Some(sender) = &mut self.sender {
            let Some(message) = self.next.take() else {
                match Pin::new(&mut self.outgoing).poll_next(cx) {
                    Poll::Pending => return,
                    Poll::Ready(Some(message)) => self.next = Some(message),
                    Poll::Ready(None) => {
                        sender.end();
                        self.sender = None;
                    }
                }
                continue;
            };
            match sender.poll_room(message.encoded_len(), cx) {
                Poll::Pending => {
                    self.next = Some(message);
                    return;
                }
                Poll::Ready(true) => sender.send(&message),
                Poll::Ready(false) => self.sender = None,
            }
        }
    }
}

impl Transport for Grpc {
    type Incoming = GrpcStream;

    async fn open(&self, context: &SessionContext, outgoing: Outgoing) -> Result<GrpcStream, AgentFault> {
        let Self(streams) = self;
        let mut metadata = MetadataMap::new();
        streams.auth.headers(&mut metadata).await.map_err(|error| no_token(&error))?;
        metadata.insert(ROUTING, routing(&context.session)?);
        // No deadline: the stream lasts as long as the call.
        let (lease, sender, response) = streams.begin(METHOD, metadata).await.map_err(masked_fault)?;
        let mut sending = Sending { outgoing, next: None, sender: Some(sender) };
        let received = head(response, |cx| sending.send(cx)).await.map_err(masked_fault)?;
        Ok(GrpcStream { received, sending, _lease: lease })
    }
}

/// The value of the routing header, in the form of Google's clients: percent-encoded except for `/`.
fn routing(session: &str) -> Result<AsciiMetadataValue, AgentFault> {
    let value = format!("session={}", utf8_percent_encode(session, ENCODED));
    value.parse().map_err(|_| fault(&Status::invalid_argument("the session's name cannot be sent")))
}

impl Incoming for GrpcStream {
    async fn next(&mut self) -> Result<Option<convert::Message>, AgentFault> {
        let next = poll_fn(|cx| {
            self.sending.send(cx);
            self.received.poll_next(cx)
        });
        next.await.transpose().map_err(|status| masked_fault(fault(&status)))
    }

    fn give_room(&self, events: &mut [AgentEvent]) {
        self.received.taken.give_to(events);
    }
}

/// Why a stream failed, with a message that the log may show.
fn masked_fault(fault: AgentFault) -> AgentFault {
    AgentFault { message: masked(&fault.message), ..fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_routing_header_is_percent_encoded_except_for_the_slashes() {
        let of = |session| routing(session).unwrap();
        assert_eq!(
            of("projects/example.com:p/locations/us/apps/a/sessions/CA1_-"),
            "session=projects/example.com%3Ap/locations/us/apps/a/sessions/CA1_-"
        );
        assert_eq!(of("é &"), "session=%C3%A9%20%26");
    }
}
