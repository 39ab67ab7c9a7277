//! The URL of the service as Twilio sees it.

use dialbridge_net::public_address::may_be_public;
use http::Uri;
use http::uri::Authority;

use super::value::{Quoted, url};
use crate::paths::{OTHERS, TWILIOS};

/// The URL that Twilio sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// Whether it is `https`.
    pub is_tls: bool,
    /// The host, with its port if it has one.
    pub authority: String,
    /// What stands before each of our paths, such as `/phone`. Empty: nothing.
    pub prefix: String,
}

impl PublicUrl {
    /// The URL of a service with its paths at the root.
    #[must_use]
    pub fn at_root(is_tls: bool, authority: impl Into<String>) -> Self {
        Self { is_tls, authority: authority.into(), prefix: String::new() }
    }

    /// The URL of a path, for webhooks.
    #[must_use]
    pub fn http(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin(), self.prefix)
    }

    /// The URL of a path, for the media stream. Twilio opens `wss:` only. A simulated Twilio of this network opens `ws:` too.
    #[must_use]
    pub fn ws(&self, path: &str) -> String {
        let scheme = if self.is_tls || !self.is_local() { "wss" } else { "ws" };
        format!("{scheme}://{}{}{path}", self.authority, self.prefix)
    }

    /// Scheme, host and port, as a browser's `Origin` has them.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.authority)
    }

    /// Whether only this machine or its network can reach the service there. Twilio cannot.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let host: Option<Authority> = self.authority.parse().ok();
        !host.is_some_and(|authority| may_be_public(authority.host()))
    }

    /// A path that was requested, without the prefix. A proxy may have taken the prefix off already.
    #[must_use]
    pub fn own_path<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_prefix(self.prefix.as_str()) {
            Some("") => "/",
            // A prefix may be called like a path of ours: `/calls`.
            Some(rest) if rest.starts_with('/') && (is_own(rest) || !is_own(path)) => rest,
            Some(_) | None => path,
        }
    }
}

/// Whether a path is one of ours, by its first part.
fn is_own(path: &str) -> bool {
    let end = path.get(1..).and_then(|rest| rest.find('/')).map_or(path.len(), |end| end + 1);
    let first = &path[..end];
    first == "/" || TWILIOS.contains(&first) || OTHERS.contains(&first)
}

/// Reads `PUBLIC_URL`.
pub(super) fn public_url(value: &str) -> Result<PublicUrl, String> {
    let uri: Uri =
        url(value)?.parse().map_err(|_| format!("is {}; it must be a URL with http or https", Quoted(value)))?;
    let authority = uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
    if uri.query().is_some() || value.contains('#') || authority.contains('@') {
        return Err(format!("is {}; it must have no query, fragment or login", Quoted(value)));
    }
    let prefix = uri.path().trim_end_matches('/');
    let parts: Vec<&str> = prefix.split('/').skip(1).collect();
    let is_plain = |part: &&str| !matches!(*part, "" | "." | "..");
    if !parts.iter().all(is_plain) {
        return Err(format!("is {}; its path must have no empty part and no dots alone", Quoted(value)));
    }
    // A prefix with a path of Twilio's is a whole URL, given by mistake.
    if let Some(own) = TWILIOS.into_iter().find(|own| parts.contains(&&own[1..])) {
        let why = format!("it ends before the service's own paths, of which {own} is one");
        return Err(format!("is {}; {why}", Quoted(value)));
    }
    Ok(PublicUrl { is_tls: uri.scheme_str() == Some("https"), authority, prefix: prefix.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> PublicUrl {
        public_url(text).unwrap()
    }

    #[test]
    fn every_url_has_the_prefix_and_a_path_may_come_with_it_or_without_it() {
        for text in ["https://calls.example.com/phone", "https://calls.example.com/phone/"] {
            let public = read(text);
            assert_eq!(public.http("/twiml"), "https://calls.example.com/phone/twiml");
            assert_eq!(public.ws("/media/t"), "wss://calls.example.com/phone/media/t");
            assert_eq!(public.origin(), "https://calls.example.com");
            for (path, own) in [
                ("/phone/twiml", "/twiml"),
                ("/twiml", "/twiml"),
                ("/phone", "/"),
                ("/phone/", "/"),
                ("/", "/"),
                ("/phones/twiml", "/phones/twiml"),
                ("/other/twiml", "/other/twiml"),
            ] {
                assert_eq!(public.own_path(path), own, "{path}");
            }
        }
        let named_like_ours = read("https://calls.example.com/calls");
        for (path, own) in [
            ("/calls/twiml", "/twiml"),
            ("/twiml", "/twiml"),
            ("/calls/events", "/calls/events"),
            ("/calls/calls/events", "/calls/events"),
            ("/calls/7.json", "/calls/7.json"),
            ("/calls/voice", "/calls/voice"),
            ("/calls/", "/"),
        ] {
            assert_eq!(named_like_ours.own_path(path), own, "{path}");
        }
        let deep = read("http://h:8080/a/b");
        assert_eq!((deep.http("/twiml").as_str(), deep.own_path("/a/b/twiml")), ("http://h:8080/a/b/twiml", "/twiml"));
        let root = read("https://calls.example.com/");
        assert_eq!(
            (root.http("/twiml").as_str(), root.own_path("/twiml")),
            ("https://calls.example.com/twiml", "/twiml")
        );
    }

    #[test]
    fn a_stream_has_tls_wherever_twilio_could_open_it() {
        for (text, expected) in [
            ("https://calls.example.com", "wss://calls.example.com"),
            ("http://calls.example.com", "wss://calls.example.com"),
            ("http://calls.example.com:8080", "wss://calls.example.com:8080"),
            ("http://8.8.8.8", "wss://8.8.8.8"),
            ("http://127.0.0.1:8080", "ws://127.0.0.1:8080"),
            ("http://localhost:8080", "ws://localhost:8080"),
            ("http://[::1]:8080", "ws://[::1]:8080"),
            ("http://10.1.2.3", "ws://10.1.2.3"),
            ("http://dialbridge:8080", "ws://dialbridge:8080"),
            ("http://service.test", "ws://service.test"),
            ("https://localhost", "wss://localhost"),
        ] {
            assert_eq!(read(text).ws(""), expected);
        }
    }

    #[test]
    fn a_url_with_a_query_a_login_or_our_own_path_is_refused() {
        for wrong in [
            "calls.example.com",
            "https://calls.example.com/twiml",
            "https://calls.example.com/phone/twiml/",
            "https://calls.example.com/phone?x=1",
            "https://calls.example.com/#x",
            "https://user:secret@calls.example.com",
            "https://calls.example.com//phone",
            "https://calls.example.com/../phone",
        ] {
            assert!(public_url(wrong).is_err(), "{wrong}");
        }
    }
}
