//! How a webhook knows that events are ours and new: the three headers of Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>), for which there are
//! libraries in most languages. The crate of that name would sign too, but it costs the first build a second library for
//! base64, one for time and one for HMAC; this is ring's HMAC and no more.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac};

use crate::settings::WebhookSecret;

/// How many bytes of a body's digest make its id.
const ID_BYTES: usize = 16;

/// The headers of a request: their names and values.
type Headers = [(&'static str, String); 3];

/// The headers for a body at this time, in milliseconds since 1970. `None` without a secret. The id is the body's own, so
/// each attempt to post a batch has the same one.
pub(super) fn headers(secrets: &[WebhookSecret], now_ms: u64, body: &[u8]) -> Option<Headers> {
    if secrets.is_empty() {
        return None;
    }
    let (id, seconds) = (id(body), now_ms / 1_000);
    let signatures: Vec<String> = secrets.iter().map(|secret| signature(secret, &id, seconds, body)).collect();
    Some([("webhook-id", id), ("webhook-timestamp", seconds.to_string()), ("webhook-signature", signatures.join(" "))])
}

/// Events have ids of their own and are sent once, so no two bodies are equal.
fn id(body: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, body);
    let hex = digest.as_ref().iter().take(ID_BYTES).map(|byte| format!("{byte:02x}"));
    format!("msg_{}", hex.collect::<String>())
}

fn signature(secret: &WebhookSecret, id: &str, seconds: u64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()));
    context.update(format!("{id}.{seconds}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> WebhookSecret {
        WebhookSecret::parse(text).unwrap()
    }

    #[test]
    fn the_signature_is_the_one_of_the_libraries_of_standard_webhooks() {
        // From the tests of the specification's own library for Rust, standardwebhooks 1.0.1 (MIT, Svix).
        let signed = signature(
            &secret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            br#"{"email":"test@example.com","username":"test_user"}"#,
        );
        assert_eq!(signed, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn each_secret_signs_and_a_body_keeps_its_id() {
        let secrets = ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"].map(secret);
        let [id, timestamp, signatures] = headers(&secrets, 1_700_000_000_999, b"[]").unwrap();
        // printf '[]' | sha256sum | cut -c-32
        assert_eq!(id, ("webhook-id", "msg_4f53cda18c2baa0c0354bb5f9a3ecbe5".to_owned()));
        assert_eq!(timestamp, ("webhook-timestamp", "1700000000".to_owned()));
        let expected = secrets.each_ref().map(|secret| signature(secret, &id.1, 1_700_000_000, b"[]"));
        assert_eq!(signatures, ("webhook-signature", expected.join(" ")));
        let [again, _, later] = headers(&secrets, 1_700_000_001_000, b"[]").unwrap();
        assert!(again == id && later != signatures);
        assert_eq!(headers(&[], 0, b""), None);
    }
}
