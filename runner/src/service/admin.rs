//! Who may use what is for operators only: `ADMIN_TOKEN`, and the logins that are derived from it.

use ring::hmac;
use serde::{Deserialize, Serialize};

use super::failures::Failures;
use crate::settings::Secret;
use crate::twilio::ticket::{derived, is_fresh, open, seal};

/// How long a login is valid, in milliseconds.
pub(crate) const LOGIN_LIFE_MS: u64 = 12 * 60 * 60 * 1000;

/// What is needed to check tokens and logins.
#[derive(Debug)]
pub(crate) struct Admin {
    keys: Option<Keys>,
    failures: Failures,
}

/// Keys that are derived from the token.
pub(crate) struct Keys {
    token: Secret,
    /// Makes a tag of each token; comparing the tags takes constant time.
    compare: hmac::Key,
    logins: [hmac::Key; 1],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// The content of a login cookie. All instances with the same token can read it. A new token ends it.
#[derive(Serialize, Deserialize)]
struct Login {
    /// When the login was issued, in milliseconds since 1970.
    #[serde(rename = "t")]
    issued_ms: u64,
}

impl Admin {
    /// Checks against this token. `None`: there is no token.
    pub(crate) fn new(token: Option<&Secret>) -> Self {
        let keys = token.map(|token| {
            let key = |label| derived(token.expose().as_bytes(), label);
            let (compare, logins) = (key("dialbridge admin token"), [key("dialbridge admin login")]);
            Keys { token: token.clone(), compare, logins }
        });
        Self { keys, failures: Failures::default() }
    }

    pub(crate) fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }
}

impl Keys {
    pub(crate) fn is_token(&self, given: &str) -> bool {
        let tag = hmac::sign(&self.compare, given.as_bytes());
        hmac::verify(&self.compare, self.token.expose().as_bytes(), tag.as_ref()).is_ok()
    }

    /// The value of a new login cookie.
    pub(crate) fn login(&self, now_ms: u64) -> String {
        seal(&self.logins, &Login { issued_ms: now_ms })
    }

    /// Whether this is the value of a login cookie that is still valid.
    pub(crate) fn is_login(&self, text: &str, now_ms: u64) -> bool {
        open::<Login>(&self.logins, text).is_ok_and(|login| is_fresh(login.issued_ms, now_ms, LOGIN_LIFE_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_the_token_and_nothing_else() {
        let admin = Admin::new(Some(&Secret::new("a-token-of-some-length")));
        let keys = admin.keys().unwrap();
        assert!(keys.is_token("a-token-of-some-length"));
        for wrong in ["", "a-token-of-some-lengtH", "a-token-of-some-length ", "a-token-of-some-lengt"] {
            assert!(!keys.is_token(wrong), "{wrong}");
        }
        assert!(!format!("{admin:?}").contains("a-token"), "{admin:?}");
    }

    #[test]
    fn a_login_holds_for_half_a_day_and_for_its_token() {
        let keys = |token: &str| Admin::new(Some(&Secret::new(token))).keys.unwrap();
        let (ours, others) = (keys("a-token-of-some-length"), keys("another-token-of-some-length"));
        let login = ours.login(1_000_000);
        assert!(ours.is_login(&login, 1_000_000 + LOGIN_LIFE_MS) && !ours.is_login(&login, 1_000_001 + LOGIN_LIFE_MS));
        assert!(!ours.is_login(&login, 0), "one from the future");
        assert!(!others.is_login(&login, 1_000_000) && !ours.is_login(&format!("{login}A"), 1_000_000));
        assert!(!ours.is_login("", 1_000_000));
    }
}
