//! CES over a WebSocket, as Google's own adapters use it: a connection for each stream.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dialbridge_core::agent::AgentFault;
use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming as Body;
use hyper::upgrade::Upgraded;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tonic::Code;
use tower_service::Service;

use super::convert;
use super::fault::{fault, location, project, refused};
use super::outgoing::Outgoing;
use super::socket::CesSocket;
use super::transport::{Incoming, Transport, no_token};
use crate::address::Endpoint;
use crate::auth::Auth;
use crate::fault::{certificate_fault, untrusted};
use crate::session::SessionContext;
use dialbridge_net::dial::{Connector, Dial, Opened};

/// How long a connection may take to open, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the answer to the handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of the body of a refusal is read, in bytes.
const MOST_REFUSAL_BYTES: usize = 16_384;

/// Path of the method; the app's location follows.
const PATH: &str = "/ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/";

/// The project that the use counts for.
const USER_PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");

/// RFC 6455 section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Opens WebSockets at one endpoint. Clones share its TLS sessions.
#[derive(Clone)]
pub(crate) struct WebSockets {
    connector: HttpsConnector<Connector>,
    endpoint: Arc<str>,
    auth: Auth,
}

type Connection = MaybeHttpsStream<TokioIo<Opened>>;

impl fmt::Debug for WebSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebSockets")
    }
}

impl WebSockets {
    /// Connects nothing yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(endpoint: &Endpoint, auth: Auth, dial: Arc<dyn Dial>) -> Result<Self, rustls::Error> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(dialbridge_net::tls::client_config()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Connector(dial));
        Ok(Self { connector, endpoint: endpoint.url.as_str().into(), auth })
    }

    /// Opens a connection and closes it again: what is learnt of the other side's TLS is kept.
    pub(crate) async fn warm_up(&self) -> Result<(), AgentFault> {
        self.connect().await.map(|_| ())
    }

    async fn connect(&self) -> Result<(Uri, Connection), AgentFault> {
        let uri: Uri = self.endpoint.parse().map_err(|_| unreachable("the endpoint is no URL"))?;
        let connecting = self.connector.clone().call(uri.clone());
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => Ok((uri, connection)),
            Ok(Err(error)) => Err(match certificate_fault(error.as_ref()) {
                Some(why) => untrusted("UNAVAILABLE", &why),
                None => unreachable(&error.to_string()),
            }),
            Err(_) => Err(unreachable("no connection was opened in time")),
        }
    }

    async fn request(&self, session: &str, uri: &Uri, key: &str) -> Result<Request<Empty<Bytes>>, AgentFault> {
        let mut request = Request::new(Empty::new());
        let path = format!("{PATH}{}", location(session));
        *request.uri_mut() = path.parse().map_err(|_| fault(Code::InvalidArgument, "the location is none"))?;
        let headers = request.headers_mut();
        self.auth.add_to(headers).await.map_err(|error| no_token(&error))?;
        let host = uri.authority().map_or("", |authority| authority.as_str());
        for (name, value) in [
            (HOST, host),
            (CONNECTION, "Upgrade"),
            (UPGRADE, "websocket"),
            (SEC_WEBSOCKET_KEY, key),
            (SEC_WEBSOCKET_VERSION, "13"),
            (USER_AGENT, concat!("dialbridge/", env!("CARGO_PKG_VERSION"))),
        ] {
            put(headers, name, value)?;
        }
        // Credentials may have a project of their own for this.
        if !headers.contains_key(&USER_PROJECT) {
            put(headers, USER_PROJECT, project(session))?;
        }
        Ok(request)
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), AgentFault> {
    let value = HeaderValue::from_str(value).map_err(|_| fault(Code::InvalidArgument, "a header has no value"))?;
    headers.insert(name, value);
    Ok(())
}

fn unreachable(why: &str) -> AgentFault {
    fault(Code::Unavailable, why)
}

impl Transport for WebSockets {
    type Incoming = CesSocket;

    async fn open(&self, context: &SessionContext, outgoing: Outgoing) -> Result<CesSocket, AgentFault> {
        let (uri, connection) = self.connect().await?;
        let key = fastwebsockets::handshake::generate_key();
        let request = self.request(&context.session, &uri, &key).await?;
        let shaking = shake_hands(connection, request);
        let upgraded = match tokio::time::timeout(HANDSHAKE_TIMEOUT, shaking).await {
            Ok(Ok((response, upgraded))) if is_accepted(response.headers(), &key) => upgraded,
            Ok(Ok(_)) => return Err(fault(Code::FailedPrecondition, "the handshake is answered wrongly")),
            Ok(Err(fault)) => return Err(fault),
            Err(_) => return Err(unreachable("the handshake was not answered in time")),
        };
        Ok(CesSocket::over(TokioIo::new(upgraded), outgoing))
    }
}

/// Sends the handshake; gives the answer with what the connection has become.
async fn shake_hands(
    connection: Connection,
    request: Request<Empty<Bytes>>,
) -> Result<(Response<()>, Upgraded), AgentFault> {
    let broken = |error: &hyper::Error| unreachable(&format!("the handshake has failed: {error}"));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(connection).await.map_err(|error| broken(&error))?;
    // The connection is driven here as long as the handshake goes on, and ends with it.
    let mut connection = pin!(connection.with_upgrades());
    let mut is_driven = true;
    let mut answered = pin!(async {
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refusal(response).await);
        }
        let (head, _) = response.into_parts();
        let mut response = Response::from_parts(head, ());
        let upgraded = hyper::upgrade::on(&mut response).await.map_err(|error| broken(&error))?;
        Ok((response, upgraded))
    });
    loop {
        tokio::select! {
            biased;
            answered = &mut answered => return answered,
            _ = &mut connection, if is_driven => is_driven = false,
        }
    }
}

/// What a server says that does not open a WebSocket.
async fn refusal(response: Response<Body>) -> AgentFault {
    let status = response.status();
    let body = Limited::new(response.into_body(), MOST_REFUSAL_BYTES).collect().await;
    refused(status, &body.map(|body| body.to_bytes()).unwrap_or_default())
}

fn is_accepted(headers: &HeaderMap, key: &str) -> bool {
    let expected = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()));
    headers.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|accept| accept.as_bytes() == expected.as_bytes())
}

impl Incoming for CesSocket {
    async fn next(&mut self) -> Result<Option<convert::Message>, AgentFault> {
        self.message().await
    }
}
