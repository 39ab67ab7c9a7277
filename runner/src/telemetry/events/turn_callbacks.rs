//! A request for each turn, in the form of Twilio's own connector for Dialogflow (`<VirtualAgent statusCallback>`), for
//! those who move over from it.
//!
//! The names: Twilio's pages on `<VirtualAgent>` and on its Studio widget, and public receivers of these requests
//! (chaosloth/flex-dialogflow-voice-transcript). The form leaves out fields that neither this service
//! nor the agent knows.

use std::sync::Arc;

use dialbridge_core::agent::Intent;
use dialbridge_core::{CallSid, CallTime, Report, TurnId};
use serde_json::{Map, Value, json};

use super::webhook::Webhook;
use crate::telemetry::rfc3339::rfc3339;

/// The turns of a call, and where they go.
#[derive(Debug)]
pub(in crate::telemetry) struct TurnCallbacks {
    webhook: Arc<Webhook>,
    call: CallOfTurns,
    /// The last turn, whose answer may have more parts.
    pending: Option<Turn>,
    /// The queue number of the last request.
    last: u64,
}

/// What all turns of a call have in common.
#[derive(Debug)]
pub(in crate::telemetry) struct CallOfTurns {
    pub(in crate::telemetry) call_sid: CallSid,
    pub(in crate::telemetry) account_sid: Option<String>,
    pub(in crate::telemetry) edition: &'static str,
    pub(in crate::telemetry) language: String,
    /// When the stream's call time began, in milliseconds since 1970.
    pub(in crate::telemetry) began_ms: u64,
}

#[derive(Debug)]
struct Turn {
    id: TurnId,
    at: CallTime,
    query_text: String,
    text: String,
    intent: Intent,
    parameters: Map<String, Value>,
}

impl TurnCallbacks {
    pub(in crate::telemetry) fn new(webhook: Arc<Webhook>, call: CallOfTurns) -> Self {
        Self { webhook, call, pending: None, last: 0 }
    }

    /// Sends a turn when its answer is whole: the next turn or the call's end shows that.
    pub(in crate::telemetry) fn report(&mut self, at: CallTime, report: &Report) {
        let is_over = match report {
            Report::TurnOpened { turn, .. } | Report::Answered { turn, .. } => {
                self.pending.as_ref().is_some_and(|pending| pending.id != *turn)
            }
            _ => matches!(report, Report::HandedOff { .. } | Report::Ended { .. }),
        };
        if is_over {
            self.send_pending();
        }
        if let Report::Answered { turn, query_text, text, intent, parameters, .. } = report {
            let pending = self.pending.get_or_insert_with(|| Turn::new(*turn, at));
            pending.add(query_text, text, intent, parameters);
            // The answer of a stream with many turns is reported whole.
            if self.call.edition == "ces" {
                self.send_pending();
            }
        }
    }

    /// An agent of this edition and language has the call from here on.
    pub(in crate::telemetry) fn use_backup(&mut self, edition: &'static str, language: &str) {
        self.send_pending();
        language.clone_into(&mut self.call.language);
        self.call.edition = edition;
    }

    /// Returns when all requests so far were sent or lost.
    pub(in crate::telemetry) async fn flushed(&self) {
        self.webhook.flushed(self.last).await;
    }

    fn send_pending(&mut self) {
        let Some(turn) = self.pending.take() else { return };
        let form = self.call.form(&turn);
        let form: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.last = self.webhook.put(form).unwrap_or(self.last);
    }
}

impl Turn {
    fn new(id: TurnId, at: CallTime) -> Self {
        let (query_text, text) = (String::new(), String::new());
        Self { id, at, query_text, text, intent: Intent::default(), parameters: Map::new() }
    }

    fn add(&mut self, query_text: &str, text: &str, intent: &Intent, parameters: &Map<String, Value>) {
        if !query_text.is_empty() {
            query_text.clone_into(&mut self.query_text);
        }
        if !text.is_empty() && !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(text);
        if *intent != Intent::default() {
            self.intent.clone_from(intent);
        }
        self.parameters.extend(parameters.clone());
    }
}

impl CallOfTurns {
    fn form(&self, turn: &Turn) -> Vec<(&'static str, String)> {
        let provider = match self.edition {
            "cx" => "DialogflowCX",
            "es" => "DialogflowES",
            _ => "CustomerEngagementSuite",
        };
        let data = json!({
            "ConversationId": self.call_sid.as_str(),
            "EndUserId": self.call_sid.as_str(),
            "LanguageCode": self.language,
            "ResolvedInput": turn.query_text,
            "ReplyText": turn.text,
            "IntentId": turn.intent.name,
            "IntentDisplayName": turn.intent.display_name,
            "Parameters": turn.parameters,
        });
        let account = self.account_sid.clone().map(|sid| ("AccountSid", sid));
        let others = [
            ("CallSid", self.call_sid.as_str().to_owned()),
            ("Timestamp", rfc3339(self.began_ms + turn.at.as_ms())),
            ("VirtualAgentProvider", provider.to_owned()),
            ("VirtualAgentProviderData", data.to_string()),
        ];
        account.into_iter().chain(others).collect()
    }
}
