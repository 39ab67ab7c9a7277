//! `BidiRunSession` over a WebSocket: HTTP/1.1 on the address of gRPC, an upgrade, then a JSON message in each frame.
//!
//! `GET /ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/{location}`, with `Authorization: Bearer …` and
//! `X-Goog-User-Project`. There is no half-close: the client closes when it is done.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dialbridge_net::websocket::{Role, Upgrade, WebSocket, accept, is_upgrade_request};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::agent::ces::ending::{Ending, code_of, http_status, snake};
use crate::agent::ces::exchange::{FromClient, Outgoing};
use crate::agent::ces::frames::{Frames, LIMITS};
use crate::agent::ces::serving::{Serving, StreamRequest};
use crate::agent::ces::stream::{Inbox, Stream};
use crate::agent::rest;
use crate::agent::script::{Break, Serves};

const PATH: &str = "/ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/";

/// How many messages may wait to be sent.
const QUEUE: usize = 64;

/// How long a request's header may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server waits for the client's close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a client is kept while nothing comes.
const STALL: Duration = Duration::from_secs(600);

/// The script breaks the connection.
#[derive(Debug)]
struct BrokeOff;

impl std::fmt::Display for BrokeOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the script has the connection break off")
    }
}

impl std::error::Error for BrokeOff {}

/// A request that is being upgraded.
struct Accepted {
    upgrade: Upgrade,
    stream_request: StreamRequest,
    /// How the script breaks the stream before anything is read.
    refusal: Option<Break>,
}

/// Serves an HTTP/1.1 connection, and the stream that it becomes.
pub(in crate::agent) async fn serve(
    serving: Serving,
    connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) {
    let accepted = Arc::new(Mutex::new(None));
    let service = service_fn(|request| {
        let (serving, accepted) = (serving.clone(), accepted.clone());
        async move { answer(&serving, request, &accepted).await }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    // A client that breaks off does not concern Google.
    let _ = http.serve_connection(TokioIo::new(connection), service).with_upgrades().await;
    let accepted = accepted.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(accepted) = accepted {
        accepted.run(serving).await;
    }
}

async fn answer(
    serving: &Serving,
    mut request: Request<Incoming>,
    slot: &Mutex<Option<Accepted>>,
) -> Result<Response<Full<Bytes>>, BrokeOff> {
    match rest::answer(serving.script(), request.method(), request.uri().path()) {
        Some(Ok(agent)) => return Ok(of(StatusCode::OK, &agent)),
        Some(Err((status, why))) => return Ok(refusal(serving, status, why)),
        None => {}
    }
    let location = request.uri().path().strip_prefix(PATH).filter(|location| !location.contains('/'));
    let Some(location) = location.filter(|_| serving.script().ces.serves != Serves::Grpc) else {
        return Ok(refusal(serving, StatusCode::NOT_FOUND, "There is nothing at that path."));
    };
    let stream_request = serving.note_request("websocket", request.headers(), Some(location.to_owned()));
    let broken = serving.refusal(&stream_request);
    match broken {
        Some(Break::Reset | Break::Code(1006)) => return Err(BrokeOff),
        Some(Break::Stall) => tokio::time::sleep(STALL).await,
        Some(Break::Fault(fault)) => return Ok(refusal(serving, http_status(fault), "the script refuses this stream")),
        Some(Break::Code(code @ 400..=599)) => {
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Ok(refusal(serving, status, "the script refuses this stream"));
        }
        Some(Break::Close | Break::Code(_)) | None => {}
    }
    if !serving.is_authorized(request.headers()) {
        let why = "The request has no valid authentication credentials.";
        return Ok(refusal(serving, StatusCode::UNAUTHORIZED, why));
    }
    if request.method() != Method::GET || !is_upgrade_request(&request) {
        return Ok(refusal(serving, StatusCode::BAD_REQUEST, "The request is no WebSocket upgrade."));
    }
    match accept(&mut request) {
        Ok((response, upgrade)) => {
            let accepted = Accepted { upgrade, stream_request, refusal: broken };
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepted);
            Ok(response)
        }
        Err(error) => Ok(refusal(serving, StatusCode::BAD_REQUEST, &error.to_string())),
    }
}

/// Whether the client may send more.
fn is_there(last: &FromClient) -> bool {
    matches!(last, FromClient::Message(_) | FromClient::Unreadable(Ending::Failed(_)))
}

/// An error in the form of Google's gateways (<https://docs.cloud.google.com/apis/design/errors#http_mapping>).
fn refusal(serving: &Serving, status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    serving.streams().refuse(&format!("{}: {why}", status.as_u16()));
    let name = snake(&format!("{:?}", code_of(status.as_u16()))).to_ascii_uppercase();
    let name = if status == StatusCode::NOT_FOUND { "NOT_FOUND" } else { &name };
    of(status, &json!({ "error": { "code": status.as_u16(), "message": why, "status": name } }))
}

fn of(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json; charset=UTF-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

impl Accepted {
    /// Serves the stream to its end.
    async fn run(self, serving: Serving) {
        let Ok(connection) = self.upgrade.connection().await else { return };
        let (outbox, outgoing) = mpsc::channel(QUEUE);
        let frames = Frames::new(outgoing, serving.script().ces.clone());
        let mut inbox = Inbox::Socket(WebSocket::sending(connection, Role::Server, &LIMITS, frames));
        stream(serving, self.stream_request, self.refusal, &mut inbox, outbox).await;
        if let Inbox::Socket(socket) = inbox {
            socket.closed(CLOSE_TIMEOUT).await;
        }
    }
}

async fn stream(
    serving: Serving,
    stream_request: StreamRequest,
    refusal: Option<Break>,
    inbox: &mut Inbox,
    outbox: mpsc::Sender<Outgoing>,
) {
    let ending = match refusal {
        Some(broken) => Ending::Broken(broken),
        None => match Stream::open(&serving, stream_request, inbox).await {
            Ok(stream) => return stream.run(inbox, outbox).await,
            Err(ending) => ending,
        },
    };
    if matches!(ending, Ending::Broken(Break::Stall)) {
        let leaving = async { while is_there(&inbox.next().await) {} };
        // Either way the stream is over.
        let _ = tokio::time::timeout(STALL, leaving).await;
    }
    let _ = outbox.send(Outgoing::End(ending)).await;
}
