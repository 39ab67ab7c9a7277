//! Where a redirect leads.

use http::header::LOCATION;
use http::{Response, StatusCode, Uri};

/// The URL that a response redirects to. `None` if it redirects nowhere.
///
/// # Errors
/// A sentence if the target is no `https:` URL.
pub(super) fn target<B>(from: &str, response: &Response<B>) -> Result<Option<String>, String> {
    let redirects = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let location = response.headers().get(LOCATION).filter(|_| redirects.contains(&response.status()));
    let Some(location) = location else { return Ok(None) };
    let target = location.to_str().ok().and_then(|location| resolved(from, location.trim()));
    let target = target.filter(|target| target.to_ascii_lowercase().starts_with("https://"));
    target
        .map(Some)
        .ok_or_else(|| "the audio that the agent names is redirected to an address that is not https:".to_owned())
}

/// A reference, as of `Location`, in full (RFC 3986 section 5.2; dots are left to the server).
fn resolved(from: &str, reference: &str) -> Option<String> {
    let base: Uri = from.parse().ok()?;
    let (scheme, authority) = (base.scheme_str()?, base.authority()?.as_str());
    let end = reference.find(['/', '?', '#']).unwrap_or(reference.len());
    let full = if reference[..end].contains(':') {
        reference.to_owned()
    } else if let Some(rest) = reference.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if reference.starts_with('/') {
        format!("{scheme}://{authority}{reference}")
    } else if reference.starts_with('?') {
        format!("{scheme}://{authority}{}{reference}", base.path())
    } else {
        let folder = base.path().rfind('/').map_or("/", |end| &base.path()[..=end]);
        format!("{scheme}://{authority}{folder}{reference}")
    };
    let full = full.split('#').next().unwrap_or_default().to_owned();
    full.parse::<Uri>().ok()?.host().filter(|host| !host.is_empty())?;
    Some(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, location: &str) -> Result<Option<String>, String> {
        let response = Response::builder().status(status).header(LOCATION, location).body(()).unwrap();
        target("https://cdn.example.com:8443/a/b.wav?x=1", &response)
    }

    #[test]
    fn a_redirect_leads_to_a_url_in_full() {
        for (location, expected) in [
            ("https://other.example/c.wav?y=2#part", "https://other.example/c.wav?y=2"),
            ("HTTPS://other.example/", "HTTPS://other.example/"),
            ("//other.example/c.wav", "https://other.example/c.wav"),
            ("/c.wav", "https://cdn.example.com:8443/c.wav"),
            ("c.wav", "https://cdn.example.com:8443/a/c.wav"),
            ("?y=2", "https://cdn.example.com:8443/a/b.wav?y=2"),
            ("c.wav?at=12:30", "https://cdn.example.com:8443/a/c.wav?at=12:30"),
        ] {
            for status in [301, 302, 303, 307, 308] {
                assert_eq!(of(status, location), Ok(Some(expected.to_owned())), "{location}");
            }
        }
        for location in [
            "http://other.example/c.wav",
            "file:///etc/passwd",
            "gs://bucket/c.wav",
            "https://",
            "data:,x",
            "https://a b",
        ] {
            assert!(of(302, location).is_err(), "{location}");
        }
        assert_eq!((of(200, "/c.wav"), of(304, "/c.wav"), of(300, "/c.wav")), (Ok(None), Ok(None), Ok(None)));
        assert_eq!(target("https://h/", &Response::builder().status(302).body(()).unwrap()), Ok(None));
    }
}
