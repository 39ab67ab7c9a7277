//! HTTP requests as Twilio makes them: each on its own connection, without following redirects or sending anything
//! twice.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use dialbridge_net::dial::{Dial, Io};
use dialbridge_net::http_client::{HttpError, send_once};
use dialbridge_net::tls::{ConnectError, connect};
use dialbridge_net::websocket::{HandshakeError, handshake};
use http::header::DATE;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::Full;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;

use dialbridge_runner::telemetry::clock::WallClock;

/// How much of an answer is read at most, in bytes. A page of a thousand numbers has about two million.
const MAX_BYTES: usize = 8 << 20;

/// An HTTP client.
#[derive(Clone)]
pub(crate) struct WebClient {
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) clock: WallClock,
    /// How long a request and its answer may take.
    pub(crate) deadline: Duration,
    clocks: Arc<Mutex<Vec<OtherClock>>>,
}

/// The time of another host's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OtherClock {
    /// The host that sent it.
    pub(crate) host: String,
    /// How many milliseconds our own clock is ahead; negative: behind.
    pub(crate) ahead_ms: i64,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum WebError {
    /// The URL has no host, or no request can be made for it.
    NoUrl(String),
    /// The connection failed.
    Unreachable(String),
    /// The TLS handshake failed.
    Tls(String),
    /// The connection broke, or the answer is not HTTP.
    Broken(String),
    /// It took too long.
    TooLate(Duration),
    /// The answer is too long.
    TooLong,
}

impl fmt::Display for WebError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUrl(why) => write!(f, "it is no URL that can be asked: {why}"),
            Self::Unreachable(why) => write!(f, "no connection: {why}"),
            Self::Tls(why) => write!(f, "no TLS: {why}"),
            Self::Broken(why) => write!(f, "no answer: {why}"),
            Self::TooLate(deadline) => write!(f, "no answer within {} s", deadline.as_secs_f32()),
            Self::TooLong => f.write_str("the answer is too long"),
        }
    }
}

impl WebClient {
    pub(crate) fn new(dial: Arc<dyn Dial>, tls: Arc<ClientConfig>, clock: WallClock, deadline: Duration) -> Self {
        Self { dial, tls, clock, deadline, clocks: Arc::default() }
    }

    /// Sends a request to its URL and reads the whole answer.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, WebError> {
        self.in_time(async {
            let connection = self.connect(request.uri()).await?;
            Ok(send_once(connection, request, MAX_BYTES).await?)
        })
        .await
    }

    /// Gets a URL.
    pub(crate) async fn get(&self, url: &str) -> Result<Response<Bytes>, WebError> {
        let request = Request::get(url).body(Full::default()).map_err(|error| WebError::NoUrl(error.to_string()))?;
        self.send(request).await
    }

    /// Does the WebSocket handshake and returns the upgraded connection.
    pub(crate) async fn handshake(
        &self,
        url: &str,
        headers: &HeaderMap,
    ) -> Result<Result<TokioIo<Upgraded>, HandshakeError>, WebError> {
        let url: Uri = url.parse().map_err(|error: http::uri::InvalidUri| WebError::NoUrl(error.to_string()))?;
        self.in_time(async { Ok(handshake(self.connect(&url).await?, &url, headers).await) }).await
    }

    /// The clocks of the hosts that were noted by [`WebClient::note_clock`].
    pub(crate) fn clocks(&self) -> Vec<OtherClock> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the time in an answer of a host whose clock is good.
    pub(crate) fn note_clock(&self, host: &str, response: &Response<Bytes>) {
        let date = response.headers().get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let Some(date) = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()) else { return };
        let signed = |ms: u128| i64::try_from(ms).unwrap_or(i64::MAX);
        let ahead_ms = signed(self.clock.now_ms().into()) - signed(date.as_millis());
        let told = OtherClock { host: host.to_owned(), ahead_ms };
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, WebError>>) -> Result<T, WebError> {
        tokio::time::timeout(self.deadline, asked).await.unwrap_or(Err(WebError::TooLate(self.deadline)))
    }

    async fn connect(&self, url: &Uri) -> Result<Box<dyn Io>, WebError> {
        connect(&*self.dial, Some(&self.tls), url).await.map_err(|error| match error {
            ConnectError::NoHost(why) => WebError::NoUrl(why),
            ConnectError::Unreachable(error) => WebError::Unreachable(format!("{}: {error}", authority(url))),
            ConnectError::Tls(error) => WebError::Tls(error.to_string()),
        })
    }
}

/// The host and port that a URL leads to.
fn authority(url: &Uri) -> String {
    let default_port = if matches!(url.scheme_str(), Some("https" | "wss")) { 443 } else { 80 };
    format!("{}:{}", url.host().unwrap_or_default(), url.port_u16().unwrap_or(default_port))
}

impl From<HttpError> for WebError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Broken(why) => Self::Broken(why),
            HttpError::TooLong => Self::TooLong,
        }
    }
}
