//! A bare relay: what a competent engineer writes in an afternoon with the crates that dialbridge is made of. It is there
//! to be compared with, so it is honest work: nothing is locked, copied or waited for without need.
//!
//! A call is a WebSocket and, one after the other, a stream for each turn. Each frame of audio goes on as a message of
//! its own; what the agent says comes back as `media` and a mark. There is no signature, no ticket, no barge-in, no
//! retry, no resampling and no hand-off: that is what dialbridge is for.

mod call;
mod channels;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use call::relay;
use channels::Channels;

/// The relay.
#[derive(Debug)]
pub struct Relay {
    channels: Channels,
}

impl Relay {
    /// A relay to the agent at that URL, plaintext.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn new(agent_url: &str) -> Result<Self, tonic::transport::Error> {
        Ok(Self { channels: Channels::new(agent_url)? })
    }

    /// Serves a listener for ever.
    ///
    /// # Errors
    /// When no connection can be accepted any more.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let relay = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            connections.spawn(relay.clone().connection(stream));
            while connections.try_join_next().is_some() {}
        }
    }

    /// Serves one connection, and the call that it becomes.
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let (upgrades, mut upgraded) = tokio::sync::mpsc::channel(1);
        let answer = service_fn(move |request| {
            let answered = answer(request, &upgrades);
            async move { Ok::<_, Infallible>(answered) }
        });
        let served = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).with_upgrades();
        // A connection that breaks has no call.
        if served.await.is_err() {
            return;
        }
        if let Some(upgrade) = upgraded.recv().await
            && let Ok(socket) = upgrade.await
            && let Err(why) = relay(socket, &self.channels).await
        {
            tracing::debug!(why, "a call has ended");
        }
    }
}

fn answer(
    mut request: Request<Incoming>,
    upgrades: &tokio::sync::mpsc::Sender<fastwebsockets::upgrade::UpgradeFut>,
) -> Response<Full<Bytes>> {
    match request.uri().path() {
        "/twiml" => twiml(&request),
        "/media" => {
            let Ok((response, upgrade)) = fastwebsockets::upgrade::upgrade(&mut request) else {
                return status(StatusCode::BAD_REQUEST);
            };
            // A connection is upgraded once.
            let _ = upgrades.try_send(upgrade);
            response.map(|_| Full::default())
        }
        "/ready" => status(StatusCode::OK),
        _ => status(StatusCode::NOT_FOUND),
    }
}

fn twiml(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let document = format!(r#"<Response><Connect><Stream url="ws://{host}/media"/></Connect></Response>"#);
    let mut response = Response::new(Full::from(document));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
