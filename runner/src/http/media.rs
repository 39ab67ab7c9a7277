//! `/media/TICKET`, `/media` and the page's `/softphone/media/TICKET`: a handshake becomes a call.

use std::sync::Arc;

use dialbridge_net::websocket::{Upgrade, accept, is_upgrade_request};
use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::answer::{Answer, Refusal, refusal, text};
use super::webhook::{check_signature, public_url};
use crate::call::context::CallKind;
use crate::http::bare_media;
use crate::media::media_socket::{self, MediaSocket};
use crate::service::admission::Admission;
use crate::service::busy::busy;
use crate::service::call_runner::CallRunner;
use crate::settings::{Limits, PublicUrl};
use crate::telemetry::RefusalReason;
use crate::twilio::ticket::{BadTicket, Opening, Ticket};

/// Opens the media stream of a valid ticket.
pub(super) fn open(
    admission: &Arc<Admission>,
    runner: &Arc<CallRunner>,
    request: Request<Incoming>,
    ticket_text: &str,
) -> Answer {
    let ticket = admission.signer.check(ticket_text, admission.clock.now_ms());
    open_with(admission, runner, request, ticket, ticket_text, CallKind::Ticket)
}

/// Opens the media stream of a call from the browser, if the request may come in and comes from our page.
pub(super) fn open_browser(
    admission: &Arc<Admission>,
    runner: &Arc<CallRunner>,
    request: Request<Incoming>,
    ticket_text: &str,
) -> Answer {
    let ticket = admission.signer.check_browser(ticket_text, admission.clock.now_ms());
    open_with(admission, runner, request, ticket, ticket_text, CallKind::Browser)
}

fn open_with(
    admission: &Arc<Admission>,
    runner: &Arc<CallRunner>,
    mut request: Request<Incoming>,
    ticket: Result<Ticket, BadTicket>,
    ticket_text: &str,
    kind: CallKind,
) -> Answer {
    let ticket = match ticket {
        Ok(ticket) => ticket,
        Err(why) => return refused(admission, &why.to_string()),
    };
    if admission.agent(&ticket.info.agent).is_none() {
        return refused(admission, "its agent is not configured");
    }
    let (public, answer, socket) = match handshake(admission, &mut request, kind) {
        Ok(shaken) => shaken,
        Err(refusal) => {
            keep_refused(admission, &ticket, &refusal, kind);
            return *refusal;
        }
    };
    let registration = match admission.calls.admit(&ticket, ticket_text, admission.clock.now_ms()) {
        Ok(registration) => registration,
        Err(why) => return refused(admission, &why.to_string()),
    };
    let (running, limits, clock) = (runner.clone(), admission.config.limits, admission.clock);
    runner.spawn(async move {
        match opened(&limits, socket).await {
            Some(socket) => running.run(ticket, &public, socket, registration, kind).await,
            None => registration.leave(clock.now_ms()),
        }
    });
    answer
}

/// Prepares for a refused call that comes back by its `<Connect action>`. If there is no room for a new call, it gets
/// the
/// busy TwiML there. If the instance is ending, another one greets the caller.
fn keep_refused(admission: &Admission, ticket: &Ticket, refusal: &Answer, kind: CallKind) {
    if refusal.status() != StatusCode::SERVICE_UNAVAILABLE || kind != CallKind::Ticket {
        return;
    }
    let now_ms = admission.clock.now_ms();
    admission.calls.refused(ticket, now_ms);
    let has_no_room = !admission.drain.is_draining() && ticket.opening == Opening::Greet;
    if let Some(agent) = admission.agent(&ticket.info.agent).filter(|_| has_no_room) {
        admission.calls.keep_last_twiml(&ticket.call_sid, &busy(agent), now_ms);
    }
}

/// Opens a media stream of foreign TwiML, if that is allowed.
pub(super) fn open_bare(
    admission: &Arc<Admission>,
    runner: &Arc<CallRunner>,
    mut request: Request<Incoming>,
) -> Answer {
    let (public, answer, socket) = match handshake(admission, &mut request, CallKind::Bare) {
        Ok(shaken) => shaken,
        Err(refusal) => return *refusal,
    };
    let (admission, running) = (admission.clone(), runner.clone());
    let trace = request.extensions().get().copied();
    runner.spawn(async move {
        if let Some(socket) = opened(&admission.config.limits, socket).await {
            bare_media::run(&admission, &running, &public, trace, socket).await;
        }
    });
    answer
}

/// Checks a handshake: it is a WebSocket's, Twilio signed it (unless it is the browser's), and there is room.
fn handshake(
    admission: &Admission,
    request: &mut Request<Incoming>,
    kind: CallKind,
) -> Result<(PublicUrl, Answer, Upgrade), Refusal> {
    if admission.drain.is_draining() {
        admission.telemetry.refused(RefusalReason::Draining);
        return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, "this instance is ending\n"));
    }
    let public = public_url(&admission.config, request.headers());
    let public = public.ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "no host\n"))?;
    let url = public.ws(request.uri().path_and_query().map_or("/", |path| path.as_str()));
    if kind != CallKind::Browser {
        check_signature(admission, &url, &[], request.headers())?;
    }
    if !is_upgrade_request(request) {
        return Err(refusal(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket\n"));
    }
    let limits = &admission.config.limits;
    let calls = &admission.calls;
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
    Ok((public, response, socket))
}

async fn opened(limits: &Limits, socket: Upgrade) -> Option<MediaSocket> {
    match socket.socket(&media_socket::limits(limits)).await {
        Ok(socket) => Some(MediaSocket::new(socket)),
        Err(error) => {
            tracing::debug!(%error, "the handshake was not completed");
            None
        }
    }
}

fn refused(admission: &Admission, why: &str) -> Answer {
    admission.telemetry.refused(RefusalReason::Ticket);
    if let Some(withheld) = admission.refusal_log.allow() {
        tracing::warn!(why, withheld, "a media socket was refused for its ticket");
    }
    text(StatusCode::FORBIDDEN, "")
}
