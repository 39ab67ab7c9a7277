//! `/media/TICKET`, `/media` and the page's `/softphone/media/TICKET`: a handshake becomes a call.

use std::sync::Arc;

use dialbridge_core::carried::Opening;
use dialbridge_net::websocket::{Upgrade, accept, is_upgrade_request};
use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::answer::{Answer, Refusal, refusal};
use super::webhook::{likely_url, signed_url};
use crate::call::context::CallKind;
use crate::http::bare_media;
use crate::media::media_socket::{self, MediaSocket};
use crate::service::admission::Admission;
use crate::service::busy::busy;
use crate::service::call_runner::CallRunner;
use crate::settings::{Limits, PublicUrl, Secret};
use crate::telemetry::RefusalReason;
use crate::twilio::ticket::Ticket;

/// Opens the media stream of a valid ticket. Whether a browser may come in is checked before.
///
/// # Errors
/// The response to send: the ticket or the handshake is not valid, there is no room, or the instance is ending.
pub(super) fn open(
    runner: &Arc<CallRunner>,
    mut request: Request<Incoming>,
    ticket_text: &str,
    kind: CallKind,
) -> Result<Answer, Refusal> {
    let (admission, now_ms) = (&runner.admission, runner.admission.clock.now_ms());
    let ticket = match kind {
        CallKind::Browser => admission.signer.check_browser(ticket_text, now_ms),
        CallKind::Ticket | CallKind::Bare => admission.signer.check(ticket_text, now_ms),
    };
    let ticket = ticket.map_err(|why| refused(admission, &why.to_string()))?;
    if admission.agent(&ticket.info.agent).is_none() {
        return Err(refused(admission, "its agent is not configured"));
    }
    if kind != CallKind::Browser && !admission.config.may_have(&ticket.info.agent, ticket.info.account.as_deref()) {
        return Err(refused(admission, "its agent is another account's"));
    }
    let tokens = admission.config.twilio.tokens_of(ticket.info.account.as_deref());
    let (public, _, answer, socket) =
        handshake(admission, ticket.info.account.as_deref(), &[tokens], &mut request, kind)
            .inspect_err(|refusal| keep_refused(admission, &ticket, refusal, kind))?;
    let registration = admission.calls.admit(&ticket, ticket_text, now_ms);
    let registration = registration.map_err(|why| refused(admission, &why.to_string()))?;
    let serving = runner.clone();
    runner.spawn(async move {
        match opened(&serving.admission.config.limits, socket).await {
            Some(socket) => serving.run(ticket, &public, socket, registration, kind).await,
            None => drop(registration),
        }
    });
    Ok(answer)
}

/// Prepares for a refused call that comes back by its `<Connect action>`. If there is no room for a new call, it gets
/// the busy TwiML there. If the instance is ending, another one greets the caller.
fn keep_refused(admission: &Admission, ticket: &Ticket, refusal: &Answer, kind: CallKind) {
    if refusal.status() != StatusCode::SERVICE_UNAVAILABLE || kind != CallKind::Ticket {
        return;
    }
    let now_ms = admission.clock.now_ms();
    admission.calls.refused(ticket, now_ms);
    let has_no_room = !admission.drain.is_draining() && ticket.opening == Opening::Greet;
    if let Some(agent) = admission.agent(&ticket.info.agent).filter(|_| has_no_room) {
        admission.calls.keep_last_twiml(&ticket.call(), &busy(agent, ticket.info.language.as_deref()), now_ms);
    }
}

/// Opens a media stream of foreign TwiML, if that is allowed.
pub(super) fn open_bare(runner: &Arc<CallRunner>, mut request: Request<Incoming>) -> Result<Answer, Refusal> {
    let twilio = &runner.admission.config.twilio;
    // Which account it is of, only the stream's start says.
    let (sids, tokens): (Vec<Option<&String>>, Vec<&[Secret]>) = std::iter::once(None)
        .chain(twilio.others.keys().map(Some))
        .map(|sid| (sid, twilio.tokens_of(sid.map(String::as_str))))
        .unzip();
    let (public, signer, answer, socket) = handshake(&runner.admission, None, &tokens, &mut request, CallKind::Bare)?;
    let signer = sids[signer].cloned();
    let (serving, trace) = (runner.clone(), request.extensions().get().copied());
    runner.spawn(async move {
        if let Some(socket) = opened(&serving.admission.config.limits, socket).await {
            bare_media::run(&serving, &public, signer.as_deref(), trace, socket).await;
        }
    });
    Ok(answer)
}

/// Checks a handshake: it is a WebSocket's, Twilio signed it (unless it is the browser's), and there is room. `account` is the
/// call's, as far as it is known, and `tokens` are those of each account that may have signed it; returns the place of the one
/// that has, too.
fn handshake(
    admission: &Admission,
    account: Option<&str>,
    tokens: &[&[Secret]],
    request: &mut Request<Incoming>,
    kind: CallKind,
) -> Result<(PublicUrl, usize, Answer, Upgrade), Refusal> {
    if admission.drain.is_draining() {
        admission.telemetry.refused(RefusalReason::Draining);
        return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, "this instance is ending\n"));
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let (public, signer) = match kind {
        CallKind::Browser => (likely_url(&admission.config, request.headers())?, 0),
        CallKind::Ticket | CallKind::Bare => {
            signed_url(admission, account, tokens, |public| public.ws(path), &[], request.headers())?
        }
    };
    if !is_upgrade_request(request) {
        return Err(refusal(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket\n"));
    }
    let (limits, calls) = (&admission.config.limits, &admission.calls);
    if calls.waiting() >= limits.waiting_sockets || calls.live() >= limits.max_calls + limits.waiting_sockets {
        admission.telemetry.refused(RefusalReason::Room);
        if let Some(withheld) = admission.refusal_log.allow() {
            let (live, waiting) = (calls.live(), calls.waiting());
            tracing::warn!(live, waiting, withheld, "a media socket was refused: there is no room for another one");
        }
        return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, "no room for another media socket\n"));
    }
    let (response, socket) =
        accept(request).map_err(|_| refusal(StatusCode::BAD_REQUEST, "this is no WebSocket handshake\n"))?;
    Ok((public, signer, response, socket))
}

async fn opened(limits: &Limits, socket: Upgrade) -> Option<MediaSocket> {
    let limits = media_socket::limits(limits);
    let opened = socket.socket(&limits).await.map(MediaSocket::new);
    opened.inspect_err(|error| tracing::debug!(%error, "the handshake was not completed")).ok()
}

fn refused(admission: &Admission, why: &str) -> Refusal {
    admission.telemetry.refused(RefusalReason::Ticket);
    if let Some(withheld) = admission.refusal_log.allow() {
        tracing::warn!(why, withheld, "a media socket was refused for its ticket");
    }
    refusal(StatusCode::FORBIDDEN, "")
}
