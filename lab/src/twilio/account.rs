//! An account, and how it signs its requests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// A Twilio account.
#[derive(Clone)]
pub struct Account {
    /// `AC` and 32 hexadecimal digits.
    pub sid: String,
    /// The primary auth token; `None`: requests are not signed.
    pub auth_token: Option<String>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("sid", &self.sid).finish_non_exhaustive()
    }
}

static NEXT_SID: AtomicU64 = AtomicU64::new(1);

impl Account {
    /// A made-up account with that token.
    #[must_use]
    pub fn new(auth_token: Option<&str>) -> Self {
        Self { sid: format!("AC{:032x}", 0xD1A1), auth_token: auth_token.map(ToOwned::to_owned) }
    }

    /// A new id with that prefix, e.g. `CA`: different from all others, even from those of another process.
    #[must_use]
    pub fn new_sid(prefix: &str) -> String {
        let number = NEXT_SID.fetch_add(1, Ordering::Relaxed);
        format!("{prefix}{:08x}{:08x}{number:016x}", 0xDB00_1AB0_u32, std::process::id())
    }

    /// The `X-Twilio-Signature` of a request, if the account has a token.
    #[must_use]
    pub fn signature(&self, url: &str, form: &[(String, String)]) -> Option<String> {
        self.auth_token.as_ref().map(|token| sign(token, url, form))
    }
}

/// Twilio's signature: HMAC-SHA1 over the URL and, for a form, its parameters sorted by name; the values of a repeated
/// parameter are sorted, and each counts once (<https://www.twilio.com/docs/usage/security>).
#[must_use]
pub fn sign(token: &str, url: &str, form: &[(String, String)]) -> String {
    let mut sorted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in form {
        sorted.entry(name).or_default().push(value);
    }
    let mut text = url.to_owned();
    for (name, mut values) in sorted {
        values.sort_unstable();
        values.dedup();
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn requests_are_signed_as_twilios_own_library_signs_them() {
        let classic = form(&[
            ("To", "+18005551212"),
            ("Caller", "+14158675309"),
            ("From", "+14158675309"),
            ("Digits", "1234"),
            ("CallSid", "CA1234567890ABCDE"),
        ]);
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(sign("12345", url, &classic), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        assert_eq!(sign("12345", "wss://example.com/twilio/media", &[]), "Ko8aymfVk0cCegaxVKH0ZCvSyf4=");
        let repeated = form(&[("A", "b"), ("A", "a"), ("A", "b"), ("B", ""), ("a", "z")]);
        assert_eq!(sign("12345", "https://example.com/voice", &repeated), "D+c7utzbQfs+/R8f5MyAcr7eXec=");
    }

    #[test]
    fn ids_have_twilios_form_and_differ() {
        let (one, other) = (Account::new_sid("CA"), Account::new_sid("CA"));
        assert_eq!((one.len(), &one[..2]), (34, "CA"));
        assert_ne!(one, other);
    }
}
