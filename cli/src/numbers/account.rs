//! The Twilio account whose numbers are read and changed.

use super::error::NumberError;
use super::routing::Routing;
use crate::doctor::numbers::{Number, find, list, list_deadline, not_there};
use crate::doctor::twilio::{self, Refused, TwilioApi};
use crate::doctor::{Doctor, Finding};
use dialbridge_runner::settings::TwilioConfig;
use http::StatusCode;

/// An account that Twilio has let us into.
pub(crate) struct Account {
    doctor: Doctor,
    api: TwilioApi,
}

impl Account {
    /// Opens the account of these settings.
    ///
    /// # Errors
    /// When settings are missing, or Twilio does not take them.
    pub(crate) async fn open(doctor: Doctor, config: &TwilioConfig) -> Result<Self, NumberError> {
        let missing = |name: &str, example: &str| {
            let why = "it changes a number over Twilio's REST API";
            Err(NumberError::Setting(format!("{name} is not set, and {why}; copy it from Twilio's console: {example}")))
        };
        if config.account_sid.is_none() {
            return missing("TWILIO_ACCOUNT_SID", "AC and 32 digits");
        }
        if config.auth_tokens.is_empty() && config.api_key.is_none() {
            return missing("TWILIO_AUTH_TOKEN", "32 digits");
        }
        let (findings, api) = twilio::check(&doctor, config).await;
        match (api, findings.into_iter().find(Finding::is_fault)) {
            (Some(api), None) => Ok(Self { doctor, api }),
            (_, Some(fault)) => Err(NumberError::of_finding(fault)),
            (None, None) => Err(NumberError::Failed("Twilio does not let us into the account".to_owned())),
        }
    }

    /// The account's id.
    pub(crate) fn sid(&self) -> &str {
        &self.api.account_sid
    }

    /// All numbers of the account.
    pub(crate) async fn numbers(&self) -> Result<Vec<Number>, NumberError> {
        let deadline = list_deadline(&self.doctor);
        match tokio::time::timeout(deadline, list(&self.doctor, &self.api, self.sid(), "")).await {
            Ok(listed) => listed.map_err(failed),
            Err(_) => {
                let why = format!("the list of the account's numbers does not end within {} s", deadline.as_secs());
                Err(NumberError::Failed(format!("{why}; name the number with --number")))
            }
        }
    }

    /// The number that is called so.
    pub(crate) async fn find(&self, number: &str) -> Result<Number, NumberError> {
        let found = find(&self.doctor, &self.api, number).await.map_err(failed)?;
        found.ok_or_else(|| NumberError::of_finding(not_there(&self.api, number)))
    }

    /// The routing of the number with that id.
    pub(crate) async fn routing(&self, sid: &str) -> Result<Routing, NumberError> {
        let answer = self.api.get(&self.doctor, &self.path(sid)).await.map_err(failed_at_number)?;
        read(answer)
    }

    /// Changes a number's routing. Returns what it then is.
    pub(crate) async fn change(&self, sid: &str, from: &Routing, to: &Routing) -> Result<Routing, NumberError> {
        let form = to.update_from(from);
        let answer = self.api.update(&self.doctor, &self.path(sid), &form).await.map_err(failed_at_number)?;
        read(answer)
    }

    fn path(&self, sid: &str) -> String {
        format!("/2010-04-01/Accounts/{}/IncomingPhoneNumbers/{sid}.json", self.sid())
    }
}

fn read(answer: serde_json::Value) -> Result<Routing, NumberError> {
    let number: Result<Number, _> = serde_json::from_value(answer);
    let number = number.map_err(|_| NumberError::Failed("Twilio's answer is no number; try again".to_owned()))?;
    Ok(Routing::of(&number))
}

fn failed(refused: Refused) -> NumberError {
    NumberError::Failed(format!("{}; {}", refused.says, refused.mend))
}

fn failed_at_number(refused: Refused) -> NumberError {
    if refused.status == Some(StatusCode::NOT_FOUND) {
        return NumberError::Failed("the account has this number no more; see Twilio's console".to_owned());
    }
    failed(refused)
}
