//! Webhooks: form requests as Twilio sends them.

use std::time::Duration;

use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;

use crate::net::Net;
use crate::twilio::account::Account;

/// Twilio's time limit for a voice webhook.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest answer that is read, in bytes; Twilio's own bound for TwiML is 64 kB.
const MOST_BYTES: usize = 128 * 1024;

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
}

/// Posts a form, signed with the account's token.
pub(super) async fn post(net: &Net, account: &Account, url: &str, form: &[(String, String)]) -> Result<Answer, String> {
    let request = async {
        // The fragment carries Twilio's own connection settings: it is neither sent nor signed.
        let url = url.split('#').next().unwrap_or_default();
        let uri: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
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
        let request = request.body(Full::<Bytes>::from(body)).map_err(|error| error.to_string())?;
        send(net, &uri, request).await
    };
    tokio::time::timeout(WEBHOOK_TIMEOUT, request).await.map_err(|_| "11200: no answer within 15 s".to_owned())?
}

async fn send(net: &Net, uri: &Uri, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let connection = net.connect(uri).await.map_err(|error| format!("11200: {error}"))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.map_err(|error| error.to_string())?;
    // It ends with the response, since nothing else is sent on it.
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| format!("11200: {error}"))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.map_err(|error| error.to_string())?;
    connection.abort();
    Ok(Answer { status, body: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
}
