//! The interface that gRPC and WebSocket share.

use std::future::Future;

use dialbridge_core::AgentEvent;
use dialbridge_core::agent::AgentFault;

use super::convert::Message;
use super::outgoing::Outgoing;
use crate::auth::AuthError;
use crate::session::SessionContext;

/// A way to carry a stream.
pub(super) trait Transport: Send + Sync {
    /// The receiving side of a stream.
    type Incoming: Incoming;

    /// Opens a stream and sends all of the outgoing messages. Dropping the returned value ends both directions.
    fn open(
        &self,
        context: &SessionContext,
        outgoing: Outgoing,
    ) -> impl Future<Output = Result<Self::Incoming, AgentFault>> + Send;
}

/// The messages of the server.
pub(super) trait Incoming: Send {
    /// The next message; `None` if the server closed the stream without an error.
    fn next(&mut self) -> impl Future<Output = Result<Option<Message>, AgentFault>> + Send;

    /// Hands the room of the last message to its audio, if it took some.
    fn give_room(&self, _events: &mut [AgentEvent]) {}
}

/// The fault when no token can be had.
pub(super) fn no_token(error: &AuthError) -> AgentFault {
    AgentFault { code: "UNAUTHENTICATED".to_owned(), message: error.to_string(), transient: true }
}
