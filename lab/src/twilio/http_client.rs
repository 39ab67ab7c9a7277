//! Webhooks: form requests as Twilio sends them.

use std::fmt;
use std::time::Duration;

use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;

use crate::net::{Connection, Net};
use crate::twilio::account::Account;

/// Twilio's time limit for a voice webhook.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest answer that is read, in bytes; Twilio's own bound for TwiML is 64 kB.
const MOST_BYTES: usize = 128 * 1024;

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) body: String,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// No connection came about.
    NotConnected(String),
    /// The connection brought no answer, or none in time.
    NoAnswer(String),
    /// The answer is no 200.
    Status(StatusCode),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected(why) | Self::NoAnswer(why) => f.write_str(why),
            Self::Status(status) => status.fmt(f),
        }
    }
}

/// Posts a form, signed with the account's token.
pub(super) async fn post(net: &Net, account: &Account, url: &str, form: &[(String, String)]) -> Result<Answer, Fault> {
    let broken = |error: &dyn fmt::Display| Fault::NoAnswer(error.to_string());
    let request = async {
        // The fragment carries Twilio's own connection settings: it is neither sent nor signed.
        let url = url.split('#').next().unwrap_or_default();
        let uri: Uri = url.parse().map_err(|error| Fault::NotConnected(format!("{url}: {error}")))?;
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(uri.path_and_query().map_or("/", |path| path.as_str()))
            .header("host", uri.authority().map_or("", |authority| authority.as_str()))
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("user-agent", "TwilioProxy/1.1");
        if let Some(signature) = account.signature(url, form) {
            request = request.header("x-twilio-signature", signature);
        }
        let request = request.body(Full::<Bytes>::from(body)).map_err(|error| broken(&error))?;
        let connection = net.connect(&uri).await.map_err(|error| Fault::NotConnected(error.to_string()))?;
        send(connection, request).await
    };
    let timely = tokio::time::timeout(WEBHOOK_TIMEOUT, request).await;
    timely.unwrap_or_else(|_| Err(Fault::NoAnswer("no answer within 15 s".to_owned())))
}

async fn send(connection: Connection, request: Request<Full<Bytes>>) -> Result<Answer, Fault> {
    let broken = |error: &dyn fmt::Display| Fault::NoAnswer(error.to_string());
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.map_err(|error| broken(&error))?;
    // It ends with the response, since nothing else is sent on it.
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.map_err(|error| broken(&error))?;
    connection.abort();
    if !status.is_success() {
        return Err(Fault::Status(status));
    }
    Ok(Answer { body: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
}
