//! CES over a WebSocket, as Google's own adapters use it: one connection for each stream.

use std::sync::Arc;
use std::time::Duration;

use dialbridge_core::agent::AgentFault;
use dialbridge_net::dial::Dial;
use dialbridge_net::websocket::{HandshakeError, handshake};
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue};
use tonic::Code;

use super::convert;
use super::fault::{fault, location, refused};
use super::outgoing::Outgoing;
use super::socket::CesSocket;
use super::transport::{Incoming, Transport, no_token};
use crate::address::Endpoint;
use crate::auth::Auth;
use crate::fault::unreachable;
use crate::session::SessionContext;
use crate::target::{InvalidTarget, Target};

/// How long the handshake's answer may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The path of the method; the app's location follows.
const PATH: &str = "/ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/";

/// Opens WebSockets at one endpoint. Clones share its TLS sessions.
#[derive(Debug, Clone)]
pub(crate) struct WebSockets {
    target: Target,
    auth: Auth,
}

impl WebSockets {
    /// Creates it without connecting.
    ///
    /// # Errors
    /// If the endpoint cannot be used.
    pub(crate) fn new(endpoint: &Endpoint, auth: Auth, dial: Arc<dyn Dial>) -> Result<Self, InvalidTarget> {
        Ok(Self { target: Target::http1(endpoint, dial)?, auth })
    }

    /// Opens a connection and closes it again, to store the TLS session for the first call.
    pub(crate) async fn warm_up(&self) -> Result<(), AgentFault> {
        self.target.connect().await.map(drop)
    }

    async fn headers(&self) -> Result<HeaderMap, AgentFault> {
        let mut headers = HeaderMap::new();
        self.auth.add_to(&mut headers).await.map_err(|error| no_token(&error))?;
        let agent = HeaderValue::from_static(concat!("dialbridge/", env!("CARGO_PKG_VERSION")));
        headers.insert(USER_AGENT, agent);
        Ok(headers)
    }
}

impl Transport for WebSockets {
    type Incoming = CesSocket;

    async fn open(&self, context: &SessionContext, outgoing: Outgoing) -> Result<CesSocket, AgentFault> {
        let connection = self.target.connect().await?;
        let path = format!("{PATH}{}", location(&context.session));
        let uri = self.target.url_of(path.parse().map_err(|_| no_location())?);
        let headers = self.headers().await?;
        let shaking = handshake(connection, &uri, &headers);
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, shaking).await {
            Ok(Ok(connection)) => Ok(CesSocket::over(connection, outgoing)),
            Ok(Err(HandshakeError::Refused(response))) => Err(refused(response.status(), response.body())),
            Ok(Err(HandshakeError::NoWebSocket)) => {
                Err(fault(Code::FailedPrecondition, "the handshake is answered wrongly"))
            }
            Ok(Err(HandshakeError::Broken(error))) => Err(unreachable(&format!("the handshake has failed: {error}"))),
            Err(_) => Err(unreachable("the handshake was not answered in time")),
        }
    }
}

fn no_location() -> AgentFault {
    fault(Code::InvalidArgument, "the location is none")
}

impl Incoming for CesSocket {
    async fn next(&mut self) -> Result<Option<convert::Message>, AgentFault> {
        self.message().await
    }
}
