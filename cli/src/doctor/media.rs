//! The media stream: whether its WebSocket handshake gets through everything in front of the service.

use std::time::Duration;

use dialbridge_net::websocket::{HandshakeError, Limits, Role, WebSocket};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::Doctor;
use super::finding::Finding;
use super::twiml::Twiml;
use super::url::unreached;
use super::web::WebError;
use dialbridge_runner::settings::Secret;
use dialbridge_runner::twilio::signature::sign;

pub(crate) const CHECK: &str = "media-socket";

/// How long the other side may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

const LIMITS: Limits = Limits {
    max_message_bytes: 64 * 1024,
    max_queued_messages: 1,
    write_timeout: CLOSE_TIMEOUT,
    ping_every: None,
    echoes_close_code: false,
};

/// Opens the WebSocket of a TwiML document and closes it again before any call starts on it.
pub(crate) async fn check(doctor: &Doctor, twiml: &Twiml, token: Option<&Secret>) -> Finding {
    let url = &twiml.stream;
    let place = url.split("/media/").next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    if let Some(signature) = token.and_then(|token| HeaderValue::try_from(sign(token, url, &[])).ok()) {
        headers.insert("x-twilio-signature", signature);
    }
    let fault = |error: &WebError| Finding::fault(CHECK, format!("{place}/media/…: {error}"), unreached(error));
    match doctor.web.handshake(url, &headers).await {
        Err(error) => fault(&error),
        Ok(Err(HandshakeError::Broken(error))) => fault(&error.into()),
        Ok(Err(HandshakeError::Refused(response))) => refused(place, response.status()),
        Ok(Err(HandshakeError::NoWebSocket)) => {
            let says = format!("{place}/media/… answers 101, but agrees to no WebSocket");
            Finding::fault(CHECK, says, "let the proxy before the service pass the handshake's headers on")
        }
        Ok(Ok(connection)) => {
            // A slow close is not a fault: Twilio does not wait for it either.
            WebSocket::new(connection, Role::Client, &LIMITS).close(CLOSE_TIMEOUT).await;
            Finding::ok(CHECK, format!("{place}/media/… opens and closes"))
        }
    }
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
