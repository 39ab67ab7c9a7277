//! `X-Twilio-Signature`: whether a request comes from Twilio.
//!
//! HMAC-SHA1 with the account's auth token over the URL, and for a form over its sorted parameters too
//! (<https://www.twilio.com/docs/usage/security>). We try the same forms of the URL as Twilio's own libraries.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;

use crate::settings::Secret;

/// The characters that are escaped in the query of a web address (WHATWG URL, the special-query percent-encode set).
const ESCAPED_IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'\'');

/// The characters that JavaScript's `encodeURIComponent` escapes.
const ENCODED_AGAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Whether one of the tokens signed the request, with any form of its URL. Each comparison takes constant time.
#[must_use]
pub fn is_signed(tokens: &[Secret], url: &str, form: &[(String, String)], signature: &str) -> bool {
    signed_place(tokens, [url.to_owned()], form, signature).is_some()
}

/// The place of the first of these URLs with which one of the tokens signed the request, in any form of it. Each form is
/// tried once, though several URLs may have it.
pub(crate) fn signed_place(
    tokens: &[Secret],
    urls: impl IntoIterator<Item = String>,
    form: &[(String, String)],
    signature: &str,
) -> Option<usize> {
    let signature = STANDARD.decode(signature.trim()).ok()?;
    let parameters = signed_parameters(form);
    let key = |token: &Secret| hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.expose().as_bytes());
    let keys: Vec<hmac::Key> = tokens.iter().map(key).collect();
    let mut tried = BTreeSet::new();
    urls.into_iter().position(|url| {
        url_forms(&url).into_iter().filter(|form| tried.insert(form.clone())).any(|form| {
            let text = format!("{form}{parameters}");
            keys.iter().any(|key| hmac::verify(key, text.as_bytes(), &signature).is_ok())
        })
    })
}

/// The signature as Twilio makes it: of the URL and, for a form, its parameters.
#[must_use]
pub fn sign(token: &Secret, url: &str, form: &[(String, String)]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.expose().as_bytes());
    STANDARD.encode(hmac::sign(&key, format!("{url}{}", signed_parameters(form)).as_bytes()))
}

/// The parameters sorted by name. Repeated values are sorted and stand once. Names and values are joined.
fn signed_parameters(form: &[(String, String)]) -> String {
    let mut pairs: Vec<&(String, String)> = form.iter().collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs.into_iter().flat_map(|(name, value)| [name.as_str(), value]).collect()
}

/// The forms of the URL: as it came, without its port, with the standard port; each with the forms of its query; for a
/// WebSocket also with a `/` at the end, as Twilio's page on securing streams says. Twilio signs voice webhooks without
/// the port and other requests with it.
fn url_forms(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    let (host, port) = split_port(authority);
    let other = match port {
        Some(_) => host.to_owned(),
        None => format!("{host}:{}", if scheme == "https" { 443 } else { 80 }),
    };
    let mut forms = Vec::new();
    for path in query_forms(path) {
        forms.extend([authority, &other].map(|authority| format!("{scheme}://{authority}{path}")));
    }
    if scheme.starts_with("ws") {
        let other_end = |url: &String| url.strip_suffix('/').map_or_else(|| format!("{url}/"), ToOwned::to_owned);
        forms.extend(forms.iter().map(other_end).collect::<Vec<_>>());
    }
    forms
}

/// The forms of a path's query: as it came, escaped as browsers do it, and decoded and encoded again. Some parts of
/// Twilio sign an escaped form. URLs that come back to us, as of `<Connect action>`, are signed with their parameters in
/// alphabetical order. Most queries have one form only.
fn query_forms(path: &str) -> Vec<String> {
    let mut forms = vec![path.to_owned()];
    let Some((path, query)) = path.split_once('?').filter(|(_, query)| !query.is_empty()) else { return forms };
    for query in [query.to_owned(), sorted(query)] {
        for query in [utf8_percent_encode(&query, ESCAPED_IN_QUERY).to_string(), encoded_again(&query), query] {
            let form = format!("{path}?{query}");
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
    }
    forms
}

/// A query with its parameters in alphabetical order.
fn sorted(query: &str) -> String {
    let mut parameters: Vec<&str> = query.split('&').collect();
    parameters.sort_by_key(|parameter| parameter.split_once('=').map_or(*parameter, |(name, _)| name));
    parameters.join("&")
}

/// A query decoded and encoded again, with the values of a repeated name side by side, as Node's `querystring` does it.
fn encoded_again(query: &str) -> String {
    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(query.as_bytes()).collect();
    let mut first: BTreeMap<Cow<'_, str>, usize> = BTreeMap::new();
    for (n, (name, _)) in pairs.iter().enumerate() {
        first.entry(name.clone()).or_insert(n);
    }
    pairs.sort_by_key(|(name, _)| first.get(name));
    let encode = |text: &str| utf8_percent_encode(text, ENCODED_AGAIN).to_string();
    pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn signed(url: &str, pairs: &[(&str, &str)], signature: &str) -> bool {
        is_signed(&[Secret::new("other"), Secret::new("12345")], url, &form(pairs), signature)
    }

    const CALL: [(&str, &str); 5] = [
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675310"),
        ("Digits", "1234"),
        ("From", "+14158675310"),
        ("To", "+18005551212"),
    ];

    #[test]
    fn the_vectors_of_twilios_library_hold() {
        assert!(signed("https://example.com/myapp.php?foo=1&bar=2", &CALL, "L/OH5YylLD5NRKLltdqwSvS0BnU="));
        assert!(signed("wss://example.com/twilio/media", &[], "Ko8aymfVk0cCegaxVKH0ZCvSyf4="));
        assert!(signed("wss://example.com/twilio/media/", &[], "2FSgdRajF1AcedC3OxeCdxXJk50="));
        let repeated = [("A", "b"), ("A", "a"), ("A", "b"), ("B", ""), ("a", "z")];
        assert!(signed("https://example.com/voice", &repeated, "D+c7utzbQfs+/R8f5MyAcr7eXec="));
    }

    #[test]
    fn the_port_may_be_there_or_not_and_a_sockets_slash_too() {
        for url in ["https://example.com/voice", "https://example.com:443/voice"] {
            assert!(signed(url, &[("CallSid", "CA1")], "7kudyaTQh+NyYH/ui/OOeke6ryw="), "{url}");
            assert!(signed(url, &[("CallSid", "CA1")], "7VijVDHsP1z6B3VOCq3ax1HFxso="), "{url}");
        }
        assert!(signed("wss://example.com/twilio/media/", &[], "Ko8aymfVk0cCegaxVKH0ZCvSyf4="));
        assert!(!signed("https://example.com/voice/", &[("CallSid", "CA1")], "7kudyaTQh+NyYH/ui/OOeke6ryw="));
    }

    #[test]
    fn of_several_urls_the_first_one_that_was_signed_is_known() {
        let place = |urls: &[&str]| {
            let urls = urls.iter().map(|url| (*url).to_owned());
            signed_place(&[Secret::new("12345")], urls, &[], "Ko8aymfVk0cCegaxVKH0ZCvSyf4=")
        };
        let (right, port) = ("wss://example.com/twilio/media", "wss://example.com:8443/twilio/media");
        assert_eq!(place(&["wss://example.org/twilio/media", right, right, port]), Some(1));
        assert_eq!(place(&[port, right]), Some(0), "a form of the first one");
        assert_eq!((place(&["wss://example.org/"]), place(&[])), (None, None));
    }

    #[test]
    fn the_query_may_have_been_escaped_before_it_was_signed() {
        let forms = query_forms("/twiml?a=O'Brien+1&b=&a=(x)&c");
        assert_eq!(
            forms,
            [
                "/twiml?a=O'Brien+1&b=&a=(x)&c",
                "/twiml?a=O%27Brien+1&b=&a=(x)&c",
                "/twiml?a=O'Brien%201&a=(x)&b=&c=",
                "/twiml?a=O%27Brien+1&a=(x)&b=&c",
                "/twiml?a=O'Brien+1&a=(x)&b=&c",
            ]
        );
        assert_eq!(query_forms("/twiml?agent=a&param.x=%20").len(), 1);
    }

    #[test]
    fn the_query_may_have_been_sorted_before_it_was_signed() {
        let forms = query_forms("/connect-ended?s=1&param.b=2&param.a=3&param.b=1");
        assert!(forms.contains(&"/connect-ended?param.a=3&param.b=2&param.b=1&s=1".to_owned()), "{forms:?}");
    }

    #[test]
    fn a_changed_url_parameter_token_or_signature_is_refused() {
        let url = "https://example.com/myapp.php?foo=1&bar=2";
        let good = "L/OH5YylLD5NRKLltdqwSvS0BnU=";
        assert!(!signed("https://example.com/myapp.php?foo=1&bar=3", &CALL, good));
        assert!(!signed(url, &CALL[1..], good));
        assert!(!is_signed(&[Secret::new("54321")], url, &form(&CALL), good));
        for bad in ["", "L/OH5YylLD5NRKLltdqwSvS0BnU", "M/OH5YylLD5NRKLltdqwSvS0BnU=", "****"] {
            assert!(!signed(url, &CALL, bad), "{bad}");
        }
        assert!(!is_signed(&[], url, &form(&CALL), good), "without a token nothing is signed");
    }
}
