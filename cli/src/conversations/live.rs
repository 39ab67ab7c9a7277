//! Runs a file against the agent of the settings, in a service of its own.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use dialbridge_core::CallSid;
use dialbridge_core::replay::{CallerStep, PlayedCall, STEP_TIMEOUT_MS};
use dialbridge_core::tape::{Conversation, Tape};
use dialbridge_lab::twilio::{CallEventKind, CallPlan, CallRecord};
use dialbridge_runner::settings::Settings;
use serde_json::Value;
use tokio::sync::mpsc;

use super::file::ConversationFile;
use super::seen::SeenCall;
use super::stack::{Stack, Surroundings};

/// The longest call.
const MAX_CALL: Duration = Duration::from_secs(3_600);

/// How long the service may take to end a call whose caller has hung up.
const END: Duration = Duration::from_secs(20);

/// How many texts may wait for the service.
const TEXTS: usize = 16;

/// A call that was placed.
#[derive(Debug)]
pub struct LiveCall {
    /// The edition of its agent.
    pub edition: &'static str,
    /// The facts for its expectations.
    pub seen: SeenCall,
    /// Its tape, as it is kept beside the file.
    pub tape: String,
}

impl ConversationFile {
    /// Places the file's call. `changes` are further settings, as `NAME=VALUE`.
    ///
    /// # Errors
    /// A sentence that says why it cannot be placed.
    pub async fn place(
        &self,
        surroundings: &Surroundings,
        given: &Settings,
        changes: &[String],
    ) -> Result<LiveCall, String> {
        let mut stack = Stack::start(surroundings, given, &self.changes(|_| true, changes)).await?;
        self.speak(&stack).await?;
        let steps = self.caller()?;
        let agent = self.agent.as_ref().unwrap_or(&stack.default_agent);
        let edition = *stack.editions.get(agent).ok_or_else(|| {
            let known: Vec<&str> = stack.editions.keys().map(String::as_str).collect();
            format!("agent is \"{agent}\", and the settings have none of that name: {}", known.join(", "))
        })?;
        let record = self.call(&mut stack, &steps).await;
        let tape = tape_of(&mut stack, &record).await?;
        let mut conversation = self.conversation(&steps);
        note_places(&mut conversation, &record);
        let tape = with_conversation(&tape, &conversation)?;
        let parsed = Tape::parse(&tape).map_err(|error| format!("the call's tape cannot be read: {error}"))?;
        let played = PlayedCall::recorded(&parsed, &steps);
        if let Some(why) = agent_is_down(&played) {
            return Err(format!("the agent gave no answer: {why}"));
        }
        Ok(LiveCall { edition, seen: SeenCall::of(&played), tape })
    }

    async fn call(&self, stack: &mut Stack, steps: &[CallerStep]) -> CallRecord {
        let (sender, mut texts) = mpsc::channel(TEXTS);
        let plan = CallPlan { texts: Some(sender), ..self.plan(&stack.voice_url(), steps) };
        let calls = stack.service.calls().clone();
        let passing = async move {
            while let Some(sent) = texts.recv().await {
                // A call that is ending takes no text.
                let _ = CallSid::new(&sent.call_sid).is_ok_and(|call_sid| calls.send_text(&call_sid, &sent.text));
            }
        };
        let (record, ()) = tokio::join!(stack.twilio.call(plan), passing);
        record
    }

    /// The plan of the file's call at that voice-url.
    #[must_use]
    pub(super) fn plan(&self, voice_url: &str, steps: &[CallerStep]) -> CallPlan {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let named = [("agent", &self.agent), ("language", &self.language)];
        for (name, value) in named.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            query.append_pair(name, value);
        }
        for (name, value) in &self.params {
            query.append_pair(&format!("param.{name}"), value);
        }
        let (query, sign) = (query.finish(), if voice_url.contains('?') { '&' } else { '?' });
        let url = if query.is_empty() { voice_url.to_owned() } else { format!("{voice_url}{sign}{query}") };
        CallPlan {
            from: self.from.clone(),
            to: self.to.clone(),
            step_timeout: Duration::from_millis(STEP_TIMEOUT_MS),
            limit: MAX_CALL,
            ..CallPlan::new(url, steps.to_vec())
        }
    }
}

impl LiveCall {
    /// Keeps its tape beside the file.
    ///
    /// # Errors
    /// A sentence that names the file that cannot be written.
    pub fn keep(&self, file: &ConversationFile) -> Result<PathBuf, String> {
        let path = file.tape_path(self.edition);
        fs::write(&path, &self.tape).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}

async fn tape_of(stack: &mut Stack, record: &CallRecord) -> Result<String, String> {
    check_streams(record)?;
    let tape = tokio::time::timeout(END, stack.tapes.recv()).await;
    let tape = tape.ok().flatten().ok_or("the service did not end the call after its caller had hung up")?;
    Ok(tape.text)
}

/// Refuses a call that did not have exactly one media stream. The times of a tape, and of the service's page, are those
/// of one stream.
pub(super) fn check_streams(record: &CallRecord) -> Result<(), String> {
    let why = || {
        record.find(|what| match what {
            CallEventKind::WebhookFailed { why } | CallEventKind::StreamRefused { why } => Some(why.clone()),
            _ => None,
        })
    };
    match record.count(|what| matches!(what, CallEventKind::StreamOpened)) {
        1 => Ok(()),
        0 => {
            let why = why().unwrap_or_else(|| "its TwiML has no stream".to_owned());
            Err(format!("the call never reached an agent: {why}"))
        }
        streams => Err(format!(
            "the call needed {streams} media streams, and a test can see one: its stream broke, or it migrated; run it \
             again"
        )),
    }
}

/// Notes where in the caller's audio his steps were.
fn note_places(conversation: &mut Conversation, record: &CallRecord) {
    for (step, span) in conversation.steps.iter_mut().zip(&record.steps) {
        (step.from_ms, step.to_ms) = (Some(span.from_ms), Some(span.to_ms));
    }
}

/// The tape with what its caller does in its header.
fn with_conversation(tape: &str, conversation: &Conversation) -> Result<String, String> {
    let (header, rest) = tape.split_once('\n').ok_or("the call's tape is empty")?;
    let mut header: Value = serde_json::from_str(header).map_err(|error| error.to_string())?;
    header["conversation"] = serde_json::to_value(conversation).map_err(|error| error.to_string())?;
    Ok(format!("{header}\n{rest}"))
}

/// Why the agent never answered; `None` if it did, or if nothing failed.
fn agent_is_down(call: &PlayedCall) -> Option<String> {
    use dialbridge_core::Report;
    if call.turns() > 0 {
        return None;
    }
    let faults = call.reports().filter_map(|(_, report)| match report {
        Report::TurnFailed { fault, .. } => Some(fault.to_string()),
        _ => None,
    });
    faults.last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_lab::twilio::CallEvent;

    #[test]
    fn a_call_of_several_media_streams_is_told_and_none_of_its_times_is_taken_for_another() {
        let record = |streams: usize| {
            let opened = CallEvent { at_ms: 0, kind: CallEventKind::StreamOpened };
            CallRecord { events: vec![opened; streams], ..CallRecord::default() }
        };
        assert_eq!(check_streams(&record(1)), Ok(()));
        assert!(
            check_streams(&record(0)).unwrap_err().contains("the call never reached an agent: its TwiML has no stream")
        );
        assert!(check_streams(&record(2)).unwrap_err().starts_with("the call needed 2 media streams"));
    }
}
