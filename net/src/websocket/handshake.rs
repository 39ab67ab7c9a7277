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

/// How much of a refusal's body we read, in bytes.
const MAX_REFUSAL_BYTES: usize = 16_384;

/// RFC 6455 section 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why a handshake failed.
#[derive(Debug)]
pub enum HandshakeError {
    /// The server answers with a status other than 101. Holds its response with the first bytes of the body.
    Refused(Response<Bytes>),
    /// The server answers 101, but its headers do not accept the WebSocket.
    NoWebSocket,
    /// The server sends no response: the connection broke, or the request is invalid.
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

/// Performs the handshake with the server of a URL over `connection` and returns the upgraded connection. `headers` are
/// added to those of the handshake, or replace them. It has no deadline.
///
/// # Errors
/// [`HandshakeError`] if the WebSocket does not open.
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::super::{Frame, Limits, Message, Role, WebSocket, accept, is_upgrade_request};
    use super::*;

    const LIMITS: Limits = Limits {
        max_message_bytes: 1_000,
        max_queued_messages: 10,
        write_timeout: Duration::from_secs(10),
        ping_every: None,
        echoes_close_code: false,
    };

    fn url() -> Uri {
        Uri::from_static("ws://service.test:81/media?x=1")
    }

    /// Echoes each text message until the client closes.
    async fn serve(connection: DuplexStream) {
        let answer = service_fn(|mut request: Request<Incoming>| async move {
            assert_eq!(request.uri(), "/media?x=1");
            assert_eq!(request.headers()["host"], "service.test:81");
            if !is_upgrade_request(&request) {
                let mut response = Response::new(Full::from("no upgrade"));
                *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
                return Ok::<_, Infallible>(response);
            }
            let Ok((response, upgrade)) = accept(&mut request) else {
                let mut response = Response::new(Full::<Bytes>::default());
                *response.status_mut() = StatusCode::BAD_REQUEST;
                return Ok(response);
            };
            tokio::spawn(async move {
                let mut socket = upgrade.socket(&LIMITS).await.unwrap();
                while let Ok(Message::Text(text)) = socket.next().await {
                    let text = String::from_utf8(text.as_ref().to_vec()).unwrap();
                    socket.send(Frame::text(text)).await.unwrap();
                }
                socket.closed(Duration::from_secs(1)).await;
            });
            Ok(response)
        });
        let http = hyper::server::conn::http1::Builder::new();
        let _ = http.serve_connection(TokioIo::new(connection), answer).with_upgrades().await;
    }

    async fn handshake_with(headers: &[(HeaderName, &'static str)]) -> Result<TokioIo<Upgraded>, HandshakeError> {
        let (ours, theirs) = tokio::io::duplex(10_000);
        tokio::spawn(serve(theirs));
        let value = |value: &'static str| HeaderValue::from_static(value);
        handshake(ours, &url(), &headers.iter().map(|(name, of)| (name.clone(), value(of))).collect()).await
    }

    #[tokio::test]
    async fn a_client_and_a_server_open_a_socket() {
        let connection = handshake_with(&[]).await.unwrap();
        let mut socket = WebSocket::new(connection, Role::Client, &LIMITS);
        socket.send(Frame::text("hello")).await.unwrap();
        assert!(matches!(socket.next().await, Ok(Message::Text(text)) if text.as_ref() == b"hello"));
        socket.close(Duration::from_secs(1)).await;
    }

    #[tokio::test]
    async fn a_refusal_has_its_status_and_body() {
        let Err(HandshakeError::Refused(response)) = handshake_with(&[(UPGRADE, "h2c")]).await else { panic!() };
        assert_eq!((response.status(), &response.body()[..]), (StatusCode::UPGRADE_REQUIRED, &b"no upgrade"[..]));
        let refused = handshake_with(&[(SEC_WEBSOCKET_VERSION, "8")]).await.unwrap_err();
        assert_eq!(refused.to_string(), "the handshake is answered with 400 Bad Request");
    }

    #[tokio::test]
    async fn an_answer_that_is_none_or_agrees_to_no_socket_is_told_apart() {
        let switching = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n";
        for (answer, agrees) in [
            (format!("{switching}upgrade: websocket\r\n\r\n"), Some(false)),
            (format!("{switching}upgrade: websocket\r\nsec-websocket-accept: wrong\r\n\r\n"), Some(false)),
            ("SSH-2.0-OpenSSH\r\n\r\n".to_owned(), None),
            (String::new(), None),
        ] {
            let (ours, mut theirs) = tokio::io::duplex(10_000);
            let serving = async move {
                let mut asked = [0; 100];
                theirs.read_exact(&mut asked).await.unwrap();
                theirs.write_all(answer.as_bytes()).await.unwrap();
            };
            let headers = HeaderMap::new();
            let url = url();
            let (opened, ()) = tokio::join!(handshake(ours, &url, &headers), serving);
            match opened.unwrap_err() {
                HandshakeError::NoWebSocket => assert_eq!(agrees, Some(false)),
                HandshakeError::Broken(_) => assert_eq!(agrees, None),
                other => panic!("{other}"),
            }
        }
    }
}
