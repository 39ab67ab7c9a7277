//! Secrets of Standard Webhooks: `whsec_` and the base64 of the key
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>). Any other text is the key
//! itself.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::value::list;

/// How such a secret begins.
const PREFIX: &str = "whsec_";

/// How long a key is, in bytes, by the specification.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The key of a webhook. It prints as `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// Reads a secret such as `whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD`. `None` if only its beginning is right.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Some(encoded) = text.strip_prefix(PREFIX) else { return Some(Self(text.into())) };
        let key = STANDARD.decode(encoded).ok()?;
        KEY_BYTES.contains(&key.len()).then_some(Self(key))
    }

    /// The key itself, in bytes. Call this only where it is needed.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Reads a list of secrets. No fault shows one.
pub(super) fn webhook_secrets(value: &str) -> Result<Vec<WebhookSecret>, String> {
    let fault = |n| {
        format!(
            "has at place {} of its list what is not {PREFIX} and the base64 of {} to {} bytes; \
             echo \"{PREFIX}$(openssl rand -base64 32)\" makes one",
            n + 1,
            KEY_BYTES.start(),
            KEY_BYTES.end()
        )
    };
    list(value).iter().enumerate().map(|(n, item)| WebhookSecret::parse(item).ok_or_else(|| fault(n))).collect()
}
