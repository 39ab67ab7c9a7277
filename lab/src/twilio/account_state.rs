//! What an account has besides its calls: its state, further credentials, numbers.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use serde_json::{Value, json};

use super::SimulatedTwilio;
use super::account::Account;
use super::answers::{MAX_BYTES, error, response};
use super::numbers::{PhoneNumber, Refusal, page};

/// What an account has.
#[derive(Debug, Clone)]
pub struct AccountState {
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// `Full` or `Trial`.
    pub kind: String,
    /// A second token, while the account's token is being rotated.
    pub secondary_token: Option<String>,
    /// A standard API key: its id and its secret.
    pub api_key: Option<(String, String)>,
    /// Its numbers.
    pub numbers: Vec<PhoneNumber>,
    /// The calls that belong to a subaccount, and that subaccount's id.
    pub of_subaccounts: BTreeMap<String, String>,
    /// Its subaccounts, each with its numbers.
    pub subaccounts: Vec<(Account, Vec<PhoneNumber>)>,
    /// Accounts of others. Only the token of each reaches its calls.
    pub others: Vec<Account>,
}

impl Default for AccountState {
    fn default() -> Self {
        Self {
            status: "active".to_owned(),
            kind: "Full".to_owned(),
            secondary_token: None,
            api_key: None,
            numbers: Vec::new(),
            of_subaccounts: BTreeMap::new(),
            subaccounts: Vec::new(),
            others: Vec::new(),
        }
    }
}

/// Who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Requester {
    /// The holder of one of the account's tokens.
    Account,
    /// The holder of a standard API key: it may do everything but read the account itself.
    StandardKey,
    /// The holder of the token of an account of others, by its place.
    Other(usize),
}

impl SimulatedTwilio {
    /// The account's state, to read and change.
    pub fn account_state(&self) -> MutexGuard<'_, AccountState> {
        self.account_state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The caller with that user name and password.
    pub(super) fn requester(&self, user: &str, password: &str) -> Option<Requester> {
        let account_state = self.account_state();
        let own = self.account.auth_token.as_deref();
        let tokens = [own, account_state.secondary_token.as_deref()];
        if user == self.account.sid && tokens.contains(&Some(password)) {
            return Some(Requester::Account);
        }
        let is_other = |other: &Account| other.sid == user && other.auth_token.as_deref() == Some(password);
        if let Some(place) = account_state.others.iter().position(is_other) {
            return Some(Requester::Other(place));
        }
        let key = account_state.api_key.as_ref()?;
        (key.0 == user && key.1 == password).then_some(Requester::StandardKey)
    }

    /// The account itself.
    pub(super) fn account_resource(&self, requester: Requester) -> Response<Full<Bytes>> {
        if requester != Requester::Account {
            return error(StatusCode::UNAUTHORIZED, 20_003, "Authenticate");
        }
        let (sid, account_state) = (&self.account.sid, self.account_state());
        answered(json!({
            "sid": sid, "owner_account_sid": sid, "friendly_name": "The lab",
            "status": account_state.status, "type": account_state.kind, "uri": format!("/2010-04-01/Accounts/{sid}.json"),
        }))
    }

    /// The account and its subaccounts, on one page. Each shows its token.
    pub(super) fn accounts_resource(&self, requester: Requester) -> Response<Full<Bytes>> {
        if requester != Requester::Account {
            return error(StatusCode::UNAUTHORIZED, 20_003, "Authenticate");
        }
        let state = self.account_state();
        let all = std::iter::once(&self.account).chain(state.subaccounts.iter().map(|(account, _)| account));
        let of = |account: &Account| {
            json!({
                "sid": account.sid, "owner_account_sid": self.account.sid, "auth_token": account.auth_token,
                "status": "active", "type": state.kind,
            })
        };
        answered(json!({ "accounts": all.map(of).collect::<Vec<_>>(), "page": 0, "next_page_uri": null }))
    }

    /// The live calls, on one page.
    pub(super) fn calls_resource(&self) -> Response<Full<Bytes>> {
        let sid = &self.account.sid;
        let of = |call: &String| json!({ "sid": call, "account_sid": sid, "status": "in-progress" });
        let calls: Vec<Value> = self.live().keys().map(of).collect();
        answered(json!({ "calls": calls, "page": 0, "next_page_uri": null }))
    }

    /// The list of an account's numbers.
    pub(super) fn numbers_resource(&self, account: &str, query: &str) -> Response<Full<Bytes>> {
        let state = self.account_state();
        let of_subaccount = state.subaccounts.iter().find(|(subaccount, _)| subaccount.sid == account);
        let numbers = of_subaccount.map_or(&state.numbers, |(_, numbers)| numbers);
        page(numbers, account, query).map_or_else(refused, answered)
    }

    /// A number: reads or changes it.
    pub(super) async fn number_resource(&self, sid: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let form = match *request.method() {
            Method::GET => Vec::new(),
            Method::POST => match Limited::new(request.into_body(), MAX_BYTES).collect().await {
                Ok(body) => form_urlencoded::parse(&body.to_bytes()).into_owned().collect(),
                Err(_) => return error(StatusCode::BAD_REQUEST, 20_001, "unreadable"),
            },
            _ => return error(StatusCode::METHOD_NOT_ALLOWED, 20_004, "Method not allowed"),
        };
        let mut account_state = self.account_state();
        let Some(number) = account_state.numbers.iter_mut().find(|number| number.sid == sid) else {
            return error(StatusCode::NOT_FOUND, 20_404, "The requested resource was not found");
        };
        match number.update(&form) {
            Ok(()) => answered(number.json(&self.account.sid)),
            Err(refusal) => refused(refusal),
        }
    }
}

fn answered(body: Value) -> Response<Full<Bytes>> {
    response(StatusCode::OK, "application/json", body.to_string())
}

fn refused((status, code, message): Refusal) -> Response<Full<Bytes>> {
    error(status, code, &message)
}
