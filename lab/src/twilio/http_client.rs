//! Webhooks: form requests as Twilio sends them.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use dialbridge_net::http_client::send_once;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;

use crate::net::Net;
use crate::twilio::account::Account;

/// Twilio's timeout for a voice webhook.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest answer that is read, in bytes; Twilio's own limit for TwiML is 64 kB.
const MAX_BYTES: usize = 128 * 1024;

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) body: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection failed.
    NotConnected(String),
    /// The connection brought no answer, or not in time.
    NoAnswer(String),
    /// The status is not 200.
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
    let answered = async {
        // The fragment carries Twilio's own connection settings: Twilio neither sends nor signs it.
        let url = url.split('#').next().unwrap_or_default();
        let uri: Uri = url.parse().map_err(|error| Fault::NotConnected(format!("{url}: {error}")))?;
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::post(&uri)
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("user-agent", "TwilioProxy/1.1");
        if let Some(signature) = account.signature(url, form) {
            request = request.header("x-twilio-signature", signature);
        }
        let request = request.body(Full::<Bytes>::from(body)).map_err(|error| broken(&error))?;
        let connection = net.connect(&uri).await.map_err(|error| Fault::NotConnected(error.to_string()))?;
        let response = send_once(connection, request, MAX_BYTES).await.map_err(|error| broken(&error))?;
        if !response.status().is_success() {
            return Err(Fault::Status(response.status()));
        }
        Ok(Answer { body: String::from_utf8_lossy(response.body()).into_owned() })
    };
    let timely = tokio::time::timeout(WEBHOOK_TIMEOUT, answered).await;
    timely.unwrap_or_else(|_| Err(Fault::NoAnswer("no answer within 15 s".to_owned())))
}
