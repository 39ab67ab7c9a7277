//! The media socket: whether its handshake comes through all that stands before the service.

use std::time::Duration;

use bytes::Bytes;
use fastwebsockets::{Frame, OpCode, Role, WebSocket};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::Doctor;
use super::finding::Finding;
use super::twiml::Twiml;
use super::url::unreached;
use super::web::WebError;
use dialbridge_runner::settings::Secret;
use dialbridge_runner::twilio::signature::sign;

pub(crate) const CHECK: &str = "media-socket";

/// RFC 6455 section 7.4.1.
const NORMAL: u16 = 1000;

/// How long the other side may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens the socket of a TwiML and closes it again, before any call has started on it.
pub(crate) async fn check(doctor: &Doctor, twiml: &Twiml, token: Option<&Secret>) -> Finding {
    let url = &twiml.stream;
    let place = url.split("/media/").next().unwrap_or_default();
    let mut tasks = JoinSet::new();
    let opened = match handshake(url, token) {
        Ok(request) => doctor.web.upgrade(request, &mut tasks).await,
        Err(error) => Err(error),
    };
    let (response, upgraded) = match opened {
        Ok(opened) => opened,
        Err(error) => return Finding::fault(CHECK, format!("{place}/media/…: {error}"), unreached(&error)),
    };
    let Some(upgraded) = upgraded else { return refused(place, response.status()) };
    if !is_accepted(&response) {
        let says = format!("{place}/media/… answers 101, but agrees to no WebSocket");
        return Finding::fault(CHECK, says, "let the proxy before the service pass the handshake's headers on");
    }
    // Whether it closes in time is no fault: Twilio does not wait for it either.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, close(upgraded)).await;
    Finding::ok(CHECK, format!("{place}/media/… opens and closes"))
}

fn handshake(url: &str, token: Option<&Secret>) -> Result<Request<Full<Bytes>>, WebError> {
    let mut request = Request::get(url)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-key", fastwebsockets::handshake::generate_key())
        .header("sec-websocket-version", "13");
    if let Some(token) = token {
        request = request.header("x-twilio-signature", sign(token, url, &[]));
    }
    request.body(Full::default()).map_err(|error| WebError::NoUrl(error.to_string()))
}

fn is_accepted(response: &http::Response<()>) -> bool {
    let upgrade = response.headers().get("upgrade").and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
        && response.headers().contains_key("sec-websocket-accept")
}

fn refused(place: &str, status: StatusCode) -> Finding {
    let says =
        format!("{place}/media/… answers {status} to the handshake, where 101 is expected (Twilio's error 31920)");
    let mend = match status {
        StatusCode::FORBIDDEN => {
            "the signature of the handshake is not taken: set PUBLIC_URL at the service to the URL that Twilio calls"
        }
        StatusCode::SERVICE_UNAVAILABLE => "the instance is ending: try again",
        status if status.is_redirection() => "Twilio follows no redirect there: let the URL lead to the service itself",
        _ => {
            "let all that stands before the service speak HTTP/1.1 to it and pass Upgrade and Connection on (Cloud Run: \
             --no-use-http2; nginx: proxy_http_version 1.1 and proxy_set_header Upgrade $http_upgrade)"
        }
    };
    Finding::fault(CHECK, says, mend)
}

async fn close(upgraded: Upgraded) {
    let mut socket = WebSocket::after_handshake(TokioIo::new(upgraded), Role::Client);
    socket.set_auto_close(false);
    if socket.write_frame(Frame::close(NORMAL, b"")).await.is_err() {
        return;
    }
    while socket.read_frame().await.is_ok_and(|frame| frame.opcode != OpCode::Close) {}
}
