//! Points a number at a service, after keeping what it had.

use super::account::Account;
use super::error::NumberError;
use super::kept::{Kept, KeptFile};
use super::restore::changed_since;
use super::routing::Routing;
use crate::doctor::numbers::Number;
use dialbridge_runner::settings::PublicUrl;

/// The result of pointing a number.
#[derive(Debug)]
pub(crate) struct Pointed {
    /// Where the number goes when it is put back.
    pub(crate) was: Routing,
}

/// Points a number at a service. A number that was pointed before keeps its first state.
///
/// # Errors
/// When the number could not be changed; it is then as it was, or the file says how it was.
pub(crate) async fn point(
    account: &Account,
    file: &KeptFile,
    number: &Number,
    public: &PublicUrl,
) -> Result<Pointed, NumberError> {
    let (now, to) = (account.routing(&number.sid).await?, Routing::to(public, number));
    let kept = keep(account, file, number, &now, &to)?;
    match account.change(&number.sid, &now, &to).await {
        Ok(answered) => check(file, kept, &to, answered),
        Err(error) => after_failure(account, file, kept, &now, &to, error).await,
    }
}

/// Checks what Twilio made of the update, and keeps it if it is not quite as asked: only a routing of ours is put back.
fn check(file: &KeptFile, kept: Kept, to: &Routing, answered: Routing) -> Result<Pointed, NumberError> {
    let (there, is_there) = (answered.described(), answered.described() == to.described());
    let (number, was) = (kept.phone_number.clone(), kept.was.clone());
    if answered != *to {
        let put = kept.put.iter().cloned().chain([answered]).collect();
        file.replace(&Kept { put, ..kept })?;
    }
    if is_there {
        return Ok(Pointed { was });
    }
    let why = format!("Twilio has taken the update of {number}, and it still leads to {there}");
    Err(NumberError::Failed(format!("{why}; `dialbridge number restore` puts it back as it was")))
}

/// Writes what the number was, before it is changed.
fn keep(account: &Account, file: &KeptFile, number: &Number, now: &Routing, to: &Routing) -> Result<Kept, NumberError> {
    let Some(kept) = file.read()? else {
        let kept = Kept {
            account_sid: account.sid().to_owned(),
            number_sid: number.sid.clone(),
            phone_number: number.phone_number.clone(),
            was: now.clone(),
            put: vec![to.clone()],
        };
        file.create(&kept)?;
        return Ok(kept);
    };
    if kept.account_sid != account.sid() || kept.number_sid != number.sid {
        let (path, other) = (file.path().display(), &kept.phone_number);
        let why = format!("{path} still keeps how {other} was");
        return Err(NumberError::Failed(format!("{why}; put that number back first: dialbridge number restore")));
    }
    if *now == kept.was || kept.put.contains(now) {
        let kept = Kept { put: vec![now.clone(), to.clone()], ..kept };
        file.replace(&kept)?;
        return Ok(kept);
    }
    Err(changed_since(&kept, file))
}

/// An update whose answer was lost may have been done all the same.
async fn after_failure(
    account: &Account,
    file: &KeptFile,
    kept: Kept,
    before: &Routing,
    to: &Routing,
    error: NumberError,
) -> Result<Pointed, NumberError> {
    match account.routing(&kept.number_sid).await {
        Ok(now) if now == *to => Ok(Pointed { was: kept.was }),
        Ok(now) if now == *before && now == kept.was => {
            file.remove()?;
            Err(error)
        }
        Ok(_) => Err(error),
        Err(_) => {
            let why = format!("{error}; whether {} was changed is not known", kept.phone_number);
            Err(NumberError::Failed(format!("{why}: `dialbridge number restore` puts it back")))
        }
    }
}
