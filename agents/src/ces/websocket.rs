//! CES over a WebSocket, as Google's own adapters use it: one connection for each stream.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dialbridge_core::agent::AgentFault;
use dialbridge_net::dial::{Dial, Io};
use dialbridge_net::tls::{ConnectError, client_config, connect};
use dialbridge_net::websocket::{HandshakeError, handshake};
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Uri};
use rustls::ClientConfig;
use tonic::Code;

use super::convert;
use super::fault::{fault, location, refused};
use super::outgoing::Outgoing;
use super::socket::CesSocket;
use super::transport::{Incoming, Transport, no_token};
use crate::address::Endpoint;
use crate::auth::Auth;
use crate::fault::{certificate_fault, untrusted};
use crate::session::SessionContext;

/// How long opening a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the handshake's answer may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The path of the method; the app's location follows.
const PATH: &str = "/ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/";

/// Opens WebSockets at one endpoint. Clones share its TLS sessions.
#[derive(Clone)]
pub(crate) struct WebSockets {
    dial: Arc<dyn Dial>,
    tls: Arc<ClientConfig>,
    endpoint: Arc<str>,
    auth: Auth,
}

impl fmt::Debug for WebSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebSockets")
    }
}

impl WebSockets {
    /// Creates it without connecting.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub(crate) fn new(endpoint: &Endpoint, auth: Auth, dial: Arc<dyn Dial>) -> Result<Self, rustls::Error> {
        Ok(Self { dial, tls: Arc::new(client_config()?), endpoint: endpoint.url.as_str().into(), auth })
    }

    /// Opens a connection and closes it again, to store the TLS session for the first call.
    pub(crate) async fn warm_up(&self) -> Result<(), AgentFault> {
        self.connect().await.map(|_| ())
    }

    async fn connect(&self) -> Result<(Uri, Box<dyn Io>), AgentFault> {
        let uri: Uri = self.endpoint.parse().map_err(|_| unreachable("the endpoint is no URL"))?;
        match tokio::time::timeout(CONNECT_TIMEOUT, connect(&*self.dial, Some(&self.tls), &uri)).await {
            Ok(Ok(connection)) => Ok((uri, connection)),
            Ok(Err(ConnectError::Tls(error))) => Err(match certificate_fault(&error) {
                Some(why) => untrusted("UNAVAILABLE", &why),
                None => unreachable(&error.to_string()),
            }),
            Ok(Err(error)) => Err(unreachable(&error.to_string())),
            Err(_) => Err(unreachable("no connection was opened in time")),
        }
    }

    async fn headers(&self) -> Result<HeaderMap, AgentFault> {
        let mut headers = HeaderMap::new();
        self.auth.add_to(&mut headers).await.map_err(|error| no_token(&error))?;
        let agent = HeaderValue::from_static(concat!("dialbridge/", env!("CARGO_PKG_VERSION")));
        headers.insert(USER_AGENT, agent);
        Ok(headers)
    }
}

fn unreachable(why: &str) -> AgentFault {
    fault(Code::Unavailable, why)
}

impl Transport for WebSockets {
    type Incoming = CesSocket;

    async fn open(&self, context: &SessionContext, outgoing: Outgoing) -> Result<CesSocket, AgentFault> {
        let (endpoint, connection) = self.connect().await?;
        let mut parts = endpoint.into_parts();
        let path = format!("{PATH}{}", location(&context.session));
        parts.path_and_query = Some(path.parse().map_err(|_| no_location())?);
        let uri = Uri::from_parts(parts).map_err(|_| no_location())?;
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
