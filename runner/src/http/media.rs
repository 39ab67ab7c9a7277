//! `/media/TICKET`: a handshake becomes a call.

use std::sync::Arc;

use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use super::webhook::{check_signature, public_url};
use super::{Answer, text};
use crate::media_socket::MediaSocket;
use crate::service::Service;

/// Opens a media socket for whoever holds a good ticket.
pub(super) fn open(service: Arc<Service>, mut request: Request<Incoming>, ticket_text: &str) -> Answer {
    if service.drain().is_draining() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "this instance is ending\n");
    }
    let Some(public) = public_url(&service, request.headers()) else {
        return text(StatusCode::BAD_REQUEST, "no host\n");
    };
    let now_ms = service.clock().now_ms();
    let ticket = match service.office().check(ticket_text, now_ms) {
        Ok(ticket) => ticket,
        Err(why) => return refused(&service, &why.to_string()),
    };
    if service.agent(&ticket.course.agent).is_none() {
        return refused(&service, "its agent is not configured");
    }
    let url = public.ws(request.uri().path_and_query().map_or("/", |path| path.as_str()));
    if let Err(refusal) = check_signature(&service, &url, &[], request.headers()) {
        return *refusal;
    }
    if !fastwebsockets::upgrade::is_upgrade_request(&request) {
        return text(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket\n");
    }
    let Ok((response, upgrade)) = fastwebsockets::upgrade::upgrade(&mut request) else {
        return text(StatusCode::BAD_REQUEST, "this is no WebSocket handshake\n");
    };
    let place = match service.calls().admit(&ticket, ticket_text, now_ms) {
        Ok(place) => place,
        Err(why) => return refused(&service, &why.to_string()),
    };
    let call = {
        let service = service.clone();
        async move {
            match upgrade.await {
                Ok(socket) => service.run_call(ticket, &public, MediaSocket::new(socket), place).await,
                Err(error) => tracing::debug!(%error, "the handshake was not completed"),
            }
        }
    };
    service.spawn_call(call);
    response.map(|_| Full::default())
}

fn refused(service: &Service, why: &str) -> Answer {
    if let Some(withheld) = service.refusal_log().allow() {
        tracing::warn!(why, withheld, "a media socket was refused for its ticket");
    }
    text(StatusCode::FORBIDDEN, "")
}
