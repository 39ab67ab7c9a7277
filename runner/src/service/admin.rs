//! Who may use what is for operators only: `ADMIN_TOKEN`, and the logins that are derived from it.

use std::sync::Arc;

use ring::hmac;
use serde::{Deserialize, Serialize};

use super::admission::Admission;
use super::failures::Failures;
use crate::settings::{Config, Secret};
use crate::telemetry::Telemetry;
use crate::telemetry::clock::WallClock;
use crate::telemetry::log_limit::LogLimit;
use crate::twilio::ticket::{derived, is_fresh, open, seal};

/// How long a login is valid, in milliseconds.
pub(crate) const LOGIN_LIFE_MS: u64 = 12 * 60 * 60 * 1000;

/// What is needed to check tokens and logins.
pub(crate) struct Admin {
    /// `None`: there is no token.
    pub(crate) keys: Option<Keys>,
    pub(crate) failures: Failures,
    pub(crate) config: Arc<Config>,
    pub(crate) clock: WallClock,
    pub(crate) telemetry: Arc<Telemetry>,
    /// For log lines about refused requests.
    pub(crate) refusal_log: Arc<LogLimit>,
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
    /// Checks against the `ADMIN_TOKEN` of these settings.
    pub(crate) fn new(admission: &Admission) -> Self {
        Self {
            keys: admission.config.admin_token.as_ref().map(Keys::new),
            failures: Failures::default(),
            config: admission.config.clone(),
            clock: admission.clock,
            telemetry: admission.telemetry.clone(),
            refusal_log: admission.refusal_log.clone(),
        }
    }
}

impl Keys {
    /// Derives the keys from this token.
    fn new(token: &Secret) -> Self {
        let key = |label| derived(token.expose().as_bytes(), label);
        let (compare, logins) = (key("dialbridge admin token"), [key("dialbridge admin login")]);
        Self { token: token.clone(), compare, logins }
    }

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
        let keys = Keys::new(&Secret::new("a-token-of-some-length"));
        assert!(keys.is_token("a-token-of-some-length"));
        for wrong in ["", "a-token-of-some-lengtH", "a-token-of-some-length ", "a-token-of-some-lengt"] {
            assert!(!keys.is_token(wrong), "{wrong}");
        }
        assert!(!format!("{keys:?}").contains("a-token"), "{keys:?}");
    }

    #[test]
    fn a_login_holds_for_half_a_day_and_for_its_token() {
        let keys = |token: &str| Keys::new(&Secret::new(token));
        let (ours, others) = (keys("a-token-of-some-length"), keys("another-token-of-some-length"));
        let login = ours.login(1_000_000);
        assert!(ours.is_login(&login, 1_000_000 + LOGIN_LIFE_MS) && !ours.is_login(&login, 1_000_001 + LOGIN_LIFE_MS));
        assert!(!ours.is_login(&login, 0), "one from the future");
        assert!(!others.is_login(&login, 1_000_000) && !ours.is_login(&format!("{login}A"), 1_000_000));
        assert!(!ours.is_login("", 1_000_000));
    }
}
