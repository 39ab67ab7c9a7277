//! What carries a stream: the same for gRPC and for a WebSocket.

use std::future::Future;

use dialbridge_core::agent::AgentFault;

use super::convert::Message;
use super::outgoing::Outgoing;
use crate::auth::AuthError;
use crate::session::SessionContext;

/// The largest message that is taken, in bytes: tonic's own bound of 4 MiB is less than a long prompt in LINEAR16.
pub(super) const MAX_BYTES: usize = 32 << 20;

/// A way to carry a stream.
pub(super) trait Transport: Send + Sync {
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
pub(super) trait Incoming: Send {
    /// The next one; `None` when the server has closed the stream, and all was well.
    fn next(&mut self) -> impl Future<Output = Result<Option<Message>, AgentFault>> + Send;
}

/// There is no token to send.
pub(super) fn no_token(error: &AuthError) -> AgentFault {
    AgentFault { code: "UNAUTHENTICATED".to_owned(), message: error.to_string(), transient: true }
}
