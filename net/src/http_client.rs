//! HTTP clients: [`HttpClient`] keeps its connections, for Twilio's REST API and for audio that an agent names by URL.
//! [`send_once`] sends one request over a new connection.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;

use crate::dial::{Connector, Dial, Io};

/// A client. Clones share its connections.
#[derive(Clone)]
pub struct HttpClient(Client<HttpsConnector<Connector>, Full<Bytes>>);

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpClient")
    }
}

/// Why there is no response.
#[derive(Debug)]
pub enum HttpError {
    /// The server cannot be reached, or it closed the connection.
    Broken(String),
    /// The response is longer than allowed.
    TooLong,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(why) => f.write_str(why),
            Self::TooLong => f.write_str("the answer is too long"),
        }
    }
}

impl std::error::Error for HttpError {}

impl HttpClient {
    /// A client that trusts the certificates that this program trusts.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(dial: Arc<dyn Dial>) -> Result<Self, rustls::Error> {
        Ok(Self::with_tls(dial, crate::tls::client_config()?))
    }

    /// A client with this TLS configuration.
    #[must_use]
    pub fn with_tls(dial: Arc<dyn Dial>, tls: ClientConfig) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Connector(dial));
        Self(Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector))
    }

    /// Sends a request and reads the whole response, at most `max` bytes. It has no deadline.
    ///
    /// # Errors
    /// [`HttpError`] if there is no whole response.
    pub async fn send(&self, request: Request<Full<Bytes>>, max: usize) -> Result<Response<Bytes>, HttpError> {
        read_whole(self.0.request(request).await.map_err(|error| broken(&error))?, max).await
    }
}

/// Sends a request over a new connection to the server of its URL and reads the whole response, at most `max_bytes`.
/// The connection is then closed. It has no deadline and follows no redirects.
///
/// # Errors
/// [`HttpError`] if there is no whole response.
pub async fn send_once(
    connection: impl Io + 'static,
    mut request: Request<Full<Bytes>>,
    max_bytes: usize,
) -> Result<Response<Bytes>, HttpError> {
    in_origin_form(&mut request)?;
    drive(connection, async move |mut sender| read_whole(sender.send_request(request).await?, max_bytes).await).await
}

/// Drives a connection while a future uses it.
pub(crate) async fn drive<T, E: From<HttpError>>(
    connection: impl Io + 'static,
    used: impl AsyncFnOnce(SendRequest<Full<Bytes>>) -> Result<T, E>,
) -> Result<T, E> {
    let (sender, connection) = handshake(TokioIo::new(connection)).await.map_err(HttpError::from)?;
    let mut connection = pin!(connection.with_upgrades());
    let mut used = pin!(used(sender));
    let mut is_driven = true;
    loop {
        tokio::select! {
            biased;
            answered = &mut used => return answered,
            // The waiting request gets the connection's error.
            _ = &mut connection, if is_driven => is_driven = false,
        }
    }
}

/// Puts a request into origin form: the path in the request line, the host in the `Host` header.
pub(crate) fn in_origin_form(request: &mut Request<Full<Bytes>>) -> Result<(), HttpError> {
    let url = request.uri();
    let host = url.authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::from_str(host).map_err(|error| HttpError::Broken(error.to_string()))?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let path = path.parse().map_err(|_| HttpError::Broken(format!("{path} is no path")))?;
    request.headers_mut().insert(HOST, host);
    *request.uri_mut() = path;
    Ok(())
}

async fn read_whole(response: Response<hyper::body::Incoming>, max_bytes: usize) -> Result<Response<Bytes>, HttpError> {
    let (head, body) = response.into_parts();
    match Limited::new(body, max_bytes).collect().await {
        Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(HttpError::TooLong),
        Err(error) => Err(HttpError::Broken(error.to_string())),
    }
}

impl From<hyper::Error> for HttpError {
    fn from(error: hyper::Error) -> Self {
        broken(&error)
    }
}

fn broken(error: &dyn std::error::Error) -> HttpError {
    let mut why = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        why = format!("{why}: {error}");
        cause = error.source();
    }
    HttpError::Broken(why)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// The client's result when a server sends that response.
    async fn answered(answer: &str) -> (String, Result<Response<Bytes>, HttpError>) {
        let (ours, mut theirs) = tokio::io::duplex(10_000);
        let serving = async {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(theirs.read_u8().await.unwrap());
            }
            theirs.write_all(answer.as_bytes()).await.unwrap();
            drop(theirs);
            String::from_utf8(asked).unwrap()
        };
        let request = Request::get("http://h.test:81/path?x=1").body(Full::default()).unwrap();
        tokio::join!(serving, send_once(ours, request, 10))
    }

    #[tokio::test]
    async fn a_request_goes_to_the_host_of_its_url_and_the_whole_answer_comes() {
        let (asked, answer) = answered("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno").await;
        assert!(asked.starts_with("GET /path?x=1 HTTP/1.1\r\n") && asked.contains("host: h.test:81\r\n"), "{asked}");
        let answer = answer.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (404, &b"no"[..]));
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_told_from_one_that_breaks_off() {
        let (_, long) = answered("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world").await;
        assert!(matches!(long, Err(HttpError::TooLong)));
        for broken in ["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", "no HTTP\r\n\r\n", ""] {
            assert!(matches!(answered(broken).await.1, Err(HttpError::Broken(_))), "{broken}");
        }
    }
}
