//! Access to what is for operators only: the page, the softphone, the metrics.
//!
//! With `ADMIN_TOKEN` it needs the token in `Authorization: Bearer`, or a login cookie. Without the token, Cloud Run
//! and App Engine serve none of this; elsewhere it is open to everyone.

use std::net::IpAddr;

use dialbridge_net::hosts::without_brackets;
use http::header::{AUTHORIZATION, COOKIE, HOST, LOCATION, ORIGIN, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;

use super::answer::{Answer, HTML, Refusal, not_found, refusal, text, with_type};
use super::forwarded::forwarded_url;
use super::webhook::{pairs, read_form};
use crate::service::admin::{Admin, Keys, LOGIN_LIFE_MS};
use crate::settings::{Config, PublicUrl};
use crate::telemetry::RefusalReason;

/// The name of the login cookie. Over https the prefix of the name ensures that no other host and no plain connection
/// set the cookie (RFC 6265bis).
const COOKIE_NAME: &str = "dialbridge-login";
const SECURE_COOKIE_NAME: &str = "__Host-dialbridge-login";

const LOGIN: &str = include_str!("../../page/login.html");

/// The place in the login page for the error.
const FAULT: &str = "<!-- fault -->";

/// The address that a request came from. Kept in the request's extensions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Lets a request in.
///
/// # Errors
/// The response to send: 404 if this is not served, 401 without the token or a login, 429 after too many wrong tokens,
/// 403 if no token is set and the request names a foreign host.
pub(crate) fn allowed<B>(admin: &Admin, request: &Request<B>) -> Result<(), Refusal> {
    check_access(admin, request).inspect_err(|_| admin.telemetry.refused(RefusalReason::Admin))
}

fn check_access<B>(admin: &Admin, request: &Request<B>) -> Result<(), Refusal> {
    let headers = request.headers();
    let Some(keys) = &admin.keys else {
        if !admin.config.has_page() {
            return Err(Box::new(not_found()));
        }
        return if is_own_host(&admin.config, headers) { Ok(()) } else { Err(unknown_host()) };
    };
    let now_ms = admin.clock.now_ms();
    if cookies(headers).any(|login| keys.is_login(login, now_ms)) {
        return Ok(());
    }
    match bearer(headers) {
        None => Err(unauthorized("log in first\n")),
        Some(token) => check_token(admin, keys, token, client(admin, request)),
    }
}

/// Like [`allowed`], for a request that changes something or opens a WebSocket: it must not come from a foreign page.
///
/// # Errors
/// The same, and 403 for a foreign `Origin`.
pub(super) fn may_change<B>(admin: &Admin, request: &Request<B>) -> Result<(), Refusal> {
    allowed(admin, request)?;
    let headers = request.headers();
    match headers.get(ORIGIN) {
        Some(_) if is_own_origin(&admin.config, headers) => Ok(()),
        // A page cannot send this header to another site unless that site allows it.
        None if bearer(headers).is_some() => Ok(()),
        Some(_) | None => Err(foreign_origin(admin, headers)),
    }
}

/// `POST /login`: checks the token and sets a cookie.
pub(super) async fn log_in(admin: &Admin, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let Some(keys) = &admin.keys else { return Ok(not_found()) };
    if !is_own_origin(&admin.config, request.headers()) {
        return Err(foreign_origin(admin, request.headers()));
    }
    let (client, is_tls) = (client(admin, &request), is_tls(&admin.config, request.headers()));
    let (head, body) = request.into_parts();
    let form = pairs(&read_form(&admin.config.limits, &head.headers, body).await?);
    let token = form.iter().find(|(name, _)| name == "token").map_or("", |(_, token)| token.trim());
    let checked = check_token(admin, keys, token, client);
    Ok(match checked.inspect_err(|_| admin.telemetry.refused(RefusalReason::Admin)) {
        Ok(()) => {
            let login = keys.login(admin.clock.now_ms());
            to_page(&cookie(is_tls, &login, LOGIN_LIFE_MS / 1000))
        }
        Err(refused) if refused.status() == StatusCode::TOO_MANY_REQUESTS => {
            login(StatusCode::TOO_MANY_REQUESTS, "Too many wrong tokens came from here. Wait a minute, then try again.")
        }
        Err(_) => login(StatusCode::UNAUTHORIZED, "That is not the token. It is what ADMIN_TOKEN is set to."),
    })
}

/// The login page, with a sentence about the last attempt.
pub(super) fn login(status: StatusCode, fault: &str) -> Answer {
    with_type(status, HTML, LOGIN.replace(FAULT, fault).into())
}

/// `POST /logout`: removes the cookie.
pub(super) fn log_out<B>(admin: &Admin, request: &Request<B>) -> Result<Answer, Refusal> {
    may_change(admin, request)?;
    Ok(to_page(&cookie(is_tls(&admin.config, request.headers()), "", 0)))
}

/// Whether the request comes from our own page: its `Origin` is the URL of this request, or PUBLIC_URL.
pub(super) fn is_own_origin(config: &Config, headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let own = [forwarded_url(headers), config.public_url.clone()];
    origin.is_some_and(|origin| own.iter().flatten().any(|url| url.origin().eq_ignore_ascii_case(origin)))
}

fn check_token(admin: &Admin, keys: &Keys, token: &str, client: Option<IpAddr>) -> Result<(), Refusal> {
    if !admin.failures.may_try(client) {
        let mut answer = text(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens came from here\n");
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
        return Err(Box::new(answer));
    }
    if keys.is_token(token) {
        return Ok(());
    }
    admin.failures.failed(client);
    if let Some(withheld) = admin.refusal_log.allow() {
        tracing::warn!(withheld, "a request was refused: it has a wrong ADMIN_TOKEN");
    }
    Err(unauthorized("this is not ADMIN_TOKEN\n"))
}

/// The address of the client. Google's front end connects to us and appends the client's address to a header.
fn client<B>(admin: &Admin, request: &Request<B>) -> Option<IpAddr> {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    if !admin.config.platform.is_public() {
        return peer;
    }
    let forwarded = request.headers().get_all("x-forwarded-for").iter().next_back();
    let last = forwarded.and_then(|list| list.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    last.or(peer)
}

/// Without a token we refuse foreign host names, so that a page whose name points here (DNS rebinding) gets nothing.
/// Names without a dot do not exist on the Internet.
fn is_own_host(config: &Config, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else { return false };
    let is_public = |public: &PublicUrl| public.authority.eq_ignore_ascii_case(authority.as_str());
    let name = authority.host();
    let is_address = without_brackets(name).parse::<IpAddr>().is_ok();
    is_address || !name.contains('.') || config.public_url.as_ref().is_some_and(is_public)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(COOKIE).iter().filter_map(|list| list.to_str().ok());
    let pairs = lists.flat_map(|list| list.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE_NAME || *name == SECURE_COOKIE_NAME).map(|(_, value)| value)
}

fn is_tls(config: &Config, headers: &HeaderMap) -> bool {
    // The URL of this request: the page may be open under another URL than Twilio's.
    let called = forwarded_url(headers);
    let is_public =
        |called: &PublicUrl| config.public_url.as_ref().filter(|url| url.authority == called.authority).cloned();
    called.as_ref().and_then(is_public).or(called).is_some_and(|url| url.is_tls)
}

fn cookie(is_tls: bool, value: &str, seconds: u64) -> String {
    let (name, secure) = if is_tls { (SECURE_COOKIE_NAME, "; Secure") } else { (COOKIE_NAME, "") };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

fn to_page(cookie: &str) -> Answer {
    let mut answer = text(StatusCode::SEE_OTHER, "");
    answer.headers_mut().insert(LOCATION, HeaderValue::from_static("./"));
    // The cookie consists of base64url and the letters above.
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

fn unauthorized(body: &'static str) -> Refusal {
    let mut answer = text(StatusCode::UNAUTHORIZED, body);
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"dialbridge\""));
    Box::new(answer)
}

fn unknown_host() -> Refusal {
    refusal(
        StatusCode::FORBIDDEN,
        "Without ADMIN_TOKEN this page is shown under localhost, an IP address and the host of PUBLIC_URL only. Set one of both.\n",
    )
}

fn foreign_origin(admin: &Admin, headers: &HeaderMap) -> Refusal {
    if let Some(withheld) = admin.refusal_log.allow() {
        let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
        let called = forwarded_url(headers).map(|url| url.origin()).unwrap_or_default();
        tracing::warn!(
            origin,
            called,
            withheld,
            "a request of the page's was refused: its Origin is not this service's"
        );
    }
    refusal(
        StatusCode::FORBIDDEN,
        "This request does not come from this service's own page. Behind a front end, PUBLIC_URL must be the page's own URL.\n",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn config(public_url: Option<&str>) -> Config {
        let given = [("PUBLIC_URL", public_url.unwrap_or_default()), ("DIALOGFLOW_PROJECT_ID", "p")];
        let settings = crate::settings::Settings::of(given);
        settings.check(crate::settings::Platform::Elsewhere).unwrap()
    }

    #[test]
    fn the_origin_is_that_of_the_url_that_was_called_or_of_the_one_that_is_set() {
        let (unset, set) = (config(None), config(Some("https://calls.example.com")));
        let own = |config: &Config, pairs: &[(&'static str, &str)]| is_own_origin(config, &headers(pairs));
        let host = ("host", "h:8080");
        assert!(own(&unset, &[host, ("origin", "http://h:8080")]));
        assert!(own(&unset, &[("host", "h"), ("x-forwarded-proto", "https"), ("origin", "https://h")]));
        assert!(
            own(&set, &[host, ("origin", "https://calls.example.com")])
                && own(&set, &[host, ("origin", "http://h:8080")])
        );
        for origin in ["https://h:8080", "http://h", "http://evil.example", "null", "", "http://h:8080.evil.example"] {
            assert!(!own(&unset, &[host, ("origin", origin)]), "{origin}");
        }
        assert!(!own(&unset, &[host]), "none at all");
    }

    #[test]
    fn without_a_token_only_hosts_that_nobody_else_can_name_are_served() {
        let (unset, set) = (config(None), config(Some("https://calls.example.com")));
        let own = |config: &Config, host: &str| is_own_host(config, &headers(&[("host", host)]));
        for host in ["localhost:8080", "127.0.0.1:8080", "10.1.2.3", "[::1]:8080", "dialbridge:8080"] {
            assert!(own(&unset, host), "{host}");
        }
        assert!(!own(&unset, "evil.example:8080") && !own(&unset, "calls.example.com") && !own(&unset, "a b"));
        assert!(own(&set, "calls.example.com") && !own(&set, "evil.example") && !own(&set, "calls.example.com:81"));
    }

    #[test]
    fn a_cookie_is_found_among_others_and_is_secure_over_https() {
        let given = headers(&[("cookie", "a=b; dialbridge-login=x.y; __Host-dialbridge-login=z.w")]);
        assert_eq!(cookies(&given).collect::<Vec<_>>(), ["x.y", "z.w"]);
        let secure = "__Host-dialbridge-login=v; Path=/; Max-Age=9; HttpOnly; SameSite=Strict; Secure";
        assert_eq!(cookie(true, "v", 9), secure);
        assert!(!cookie(false, "v", 9).contains("Secure"));
        let front = headers(&[("host", "h"), ("x-forwarded-proto", "https")]);
        assert!(is_tls(&config(None), &front) && !is_tls(&config(None), &headers(&[("host", "h")])));
        let public = config(Some("https://calls.example.com"));
        assert!(is_tls(&public, &headers(&[("host", "calls.example.com")])), "though no header says so");
        assert!(!is_tls(&public, &headers(&[("host", "localhost:8080")])), "the browser came another way");
    }
}
