//! Requests as Twilio makes them: each on a connection of its own, no redirect followed, nothing sent twice.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{DATE, HOST};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use dialbridge_net::dial::{Dial, Io};
use dialbridge_runner::telemetry::clock::WallClock;

/// The most of an answer that is read, in bytes. A page of a thousand numbers has about two million.
const MOST_BYTES: usize = 8 << 20;

/// A client.
#[derive(Clone)]
pub(crate) struct Web {
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) clock: WallClock,
    /// How long a request and its answer may take.
    pub(crate) deadline: Duration,
    clocks: Arc<Mutex<Vec<OtherClock>>>,
}

/// What time it is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OtherClock {
    /// The host that said so.
    pub(crate) host: String,
    /// So many milliseconds our own clock is ahead; negative: behind.
    pub(crate) ahead_ms: i64,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum WebError {
    /// The URL has no host, or cannot be asked for.
    NoUrl(String),
    /// No connection.
    Unreachable(String),
    /// No TLS on the connection.
    Tls(String),
    /// The connection broke, or what came is not HTTP.
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

impl Web {
    pub(crate) fn new(dial: Arc<dyn Dial>, tls: Arc<ClientConfig>, clock: WallClock, deadline: Duration) -> Self {
        Self { dial, tls, clock, deadline, clocks: Arc::default() }
    }

    /// Sends a request to its URL and reads the whole answer.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, WebError> {
        self.in_time(async {
            let mut tasks = JoinSet::new();
            let response = self.exchange(request, &mut tasks).await?;
            let (head, body) = response.into_parts();
            match Limited::new(body, MOST_BYTES).collect().await {
                Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
                Err(error) if error.is::<LengthLimitError>() => Err(WebError::TooLong),
                Err(error) => Err(WebError::Broken(error.to_string())),
            }
        })
        .await
    }

    /// Asks for a URL.
    pub(crate) async fn get(&self, url: &str) -> Result<Response<Bytes>, WebError> {
        let request = Request::get(url).body(Full::default()).map_err(|error| WebError::NoUrl(error.to_string()))?;
        self.send(request).await
    }

    /// Asks for another protocol on the connection. Without status 101 there is none, and the answer says why. The
    /// connection ends with `tasks`.
    pub(crate) async fn upgrade(
        &self,
        request: Request<Full<Bytes>>,
        tasks: &mut JoinSet<()>,
    ) -> Result<(Response<()>, Option<Upgraded>), WebError> {
        self.in_time(async {
            let mut response = self.exchange(request, tasks).await?;
            let upgraded = match response.status().as_u16() {
                101 => Some(hyper::upgrade::on(&mut response).await.map_err(|error| broken(&error))?),
                _ => None,
            };
            Ok((response.map(|_| ()), upgraded))
        })
        .await
    }

    /// What the clocks of those show that were asked by [`Web::tells_the_time`].
    pub(crate) fn clocks(&self) -> Vec<OtherClock> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what an answer of a host with a good clock says of the time.
    pub(crate) fn tells_the_time(&self, host: &str, response: &Response<Bytes>) {
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

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        tasks: &mut JoinSet<()>,
    ) -> Result<Response<Incoming>, WebError> {
        let url = request.uri().clone();
        let mut sender = self.connect(&url, tasks).await?;
        sender.send_request(in_origin_form(request, &url)?).await.map_err(|error| broken(&error))
    }

    async fn connect(&self, url: &Uri, tasks: &mut JoinSet<()>) -> Result<SendRequest<Full<Bytes>>, WebError> {
        let host = url.host().ok_or_else(|| WebError::NoUrl("it has no host".to_owned()))?;
        let is_tls = matches!(url.scheme_str(), Some("https" | "wss"));
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let connection = self.dial.dial(host, port).await;
        let connection = connection.map_err(|error| WebError::Unreachable(format!("{host}:{port}: {error}")))?;
        let connection = if is_tls { self.encrypted(connection, host).await? } else { connection };
        let (sender, connection) = http1::handshake(TokioIo::new(connection)).await.map_err(|error| broken(&error))?;
        tasks.spawn(async {
            // What goes wrong with it is told to whoever waits for the answer.
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    async fn encrypted(&self, connection: Box<dyn Io>, host: &str) -> Result<Box<dyn Io>, WebError> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|_| WebError::NoUrl(format!("{host} is no host's name")))?;
        let connected = TlsConnector::from(self.tls.clone()).connect(name, connection).await;
        let connected = connected.map_err(|error| WebError::Tls(error.to_string()))?;
        Ok(Box::new(connected))
    }
}

/// A request as it goes over a connection to the host itself.
fn in_origin_form(mut request: Request<Full<Bytes>>, url: &Uri) -> Result<Request<Full<Bytes>>, WebError> {
    let host = url.authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::from_str(host).map_err(|error| WebError::NoUrl(error.to_string()))?;
    request.headers_mut().insert(HOST, host);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(|_| WebError::NoUrl(format!("{path} is no path")))?;
    Ok(request)
}

fn broken(error: &dyn std::error::Error) -> WebError {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    WebError::Broken(format!("{error}{cause}"))
}
