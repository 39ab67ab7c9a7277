//! Which path does what.

use std::sync::Arc;

use http::header::LOCATION;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use tracing::Instrument as _;

use super::answer::{Answer, Refusal, not_allowed, not_found, text, with_type};
use super::events::LongAnswer;
use super::near_paths::note_unknown_path;
use super::{admin, media, page, voice};
use crate::call::context::CallKind;
use crate::paths::{CONNECT_ENDED, DIAL_ENDED, HEALTH, MEDIA, METRICS, READY, STREAM_STATUS, VOICE_URL};
use crate::service::Service;
use crate::telemetry::TextFormat;
use crate::telemetry::trace_context::TraceContext;

/// Answers a request within its trace, or within a new one. A call that the request starts continues this trace.
pub(super) async fn traced(service: Arc<Service>, mut request: Request<Incoming>) -> LongAnswer {
    if let Some(page) = page_behind_prefix(&service, &request) {
        return page.map(Either::Left);
    }
    take_prefix_off(&service, &mut request);
    let came = TraceContext::of_request(request.headers());
    let (telemetry, method) = (service.admission.telemetry.clone(), request.method().clone());
    let told = if request.uri().path() == VOICE_URL { telemetry.request(came) } else { None };
    let context = told.map(|told| told.context).or(came);
    if let Some(context) = context {
        request.extensions_mut().insert(context);
    }
    let answer = answer(service, request).instrument(telemetry.log_span(context)).await;
    if let Some(told) = told {
        telemetry.answered(told, VOICE_URL, method.as_str(), answer.status().as_u16());
    }
    answer
}

/// Leads a browser that asks for the path of `PUBLIC_URL` to the page there, whose links are relative.
fn page_behind_prefix(service: &Service, request: &Request<Incoming>) -> Option<Answer> {
    let public = service.config().public_url.as_ref()?;
    let is_prefix = !public.prefix.is_empty() && request.uri().path() == public.prefix;
    if !is_prefix || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let mut answer = text(StatusCode::PERMANENT_REDIRECT, "");
    answer.headers_mut().insert(LOCATION, HeaderValue::try_from(format!("{}/", public.prefix)).ok()?);
    Some(answer)
}

/// Takes the path of `PUBLIC_URL` off the request's path, unless a proxy has done so.
fn take_prefix_off(service: &Service, request: &mut Request<Incoming>) {
    let Some(public) = service.config().public_url.as_ref().filter(|public| !public.prefix.is_empty()) else { return };
    let uri = request.uri();
    let (path, own) = (uri.path(), public.own_path(uri.path()));
    if path.len() == own.len() {
        return;
    }
    let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
    // A part of a path and its query are valid again.
    if let Ok(own) = format!("{own}{query}").parse() {
        *request.uri_mut() = own;
    }
}

async fn answer(service: Arc<Service>, mut request: Request<Incoming>) -> LongAnswer {
    // Uptime monitors and load balancers may ask by HEAD. hyper leaves out the body of the answer. A WebSocket needs GET.
    if request.method() == Method::HEAD && !request.uri().path().contains(MEDIA) {
        *request.method_mut() = Method::GET;
    }
    let path = request.uri().path();
    if page::is_page_path(path) {
        let Some(page) = &service.page else { return not_found().map(Either::Left) };
        return page::answer(page, request).await;
    }
    if !matches!(path, HEALTH | READY | METRICS) {
        service.admission.drain.note_request();
    }
    short_answer(&service, request).await.unwrap_or_else(|refusal| *refusal).map(Either::Left)
}

async fn short_answer(service: &Service, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let Service { admission, runner, .. } = service;
    let is_get = method == Method::GET;
    let is_post = method == Method::POST;
    Ok(match path.as_str() {
        VOICE_URL if is_get || is_post => voice::twiml(admission, request).await?,
        VOICE_URL => not_allowed("GET, HEAD, POST"),
        CONNECT_ENDED if is_post => voice::connect_ended(admission, request).await?,
        CONNECT_ENDED => not_allowed("POST"),
        DIAL_ENDED if is_post => voice::dial_ended(admission, request).await?,
        DIAL_ENDED => not_allowed("POST"),
        STREAM_STATUS if is_post => voice::stream_status(admission, request).await?,
        STREAM_STATUS => not_allowed("POST"),
        HEALTH if is_get => text(StatusCode::OK, "ok\n"),
        READY if is_get && admission.is_ready() => text(StatusCode::OK, "ready\n"),
        READY if is_get => text(StatusCode::SERVICE_UNAVAILABLE, "not yet\n"),
        METRICS if is_get => {
            admin::allowed(&service.admin, &request)?;
            let format = TextFormat::asked_for(request.headers());
            with_type(StatusCode::OK, format.content_type(), format.of(service.metrics_text()).into())
        }
        HEALTH | READY | METRICS => not_allowed("GET, HEAD"),
        MEDIA if is_get && admission.config.allow_bare_media => media::open_bare(runner, request)?,
        other => match other.strip_prefix(MEDIA).and_then(|rest| rest.strip_prefix('/')) {
            Some(ticket) if is_get => media::open(runner, request, ticket, CallKind::Ticket)?,
            Some(_) => not_allowed("GET"),
            None => {
                note_unknown_path(admission, &request);
                not_found()
            }
        },
    })
}
