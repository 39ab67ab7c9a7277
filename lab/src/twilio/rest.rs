//! Twilio's REST API as far as the service uses it: the Calls resource of live calls, the account and its numbers.

use std::convert::Infallible;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use crate::served::Served;
use crate::twilio::account_state::Requester;
use crate::twilio::answers::{MAX_BYTES, error, response};
use crate::twilio::{RestFault, SimulatedTwilio, Update, twiml};

/// The longest `Twiml` parameter, in characters (beyond it: error 32018).
const TWIML_CHARS: usize = 4_000;

impl SimulatedTwilio {
    /// Serves the REST API, and a hand-off handler at `/handoff`, on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn serve_rest_on_loopback(&self) -> io::Result<Served> {
        Served::on_loopback(self.clone(), |twilio, stream| async move { twilio.serve_rest(stream).await }).await
    }

    /// Serves the REST API on one connection.
    pub async fn serve_rest(&self, connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request| {
            let twilio = self.clone();
            async move { Ok::<_, Infallible>(twilio.answer(request).await) }
        });
        // A client that breaks off does not concern Twilio.
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        if path == "/handoff" {
            return response(StatusCode::OK, "text/xml", self.hand_off());
        }
        let Some(requester) = self.authorized(&request) else {
            return error(StatusCode::UNAUTHORIZED, 20003, "Authenticate");
        };
        match self.next_rest_fault() {
            None => self.resource(requester, &path, request).await,
            Some(RestFault::Refused { status, code, retry_after }) => refused(status, code, retry_after),
            Some(RestFault::Silence) => std::future::pending().await,
            Some(RestFault::DoneButFails) => {
                let is_update = request.method() == Method::POST;
                let done = self.resource(requester, &path, request).await;
                if is_update { refused(StatusCode::BAD_GATEWAY, 20500, None) } else { done }
            }
        }
    }

    async fn resource(&self, requester: Requester, path: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if path == "/2010-04-01/Accounts.json" && request.method() == Method::GET {
            return self.accounts_resource(requester);
        }
        let (account, resource) = self.addressed(path);
        if !self.reaches(requester, account) {
            // "Access to subaccount resources will be denied."
            return error(StatusCode::UNAUTHORIZED, 20003, "Authenticate");
        }
        let resource = resource.filter(|resource| self.owns(account, resource));
        match (resource.map(|resource| resource.split('/').collect::<Vec<_>>()).as_deref(), request.method()) {
            (Some([""]), &Method::GET) => self.account_resource(requester),
            (Some(["", "IncomingPhoneNumbers"]), &Method::GET) => {
                self.numbers_resource(account, request.uri().query().unwrap_or_default())
            }
            (Some(["", "IncomingPhoneNumbers", sid]), _) => self.number_resource(sid, request).await,
            (Some(["", "Calls"]), &Method::GET) => self.calls_resource(),
            (Some(["", "Calls", sid]), &Method::GET) => self.status(sid),
            (Some(["", "Calls", sid]), &Method::POST) => self.update(sid, request).await,
            (Some([""] | ["", "IncomingPhoneNumbers"] | ["", "Calls"] | ["", "Calls", _]), _) => {
                error(StatusCode::METHOD_NOT_ALLOWED, 20004, "Method not allowed")
            }
            _ => error(StatusCode::NOT_FOUND, 20404, "The requested resource was not found"),
        }
    }

    /// Whether the requester may see anything of that account.
    fn reaches(&self, requester: Requester, account: &str) -> bool {
        let others = &self.account_state().others;
        match requester {
            Requester::Account => others.iter().all(|other| other.sid != account),
            Requester::StandardKey => account == self.account.sid,
            Requester::Other(place) => others[place].sid == account,
        }
    }

    /// The account of a path, and the resource of that account.
    fn addressed<'a>(&self, path: &'a str) -> (&'a str, Option<&'a str>) {
        let rest = path.strip_prefix("/2010-04-01/Accounts/").and_then(|rest| rest.strip_suffix(".json"));
        let rest = rest.unwrap_or_default();
        let (account, resource) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        (account, (!account.is_empty()).then_some(resource))
    }

    /// Whether a resource is that account's. A main account does not see a subaccount's calls under its own path.
    fn owns(&self, account: &str, resource: &str) -> bool {
        let state = self.account_state();
        let call = resource.strip_prefix("/Calls/").and_then(|call| state.of_subaccounts.get(call));
        let is_sub = state.subaccounts.iter().any(|(subaccount, _)| subaccount.sid == account);
        let has_numbers = is_sub && resource == "/IncomingPhoneNumbers";
        call.map_or(account == self.account.sid || has_numbers, |owner| owner == account)
    }

    /// Who makes the request, by its Basic authorization.
    fn authorized(&self, request: &Request<Incoming>) -> Option<Requester> {
        let header = request.headers().get("authorization")?.to_str().ok()?;
        let pair = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let (user, password) = pair.split_once(':')?;
        self.requester(user, password)
    }

    fn status(&self, sid: &str) -> Response<Full<Bytes>> {
        if self.live().contains_key(sid) {
            let call = json!({ "sid": sid, "account_sid": self.account.sid, "status": "in-progress" });
            response(StatusCode::OK, "application/json", call.to_string())
        } else {
            error(StatusCode::NOT_FOUND, 20404, "The requested resource was not found")
        }
    }

    async fn update(&self, sid: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let Ok(body) = Limited::new(request.into_body(), MAX_BYTES).collect().await else {
            return error(StatusCode::BAD_REQUEST, 20001, "unreadable");
        };
        let body = body.to_bytes();
        let mut form = form_urlencoded::parse(&body);
        let Some((_, xml)) = form.find(|(name, _)| name == "Twiml") else {
            return error(StatusCode::BAD_REQUEST, 21218, "neither Url nor Twiml");
        };
        if xml.chars().count() > TWIML_CHARS {
            return error(StatusCode::BAD_REQUEST, 32018, "Twiml is longer than 4000 characters");
        }
        if let Err(why) = twiml::parse(&xml) {
            return error(StatusCode::BAD_REQUEST, 12100, &why);
        }
        let call = self.live().get(sid).cloned();
        let (taken, was_taken) = oneshot::channel();
        let update = Update { twiml: xml.into_owned(), taken };
        let sent = match call {
            Some(call) => call.send(update).await.is_ok() && was_taken.await.is_ok(),
            None => false,
        };
        if sent {
            let call = json!({ "sid": sid, "account_sid": self.account.sid, "status": "in-progress" });
            response(StatusCode::OK, "application/json", call.to_string())
        } else {
            error(StatusCode::BAD_REQUEST, 21220, "Call is not in-progress. Cannot redirect.")
        }
    }
}

fn refused(status: StatusCode, code: u32, retry_after: Option<u64>) -> Response<Full<Bytes>> {
    let mut response = error(status, code, "so it was planned");
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}
