//! The page at `/`, and all that it loads.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;

use super::admin::{allowed, log_in, log_out, login, may_change};
use super::answer::{Answer, HTML, Refusal, json_answer, not_allowed, not_found, text, with_type};
use super::events::{EventStream, LongAnswer, Source, Viewer, whole};
use super::{softphone, status, tapes};
use crate::history::History;
use crate::service::admin::Admin;
use crate::service::agent_check::AgentChecks;
use crate::service::page::Page;

/// Loads nothing from elsewhere, nothing inline, and is in no frame. `'self'` covers the page's WebSocket too (CSP
/// level 3).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The files of the page, which are part of this program.
const FILES: [(&str, &str, &str); 25] = [
    ("page.css", "text/css", include_str!("../../page/page.css")),
    ("calls.css", "text/css", include_str!("../../page/calls.css")),
    ("lanes.css", "text/css", include_str!("../../page/lanes.css")),
    ("icon.svg", "image/svg+xml", include_str!("../../page/icon.svg")),
    ("page.js", JAVASCRIPT, include_str!("../../page/page.js")),
    ("dom.js", JAVASCRIPT, include_str!("../../page/dom.js")),
    ("comparison.js", JAVASCRIPT, include_str!("../../page/comparison.js")),
    ("agents.js", JAVASCRIPT, include_str!("../../page/agents.js")),
    ("calls.js", JAVASCRIPT, include_str!("../../page/calls.js")),
    ("call_item.js", JAVASCRIPT, include_str!("../../page/call_item.js")),
    ("strip.js", JAVASCRIPT, include_str!("../../page/strip.js")),
    ("call_view.js", JAVASCRIPT, include_str!("../../page/call_view.js")),
    ("lanes.js", JAVASCRIPT, include_str!("../../page/lanes.js")),
    ("lane_content.js", JAVASCRIPT, include_str!("../../page/lane_content.js")),
    ("lane_rows.js", JAVASCRIPT, include_str!("../../page/lane_rows.js")),
    ("lane_window.js", JAVASCRIPT, include_str!("../../page/lane_window.js")),
    ("levels.js", JAVASCRIPT, include_str!("../../page/levels.js")),
    ("recording.js", JAVASCRIPT, include_str!("../../page/recording.js")),
    ("timeline.js", JAVASCRIPT, include_str!("../../page/timeline.js")),
    ("softphone.js", JAVASCRIPT, include_str!("../../page/softphone.js")),
    ("call.js", JAVASCRIPT, include_str!("../../page/call.js")),
    ("audio.js", JAVASCRIPT, include_str!("../../page/audio.js")),
    ("worklet.js", JAVASCRIPT, include_str!("../../page/worklet.js")),
    ("mulaw.js", JAVASCRIPT, include_str!("../../page/mulaw.js")),
    ("resample.js", JAVASCRIPT, include_str!("../../page/resample.js")),
];

const JAVASCRIPT: &str = "text/javascript";

const PAGE: &str = include_str!("../../page/index.html");

/// Whether this path belongs to the page.
pub(super) fn is_page_path(path: &str) -> bool {
    let folders = ["/page/", "/calls/", "/agents/", "/softphone/"];
    matches!(path, "/" | "/login" | "/logout" | "/status.json" | "/calls.json" | "/softphone")
        || folders.iter().any(|folder| path.starts_with(folder))
}

/// Answers a request for one of the page's paths.
pub(super) async fn answer(page: &Arc<Page>, request: Request<Incoming>) -> LongAnswer {
    let mut answer = route(page, request).await.unwrap_or_else(|refusal| refusal.map(Either::Left));
    let headers = answer.headers_mut();
    let mut put = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    put(CONTENT_SECURITY_POLICY, POLICY);
    put(X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(X_FRAME_OPTIONS, "DENY");
    // With "no-referrer" a browser sends the login form with the Origin "null".
    put(REFERRER_POLICY, "same-origin");
    put(CACHE_CONTROL, "no-store");
    put(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    put(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    put(HeaderName::from_static("permissions-policy"), "microphone=(self), camera=(), geolocation=()");
    answer
}

async fn route(page: &Arc<Page>, request: Request<Incoming>) -> Result<LongAnswer, Refusal> {
    let (is_get, is_post) = (request.method() == Method::GET, request.method() == Method::POST);
    let path = request.uri().path().to_owned();
    let answer = match path.as_str() {
        "/" if is_get => home(&page.admin, &request)?,
        "/login" if is_post => log_in(&page.admin, request).await?,
        "/logout" if is_post => log_out(&page.admin, &request)?,
        "/softphone" if is_post => softphone::ticket(page, request).await?,
        "/login" | "/logout" | "/softphone" => not_allowed("POST"),
        "/" => not_allowed("GET, HEAD"),
        other => match (other.strip_prefix("/page/"), other.strip_prefix("/softphone/media/")) {
            (Some(name), _) if is_get => file(name),
            (_, Some(ticket)) if is_get => softphone::open_media(page, request, ticket)?,
            _ => return admin_route(page, request, &path).await,
        },
    };
    Ok(answer.map(Either::Left))
}

/// The paths that need access. All of them only read, except the check of an agent.
async fn admin_route(page: &Arc<Page>, request: Request<Incoming>, path: &str) -> Result<LongAnswer, Refusal> {
    let is_get = request.method() == Method::GET;
    if is_get { allowed(&page.admin, &request) } else { may_change(&page.admin, &request) }?;
    let after = |prefix: &str| path.strip_prefix(prefix);
    let answer = match (path, after("/calls/"), after("/softphone/events/"), after("/agents/")) {
        ("/status.json", ..) if is_get => json_answer(&status::status(page)),
        ("/calls.json", ..) if is_get => json_answer(&status::calls(page)),
        ("/calls/events", ..) if is_get => {
            let viewer = Viewer::enter(page)?;
            return Ok(EventStream::answer(Source::calls(viewer, page.history.changes())));
        }
        (_, Some(name), ..) if is_get && name.contains('/') => tapes::give(page, name).await,
        (_, Some(name), ..) if is_get => call(&page.history, name),
        (_, _, Some(call_sid), _) if is_get => return softphone::events(page, call_sid).await,
        ("/agents/compared.json", ..) if is_get => json_answer(&status::compared(page)),
        (.., Some(name)) if request.method() == Method::POST => check(&page.checks, name).await,
        (.., Some(_)) => not_allowed("POST"),
        _ if !is_get => not_allowed("GET, HEAD"),
        _ => not_found(),
    };
    Ok(answer.map(Either::Left))
}

fn home(admin: &Admin, request: &Request<Incoming>) -> Result<Answer, Refusal> {
    match allowed(admin, request) {
        Err(refusal) if refusal.status() == StatusCode::UNAUTHORIZED => Ok(login(StatusCode::UNAUTHORIZED, "")),
        checked => checked.map(|()| with_type(StatusCode::OK, HTML, Bytes::from_static(PAGE.as_bytes()))),
    }
}

fn file(name: &str) -> Answer {
    let Some((_, kind, content)) = FILES.iter().find(|(file, ..)| *file == name) else { return not_found() };
    let mut answer = with_type(StatusCode::OK, kind, Bytes::from_static(content.as_bytes()));
    // Another version of the program has other files under the same names.
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

/// `/calls/ID.json`: a call with its timeline.
fn call(history: &History, name: &str) -> Answer {
    let id = name.strip_suffix(".json").and_then(|id| id.parse().ok());
    let found = id.and_then(|id| history.by_id(id));
    found.map_or_else(not_found, |watcher| json_answer(&whole(&watcher)))
}

/// `/agents/NAME/check`: whether an agent answers.
async fn check(checks: &AgentChecks, name: &str) -> Answer {
    let Some(name) = name.strip_suffix("/check") else { return not_found() };
    match checks.check(name).await {
        Some(checked) => json_answer(&checked.json()),
        None => text(StatusCode::NOT_FOUND, "no agent of that name is configured\n"),
    }
}
