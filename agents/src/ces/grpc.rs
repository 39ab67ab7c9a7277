//! CES over gRPC.

use std::sync::Arc;

use dialbridge_core::agent::AgentFault;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use tonic::metadata::MetadataMap;
use tonic::{Status, Streaming};

use super::convert;
use super::fault::masked;
use super::outgoing::Outgoing;
use super::transport::{Incoming, Transport, no_token};
use crate::channels::Lease;
use crate::fault::fault;
use crate::pipe::InputPipe;
use crate::reset::{ResetOnDrop, open};
use crate::session::SessionContext;
use crate::stream::Streams;

/// The path of the method.
const METHOD: &str = "/google.cloud.ces.v1.SessionService/BidiRunSession";

/// Carries the stream of one pipe.
pub(super) struct Grpc {
    pub(super) streams: Streams,
    pub(super) pipe: Arc<InputPipe>,
}

/// An open stream.
pub(super) struct GrpcStream {
    messages: Streaming<ces::BidiSessionServerMessage>,
    _reset: ResetOnDrop,
    _lease: Lease,
}

impl Transport for Grpc {
    type Incoming = GrpcStream;

    async fn open(&self, _: &SessionContext, outgoing: Outgoing) -> Result<GrpcStream, AgentFault> {
        let mut metadata = MetadataMap::new();
        self.streams.auth.headers(&mut metadata).await.map_err(|error| no_token(&error))?;
        let lease = self.streams.channels.lease();
        let reset = ResetOnDrop(self.pipe.clone());
        // No deadline: the stream lasts as long as the call. We send the request before the response head arrives,
        // because the head may come only after the first messages.
        let messages = open(lease.channel.clone(), METHOD, metadata, outgoing, self.pipe.clone()).await;
        Ok(GrpcStream { messages: messages.map_err(|status| of(&status))?, _reset: reset, _lease: lease })
    }
}

impl Incoming for GrpcStream {
    async fn next(&mut self) -> Result<Option<convert::Message>, AgentFault> {
        self.messages.message().await.map_err(|status| of(&status))
    }
}

/// Why a stream failed, with a message that the log may show.
fn of(status: &Status) -> AgentFault {
    let fault = fault(status);
    AgentFault { message: masked(&fault.message), ..fault }
}
