//! Streams of foreign TwiML (`ALLOW_BARE_MEDIA`). Only Twilio's `start` says which call it is. Only the handshake's
//! signature, which is constant for a URL, shows that Twilio opened it.

use std::time::Duration;

use dialbridge_core::CallSid;
use dialbridge_core::call_facts::tells_caller;
use dialbridge_core::carried::Opening;
use dialbridge_core::language;
use dialbridge_core::twilio::{Inbound, Start, parse};

use crate::call::context::CallKind;
use crate::media::media_socket::{FromTwilio, MediaSocket};
use crate::service::admission::Admission;
use crate::service::call_runner::CallRunner;
use crate::settings::PublicUrl;
use crate::telemetry::RefusalReason;
use crate::telemetry::trace_context::TraceContext;
use crate::twilio::ticket::{CallInfo, Ticket};

/// How many messages may come before `start`. Twilio sends only `connected`.
const MAX_MESSAGES_BEFORE_START: usize = 8;

/// Runs the call of a bare media stream to its end.
/// `signer`: the account whose token has signed the handshake; `None`: the configured one.
pub(crate) async fn run(
    runner: &CallRunner,
    public: &PublicUrl,
    signer: Option<&str>,
    trace: Option<TraceContext>,
    mut socket: MediaSocket,
) {
    let admission = &runner.admission;
    let waiting = admission.calls.wait();
    let Some(start) = start(&mut socket, admission.config.limits.start).await else {
        refused(admission, RefusalReason::Ticket, "no stream has started");
        return socket.close().await;
    };
    let Some(ticket) = ticket(admission, &start, signer, trace) else { return socket.close().await };
    match admission.calls.admit_bare(&ticket.call(), admission.clock.now_ms()) {
        Some(registration) => {
            drop(waiting);
            runner.run(ticket, public, socket, registration, CallKind::Bare).await;
        }
        None => {
            refused(admission, RefusalReason::Ticket, "another one has the call");
            socket.close().await;
        }
    }
}

/// Reads Twilio's `start`, and puts all messages up to it back.
async fn start(socket: &mut MediaSocket, timeout: Duration) -> Option<Start> {
    let mut came = Vec::new();
    let reading = async {
        while came.len() < MAX_MESSAGES_BEFORE_START {
            let message = socket.next().await;
            let FromTwilio::Text(text) = &message else { return None };
            let parsed = std::str::from_utf8(text.as_ref()).ok().and_then(|text| parse(text).ok());
            let start = if let Some(Inbound::Start(start)) = parsed { Some(*start) } else { None };
            came.push(message);
            if start.is_some() {
                return start;
            }
        }
        None
    };
    let start = tokio::time::timeout(timeout, reading).await.ok().flatten();
    socket.put_back(came);
    start
}

/// The ticket that we would have issued: the stream's parameters `agent`, `to` and `language` select the agent.
fn ticket(admission: &Admission, start: &Start, signer: Option<&str>, trace: Option<TraceContext>) -> Option<Ticket> {
    let account = admission.config.twilio.other_account(Some(&start.account_sid));
    let named = account.as_deref().filter(|sid| admission.config.twilio.others.contains_key(*sid));
    if named != signer {
        refused(admission, RefusalReason::Signature, "its account is not the one that has signed it");
        return None;
    }
    let Ok(call_sid) = CallSid::new(&start.call_sid) else {
        refused(admission, RefusalReason::Ticket, "its callSid is none of Twilio's");
        return None;
    };
    let parameter =
        |name: &str| start.custom_parameters.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let caller = parameter("from").filter(|from| tells_caller(from)).unwrap_or(call_sid.as_str());
    let Some(agent) = admission.config.route(named, parameter("agent"), parameter("to"), caller) else {
        refused(admission, RefusalReason::Agent, "it names an agent that is not configured");
        return None;
    };
    let _of_call = admission.telemetry.log_span(trace).entered();
    admission.name_in_log(agent);
    let issued_ms = admission.clock.now_ms();
    let language = parameter("language").and_then(|text| {
        let language = language::read(text);
        if language.is_none() {
            admission.left_out(agent, "language", 1);
            if let Some(withheld) = admission.parameter_log.allow() {
                let why = "the stream names a language that is not known, and the agent's is used";
                tracing::warn!(%call_sid, withheld, "{why}");
            }
        }
        language
    });
    let info = CallInfo {
        agent: agent.to_owned(),
        backup_of: None,
        language,
        began_ms: issued_ms,
        failed_turns: 0,
        account,
        trace,
    };
    Some(Ticket { call_sid, issued_ms, info, opening: Opening::Greet })
}

/// Counts and logs a stream that is closed.
fn refused(admission: &Admission, reason: RefusalReason, why: &str) {
    admission.telemetry.refused(reason);
    if let Some(withheld) = admission.refusal_log.allow() {
        tracing::warn!(why, withheld, "a media stream without a ticket was closed");
    }
}
