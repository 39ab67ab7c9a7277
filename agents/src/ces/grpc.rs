//! CES over gRPC.

use std::sync::Arc;

use dialbridge_core::AgentEvent;
use dialbridge_core::agent::AgentFault;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Status, Streaming};

use super::convert;
use super::fault::masked;
use super::outgoing::Outgoing;
use super::transport::{Incoming, Transport, no_token};
use crate::channels::Lease;
use crate::fault::fault;
use crate::message_room::Taken;
use crate::pipe::InputPipe;
use crate::reset::{ResetOnDrop, open};
use crate::session::SessionContext;
use crate::stream::Streams;

/// The path of the method.
const METHOD: &str = "/google.cloud.ces.v1.SessionService/BidiRunSession";

/// The header by which Google's front end finds the server of a session. The global host answers UNIMPLEMENTED without
/// it. `session_service.proto` asks for it: `google.api.routing`, the parameter `session` from `config.session`.
const ROUTING: &str = "x-goog-request-params";

/// The characters that are percent-encoded in its value.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Carries the stream of one pipe.
pub(super) struct Grpc {
    pub(super) streams: Streams,
    pub(super) pipe: Arc<InputPipe>,
}

/// An open stream.
pub(super) struct GrpcStream {
    messages: Streaming<ces::BidiSessionServerMessage>,
    taken: Taken,
    _reset: ResetOnDrop,
    _lease: Lease,
}

impl Transport for Grpc {
    type Incoming = GrpcStream;

    async fn open(&self, context: &SessionContext, outgoing: Outgoing) -> Result<GrpcStream, AgentFault> {
        let mut metadata = MetadataMap::new();
        self.streams.auth.headers(&mut metadata).await.map_err(|error| no_token(&error))?;
        metadata.insert(ROUTING, routing(&context.session)?);
        let lease = self.streams.channels.lease();
        let reset = ResetOnDrop(self.pipe.clone());
        // No deadline: the stream lasts as long as the call. We send the request before the response head arrives,
        // because the head may come only after the first messages.
        let messages =
            open(lease.channel.clone(), METHOD, metadata, outgoing, self.pipe.clone(), self.streams.room.clone());
        let (messages, taken) = messages.await.map_err(|status| of(&status))?;
        Ok(GrpcStream { messages, taken, _reset: reset, _lease: lease })
    }
}

/// The value of the routing header, in the form of Google's clients: percent-encoded except for `/`.
fn routing(session: &str) -> Result<AsciiMetadataValue, AgentFault> {
    let value = format!("session={}", utf8_percent_encode(session, ENCODED));
    value.parse().map_err(|_| fault(&Status::invalid_argument("the session's name cannot be sent")))
}

impl Incoming for GrpcStream {
    async fn next(&mut self) -> Result<Option<convert::Message>, AgentFault> {
        self.messages.message().await.map_err(|status| of(&status))
    }

    fn give_room(&self, events: &mut [AgentEvent]) {
        self.taken.give_to(events);
    }
}

/// Why a stream failed, with a message that the log may show.
fn of(status: &Status) -> AgentFault {
    let fault = fault(status);
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
