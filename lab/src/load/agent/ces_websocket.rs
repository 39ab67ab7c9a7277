//! CES's `BidiRunSession` over a WebSocket, on a connection of its own. It reads and writes JSON as the lab's scripted
//! agent does, in frames that it reads and writes by hand.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialbridge_net::websocket::{Upgrade, accept};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tonic::{Code, Status};

use super::ces::{Conversation, Order, until};
use super::{Failed, LoadAgent, OpenStream};
use crate::agent::{WebSocketEnding, ces_json, ending_of};
use crate::distance::Connection;
use crate::load::read::{CLOSE, TEXT, take_masked_frame};
use crate::load::write::push_frame;

const PATH: &str = "/ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/";

/// Opcodes of RFC 6455, section 5.2. Google's messages come in binary frames.
const BINARY: u8 = 2;
const PING: u8 = 9;
const PONG: u8 = 10;

/// How long a client may take for its close after the server's.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Size of the read buffer, in bytes.
const READ_BYTES: usize = 4 * 1024;

/// Serves a connection over HTTP/1.1, and the stream that it becomes.
pub(super) async fn serve(agent: &LoadAgent, connection: Connection) {
    let upgraded: Arc<Mutex<Option<Upgrade>>> = Arc::default();
    let service = service_fn(|mut request: Request<Incoming>| {
        let answered = answer(&mut request, &upgraded);
        async { Ok::<_, Infallible>(answered) }
    });
    let http = hyper::server::conn::http1::Builder::new();
    // A broken connection has no stream.
    let _ = http.serve_connection(TokioIo::new(connection), service).with_upgrades().await;
    let Some(upgrade) = upgraded.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let Ok(socket) = upgrade.connection().await else { return };
    let open = OpenStream::of(agent);
    // Nothing was read yet that could be lost.
    let served = converse(agent, socket).await;
    drop(open);
    agent.ledger().counts.failed_streams += u64::from(served.is_err());
}

fn answer(request: &mut Request<Incoming>, upgraded: &Mutex<Option<Upgrade>>) -> Response<Full<Bytes>> {
    let is_ours = request.uri().path().starts_with(PATH);
    match accept(request) {
        Ok((response, upgrade)) if is_ours => {
            *upgraded.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
            response
        }
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = if is_ours { StatusCode::BAD_REQUEST } else { StatusCode::NOT_FOUND };
            response
        }
    }
}

/// Serves a stream to its end: the client's close, or a planned fault.
async fn converse(agent: &LoadAgent, mut socket: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), Failed> {
    let mut conversation = Conversation::begin(agent);
    let mut came = BytesMut::with_capacity(READ_BYTES);
    let mut out = Vec::new();
    loop {
        let mut over = None;
        tokio::select! {
            read = socket.read_buf(&mut came) => match read {
                // The client is gone, and everything that it sent has been read.
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
                Err(_) => return Err(Failed),
                Ok(_) => over = hear(&mut conversation, &mut came, &mut out)?,
            },
            () = until(conversation.due_us()) => conversation.run()?,
        }
        for order in conversation.take_orders() {
            over = over.or_else(|| obey(order, &mut out));
        }
        // A client that does not accept it is gone.
        if socket.write_all(&out).await.is_err() {
            return Ok(());
        }
        match over {
            None => out.clear(),
            Some(Over::Left | Over::Broken) => return Ok(()),
            Some(Over::Closing) => {
                let _ = timeout(CLOSE_TIMEOUT, leave(&mut socket, &mut came)).await;
                return Ok(());
            }
        }
    }
}

/// How a stream ends.
enum Over {
    /// The client has closed.
    Left,
    /// We ask the client to close.
    Closing,
    /// The connection breaks.
    Broken,
}

/// Reads on until the client has closed. Dropping a connection with unread data would discard our close frame too.
async fn leave(socket: &mut (impl AsyncRead + Unpin), came: &mut BytesMut) {
    loop {
        while let Ok(Some(frame)) = take_masked_frame(came) {
            if frame.opcode == CLOSE {
                return;
            }
        }
        if !matches!(socket.read_buf(came).await, Ok(1..)) {
            return;
        }
    }
}

/// Processes the frames that have come.
fn hear(conversation: &mut Conversation<'_>, came: &mut BytesMut, out: &mut Vec<u8>) -> Result<Option<Over>, Failed> {
    while let Some(frame) = take_masked_frame(came).map_err(|_| Failed)? {
        match frame.opcode {
            TEXT | BINARY => {
                conversation.message(ces_json::client_message(&frame.payload).map_err(|_| Failed)?)?;
            }
            CLOSE => {
                push_frame(out, CLOSE, &frame.payload);
                return Ok(Some(Over::Left));
            }
            PING => push_frame(out, PONG, &frame.payload),
            _ => {}
        }
    }
    Ok(None)
}

/// Takes the conversation's actions.
fn obey(order: Order, out: &mut Vec<u8>) -> Option<Over> {
    match order {
        Order::Send(message) => {
            push_frame(out, BINARY, ces_json::server_message(&message, false).as_bytes());
            None
        }
        Order::End(code) => {
            push_close(out, code);
            Some(Over::Closing)
        }
        // A connection carries one stream.
        Order::Reset | Order::Cut => Some(Over::Broken),
    }
}

fn push_close(out: &mut Vec<u8>, code: Code) {
    if let WebSocketEnding::Close { code, reason } = ending_of(Status::new(code, "as planned")) {
        push_frame(out, CLOSE, &[&code.to_be_bytes()[..], reason.as_bytes()].concat());
    }
}
