//! The softphone: calls that the page makes from the browser. They stream to `/softphone/media/TICKET` in Twilio's
//! protocol. `/softphone/events/CALLSID` reports what happens in them.

use std::sync::Arc;
use std::time::Duration;

use dialbridge_core::CallSid;
use dialbridge_core::carried::Opening;
use dialbridge_core::language;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use super::admin::may_change;
use super::answer::{Answer, Refusal, json_answer, refusal};
use super::events::{EventStream, LongAnswer, Source, Viewer};
use super::media;
use super::webhook::{pairs, read_form};
use crate::call::context::CallKind;
use crate::history::{CallWatcher, History};
use crate::service::page::Page;
use crate::twilio::ticket::{CallInfo, Ticket};

/// How long a viewer waits for a call to begin.
const START_TIMEOUT: Duration = Duration::from_secs(2);

/// `POST /softphone`: returns a ticket for a call to an agent. The form may have `agent` and `language`.
pub(super) async fn ticket(page: &Page, request: Request<Incoming>) -> Result<Answer, Refusal> {
    may_change(&page.admin, &request)?;
    let ((head, body), admission) = (request.into_parts(), &page.admission);
    let form = pairs(&read_form(&admission.config.limits, &head.headers, body).await?);
    let field = |name: &str| form.iter().find(|(other, _)| other == name).map(|(_, value)| value.trim());
    if admission.drain.is_draining() {
        let why = "This instance is ending. Wait ten seconds, reload the page and call again.\n";
        return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, why));
    }
    if admission.is_full() {
        let why = "All lines are busy: MAX_CALLS calls are live. Call again when one of them is over.\n";
        return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, why));
    }
    let named = field("agent").filter(|name| !name.is_empty());
    let call_sid = browser_call_sid()
        .ok_or_else(|| refusal(StatusCode::INTERNAL_SERVER_ERROR, "The system has no randomness to give.\n"))?;
    // Whoever may open the page may try the agents of all accounts.
    let account = named.and_then(|agent| admission.config.account_of(agent));
    let agent = admission.config.route(account, named, None, call_sid.as_str());
    let agent = agent
        .ok_or_else(|| refusal(StatusCode::NOT_FOUND, "No agent of that name is configured. Reload the page.\n"))?;
    let named = field("language").filter(|text| !text.is_empty());
    let language = named.and_then(language::read);
    if named.is_some() && language.is_none() {
        return Err(refusal(StatusCode::BAD_REQUEST, "The language is not known: write one such as de-DE.\n"));
    }
    let issued_ms = admission.clock.now_ms();
    let (agent, account) = (agent.to_owned(), account.map(ToOwned::to_owned));
    let trace = head.extensions.get().copied();
    let info = CallInfo { agent, backup_of: None, language, began_ms: issued_ms, failed_turns: 0, account, trace };
    let ticket = Ticket { call_sid, issued_ms, info, opening: Opening::Greet };
    let media = format!("/softphone/media/{}", admission.signer.issue_browser(&ticket));
    let events = format!("/softphone/events/{}", ticket.call_sid);
    Ok(json_answer(&json!({ "callSid": ticket.call_sid.as_str(), "media": media, "events": events })))
}

/// An id that nobody can guess. It is not one of Twilio's, which begin with CA.
fn browser_call_sid() -> Option<CallSid> {
    let mut random = [0; 12];
    SystemRandom::new().fill(&mut random).ok()?;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    CallSid::new(&format!("browser-{hex}")).ok()
}

/// `GET /softphone/media/TICKET`: the media stream.
pub(super) fn open_media(page: &Page, request: Request<Incoming>, ticket: &str) -> Result<Answer, Refusal> {
    may_change(&page.admin, &request)?;
    media::open(&page.runner, request, ticket, CallKind::Browser)
}

/// `GET /softphone/events/CALLSID`: what happens in the call, transcripts included, until it is over.
pub(super) async fn events(page: &Arc<Page>, call_sid: &str) -> Result<LongAnswer, Refusal> {
    let viewer = Viewer::enter(page)?;
    let watcher = wait_for_call(&page.history, call_sid).await;
    let watcher = watcher.ok_or_else(|| refusal(StatusCode::NOT_FOUND, "this instance has no such call\n"))?;
    Ok(EventStream::answer(Source::Call(viewer, watcher)))
}

async fn wait_for_call(history: &History, call_sid: &str) -> Option<CallWatcher> {
    let call_sid = CallSid::new(call_sid).ok()?;
    let mut changes = history.changes();
    let waiting = async {
        loop {
            if let Some(watcher) = history.by_call_sid(&call_sid) {
                return Some(watcher);
            }
            changes.changed().await.ok()?;
        }
    };
    tokio::time::timeout(START_TIMEOUT, waiting).await.ok()?
}
