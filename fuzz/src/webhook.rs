//! An HTTP/1.1 request: a line with the path, header lines, an empty line, a form. `\n` ends a line.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_runner::http::webhook::{called_urls, forwarded_url, neighbours, pairs, redacted};
use dialbridge_runner::settings::{PublicUrl, Secret};
use dialbridge_runner::twilio::signature::is_signed;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use ring::hmac;

/// A value that no log may show.
const SECRET: &str = "S3CRET";

/// Runs a request.
///
/// # Panics
/// If a property does not hold.
pub fn run(data: &[u8]) {
    let (head, body) = split_at_empty_line(data);
    let mut lines = head.split(|byte| *byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let headers = headers(lines);
    let form = check_pairs(body);

    // Only what hyper accepts as a request target.
    let Some(path) =
        Uri::try_from(target).ok().and_then(|uri| uri.path_and_query().map(|path| path.as_str().to_owned()))
    else {
        return;
    };
    let own = PublicUrl::at_root(true, "calls.example.com");
    let public = forwarded_url(&headers).unwrap_or(own);
    assert!(!public.authority.contains(['/', '?', '#', ' ']), "{public:?}");
    check_called_urls(&headers);
    for (url, form) in [(public.http(&path), &form[..]), (public.ws(&path), &[])] {
        let given = headers.get("x-twilio-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
        check_signature(&url, form, given);
        check_neighbours(&url, &headers);
    }
    check_redacted(&public, &path);
}

fn split_at_empty_line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &[]),
    }
}

fn headers<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderMap {
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    };
    lines.filter_map(header).collect()
}

/// A form's parameters must be no more and no longer than its bytes allow. Writing and parsing them again must not
/// change them.
fn check_pairs(body: &[u8]) -> Vec<(String, String)> {
    let form = pairs(body);
    assert!(form.len() <= body.split(|byte| *byte == b'&').count());
    // An invalid UTF-8 byte becomes a character of three bytes.
    assert!(form.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= 3 * body.len());
    let written = form_urlencoded::Serializer::new(String::new()).extend_pairs(&form).finish();
    assert_eq!(pairs(written.as_bytes()), form);
    form
}

/// Only a request that one of the tokens signed may pass.
fn check_signature(url: &str, form: &[(String, String)], given: &str) {
    let (token, other) = (Secret::new("token"), Secret::new("another"));
    let good = signature(token.expose(), url, form);
    let tokens = [other.clone(), token];
    assert!(is_signed(&tokens, url, form, &good));
    assert!(!is_signed(&[other], url, form, &good), "signed with another token");
    assert!(!is_signed(&[], url, form, &good), "there is no token");
    assert!(!is_signed(&tokens, &format!("{url}~x"), form, &good), "of another URL");
    let one_more = ("Zz~".to_owned(), "1".to_owned());
    let more: Vec<_> = form.iter().cloned().chain([one_more.clone()]).collect();
    assert!(form.contains(&one_more) || !is_signed(&tokens, url, &more, &good), "of another form");
    let mut changed = STANDARD.decode(&good).unwrap_or_default();
    let at = url.len() % changed.len();
    changed[at] ^= 1 << (form.len() % 8);
    assert!(!is_signed(&tokens, url, form, &STANDARD.encode(changed)), "byte {at} was changed");
    // An invented signature passes only if it equals one of the few that are valid for this URL.
    if is_signed(&tokens, url, form, given) {
        assert_eq!(STANDARD.decode(given.trim()).map(|bytes| bytes.len()), Ok(20));
    }
}

/// HMAC-SHA1 of the URL and the form, as Twilio documents it.
fn signature(token: &str, url: &str, form: &[(String, String)]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let parameters: String = signed_pairs(form).into_iter().map(|(name, value)| format!("{name}{value}")).collect();
    STANDARD.encode(hmac::sign(&key, format!("{url}{parameters}").as_bytes()))
}

/// Sorted by name. The values of a repeated parameter are sorted by value, each once.
fn signed_pairs(form: &[(String, String)]) -> Vec<(&str, &str)> {
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in form {
        sorted.entry(name).or_default().insert(value);
    }
    sorted.into_iter().flat_map(|(name, values)| values.into_iter().map(move |value| (name, value))).collect()
}

/// The URLs that a signature is tried with are few, and each is only a host. A stream that Twilio can open has TLS.
fn check_called_urls(headers: &HeaderMap) {
    let urls = called_urls(headers);
    assert!(urls.len() <= 4 && urls.len() % 2 == 0, "{urls:?}");
    for url in &urls {
        assert!(!url.authority.contains(['/', '?', '#', ' ', '@']) && url.prefix.is_empty(), "{url:?}");
        assert!(url.is_local() || url.ws("").starts_with("wss://"), "{url:?}");
    }
}

/// The URLs that Twilio may have meant are few and keep this URL's query.
fn check_neighbours(url: &str, headers: &HeaderMap) {
    let urls = neighbours(url, headers);
    assert!((4..=16).contains(&urls.len()), "{urls:?}");
    let longest = headers.values().map(HeaderValue::len).max().unwrap_or(0);
    let query = url.split_once('?').map_or("", |(_, query)| query);
    for other in &urls {
        assert!(other.contains("://") && other.ends_with(query), "{other}");
        assert!(other.len() <= url.len() + longest + 2, "{other}");
    }
}

/// A log shows no query value and no ticket, wherever they are.
fn check_redacted(public: &PublicUrl, path: &str) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_there = |text: &str| text.contains(SECRET);
    if is_there(&public.authority) || is_there(path) || is_there(query) {
        return;
    }
    let names: Vec<&str> = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default()).collect();
    let secret_values: Vec<String> = names.iter().map(|name| format!("{name}={SECRET}")).collect();
    let with_values = format!("{path}?{}", secret_values.join("&"));
    let with_value = format!("{path}?{query}={SECRET}");
    let without_name = format!("{path}?{query}&{SECRET}");
    let with_ticket = format!("/media/{SECRET}{path}?{query}");
    for path in [with_values, with_value, without_name, with_ticket] {
        for url in [public.http(&path), public.ws(&path)] {
            let logged = redacted(&url);
            assert!(!is_there(&logged), "{logged}");
            assert!(logged.len() <= 5 * url.len() + 10, "{logged}");
        }
    }
}
