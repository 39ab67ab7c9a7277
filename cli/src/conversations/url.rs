//! Runs a file against a running service. The test sees as much as its caller; with `ADMIN_TOKEN`, all that the service's page
//! shows of the call too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialbridge_core::CallTime;
use dialbridge_core::audio::level::{MIN_VOICE_LEVEL, mulaw_level};
use dialbridge_core::audio::{BYTES_PER_MS, FRAME_BYTES};
use dialbridge_core::ending::VirtualAgentStatus;
use dialbridge_core::replay::{CallerStep, waited_ms};
use dialbridge_lab::net::Net;
use dialbridge_lab::twilio::{Account, CallEventKind, CallRecord, SimulatedTwilio};
use dialbridge_net::dial::Dial;
use dialbridge_net::http_client::HttpClient;
use http::Request;
use http::header::AUTHORIZATION;
use http_body_util::Full;
use serde_json::{Map, Value};

use super::file::{Action, ConversationFile, Expectation, Subject};
use super::live::check_streams;
use super::seen::{SeenCall, SeenEnd, SeenStep, dialogflow_json, parameter};

/// The largest list of calls or timeline that is read, in bytes.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// How often the page is asked for a call that has just ended.
const ASKS: u32 = 20;

/// The pause between two of them.
const PAUSE: Duration = Duration::from_millis(500);

/// A running service.
#[derive(Debug, Clone)]
pub struct RunningService {
    /// Its voice-url.
    pub voice_url: String,
    /// The auth token that signs requests to it.
    pub auth_token: Option<String>,
    /// Opens its page.
    pub admin_token: Option<String>,
    /// How connections are opened.
    pub dial: Arc<dyn Dial>,
}

impl RunningService {
    /// The URL under which its paths are.
    fn root(&self) -> &str {
        let url = self.voice_url.split('?').next().unwrap_or_default();
        url.strip_suffix("/twiml").unwrap_or(url).trim_end_matches('/')
    }
}

impl ConversationFile {
    /// Places the file's call at a running service.
    ///
    /// # Errors
    /// A sentence for each expectation that cannot be seen, or why the call cannot be placed.
    pub async fn place_at(&self, service: &RunningService) -> Result<SeenCall, Vec<String>> {
        self.check_visible(service.admin_token.is_some())?;
        let one = |why: String| vec![why];
        let steps = self.caller().map_err(one)?;
        self.check_shown(service).await?;
        let account = Account::new(service.auth_token.as_deref());
        let twilio = SimulatedTwilio::new(account, Net::Dialled(service.dial.clone()));
        let record = twilio.call(self.plan(&service.voice_url, &steps)).await;
        check_streams(&record).map_err(one)?;
        let mut seen = by_caller(&record, &steps);
        if let Some(token) = &service.admin_token {
            let timeline = timeline(service, token, &record.call_sid).await.map_err(one)?;
            add_timeline(&mut seen, &timeline);
        }
        Ok(seen)
    }

    /// Refuses what the page of the service does not show.
    async fn check_shown(&self, service: &RunningService) -> Result<(), Vec<String>> {
        let expectations = self.greeting.iter().flatten().chain(self.steps.iter().flat_map(|step| &step.expect));
        let of_words: Vec<_> = expectations.filter(|expectation| expectation.subject.is_of_words()).collect();
        let Some(token) = service.admin_token.as_ref().filter(|_| !of_words.is_empty()) else { return Ok(()) };
        let client = HttpClient::new(service.dial.clone()).map_err(|error| vec![error.to_string()])?;
        let status = get(&client, &format!("{}/status.json", service.root()), token).await.map_err(|why| vec![why])?;
        if status["showsPhoneTranscripts"] == true {
            return Ok(());
        }
        let fault = |expectation: &Expectation| {
            let (line, key) = (expectation.line, expectation.subject.key());
            format!(
                "line {line}: {key} cannot be seen: the service's page shows what was said only with \
                 PAGE_TRANSCRIPTS=true; set that there, or take {key} out"
            )
        };
        Err(of_words.into_iter().map(fault).collect())
    }

    /// Refuses what cannot be seen or done there.
    fn check_visible(&self, has_admin_token: bool) -> Result<(), Vec<String>> {
        let mut faults = Vec::new();
        let expectations = self.greeting.iter().flatten().chain(self.steps.iter().flat_map(|step| &step.expect));
        for expectation in expectations.chain(&self.end) {
            let (line, key) = (expectation.line, expectation.subject.key());
            match &expectation.subject {
                Subject::Flow | Subject::Page => {
                    faults.push(format!("line {line}: {key} cannot be seen with --url: no page of a service shows it"));
                }
                subject if !has_admin_token && !subject.is_seen_by_caller() => faults.push(format!(
                    "line {line}: {key} cannot be seen by a caller: set ADMIN_TOKEN to that of the service, or take it out"
                )),
                _ => {}
            }
        }
        for step in &self.steps {
            if matches!(step.action, Action::Text(_)) {
                faults.push(format!("line {}: a text turn needs a service of its own: use --live", step.line));
            }
        }
        if !self.settings.is_empty() {
            faults
                .push("settings are those of the running service with --url: take them out, or use --live".to_owned());
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

/// The call as the caller saw it.
fn by_caller(record: &CallRecord, steps: &[CallerStep]) -> SeenCall {
    let opened_ms =
        record.events.iter().find(|event| event.kind == CallEventKind::StreamOpened).map_or(0, |event| event.at_ms);
    let begins: Vec<u64> = record.steps.iter().map(|span| span.from_ms).collect();
    let step = |n: usize| -> Option<SeenStep> {
        let (span, until) = (record.steps.get(n)?, begins.get(n + 1).copied().unwrap_or(u64::MAX));
        let waits_from = steps[n].waits_from_ms().map_or(span.to_ms, |ms| span.from_ms + ms);
        Some(exchange(record, opened_ms, span.from_ms, until, waits_from))
    };
    let greeting = exchange(record, opened_ms, 0, begins.first().copied().unwrap_or(u64::MAX), 0);
    let ended_ms = record.events.last().map_or(0, |event| event.at_ms).saturating_sub(opened_ms);
    // The hand-off comes after the document that opened the media stream. What follows it is no longer the agent's.
    let mut documents = record.documents.iter().skip_while(|document| !document.contains("<Connect"));
    let twiml = documents.nth(1).cloned().unwrap_or_default();
    let end = SeenEnd {
        at: CallTime::from_ms(ended_ms),
        status: handoff_status(&twiml),
        handoff: dialogflow_json(&twiml),
        twiml,
        ..SeenEnd::default()
    };
    let steps = (0..steps.len()).map(step).collect();
    SeenCall { greeting, steps, end, ..SeenCall::default() }
}

/// The status of a hand-off, as far as its TwiML says; empty: it may be any. A transfer goes to a live agent.
fn handoff_status(twiml: &str) -> String {
    let transfers = ["<Dial", "<Enqueue", "<Refer"].iter().any(|verb| twiml.contains(verb));
    let transferred = transfers.then(|| VirtualAgentStatus::LiveAgentHandoff.as_str().to_owned());
    parameter(twiml, "VirtualAgentStatus").or(transferred).unwrap_or_default()
}

/// The prompts that the caller heard between two moments of his media stream, in milliseconds.
fn exchange(record: &CallRecord, opened_ms: u64, from_ms: u64, until_ms: u64, waits_from_ms: u64) -> SeenStep {
    let within = |at_ms: u64| (from_ms..until_ms).contains(&at_ms);
    let events = record.events.iter().map(|event| (event.at_ms.saturating_sub(opened_ms), &event.kind));
    let speaks = events.clone().find(|(at, kind)| within(*at) && **kind == CallEventKind::AgentSpeaks);
    let voice_ms = speaks.and_then(|(at_ms, _)| first_voice(&record.heard, at_ms));
    let cut = events.clone().find_map(|(at_ms, kind)| match kind {
        CallEventKind::AgentSpoke { played_ms, cut: true } if within(at_ms) => {
            Some((*played_ms, CallTime::from_ms(at_ms)))
        }
        _ => None,
    });
    SeenStep {
        at: CallTime::from_ms(from_ms),
        within_ms: voice_ms.map(|voice_ms| waited_ms(waits_from_ms, voice_ms)),
        cut,
        ..SeenStep::default()
    }
}

/// Where the agent's voice is first heard from that moment on.
fn first_voice(heard: &[u8], from_ms: u64) -> Option<u64> {
    let from = usize::try_from(from_ms).ok()?.checked_mul(BYTES_PER_MS)?;
    let frame = heard.get(from..)?.chunks(FRAME_BYTES).position(|frame| mulaw_level(frame) > MIN_VOICE_LEVEL)?;
    Some(from_ms + (frame * FRAME_BYTES / BYTES_PER_MS) as u64)
}

/// A call as the service's page shows it: its list entry, with `lines`.
async fn timeline(service: &RunningService, token: &str, call_sid: &str) -> Result<Value, String> {
    let client = HttpClient::new(service.dial.clone()).map_err(|error| error.to_string())?;
    let root = service.root();
    for _ in 0..ASKS {
        let calls = get(&client, &format!("{root}/calls.json"), token).await?;
        let finished = calls["finished"].as_array().into_iter().flatten();
        if let Some(id) = finished.filter(|call| call["callSid"] == call_sid).find_map(|call| call["id"].as_u64()) {
            return get(&client, &format!("{root}/calls/{id}.json"), token).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("the page of {root} does not show the call: another instance of the service may have had it"))
}

async fn get(client: &HttpClient, url: &str, token: &str) -> Result<Value, String> {
    let request = Request::get(url).header(AUTHORIZATION, format!("Bearer {token}")).body(Full::<Bytes>::default());
    let request = request.map_err(|error| format!("{url}: {error}"))?;
    let sent = tokio::time::timeout(Duration::from_secs(20), client.send(request, MAX_PAGE_BYTES)).await;
    let response =
        sent.map_err(|_| format!("{url}: no answer within 20 s"))?.map_err(|error| format!("{url}: {error}"))?;
    match response.status().as_u16() {
        200 => serde_json::from_slice(response.body()).map_err(|error| format!("{url}: {error}")),
        401 | 403 => Err(format!("{url}: the service does not accept this ADMIN_TOKEN")),
        404 => Err(format!("{url}: the service has no page: it needs ADMIN_TOKEN")),
        status => Err(format!("{url}: HTTP status {status}")),
    }
}

/// Adds what the page shows.
fn add_timeline(seen: &mut SeenCall, timeline: &Value) {
    let lines: Vec<(CallTime, &Value)> = timeline["lines"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|line| Some((CallTime::from_ms(line["atMs"].as_u64()?), line)))
        .collect();
    let begins: Vec<CallTime> = seen.steps.iter().flatten().map(|step| step.at).collect();
    for (n, step) in [&mut seen.greeting].into_iter().chain(seen.steps.iter_mut().flatten()).enumerate() {
        let from = if n == 0 { CallTime::START } else { begins[n - 1] };
        let until = begins.get(n).copied().unwrap_or(CallTime::from_ms(u64::MAX));
        add_answers(step, lines.iter().filter(|(at, _)| (from..until).contains(at)));
    }
    let turns: BTreeSet<String> =
        lines.iter().filter(|(_, line)| line["what"] == "answered").map(|(_, line)| line["turn"].to_string()).collect();
    seen.end.turns = turns.len();
    seen.end.reason = timeline["reason"].as_str().unwrap_or_default().to_owned();
    if let Some(status) = timeline["status"].as_str() {
        status.clone_into(&mut seen.end.status);
    }
    let warnings = lines.iter().filter(|(_, line)| line["isWarning"] == true);
    seen.end.warnings =
        warnings.map(|(at, line)| (*at, line["text"].as_str().unwrap_or("a turn failed").to_owned())).collect();
    seen.trace = lines.iter().map(|(at, line)| (*at, format!("{:>9} {line}", at.to_string()))).collect();
}

fn add_answers<'a>(step: &mut SeenStep, lines: impl Iterator<Item = &'a (CallTime, &'a Value)>) {
    let mut replies = Vec::new();
    for (at, line) in lines {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        match line["what"].as_str().unwrap_or_default() {
            "answered" => {
                step.answered_at.get_or_insert(*at);
                replies.extend(Some(text("text")).filter(|text| !text.is_empty()));
                step.intent = if text("intent").is_empty() { std::mem::take(&mut step.intent) } else { text("intent") };
                if !text("queryText").is_empty() {
                    step.understood = text("queryText");
                }
                let parameters: Map<String, Value> = line["parameters"].as_object().cloned().unwrap_or_default();
                step.params.extend(parameters);
            }
            "transcript" if step.understood.is_empty() && line["isFinal"] == true => step.understood = text("text"),
            _ => {}
        }
    }
    step.reply = replies.join(" ");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_transfer_is_seen_and_that_of_a_hang_up_may_be_any() {
        let redirect = "<Response><Redirect>https://h/?VirtualAgentStatus=completed&amp;a=1</Redirect></Response>";
        for (twiml, status) in [
            (redirect, "completed"),
            ("<Response><Dial action=\"/dial-ended\">+15550123</Dial></Response>", "live-agent-handoff"),
            ("<Response><Enqueue>people</Enqueue></Response>", "live-agent-handoff"),
            ("<Response><Hangup/></Response>", ""),
            ("", ""),
        ] {
            assert_eq!(handoff_status(twiml), status, "{twiml}");
        }
    }

    #[test]
    fn what_the_call_gets_after_its_hand_off_is_not_taken_for_it() {
        let documents = [
            "<Response><Connect><Stream url=\"wss://h\"/></Connect></Response>",
            "<Response><Dial>+15550123</Dial></Response>",
            "<Response><Redirect>https://h/?VirtualAgentStatus=completed</Redirect></Response>",
        ];
        let record = CallRecord { documents: documents.map(ToOwned::to_owned).into(), ..CallRecord::default() };
        let end = by_caller(&record, &[]).end;
        assert_eq!((end.status.as_str(), end.twiml.as_str()), ("live-agent-handoff", documents[1]));
    }
}
