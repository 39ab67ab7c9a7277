//! The Twilio account: whether Twilio accepts its id, its token and its API key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::request::Builder;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use super::Doctor;
use super::finding::Finding;
use super::url::is_loopback;
use super::voice_request::parts;
use super::web::WebError;
use dialbridge_runner::settings::{Secret, TwilioConfig};

const ACCOUNT: &str = "twilio-account";
const API_KEY: &str = "twilio-api-key";

/// How many subaccounts are looked at.
const MAX_SUBACCOUNTS: usize = 20;

/// Twilio's REST API with credentials that it accepted.
#[derive(Debug)]
pub(crate) struct TwilioApi {
    pub(crate) account_sid: String,
    /// The account's subaccounts, as far as Twilio tells them.
    pub(super) subaccounts: Vec<Subaccount>,
    base: String,
    authorization: HeaderValue,
}

/// Why Twilio does not answer a question.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) says: String,
    pub(crate) mend: String,
    pub(crate) status: Option<StatusCode>,
}

/// A subaccount of the account that the settings name.
#[derive(Debug)]
pub(super) struct Subaccount {
    pub(super) sid: String,
    /// `None` if Twilio does not show it.
    pub(super) token: Option<Secret>,
}

impl Subaccount {
    fn has_token(&self, token: &Secret) -> bool {
        self.token.as_ref().is_some_and(|own| own.expose() == token.expose())
    }
}

/// The active subaccounts, if the account has some.
///
/// # Errors
/// Why Twilio does not tell.
async fn subaccounts(doctor: &Doctor, api: &TwilioApi) -> Result<Vec<Subaccount>, Refused> {
    let page = api.get(doctor, "/2010-04-01/Accounts.json?Status=active&PageSize=200").await?;
    let subaccount = |account: &Value| {
        let text = |name: &str| account[name].as_str().map(ToOwned::to_owned);
        let sid = text("sid").filter(|sid| *sid != api.account_sid)?;
        Some(Subaccount { sid, token: text("auth_token").map(Secret::new) })
    };
    let accounts = page["accounts"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(accounts.iter().filter_map(subaccount).take(MAX_SUBACCOUNTS).collect())
}

/// Checks the account. Returns the API client for further checks.
pub(crate) async fn check(doctor: &Doctor, config: &TwilioConfig) -> (Vec<Finding>, Option<TwilioApi>) {
    let skipped = |why: &str| [ACCOUNT, API_KEY].map(|check| Finding::skipped(check, why)).to_vec();
    let Some(sid) = &config.account_sid else {
        return (skipped("TWILIO_ACCOUNT_SID is not set: no call is updated over REST"), None);
    };
    if config.auth_tokens.is_empty() && config.api_key.is_none() {
        return (skipped("TWILIO_AUTH_TOKEN is not set: no call is updated over REST"), None);
    }
    let (scheme, authority) = parts(&config.api_url);
    if scheme == "http" && !is_loopback(&authority) {
        let says = format!("TWILIO_API_URL is {}: the token would go there in the clear", config.api_url);
        let fault = Finding::fault(ACCOUNT, says, "give TWILIO_API_URL https://, or unset it");
        return (vec![fault, Finding::skipped(API_KEY, "TWILIO_API_URL must be right first")], None);
    }
    let mut working = None;
    let account = match config.auth_tokens.as_slice() {
        [] => Finding::skipped(ACCOUNT, "TWILIO_AUTH_TOKEN is not set; the API key may not read the account"),
        tokens => account(doctor, config, sid, tokens, &mut working).await,
    };
    let key = match &config.api_key {
        None => Finding::skipped(API_KEY, "TWILIO_API_KEY_SID is not set; the token does its work"),
        Some(key) => api_key(doctor, config, sid, key, &mut working).await,
    };
    (vec![account, key], working)
}

/// Reads the account with each token. Twilio must accept the first; the others may not be active yet, or no longer be.
async fn account(
    doctor: &Doctor,
    config: &TwilioConfig,
    sid: &str,
    tokens: &[Secret],
    working: &mut Option<TwilioApi>,
) -> Finding {
    for (n, token) in tokens.iter().enumerate() {
        let api = TwilioApi::new(config, sid, sid, token);
        let account = match api.get(doctor, &format!("/2010-04-01/Accounts/{sid}.json")).await {
            Ok(account) => account,
            Err(refused) if n == 0 => return refused.fault(ACCOUNT),
            Err(Refused { status: Some(StatusCode::UNAUTHORIZED), .. }) => {
                let mut subaccounts = working.iter().flat_map(|api| &api.subaccounts);
                if subaccounts.any(|subaccount| subaccount.has_token(token)) {
                    continue;
                }
                let says = format!("token {} of the list in TWILIO_AUTH_TOKEN is not taken by Twilio any more", n + 1);
                return Finding::warning(ACCOUNT, says, "take it off the list when no instance needs it");
            }
            Err(refused) => return refused.fault(ACCOUNT),
        };
        if n > 0 {
            continue;
        }
        if let Some(finding) = state(sid, &account) {
            return finding;
        }
        // A question that only some accounts have need not be answered.
        let subaccounts = subaccounts(doctor, &api).await.unwrap_or_default();
        *working = Some(TwilioApi { subaccounts, ..api });
    }
    let list = if tokens.len() > 1 { format!(", {} tokens", tokens.len()) } else { String::new() };
    Finding::ok(ACCOUNT, format!("{sid} is active{list}"))
}

fn state(sid: &str, account: &Value) -> Option<Finding> {
    let status = account["status"].as_str().unwrap_or_default();
    if status != "active" {
        let says = format!("account {sid} is {status}");
        return Some(Finding::fault(
            ACCOUNT,
            says,
            "reactivate it in Twilio's console (billing, or its parent account)",
        ));
    }
    if account["type"] == "Trial" {
        let says =
            format!("{sid} is a trial account: callers hear a notice of Twilio's first, and streams may be left out");
        return Some(Finding::warning(ACCOUNT, says, "upgrade the account in Twilio's console"));
    }
    None
}

/// Checks the key as the service uses it: for calls. Standard keys may not read the account itself.
async fn api_key(
    doctor: &Doctor,
    config: &TwilioConfig,
    sid: &str,
    (key, secret): &(String, Secret),
    working: &mut Option<TwilioApi>,
) -> Finding {
    let api = TwilioApi::new(config, sid, key, secret);
    match api.get(doctor, &format!("/2010-04-01/Accounts/{sid}/Calls.json?PageSize=1")).await {
        Ok(_) => {
            working.get_or_insert(api);
            Finding::ok(API_KEY, format!("{key} is taken"))
        }
        Err(Refused { status: Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN), says, .. }) => {
            let mend = "set TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET to a standard key of this account and region, \
                        or unset both: the token does";
            Finding::fault(API_KEY, says, mend)
        }
        Err(refused) => refused.fault(API_KEY),
    }
}

impl TwilioApi {
    fn new(config: &TwilioConfig, sid: &str, user: &str, secret: &Secret) -> Self {
        let text = format!("Basic {}", STANDARD.encode(format!("{user}:{}", secret.expose())));
        // Base64 is valid in any header.
        let mut authorization = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        authorization.set_sensitive(true);
        Self { account_sid: sid.to_owned(), subaccounts: Vec::new(), base: config.api_url.clone(), authorization }
    }

    /// Gets the resource at that path and query.
    pub(crate) async fn get(&self, doctor: &Doctor, path: &str) -> Result<Value, Refused> {
        self.send(doctor, Request::get(format!("{}{path}", self.base)), Bytes::new()).await
    }

    /// Updates the resource at that path, and returns it. No check does this.
    #[cfg(feature = "lab")]
    pub(crate) async fn update(&self, doctor: &Doctor, path: &str, form: &[(&str, &str)]) -> Result<Value, Refused> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(format!("{}{path}", self.base));
        self.send(doctor, request.header("content-type", "application/x-www-form-urlencoded"), body.into()).await
    }

    async fn send(&self, doctor: &Doctor, request: Builder, body: Bytes) -> Result<Value, Refused> {
        let request = request
            .header("authorization", self.authorization.clone())
            .header("accept", "application/json")
            .body(Full::new(body));
        let request = request.map_err(|error| self.unanswered(&WebError::NoUrl(error.to_string())))?;
        let response = doctor.web.send(request).await.map_err(|error| self.unanswered(&error))?;
        doctor.web.note_clock(&parts(&self.base).1, &response);
        if !response.status().is_success() {
            return Err(self.refused(&response));
        }
        serde_json::from_slice(response.body()).map_err(|_| Refused {
            says: format!("{} answers with no JSON", self.base),
            mend: "set TWILIO_API_URL to Twilio's REST API, or unset it".to_owned(),
            status: None,
        })
    }

    fn unanswered(&self, error: &WebError) -> Refused {
        let mend = "look whether this machine reaches it (TWILIO_API_URL, TWILIO_EDGE, TWILIO_REGION; firewall, proxy)";
        Refused { says: format!("{}: {error}", self.base), mend: mend.to_owned(), status: None }
    }

    fn refused(&self, response: &Response<Bytes>) -> Refused {
        let status = response.status();
        let error: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        let code = error["code"].as_u64().map(|code| format!(", error {code}")).unwrap_or_default();
        let sid = &self.account_sid;
        let (what, mend) = match status {
            StatusCode::UNAUTHORIZED => (
                format!("Twilio does not take these credentials for account {sid}"),
                "copy TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN from Twilio's console anew; each region has its own token \
                 (TWILIO_EDGE, TWILIO_REGION)",
            ),
            StatusCode::FORBIDDEN => (
                format!("these credentials may not read account {sid}"),
                "use the account's auth token, or a standard API key",
            ),
            StatusCode::NOT_FOUND => (
                format!("{} has no account {sid}", self.base),
                "set TWILIO_ACCOUNT_SID to the account's id; is it of another region (TWILIO_EDGE, TWILIO_REGION)?",
            ),
            StatusCode::TOO_MANY_REQUESTS => (
                "Twilio answers that there are too many requests".to_owned(),
                "wait a minute and try again; hand-offs of live calls are refused in the meantime",
            ),
            _ => (format!("{} does not answer as it should", self.base), "try again; see Twilio's status page"),
        };
        let says = format!("{what} ({}{code})", status.as_u16());
        Refused { says, mend: mend.to_owned(), status: Some(status) }
    }
}

impl Refused {
    pub(crate) fn fault(self, check: &'static str) -> Finding {
        Finding::fault(check, self.says, self.mend)
    }
}
