//! Where a redirect leads.

use http::header::LOCATION;
use http::{Response, StatusCode};
use url::Url;

/// The URL that a response redirects to. `None` if it redirects nowhere.
///
/// # Errors
/// A sentence if the target is no `https:` URL.
pub(super) fn target<B>(from: &Url, response: &Response<B>) -> Result<Option<Url>, String> {
    let redirects = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let location = response.headers().get(LOCATION).filter(|_| redirects.contains(&response.status()));
    let Some(location) = location else { return Ok(None) };
    let target = std::str::from_utf8(location.as_bytes()).ok().and_then(|location| from.join(location).ok());
    let mut target = target
        .filter(|target| target.scheme() == "https")
        .ok_or_else(|| "the audio that the agent names is redirected to an address that is not https:".to_owned())?;
    target.set_fragment(None);
    Ok(Some(target))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(status: u16, location: &str) -> Result<Option<String>, String> {
        let location = HeaderValue::from_bytes(location.as_bytes()).unwrap();
        let response = Response::builder().status(status).header(LOCATION, location).body(()).unwrap();
        let from = Url::parse("https://cdn.example.com:8443/a/b.wav?x=1").unwrap();
        Ok(target(&from, &response)?.map(String::from))
    }

    #[test]
    fn a_redirect_leads_to_a_url_in_full() {
        for (location, expected) in [
            ("https://other.example/c.wav?y=2#part", "https://other.example/c.wav?y=2"),
            ("HTTPS://other.example/", "https://other.example/"),
            ("https://2130706433/", "https://127.0.0.1/"),
            ("//other.example/c.wav", "https://other.example/c.wav"),
            ("/c.wav", "https://cdn.example.com:8443/c.wav"),
            ("c.wav", "https://cdn.example.com:8443/a/c.wav"),
            ("./c.wav", "https://cdn.example.com:8443/a/c.wav"),
            ("../c.wav", "https://cdn.example.com:8443/c.wav"),
            ("/ä.wav", "https://cdn.example.com:8443/%C3%A4.wav"),
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
        assert_eq!(
            target(&Url::parse("https://h/").unwrap(), &Response::builder().status(302).body(()).unwrap()),
            Ok(None)
        );
    }
}
