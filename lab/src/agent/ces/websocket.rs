//! `BidiRunSession` over a WebSocket: HTTP/1.1 on the address of gRPC, an upgrade, then a JSON message in each frame.
//!
//! `GET /ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/{location}`, with `Authorization: Bearer …` and
//! `X-Goog-User-Project`. There is no half-close: the client closes when it is done.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fastwebsockets::upgrade::{UpgradeFut, is_upgrade_request, upgrade};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::agent::ces::ending::{Ending, code_of, http_status, snake};
use crate::agent::ces::frames::{MOST_BYTES, read, write};
use crate::agent::ces::serving::{Asked, Serving};
use crate::agent::ces::stream::{FromClient, Inbox, Outgoing, Stream};
use crate::agent::script::{Break, Serves};

const PATH: &str = "/ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/";

/// How many messages wait on either way.
const QUEUE: usize = 64;

/// How long a request's header may take.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);

/// How long a client waits where nothing comes.
const STALL: Duration = Duration::from_secs(600);

/// The script has the connection break off.
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
    upgrade: UpgradeFut,
    asked: Asked,
    /// How the stream breaks before anything is read.
    refusal: Option<Break>,
}

/// Serves an HTTP/1.1 connection, and the stream that comes of it.
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
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_PATIENCE);
    // A client that breaks off is none of Google's business.
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
    let location = request.uri().path().strip_prefix(PATH).filter(|location| !location.contains('/'));
    let Some(location) = location.filter(|_| serving.script().ces.serves != Serves::Grpc) else {
        return Ok(refusal(serving, StatusCode::NOT_FOUND, "There is nothing at that path."));
    };
    let asked = serving.asked("websocket", request.headers(), Some(location.to_owned()));
    let broken = serving.refusal(&asked);
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
    match upgrade(&mut request) {
        Ok((response, upgrade)) => {
            let accepted = Accepted { upgrade, asked, refusal: broken };
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepted);
            Ok(response.map(|_| Full::default()))
        }
        Err(error) => Ok(refusal(serving, StatusCode::BAD_REQUEST, &error.to_string())),
    }
}

/// An error as Google's gateways write it (<https://docs.cloud.google.com/apis/design/errors#http_mapping>).
fn refusal(serving: &Serving, status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    serving.streams().refuse(&format!("{}: {why}", status.as_u16()));
    let name = snake(&format!("{:?}", code_of(status.as_u16()))).to_ascii_uppercase();
    let name = if status == StatusCode::NOT_FOUND { "NOT_FOUND" } else { &name };
    let body = json!({ "error": { "code": status.as_u16(), "message": why, "status": name } });
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json; charset=UTF-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

impl Accepted {
    /// Serves the stream to its end.
    async fn run(self, serving: Serving) {
        let Ok(mut socket) = self.upgrade.await else { return };
        // The limit is exclusive.
        socket.set_max_message_size(MOST_BYTES + 1);
        socket.set_auto_pong(false);
        socket.set_auto_close(false);
        socket.set_writev(false);
        let (reader, writer) = socket.split(tokio::io::split);
        let (to_stream, messages) = mpsc::channel(QUEUE);
        let (to_writer, control) = mpsc::channel(QUEUE);
        let (outbox, outgoing) = mpsc::channel(QUEUE);
        // The reader is a task of its own, for a read that is dropped loses bytes.
        let mut reading = JoinSet::new();
        reading.spawn(read(reader, to_stream, to_writer));
        let habits = serving.script().ces.clone();
        let streaming = stream(serving, self.asked, self.refusal, messages, outbox);
        tokio::join!(streaming, write(writer, outgoing, control, &habits));
    }
}

async fn stream(
    serving: Serving,
    asked: Asked,
    refusal: Option<Break>,
    messages: mpsc::Receiver<FromClient>,
    outbox: mpsc::Sender<Outgoing>,
) {
    let mut inbox = Inbox::Socket(messages);
    let ending = match refusal {
        Some(broken) => Ending::Broken(broken),
        None => match Stream::open(&serving, asked, &mut inbox).await {
            Ok(stream) => return stream.run(inbox, outbox).await,
            Err(ending) => ending,
        },
    };
    if matches!(ending, Ending::Broken(Break::Stall)) {
        let leaving = async { while !matches!(inbox.next().await, FromClient::Gone(_)) {} };
        // Either way the stream is over.
        let _ = tokio::time::timeout(STALL, leaving).await;
    }
    let _ = outbox.send(Outgoing::End(ending)).await;
}
