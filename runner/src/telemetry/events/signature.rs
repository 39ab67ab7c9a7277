//! How a webhook knows that events are ours and new: a header `Dialbridge-Signature: t=SECONDS,v1=HEX`, with a `v1` for
//! each secret. HEX is the HMAC-SHA256 of `SECONDS.BODY`, so that nobody can replay a request later.

use std::fmt::Write as _;

use ring::hmac;

use crate::settings::Secret;

/// The header's name.
pub(super) const HEADER: &str = "dialbridge-signature";

/// The signature of a body at this time, in milliseconds since 1970. `None` without a secret.
pub(super) fn signature(secrets: &[Secret], now_ms: u64, body: &[u8]) -> Option<String> {
    if secrets.is_empty() {
        return None;
    }
    let seconds = now_ms / 1_000;
    let mut header = format!("t={seconds}");
    for secret in secrets {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()));
        context.update(format!("{seconds}.").as_bytes());
        context.update(body);
        header.push_str(",v1=");
        for byte in context.sign().as_ref() {
            // Writing to a String cannot fail.
            let _ = write!(header, "{byte:02x}");
        }
    }
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_secret_signs_the_time_and_the_body() {
        let secrets = ["new", "old"].map(Secret::new);
        let header = signature(&secrets, 1_700_000_000_999, b"[]").unwrap();
        // printf '1700000000.[]' | openssl dgst -sha256 -hmac new; and with old
        let (new, old) = (
            "64218d782cf6c8c043188562e5c00dea750813e9a1c30654ce4cde95834d3ce8",
            "945cc1c98a07fac9e16acc01074dd0aedbc425134fb1bd53afcde503f1da0606",
        );
        assert_eq!(header, format!("t=1700000000,v1={new},v1={old}"));
        assert_ne!(signature(&secrets, 1_700_000_001_000, b"[]").unwrap(), header);
        assert_eq!(signature(&[], 0, b""), None);
    }
}
