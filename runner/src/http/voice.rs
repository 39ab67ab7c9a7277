//! The voice webhooks: what a call does next.

use dialbridge_core::CallSid;
use dialbridge_core::carried::{Opening, StandIn};
use dialbridge_core::handoff::{self, Outcome};
use dialbridge_core::language;
use dialbridge_core::twiml::{Verb, document};
use dialbridge_core::words::Sentence;
use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::answer::{Answer, Refusal, refusal, text, xml};
use super::dial_failure::DialFailure;
use super::parameters::parameters;
use super::webhook::{Reach, Webhook};
use crate::paths::{MEDIA, STREAM_STATUS, VOICE_URL};
use crate::service::admission::Admission;
use crate::service::busy::busy;
use crate::settings::value::is_event_name;
use crate::settings::{AgentConfig, PublicUrl};
use crate::telemetry::RefusalReason;
use crate::twilio::actions::connect_action;
use crate::twilio::ticket::{CallInfo, State, TICKET_LIFE_MS, Ticket};

/// How many streams of a call may break early in a row before the call gets its fallback.
const MAX_ATTEMPTS: u32 = 3;

/// How many characters of Twilio's stream status we keep.
const MAX_STATUS_CHARS: usize = 200;

/// `/twiml`: a call comes in, or comes back from the number's fallback URL.
pub(super) async fn twiml(admission: &Admission, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let webhook = Webhook::read(admission, request).await?;
    let Some(Ok(call_sid)) = webhook.parameter("CallSid").map(CallSid::new) else {
        return Err(refusal(StatusCode::BAD_REQUEST, "Twilio sends a CallSid; this request has none\n"));
    };
    let named = webhook.in_query("agent").filter(|name| !name.is_empty());
    let Some(agent) = admission.config.route(
        webhook.account.as_deref(),
        named,
        webhook.called(),
        webhook.caller().unwrap_or(call_sid.as_str()),
    ) else {
        admission.telemetry.refused(RefusalReason::Agent);
        let (why, told) = match named {
            Some(_) => ("the voice-url names no agent of the call's account", "no agent of that name is configured\n"),
            None => ("the call's account has no agent", "the account of this call has no agent\n"),
        };
        tracing::warn!(call_sid = %call_sid, "{why}");
        return Err(refusal(StatusCode::NOT_FOUND, told));
    };
    admission.name_in_log(agent);
    let language = language(admission, &webhook, &call_sid, agent);
    if let Some(agent) = admission.agent(agent).filter(|_| admission.is_full()) {
        admission.telemetry.refused(RefusalReason::Busy);
        tracing::warn!(call_sid = %call_sid, "MAX_CALLS are live: the call is turned away");
        return Ok(xml(busy(agent, language.as_deref())));
    }
    if let Some(agent) = admission.agent(agent).filter(|_| webhook.reach == Reach::Closed) {
        admission.telemetry.refused(RefusalReason::Reach);
        return Ok(xml(fallback(agent, &call_sid, language.as_deref())));
    }
    let opening = opening(admission, &webhook, &call_sid, agent);
    let began_ms = admission.clock.now_ms();
    let mut info = CallInfo {
        agent: agent.to_owned(),
        backup_of: None,
        language,
        began_ms,
        failed_turns: 0,
        account: webhook.account.clone(),
        trace: webhook.trace,
    };
    choose_backup(admission, &call_sid, &mut info, &opening)?;
    let parameters = parameters(admission, &webhook, &call_sid, &info);
    let stream = Stream { call_sid: &call_sid, info, attempt: 1, opening, parameters };
    Ok(xml(stream.document(admission, &webhook.public)))
}

/// Gives the call to the backup of its agent if the agent is down for all calls, or if the backup has the call already.
///
/// # Errors
/// The fallback of a call that nobody can answer: there is no backup, or it is down too.
fn choose_backup(
    admission: &Admission,
    call_sid: &CallSid,
    info: &mut CallInfo,
    opening: &Opening,
) -> Result<(), Refusal> {
    let agent = info.agent.clone();
    let backup = admission.config.backups.get(&agent);
    let Some(config) = admission.agent(&agent).filter(|_| *opening == Opening::Greet) else {
        let has_it = admission.calls.is_on_backup(&info.of_account(call_sid), info.began_ms);
        backup.filter(|_| has_it).into_iter().for_each(|backup| info.stand_in(backup));
        return Ok(());
    };
    if admission.admits(&agent) {
        return Ok(());
    }
    let Some(backup) = backup.filter(|backup| admission.admits(backup)) else {
        admission.telemetry.refused(RefusalReason::AgentDown);
        return Err(Box::new(xml(fallback(config, call_sid, info.language.as_deref()))));
    };
    tracing::warn!(call_sid = %call_sid, backup, "the agent is down for all calls: its backup gets the call");
    admission.telemetry.backup_took_over(&agent, config);
    info.stand_in(backup);
    Ok(())
}

/// The language that the voice-url names. `None`: the agent's. A call is worth more than a parameter of its URL, so one
/// that we cannot read changes nothing.
fn language(admission: &Admission, webhook: &Webhook, call_sid: &CallSid, agent: &str) -> Option<String> {
    let text = webhook.in_query("language").filter(|text| !text.is_empty())?;
    let language = language::read(text);
    if language.is_none() {
        admission.left_out(agent, "language", 1);
        if let Some(withheld) = admission.parameter_log.allow() {
            tracing::warn!(
                call_sid = %call_sid,
                withheld,
                "the voice-url names a language that is not known, and the agent's is used: write language=de-DE"
            );
        }
    }
    language
}

/// How the stream begins. The agent has the call already if the voice-url says so (`resume=1`, with or without an
/// event), or if Twilio sends an `ErrorCode`, because this URL is the number's fallback URL. But if the call's first
/// document could not be had, nobody has greeted the caller.
fn opening(admission: &Admission, webhook: &Webhook, call_sid: &CallSid, agent: &str) -> Opening {
    let is_sent_back = webhook.in_query("resume") == Some("1") || webhook.parameter("ErrorCode").is_some();
    let resumes = is_sent_back && !is_first_document(webhook);
    let named = webhook.in_query("event").filter(|event| !event.is_empty());
    let event = named.filter(|event| is_event_name(event));
    if named.is_some() && event.is_none() {
        admission.left_out(agent, "event", 1);
        if let Some(withheld) = admission.parameter_log.allow() {
            let why = "the voice-url's event is no event's name of at most 100 bytes: it is left out";
            tracing::warn!(%call_sid, withheld, "{why}");
        }
    }
    match (resumes, event) {
        (false, _) => Opening::Greet,
        (true, None) => Opening::Resume,
        (true, Some(event)) => Opening::Event(event.to_owned()),
    }
}

/// Whether the document that could not be had would have begun the call with the agent: `ErrorUrl`, the URL that failed,
/// is a voice-url that greets, or Twilio has not answered the call. It answers with the first document
/// (twilio.com/docs/usage/security/availability-reliability).
fn is_first_document(webhook: &Webhook) -> bool {
    let greets = |url: &str| {
        let url = url.split('#').next().unwrap_or_default();
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        path.ends_with(VOICE_URL) && !query.split('&').any(|pair| pair == "resume=1")
    };
    webhook.parameter("ErrorUrl").is_some_and(greets) || webhook.parameter("CallStatus") == Some("ringing")
}

/// `/connect-ended`: a call's stream has ended, and Twilio asks how to continue.
pub(super) async fn connect_ended(admission: &Admission, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (webhook, state) = read_state(admission, request).await?;
    let now_ms = admission.clock.now_ms();
    if let Some(twiml) = admission.calls.last_twiml(&state.info.of_account(&state.call_sid), now_ms) {
        return Ok(xml(twiml));
    }
    Ok(resume(admission, &webhook, state, now_ms))
}

/// `/dial-ended`: a transfer is over. If nobody answered, the call goes back to the agent.
pub(super) async fn dial_ended(admission: &Admission, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (webhook, state) = read_state(admission, request).await?;
    let status = webhook.parameter("DialCallStatus").unwrap_or("failed").to_owned();
    if matches!(status.as_str(), "completed" | "answered") {
        return Ok(xml(document(&[Verb::Hangup])));
    }
    let call_sid = state.call_sid;
    let Some(agent) = admission.agent(&state.info.agent) else {
        return Ok(xml(without_agent(admission, &call_sid, &state.info)));
    };
    let failure = DialFailure::of(&webhook, status);
    failure.log(&call_sid);
    let mut parameters = parameters(admission, &webhook, &call_sid, &state.info);
    failure.put_into(&mut parameters);
    let opening = agent.dial_failed_event.clone().map_or(Opening::Resume, Opening::Event);
    let stream = Stream { call_sid: &call_sid, info: state.info, attempt: 1, opening, parameters };
    Ok(xml(stream.document(admission, &webhook.public)))
}

/// `/stream-status`: Twilio reports that a stream has started, stopped or failed. Only the failure is news: nothing
/// else reports a media stream that Twilio could not open.
pub(super) async fn stream_status(admission: &Admission, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let webhook = Webhook::read(admission, request).await?;
    let field = |name: &str| webhook.parameter(name).unwrap_or_default().chars().take(MAX_STATUS_CHARS);
    let (call_sid, event): (String, String) = (field("CallSid").collect(), field("StreamEvent").collect());
    if event == "stream-error" {
        let why: String = field("StreamError").collect();
        // The text may contain the media stream's URL with the ticket in it.
        let why = why.split_once("/media/").map_or(why.clone(), |(before, _)| format!("{before}/media/…"));
        tracing::error!(call_sid, why, "Twilio's stream has failed");
    } else {
        tracing::debug!(call_sid, event, "Twilio tells of a stream");
    }
    Ok(text(StatusCode::NO_CONTENT, ""))
}

/// Reads a request that brings a call back, and its state.
///
/// # Errors
/// The response to send: the request is not valid, or the call is over.
async fn read_state(admission: &Admission, request: Request<Incoming>) -> Result<(Webhook, State), Refusal> {
    let webhook = Webhook::read(admission, request).await?;
    let now_ms = admission.clock.now_ms();
    let state = match webhook.in_query("s").map(|text| admission.signer.check_state(text, now_ms)) {
        Some(Ok(state)) => state,
        Some(Err(why)) => return Err(refused(admission, &why.to_string())),
        None => return Err(refused(admission, "there is none")),
    };
    admission.name_in_log(&state.info.agent);
    if webhook.parameter("CallSid") != Some(state.call_sid.as_str()) {
        return Err(refused(admission, "it is of another call"));
    }
    let is_of_account = state.info.account == webhook.account
        && admission.config.may_have(&state.info.agent, webhook.account.as_deref());
    if !is_of_account && admission.config.twilio.checks_signatures() {
        return Err(refused(admission, "it is of another account"));
    }
    if webhook.parameter("CallStatus").is_some_and(|status| status != "in-progress") {
        return Err(Box::new(xml(document(&[]))));
    }
    Ok((webhook, state))
}

/// Opens a new stream in the same session after the last one broke, here or on another instance. After too many
/// attempts the call gets its fallback.
fn resume(admission: &Admission, webhook: &Webhook, mut state: State, now_ms: u64) -> Answer {
    let lasted = now_ms.saturating_sub(state.issued_ms) > TICKET_LIFE_MS;
    let attempt = if lasted { 1 } else { state.attempt + 1 };
    let progress = admission.calls.progress(&state.info.of_account(&state.call_sid), state.issued_ms, now_ms);
    if let Some(progress) = progress {
        state.info.failed_turns = progress.failed_turns;
        let backup = admission.config.backups.get(&state.info.agent);
        if let Some(backup) = backup.filter(|_| progress.on_backup && state.info.backup_of.is_none()) {
            state.info.stand_in(backup);
        }
    }
    // Another instance may have greeted the caller. We never greet twice.
    let opening =
        if progress.is_some_and(|progress| progress.awaits_greeting) { Opening::Greet } else { Opening::Resume };
    let call_sid = state.call_sid;
    let Some(agent) = admission.agent(&state.info.agent) else {
        return xml(without_agent(admission, &call_sid, &state.info));
    };
    if attempt > MAX_ATTEMPTS {
        tracing::error!(call_sid = %call_sid, "the call's streams do not last: it gets its fallback");
        let info = &state.info;
        return xml(failed(agent, &call_sid, info.language.as_deref(), info.stands_in()));
    }
    tracing::warn!(call_sid = %call_sid, attempt, "the call's stream has ended without an end: it is resumed");
    let parameters = parameters(admission, webhook, &call_sid, &state.info);
    let stream = Stream { call_sid: &call_sid, info: state.info, attempt, opening, parameters };
    xml(stream.document(admission, &webhook.public))
}

fn refused(admission: &Admission, why: &str) -> Refusal {
    admission.telemetry.refused(RefusalReason::State);
    if let Some(withheld) = admission.refusal_log.allow() {
        tracing::warn!(why, withheld, "a request was refused for its state");
    }
    refusal(StatusCode::FORBIDDEN, "")
}

/// A stream to open.
struct Stream<'a> {
    call_sid: &'a CallSid,
    info: CallInfo,
    attempt: u32,
    opening: Opening,
    parameters: Vec<(String, String)>,
}

impl Stream<'_> {
    fn document(self, admission: &Admission, public: &PublicUrl) -> String {
        let issued_ms = admission.clock.now_ms();
        let call_sid = self.call_sid.clone();
        let ticket = Ticket { call_sid: call_sid.clone(), issued_ms, info: self.info.clone(), opening: self.opening };
        let words = admission.agent(&self.info.agent).map(|agent| agent.words(self.info.language.as_deref()));
        let state = State { call_sid, issued_ms, info: self.info, attempt: self.attempt };
        let signer = &admission.signer;
        let parameters = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let connect = Verb::ConnectStream {
            action: connect_action(public, signer, &state, parameters),
            url: public.ws(&format!("{MEDIA}/{}", signer.issue(&ticket))),
            status_callback: Some(public.http(STREAM_STATUS)),
            parameters: self.parameters,
        };
        // In case Twilio does not request the action: the caller must not be left in silence.
        let sorry = words.unwrap_or_default().say(Sentence::Lost);
        document(&[connect, sorry, Verb::Hangup])
    }
}

fn fallback(agent: &AgentConfig, call_sid: &CallSid, language: Option<&str>) -> String {
    failed(agent, call_sid, language, None)
}

fn failed(agent: &AgentConfig, call_sid: &CallSid, language: Option<&str>, stands_in: Option<StandIn>) -> String {
    let session = agent.address.session(call_sid.as_str());
    let outcome = Outcome { call_sid: call_sid.to_string(), session, stands_in, ..Outcome::default() };
    handoff::failed(&agent.call.handoff, &agent.words(language), &outcome).twiml
}

/// The TwiML of a call whose agent is not in this configuration, because the call began with another one. The call gets
/// the fallback of its account's default agent.
fn without_agent(admission: &Admission, call_sid: &CallSid, info: &CallInfo) -> String {
    let agent = &info.agent;
    tracing::error!(call_sid = %call_sid, agent, "the call's agent is not configured any more: it gets its fallback");
    match admission.agent(admission.config.default_agent_of(info.account.as_deref())) {
        Some(agent) => fallback(agent, call_sid, info.language.as_deref()),
        None => document(&[Verb::Hangup]),
    }
}
