//! The client's side of the handshake.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::dial::Io;
use crate::http_client::{HttpError, drive, in_origin_form};

/// How much of the body of a refusal is read, in bytes.
const MAX_REFUSAL_BYTES: usize = 16_384;

/// RFC 6455 section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why a handshake has opened no WebSocket.
#[derive(Debug)]
pub enum HandshakeError {
    /// The server answers with another status than 101: its answer, with the first bytes of the body.
    Refused(Response<Bytes>),
    /// The server answers 101, but agrees to no WebSocket.
    NoWebSocket,
    /// There is no answer: the connection broke, or the request is none.
    Broken(HttpError),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(response) => write!(f, "the handshake is answered with {}", response.status()),
            Self::NoWebSocket => f.write_str("the handshake is answered with 101, but agrees to no WebSocket"),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for HandshakeError {}

impl From<HttpError> for HandshakeError {
    fn from(error: HttpError) -> Self {
        Self::Broken(error)
    }
}

/// Shakes hands over a connection to the server of a URL, and gives what the connection has become. `headers` come beside
/// those of the handshake, or in their place. There is no deadline.
///
/// # Errors
/// [`HandshakeError`] when there is no WebSocket.
pub async fn handshake(
    connection: impl Io + 'static,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<TokioIo<Upgraded>, HandshakeError> {
    let key = fastwebsockets::handshake::generate_key();
    let request = request(uri, &key, headers)?;
    let opened = drive(connection, async move |mut sender| {
        let mut response = sender.send_request(request).await.map_err(HttpError::from)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_REFUSAL_BYTES).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            return Err(HandshakeError::Refused(Response::from_parts(head, body)));
        }
        if !is_accepted(response.headers(), &key) {
            return Err(HandshakeError::NoWebSocket);
        }
        Ok(hyper::upgrade::on(&mut response).await.map_err(HttpError::from)?)
    });
    Ok(TokioIo::new(opened.await?))
}

fn request(uri: &Uri, key: &str, headers: &HeaderMap) -> Result<Request<Full<Bytes>>, HttpError> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = uri.clone();
    in_origin_form(&mut request)?;
    for (name, value) in
        [(CONNECTION, "Upgrade"), (UPGRADE, "websocket"), (SEC_WEBSOCKET_VERSION, "13"), (SEC_WEBSOCKET_KEY, key)]
    {
        let value = HeaderValue::from_str(value).map_err(|error| HttpError::Broken(error.to_string()))?;
        request.headers_mut().insert(name, value);
    }
    for (name, value) in headers {
        request.headers_mut().insert(HeaderName::clone(name), value.clone());
    }
    Ok(request)
}

fn is_accepted(headers: &HeaderMap, key: &str) -> bool {
    let expected = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()));
    headers.get(UPGRADE).is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && headers.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|accept| accept.as_bytes() == expected.as_bytes())
}
