//! Further Twilio accounts, beside that of `TWILIO_ACCOUNT_SID`: for an agency that serves several, and for subaccounts. Each
//! signs its requests with its own token. The agents' file names where its secrets are and never has them.

use std::fs;
use std::path::Path;

use dialbridge_net::Secret;
use toml::{Table, Value};

use super::value::{is_account_sid, list};

/// The key of the account's id.
const SID: &str = "account_sid";
/// The key of an API key's id.
const API_KEY_SID: &str = "api_key_sid";
/// What names a token, before `_env` or `_file`.
const TOKEN: &str = "auth_token";
/// What names the secret of an API key, before `_env` or `_file`.
const API_KEY_SECRET: &str = "api_key_secret";

/// A Twilio account with credentials of its own.
#[derive(Debug, Clone)]
pub struct TwilioAccount {
    /// Its name in the agents' file.
    pub name: String,
    /// All of them verify; the first one serves REST. Never empty.
    pub auth_tokens: Vec<Secret>,
    /// API key and secret for REST, instead of the token.
    pub api_key: Option<(String, Secret)>,
    /// The agent of a call that neither its voice-url nor its number leads to another one.
    pub default_agent: String,
}

/// An account as the agents' file has it.
#[derive(Debug)]
pub(super) struct AccountTable {
    pub(super) name: String,
    pub(super) sid: String,
    pub(super) auth_tokens: Vec<Secret>,
    pub(super) api_key: Option<(String, Secret)>,
}

/// A key of an account's table, and what is wrong with its value.
type Fault = (&'static str, String);

impl AccountTable {
    /// Reads an account's table, and the secrets that it names. Paths are relative to `folder`.
    ///
    /// # Errors
    /// All faults.
    pub(super) fn read(name: &str, mut table: Table, folder: &Path) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut noted = |found: Result<Option<String>, Fault>| {
            found.unwrap_or_else(|fault| {
                faults.push(fault);
                None
            })
        };
        let sid = noted(text(&mut table, SID).and_then(|sid| match sid {
            Some(sid) if is_account_sid(&sid) => Ok(Some(sid)),
            Some(_) => Err((SID, "is no account's id: AC and 32 hexadecimal digits".to_owned())),
            None => Err((SID, "is not set".to_owned())),
        }));
        let token = noted(secret(&mut table, TOKEN, folder).and_then(|token| match token {
            Some(token) => Ok(Some(token)),
            None => Err((TOKEN, format!("is not set: {TOKEN}_file or {TOKEN}_env says where it is"))),
        }));
        let has = |key: &str| table.keys().any(|name| name.starts_with(key));
        let key_parts = (has(API_KEY_SID), has(API_KEY_SECRET));
        let key_sid = noted(text(&mut table, API_KEY_SID));
        let key_secret = noted(secret(&mut table, API_KEY_SECRET, folder));
        match key_parts {
            (true, false) => faults.push((API_KEY_SID, format!("is set, but {API_KEY_SECRET}_file is not"))),
            (false, true) => faults.push((API_KEY_SECRET, format!("is set, but {API_KEY_SID} is not"))),
            (true, true) | (false, false) => {}
        }
        if let Some(name) = table.keys().next() {
            faults.push(("", format!("has {name}, which is nothing of an account's: it has {}", known())));
        }
        match (sid, token) {
            (Some(sid), Some(token)) if faults.is_empty() => {
                let auth_tokens = list(&token).into_iter().map(Secret::new).collect();
                let api_key = key_sid.zip(key_secret.map(Secret::new));
                Ok(Self { name: name.to_owned(), sid, auth_tokens, api_key })
            }
            _ => Err(faults),
        }
    }
}

fn known() -> String {
    format!("{SID}, {TOKEN}_file or {TOKEN}_env, {API_KEY_SID}, {API_KEY_SECRET}_file or {API_KEY_SECRET}_env")
}

fn text(table: &mut Table, key: &'static str) -> Result<Option<String>, Fault> {
    match table.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text.trim().to_owned())),
        Some(_) => Err((key, "is no text".to_owned())),
    }
}

/// A secret by the file or the variable that has it.
fn secret(table: &mut Table, key: &'static str, folder: &Path) -> Result<Option<String>, Fault> {
    let fault = |why: String| (key, why);
    if table.remove(key).is_some() {
        let where_to = format!("{key}_file names a file that has it, {key}_env a variable");
        return Err(fault(format!("is a secret, which does not stand in this file: {where_to}")));
    }
    let named = |table: &mut Table, end: &str| match table.remove(&format!("{key}{end}")) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(fault(format!("is no text at {key}{end}"))),
    };
    let value = match (named(table, "_file")?, named(table, "_env")?) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(fault("is named by a file and by a variable".to_owned())),
        (Some(file), None) if is_secret(&file) => {
            return Err(fault(format!("is no file at {key}_file: a secret itself does not stand there")));
        }
        (Some(file), None) => {
            let path = folder.join(file);
            let read = fs::read_to_string(&path);
            read.map_err(|error| fault(format!("cannot be read from {}: {error}", path.display())))?
        }
        (None, Some(name)) if !is_variable(&name) => {
            return Err(fault(format!("is no variable at {key}_env: capital letters, digits and _")));
        }
        (None, Some(name)) => {
            std::env::var(&name).map_err(|_| fault(format!("is to be in {name}, which is not set")))?
        }
    };
    let value = value.trim().to_owned();
    if list(&value).is_empty() { Err(fault("is empty".to_owned())) } else { Ok(Some(value)) }
}

/// Whether a text that should name a file looks like a secret of Twilio's, which no fault may show.
fn is_secret(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether a text can name a variable. Others are not shown, because they may be a secret.
fn is_variable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}
