//! Puts a number back as it was.

use super::account::Account;
use super::error::NumberError;
use super::kept::{Kept, KeptFile};
use super::routing::Routing;

/// What to do with a number that somebody has changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfChanged {
    /// It stays as it is.
    Leave,
    /// It is put back all the same.
    PutBack,
}

/// Puts the kept number back as it was, and forgets it. Returns what was kept; `None` if nothing was.
///
/// # Errors
/// When it cannot be put back, or somebody has changed it since. What is kept then stays.
pub(crate) async fn restore(
    account: &Account,
    file: &KeptFile,
    if_changed: IfChanged,
) -> Result<Option<Kept>, NumberError> {
    let Some(kept) = file.read()? else { return Ok(None) };
    if kept.account_sid != account.sid() {
        let (number, path) = (&kept.phone_number, file.path().display());
        let why = format!("{number} in {path} is a number of account {}", kept.account_sid);
        return Err(NumberError::Setting(format!("{why}; set TWILIO_ACCOUNT_SID to it")));
    }
    let now = account.routing(&kept.number_sid).await?;
    if now != kept.was {
        if !kept.put.contains(&now) && if_changed == IfChanged::Leave {
            return Err(changed_since(&kept, file));
        }
        put_back(account, file, &kept, &now).await?;
    }
    file.remove()?;
    Ok(Some(kept))
}

async fn put_back(account: &Account, file: &KeptFile, kept: &Kept, now: &Routing) -> Result<(), NumberError> {
    let sid = &kept.number_sid;
    let done = match account.change(sid, now, &kept.was).await {
        Ok(answered) => answered,
        // An update whose answer was lost may have been done all the same.
        Err(error) => account.routing(sid).await.map_err(|_| error)?,
    };
    if kept.was.update_from(&done).is_empty() {
        return Ok(());
    }
    let (number, there, path) = (&kept.phone_number, done.described(), file.path().display());
    let why = format!("Twilio has not put {number} back: it leads to {there}");
    Err(NumberError::Failed(format!("{why}; try again, or copy {path} by hand into Twilio's console")))
}

/// The error for a number that is neither as it was nor as we made it.
pub(super) fn changed_since(kept: &Kept, file: &KeptFile) -> NumberError {
    let (number, path) = (&kept.phone_number, file.path().display());
    let why = format!("somebody has changed {number} since it was pointed; it stays as it is");
    let back = format!("`dialbridge number restore --force` makes it lead to {} again", kept.was.described());
    NumberError::Failed(format!("{why}. {back}; or delete {path}"))
}
