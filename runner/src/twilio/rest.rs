//! Twilio's REST API: gives new TwiML to a live call.
//!
//! `POST /2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}.json` with `Twiml`
//! (<https://www.twilio.com/docs/voice/api/call-resource>).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_core::{CallSid, UpdateResult};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Full;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;

use crate::settings::{Secret, TwilioAccount, TwilioConfig};
use dialbridge_net::http_client::HttpClient;

/// How long one request may take. The caller hears nothing meanwhile, and core waits 10 s for all attempts.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// How many times we send a request.
const ATTEMPTS: u32 = 5;

/// The pause before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause that a `Retry-After` can cause, because a call does not wait longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// How many bytes of a response we read.
const MAX_BYTES: usize = 64 * 1024;

/// Twilio's error code for a call that has ended.
const CALL_NOT_IN_PROGRESS: u64 = 21220;

/// A client of the REST API.
pub struct RestClient {
    client: HttpClient,
    /// `…/2010-04-01/Accounts`.
    base: String,
    /// The configured account and its credentials.
    main: Option<MainAccount>,
    /// The credentials of further accounts, by their ids.
    others: BTreeMap<String, HeaderValue>,
}

struct MainAccount {
    sid: String,
    authorization: HeaderValue,
    /// For calls of accounts without credentials here. The token of a main account reaches its subaccounts' calls. An API key reaches only its own
    /// account (<https://www.twilio.com/docs/iam/api/subaccounts>), but is better than nothing.
    for_others: HeaderValue,
}

impl MainAccount {
    fn new(config: &TwilioConfig) -> Option<Self> {
        let sid = config.account_sid.clone()?;
        let token = config.auth_tokens.first().map(|token| (sid.as_str(), token));
        let key = config.api_key.as_ref().map(|(sid, secret)| (sid.as_str(), secret));
        let (authorization, for_others) = (basic(key.or(token)?)?, basic(token.or(key)?)?);
        Some(Self { sid, authorization, for_others })
    }
}

/// The credentials of a further account: its API key, else its token.
fn authorization_of((sid, account): (&String, &TwilioAccount)) -> Option<(String, HeaderValue)> {
    let token = account.auth_tokens.first().map(|token| (sid.as_str(), token));
    let key = account.api_key.as_ref().map(|(sid, secret)| (sid.as_str(), secret));
    Some((sid.clone(), basic(key.or(token)?)?))
}

/// A call and its account.
#[derive(Debug, Clone, Copy)]
pub struct RestCall<'a> {
    /// The call.
    pub call_sid: &'a CallSid,
    /// Its account, if it is not the configured one.
    pub account: Option<&'a str>,
}

impl fmt::Debug for RestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestClient").field("base", &self.base).finish_non_exhaustive()
    }
}

/// The result of one attempt.
enum Attempt {
    Done(UpdateResult),
    /// A retry may succeed. Contains the error and the pause that Twilio asks for, if any.
    Again(String, Option<Duration>),
}

#[derive(Deserialize, Default)]
struct RestError {
    #[serde(default)]
    code: u64,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct CallStatus {
    status: String,
}

impl RestClient {
    /// A client for these accounts. `None` without an account or credentials; then no call can be updated.
    #[must_use]
    pub fn new(config: &TwilioConfig, client: HttpClient) -> Option<Self> {
        let (main, base) = (MainAccount::new(config), format!("{}/2010-04-01/Accounts", config.api_url));
        let others: BTreeMap<String, HeaderValue> = config.others.iter().filter_map(authorization_of).collect();
        (main.is_some() || !others.is_empty()).then_some(Self { client, base, main, others })
    }

    /// Gives new TwiML to a live call. Retries 429, 5xx and broken connections with growing pauses.
    pub async fn update(&self, call: RestCall<'_>, twiml: &str) -> UpdateResult {
        let body = form_urlencoded::Serializer::new(String::new()).append_pair("Twiml", twiml).finish();
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            let attempted = tokio::time::timeout(REQUEST_TIMEOUT, self.attempt(call, body.clone())).await;
            let (why, asked) = match attempted {
                Ok(Attempt::Done(result)) => return result,
                Ok(Attempt::Again(why, asked)) => (why, asked),
                Err(_) => ("no answer in time".to_owned(), None),
            };
            tracing::warn!(call_sid = %call.call_sid, attempt, why, "Twilio's REST API did not take the call's update");
            tokio::time::sleep(asked.unwrap_or(shortened_by_chance(pause)).min(LONGEST_PAUSE)).await;
            pause *= 2;
        }
        UpdateResult::Impossible
    }

    /// Like [`Self::update`], for a call that may not be Twilio's or may have ended: we ask Twilio first.
    pub async fn update_in_progress(&self, call: RestCall<'_>, twiml: &str) -> UpdateResult {
        match tokio::time::timeout(REQUEST_TIMEOUT, self.status(call)).await {
            Ok(Some(status)) if status == "in-progress" => self.update(call, twiml).await,
            Ok(Some(_)) => UpdateResult::CallGone,
            Ok(None) | Err(_) => UpdateResult::Impossible,
        }
    }

    /// The `status` of a call; `None` if Twilio does not return one.
    async fn status(&self, call: RestCall<'_>) -> Option<String> {
        let (url, authorization) = self.addressed(call)?;
        let request = Request::get(url)
            .header("authorization", authorization)
            .header("accept", "application/json")
            .body(Full::default())
            .ok()?;
        let response = self.client.send(request, MAX_BYTES).await.ok()?;
        match response.status() {
            StatusCode::OK => serde_json::from_slice::<CallStatus>(response.body()).ok().map(|call| call.status),
            status => {
                let error = serde_json::from_slice(response.body()).unwrap_or_default();
                self.refuses(call, status, &error);
                None
            }
        }
    }

    async fn attempt(&self, call: RestCall<'_>, body: String) -> Attempt {
        let Some((url, authorization)) = self.addressed(call) else {
            tracing::warn!(call_sid = %call.call_sid, "the call cannot be updated: there are no credentials for its account");
            return Attempt::Done(UpdateResult::Impossible);
        };
        let request = Request::post(url)
            .header("authorization", authorization)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(Full::from(body));
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                tracing::error!(call_sid = %call.call_sid, %error, "the call's update cannot be sent");
                return Attempt::Done(UpdateResult::Impossible);
            }
        };
        match self.client.send(request, MAX_BYTES).await {
            Err(error) => Attempt::Again(error.to_string(), None),
            Ok(response) => {
                let (head, body) = response.into_parts();
                self.understood(call, &head, &serde_json::from_slice(&body).unwrap_or_default())
            }
        }
    }

    /// The call's URL, and the credentials that reach it. `None` if there are none.
    fn addressed(&self, call: RestCall<'_>) -> Option<(String, HeaderValue)> {
        let main = self.main.as_ref();
        let (account, authorization) = match call.account {
            Some(account) => (account, self.others.get(account).or_else(|| main.map(|main| &main.for_others))?),
            None => main.map(|main| (main.sid.as_str(), &main.authorization))?,
        };
        Some((format!("{}/{account}/Calls/{}.json", self.base, call.call_sid), authorization.clone()))
    }

    fn understood(&self, call: RestCall<'_>, head: &http::response::Parts, error: &RestError) -> Attempt {
        let status = head.status;
        if status.is_success() {
            return Attempt::Done(UpdateResult::Accepted);
        }
        if error.code == CALL_NOT_IN_PROGRESS {
            return Attempt::Done(UpdateResult::CallGone);
        }
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let seconds = head.headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
            let told = format!("{status} {} {}", error.code, error.message);
            return Attempt::Again(told, seconds.map(Duration::from_secs));
        }
        self.refuses(call, status, error);
        Attempt::Done(UpdateResult::Impossible)
    }

    /// Logs that Twilio refuses a request. A call that Twilio does not find may be live: it is of another account or region
    /// than those of the request.
    fn refuses(&self, call: RestCall<'_>, status: StatusCode, error: &RestError) {
        let (call_sid, why) = (call.call_sid, format!("{status} {} {}", error.code, error.message));
        let configured = self.main.as_ref().map(|main| main.sid.as_str());
        let account = call.account.or(configured);
        let is_known = call.account.is_none_or(|account| self.others.contains_key(account));
        let is_account = matches!(status, StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if is_account && !is_known {
            tracing::warn!(
                %call_sid, account, configured, why,
                "Twilio's REST API refuses a call of another account than TWILIO_ACCOUNT_SID: set TWILIO_AUTH_TOKEN to the main \
                 account's token, because an API key reaches only its own account"
            );
        } else if status == StatusCode::NOT_FOUND {
            tracing::warn!(
                %call_sid, account, why,
                "Twilio's REST API does not find the call: is it of another account or region (TWILIO_REGION)?"
            );
        } else {
            tracing::error!(%call_sid, account, why, "Twilio's REST API refuses the call's update");
        }
    }
}

fn basic((user, secret): (&str, &Secret)) -> Option<HeaderValue> {
    let text = format!("Basic {}", STANDARD.encode(format!("{user}:{}", secret.expose())));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A random time between half the pause and the whole, so that calls that failed together do not retry together.
fn shortened_by_chance(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without random bytes we use the whole pause.
    let _ = SystemRandom::new().fill(&mut byte);
    pause - pause.mul_f64(f64::from(byte[0]) / 512.0)
}
