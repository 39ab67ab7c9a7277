//! What the front ends before the service say about the URL that was called, and which URLs Twilio can have signed.

use std::net::{IpAddr, SocketAddr};

use dialbridge_net::hosts::without_brackets;
use dialbridge_net::public_address::{is_public, may_be_public};
use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;
use serde_json::Value;

use crate::settings::PublicUrl;

/// Headers with the scheme that was called, or a list of them.
const SCHEMES: [&str; 4] = ["x-forwarded-proto", "x-forwarded-protocol", "x-forwarded-scheme", "x-url-scheme"];

/// Headers that say `on` where the client has TLS.
const SWITCHES: [&str; 2] = ["x-forwarded-ssl", "front-end-https"];

/// Headers with the host that was called.
const HOSTS: [&str; 2] = ["x-forwarded-host", "x-original-host"];

/// Headers with the client's address.
const CLIENTS: [&str; 4] = ["x-forwarded-for", "x-real-ip", "cf-connecting-ip", "true-client-ip"];

/// The longest header that we read, in bytes.
const MAX_BYTES: usize = 1_024;

/// Whether the client of the front end has TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientTls {
    /// A header says so.
    Yes,
    /// A header says that it has none.
    No,
    /// No header says anything.
    Untold,
}

/// The URL of this request, as a browser has it: `Host`, and https only if a header says so.
#[must_use]
pub fn forwarded_url(headers: &HeaderMap) -> Option<PublicUrl> {
    Some(PublicUrl::at_root(client_tls(headers) == ClientTls::Yes, host(headers)?.as_str()))
}

/// The URLs of the service that Twilio can have called, the likeliest first, if `PUBLIC_URL` does not name it. They are few.
///
/// The host is that of the request. Another one counts only where Twilio cannot have called this one, because a front end put
/// its own name for us there. Otherwise a sender could choose the URL that we check.
#[must_use]
pub fn called_urls(headers: &HeaderMap) -> Vec<PublicUrl> {
    let Some(host) = host(headers) else { return Vec::new() };
    let called = forwarded_host(headers).filter(|_| !may_be_public(host.host())).unwrap_or(host);
    let likely_tls = match client_tls(headers) {
        ClientTls::Yes => true,
        ClientTls::No => false,
        // Twilio opens media streams with TLS only.
        ClientTls::Untold => may_be_public(called.host()),
    };
    let mut urls =
        vec![PublicUrl::at_root(likely_tls, called.as_str()), PublicUrl::at_root(!likely_tls, called.as_str())];
    // Some front ends take the port off the host.
    if let Some(port) = forwarded_port(headers).filter(|_| called.port().is_none()) {
        let authority = format!("{called}:{port}");
        urls.extend([likely_tls, !likely_tls].map(|is_tls| PublicUrl::at_root(is_tls, authority.clone())));
    }
    urls
}

/// Whether Twilio, or whoever else asks from the Internet, cannot have called a URL: its host is known in this network only.
pub(super) fn is_out_of_reach(public: &PublicUrl, headers: &HeaderMap) -> bool {
    let named = CLIENTS.iter().filter_map(|name| first_of(headers, name)).chain(forwarded(headers, "for").take(1));
    public.is_local() && named.filter_map(|client| address(&client)).any(is_public)
}

/// A client's address, with a port or without one.
fn address(client: &str) -> Option<IpAddr> {
    let client = client.trim_matches('"');
    let with_port = || Some(client.parse::<SocketAddr>().ok()?.ip());
    without_brackets(client).parse().ok().or_else(with_port)
}

/// Whether the client of the front end has TLS, by any of the headers that front ends use. If they differ, one that says
/// TLS is right: a second front end may have overwritten what the first one said.
pub(super) fn client_tls(headers: &HeaderMap) -> ClientTls {
    let schemes = SCHEMES.iter().flat_map(|name| items(headers, name).map(|scheme| of_scheme(&scheme)));
    let switches = SWITCHES.iter().flat_map(|name| items(headers, name).map(|value| of_switch(&value)));
    let forwarded = forwarded(headers, "proto").map(|scheme| of_scheme(&scheme));
    let told: Vec<ClientTls> = schemes.chain(switches).chain(forwarded).chain([of_visitor(headers)]).collect();
    [ClientTls::Yes, ClientTls::No].into_iter().find(|tls| told.contains(tls)).unwrap_or(ClientTls::Untold)
}

fn of_scheme(scheme: &str) -> ClientTls {
    match scheme.to_ascii_lowercase().as_str() {
        "https" | "wss" => ClientTls::Yes,
        "http" | "ws" => ClientTls::No,
        _ => ClientTls::Untold,
    }
}

fn of_switch(value: &str) -> ClientTls {
    match value.to_ascii_lowercase().as_str() {
        "on" | "1" | "true" | "yes" => ClientTls::Yes,
        "off" | "0" | "false" | "no" => ClientTls::No,
        _ => ClientTls::Untold,
    }
}

/// Cloudflare's `CF-Visitor: {"scheme":"https"}`.
fn of_visitor(headers: &HeaderMap) -> ClientTls {
    let visitor: Option<Value> = value(headers, "cf-visitor").and_then(|json| serde_json::from_str(json).ok());
    visitor.map_or(ClientTls::Untold, |visitor| of_scheme(visitor["scheme"].as_str().unwrap_or_default()))
}

/// The host of the request.
fn host(headers: &HeaderMap) -> Option<Authority> {
    read_host(headers.get(HOST)?.to_str().ok()?)
}

/// The host that the client called, as a front end says, if the Internet may know it.
fn forwarded_host(headers: &HeaderMap) -> Option<Authority> {
    named_hosts(headers).find(|authority| may_be_public(authority.host()))
}

/// The hosts that the request and its front ends name.
pub(super) fn named_hosts(headers: &HeaderMap) -> impl Iterator<Item = Authority> {
    let named = HOSTS.iter().filter_map(|name| first_of(headers, name)).chain(forwarded(headers, "host"));
    host(headers).into_iter().chain(named.filter_map(|host| read_host(&host)))
}

/// A host, with a port or without one. Twilio calls no host with a login.
fn read_host(text: &str) -> Option<Authority> {
    text.parse().ok().filter(|authority: &Authority| !authority.as_str().contains('@') && !authority.host().is_empty())
}

/// A port that a URL would name.
fn forwarded_port(headers: &HeaderMap) -> Option<u16> {
    let port = first_of(headers, "x-forwarded-port")?.parse().ok()?;
    (!matches!(port, 0 | 80 | 443)).then_some(port)
}

/// The values of a parameter in `Forwarded` (RFC 7239), one for each front end, the client's first.
fn forwarded(headers: &HeaderMap, name: &'static str) -> impl Iterator<Item = String> {
    let pair = move |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    };
    items(headers, "forwarded").filter_map(move |element| element.split(';').find_map(pair))
}

/// The items of a header that is a list, of all its lines.
fn items(headers: &HeaderMap, name: &str) -> impl Iterator<Item = String> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let items = lines.filter(|line| line.len() <= MAX_BYTES).flat_map(|line| line.split(','));
    items.map(|item| item.trim().to_owned()).collect::<Vec<_>>().into_iter()
}

fn first_of(headers: &HeaderMap, name: &str) -> Option<String> {
    items(headers, name).next().filter(|item| !item.is_empty())
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|value| value.len() <= MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn first(pairs: &[(&'static str, &str)]) -> String {
        called_urls(&headers(pairs)).first().map(|url| url.http("")).unwrap_or_default()
    }

    const PUBLIC: (&str, &str) = ("host", "calls.example.com");

    #[test]
    fn tls_is_known_by_any_of_the_usual_headers() {
        for said in [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-proto", "https,http"),
            ("x-forwarded-proto", "http, https"),
            ("x-forwarded-proto", "HTTPS"),
            ("x-forwarded-proto", "wss"),
            ("x-forwarded-protocol", "https"),
            ("x-forwarded-scheme", "https"),
            ("x-url-scheme", "https"),
            ("x-forwarded-ssl", "on"),
            ("front-end-https", "on"),
            ("forwarded", "for=192.0.2.60;proto=https;by=203.0.113.43"),
            ("forwarded", "for=192.0.2.60;Proto=\"https\", for=10.0.0.1;proto=http"),
            ("cf-visitor", "{\"scheme\":\"https\"}"),
        ] {
            assert_eq!(client_tls(&headers(&[PUBLIC, said])), ClientTls::Yes, "{said:?}");
            assert_eq!(
                client_tls(&headers(&[PUBLIC, ("x-forwarded-proto", "http"), said])),
                ClientTls::Yes,
                "{said:?}"
            );
            assert_eq!(first(&[("host", "localhost:8080"), said]), "https://localhost:8080");
        }
        for said in [
            ("x-forwarded-proto", "http"),
            ("x-forwarded-ssl", "off"),
            ("forwarded", "proto=http"),
            ("cf-visitor", "{\"scheme\":\"http\"}"),
        ] {
            assert_eq!(client_tls(&headers(&[PUBLIC, said])), ClientTls::No, "{said:?}");
        }
        for said in [
            ("x-forwarded-proto", "gopher"),
            ("cf-visitor", "{"),
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-ssl", "?"),
        ] {
            assert_eq!(client_tls(&headers(&[PUBLIC, said])), ClientTls::Untold, "{said:?}");
        }
    }

    #[test]
    fn without_a_word_on_tls_a_public_host_has_it_and_a_local_one_has_not() {
        assert_eq!(first(&[PUBLIC]), "https://calls.example.com");
        assert_eq!(first(&[PUBLIC, ("x-forwarded-proto", "http")]), "http://calls.example.com");
        for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "dialbridge:8080", "service.test", "10.1.2.3"] {
            assert_eq!(first(&[("host", host)]), format!("http://{host}"));
        }
        assert!(called_urls(&headers(&[])).is_empty() && called_urls(&headers(&[("host", "a@b")])).is_empty());
    }

    #[test]
    fn another_host_counts_only_where_twilio_cannot_have_called_this_one() {
        let named = ("x-forwarded-host", "calls.example.com, proxy");
        assert_eq!(first(&[("host", "127.0.0.1:8080"), named]), "https://calls.example.com");
        assert_eq!(
            first(&[("host", "upstream:8080"), ("forwarded", "host=\"calls.example.com:8443\"")]),
            "https://calls.example.com:8443"
        );
        assert_eq!(first(&[("host", "bridge.example.org"), named]), "https://bridge.example.org");
        assert_eq!(first(&[("host", "127.0.0.1:8080"), ("x-forwarded-host", "internal")]), "http://127.0.0.1:8080");
    }

    #[test]
    fn the_urls_that_twilio_can_have_signed_are_few() {
        let urls = called_urls(&headers(&[PUBLIC, ("x-forwarded-port", "8443")]));
        let urls: Vec<String> = urls.iter().map(|url| url.http("")).collect();
        let host = "calls.example.com";
        assert_eq!(
            urls,
            [
                format!("https://{host}"),
                format!("http://{host}"),
                format!("https://{host}:8443"),
                format!("http://{host}:8443")
            ]
        );
        for port in ["443", "80", "0", "x", "99999"] {
            assert_eq!(called_urls(&headers(&[PUBLIC, ("x-forwarded-port", port)])).len(), 2, "{port}");
        }
        assert_eq!(called_urls(&headers(&[("host", "h.example.com:81"), ("x-forwarded-port", "8443")])).len(), 2);
    }

    #[test]
    fn a_host_of_this_network_is_out_of_reach_for_a_client_of_the_internet() {
        let (local, public) =
            (PublicUrl::at_root(false, "127.0.0.1:8080"), PublicUrl::at_root(true, "calls.example.com"));
        for from in [
            ("x-forwarded-for", "54.172.60.1, 10.0.0.1"),
            ("x-real-ip", "54.172.60.1"),
            ("cf-connecting-ip", "2606:4700::1"),
            ("x-forwarded-for", "54.172.60.1:4711"),
            ("x-forwarded-for", "[2606:4700::1]:443, 10.0.0.1"),
            ("x-forwarded-for", "\"[2606:4700::1]\""),
            ("forwarded", "for=54.172.60.1;proto=https, for=10.0.0.1"),
            ("forwarded", "proto=http; For=\"[2606:4700::1]:4711\""),
        ] {
            assert!(is_out_of_reach(&local, &headers(&[from])), "{from:?}");
            assert!(!is_out_of_reach(&public, &headers(&[from])), "{from:?}");
        }
        assert!(!is_out_of_reach(&local, &headers(&[])));
        for from in [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-for", "10.0.0.1:4711"),
            ("x-forwarded-for", "unknown"),
            ("forwarded", "for=_hidden, for=54.172.60.1"),
            ("forwarded", "for=\"[fd00::1]:4711\""),
        ] {
            assert!(!is_out_of_reach(&local, &headers(&[from])), "{from:?}");
        }
    }
}
