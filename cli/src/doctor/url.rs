//! What several checks need to know about a URL and the answer that came from it.

use bytes::Bytes;
use dialbridge_net::hosts::without_brackets;
use http::header::LOCATION;
use http::{Response, Uri};

use super::web::WebError;

/// What to do when a URL cannot be reached.
pub(crate) fn unreached(error: &WebError) -> &'static str {
    match error {
        WebError::NoUrl(_) => "set PUBLIC_URL to a URL such as https://calls.example.com",
        WebError::Unreachable(_) => "start the service, and look whether the host's name and port are right",
        WebError::Tls(_) => "give the host a certificate of a public authority for its name: Twilio takes no other",
        WebError::Broken(_) => {
            "look whether the port speaks HTTP (https:// for one with TLS), and at the service's log"
        }
        WebError::TooLate(_) => "look at the service's log: Twilio waits 15 s for a webhook, and 5 s for a connection",
        WebError::TooLong => "let the URL lead to the service itself, with its paths at the root",
    }
}

/// Where a redirect leads.
pub(crate) fn location(response: &Response<Bytes>) -> Option<String> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    response.status().is_redirection().then(|| location.to_owned())
}

/// Whether only this machine can reach it.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let uri: Option<Uri> = format!("http://{authority}/").parse().ok();
    let host = without_brackets(uri.as_ref().and_then(Uri::host).unwrap_or_default());
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Refuses the URL of an option to which the admin token would go in plaintext. Loopback is this machine.
///
/// # Errors
/// A sentence: what is wrong with the URL, and what to do.
pub(crate) fn check_private(option: &str, url: &str) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|_| format!("{option} {url} is no URL"))?;
    let host = uri.host().unwrap_or_default();
    if uri.scheme_str() == Some("https") || uri.authority().is_some_and(|authority| is_loopback(authority.as_str())) {
        return Ok(());
    }
    Err(format!("ADMIN_TOKEN would go to {host} unencrypted: use https in {option}, or leave the token out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_told_from_others() {
        for ours in ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:80"] {
            assert!(is_loopback(ours), "{ours}");
        }
        for other in ["example.com", "10.0.0.1", "localhost.example.com", "[2001:db8::1]:80", ""] {
            assert!(!is_loopback(other), "{other}");
        }
    }

    #[test]
    fn the_admin_token_goes_over_https_or_to_this_machine() {
        for url in ["https://calls.example.com", "http://127.0.0.1:8080", "http://[::1]:8080/twiml", "http://localhost"]
        {
            assert_eq!(check_private("--url", url), Ok(()), "{url}");
        }
        for url in ["http://calls.example.com", "http://10.0.0.7:8080/twiml", "http://localhost.example.com"] {
            let told = check_private("--metrics", url).unwrap_err();
            assert!(told.ends_with("unencrypted: use https in --metrics, or leave the token out"), "{told}");
        }
        assert_eq!(check_private("--url", "http://").unwrap_err(), "--url http:// is no URL");
    }
}
