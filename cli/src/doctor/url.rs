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
}
