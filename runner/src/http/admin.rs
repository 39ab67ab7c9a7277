//! Who may see what is for those who run the service.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::{digest, hmac};

use crate::service::Service;

/// Whether a request may see it: anybody's where the service is not public, else one with `Authorization: Bearer` and
/// ADMIN_TOKEN.
pub(super) fn allowed(service: &Service, headers: &HeaderMap) -> bool {
    let config = service.config();
    if !config.is_public {
        return true;
    }
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    match (&config.admin_token, given) {
        (Some(token), Some((_, given))) => is_same(token.expose(), given.trim()),
        (None, _) | (_, None) => false,
    }
}

/// Takes as long for a wrong token as for the right one.
fn is_same(token: &str, given: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hmac::verify(&key, token.as_bytes(), hmac::sign(&key, given.as_bytes()).as_ref()).is_ok()
}
