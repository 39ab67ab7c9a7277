//! Where a call goes when the agent is done, as TwiML for Twilio's REST update.
//!
//! The parameters are those of Twilio's own sample (`dialogflowJSON`) and of its `<VirtualAgent>` connector
//! (`VirtualAgentStatus`, `VirtualAgentProviderData`), so that handlers for either keep working.

mod content;
mod shortening;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::agent::{AgentEnd, Answer, Enqueue, Intent, Transfer};
use crate::call_facts::{CallerId, ToldFacts};
use crate::carried::StandIn;
use crate::ending::{CallLimit, VirtualAgentStatus};
use crate::parameters::add_parameters;
use crate::twiml::{self, DIAL_ACTION, Verb, document};
use crate::words::{OwnWords, Sentence};

use content::{Content, with_query};
use shortening::{fitted, in_element};

/// Twilio's limit for the `Twiml` of a REST update, in characters (error 32018 beyond it).
pub const MAX_TWIML_CHARS: usize = 4_000;

/// Where calls go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HandoffConfig {
    /// `END_OF_INTERACTION_URL`. Without it we hang up a call that the agent ends.
    pub end_of_interaction_url: Option<String>,
    /// `FALLBACK_TWIML`: the TwiML for a call whose agent could not be reached.
    pub fallback_twiml: Option<String>,
    /// `HANDOFF_FIELDS`: the parts of the agent's result that may stand in the URL.
    pub fields: Vec<HandoffField>,
    /// How a call is transferred.
    pub dial: DialRules,
}

/// How a call is transferred, as far as the agent does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DialRules {
    /// The caller ID to show. `None`: the caller's own number, or ours if he has none.
    pub caller_id: Option<String>,
    /// The event that the agent gets if nobody has answered a transfer, or if we do not dial what it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_event: Option<String>,
    /// How long to ring, in seconds.
    pub timeout_s: u32,
    /// Whether the caller hears ringing until the other side answers.
    pub answer_on_bridge: bool,
}

impl Default for DialRules {
    fn default() -> Self {
        Self { caller_id: None, failed_event: None, timeout_s: 30, answer_on_bridge: true }
    }
}

impl Default for HandoffConfig {
    fn default() -> Self {
        Self {
            end_of_interaction_url: None,
            fallback_twiml: None,
            fields: vec![
                HandoffField::Intent,
                HandoffField::Parameters,
                HandoffField::QueryText,
                HandoffField::Action,
                HandoffField::LiveAgentHandoff,
            ],
            dial: DialRules::default(),
        }
    }
}

/// A part of `dialogflowJSON`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HandoffField {
    /// The intent's name and display name.
    Intent,
    /// The result's parameters.
    Parameters,
    /// The caller's last utterance.
    QueryText,
    /// The result's action (ES).
    Action,
    /// The metadata with which the agent asks for a live agent.
    LiveAgentHandoff,
    /// The session's resource name.
    Session,
}

impl HandoffField {
    /// All fields, in the order of `dialogflowJSON`.
    pub const ALL: [Self; 6] =
        [Self::Intent, Self::Parameters, Self::QueryText, Self::Action, Self::LiveAgentHandoff, Self::Session];

    /// The field's name in `dialogflowJSON` and in `HANDOFF_FIELDS`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Parameters => "parameters",
            Self::QueryText => "queryText",
            Self::Action => "action",
            Self::LiveAgentHandoff => "liveAgentHandoff",
            Self::Session => "session",
        }
    }
}

/// What we know of the call when the agent's part ends.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The session's id, which is the CallSid.
    pub call_sid: String,
    /// The session's resource name.
    pub session: String,
    /// Intent of the last answer.
    pub intent: Intent,
    /// Parameters of the last answer.
    pub parameters: Map<String, Value>,
    /// The caller's last utterance.
    pub query_text: String,
    /// Action of the last answer (ES).
    pub action: String,
    /// What a transfer to a number shows.
    pub caller_id: CallerId,
    /// The facts of the call that the agent was told. They do not stand in the URL.
    pub told: ToldFacts,
    /// Set if a backup has the call.
    pub stands_in: Option<StandIn>,
}

impl Outcome {
    /// Takes over the values of an answer. `adds`: whether its parameters are only those that changed. Returns whether there
    /// was room for all of them.
    pub(crate) fn update(&mut self, answer: &Answer, adds: bool) -> bool {
        if let Some(intent) = &answer.intent {
            self.intent = intent.clone();
        }
        let mut has_room = true;
        if !answer.parameters.is_empty() {
            if adds {
                has_room = add_parameters(&mut self.parameters, &answer.parameters);
            } else {
                self.parameters.clone_from(&answer.parameters);
            }
            // CX answers with all parameters of the session.
            self.told.remove_from(&mut self.parameters);
        }
        if !answer.query_text.is_empty() {
            self.query_text.clone_from(&answer.query_text);
        }
        if !answer.action.is_empty() {
            self.action.clone_from(&answer.action);
        }
        has_room
    }
}

/// The last TwiML of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastTwiml {
    /// A whole document.
    pub twiml: String,
    /// What did not fit into it.
    pub loss: Loss,
}

/// The fields that did not fit into a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loss {
    /// Fields and parameters that were left out.
    pub left_out: Vec<String>,
    /// Entries of the metadata, a pause or a task whose texts were shortened.
    pub shortened: Vec<String>,
}

impl Loss {
    /// Whether all of it fitted.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.left_out.is_empty() && self.shortened.is_empty()
    }
}

impl From<String> for LastTwiml {
    fn from(twiml: String) -> Self {
        Self { twiml, loss: Loss::default() }
    }
}

/// TwiML for a call whose agent ended its part. A `<Dial>` has [`DIAL_ACTION`] as its action.
#[must_use]
pub fn ended(config: &HandoffConfig, end: &AgentEnd, outcome: &Outcome) -> LastTwiml {
    let url = config.end_of_interaction_url.as_deref();
    let (metadata, pause) = match end {
        AgentEnd::Transfer(transfer) => return document(&[dial(&config.dial, transfer, &outcome.caller_id)]).into(),
        AgentEnd::Enqueue(enqueue) => return queued(enqueue),
        AgentEnd::LiveAgentHandoff { metadata } => (Some(outcome.told.numbers().without(metadata)), None),
        AgentEnd::Pause { parameters } => (None, Some(outcome.told.numbers().without(parameters))),
        AgentEnd::EndInteraction => (None, None),
    };
    let Some(url) = url else { return document(&[Verb::Hangup]).into() };
    let content = Content::new(&config.fields, outcome, metadata);
    let content = match pause {
        Some(parameters) => content.pausing(parameters),
        None => content,
    };
    redirect(None, url, VirtualAgentStatus::of(end), content, outcome)
}

/// TwiML for a call whose agent could not be reached: the configured one, else a redirect with an empty intent, else a
/// sentence.
#[must_use]
pub fn failed(config: &HandoffConfig, words: &OwnWords, outcome: &Outcome) -> LastTwiml {
    failed_because(config, "agent-failed", None, words.say(Sentence::Failed), outcome)
}

/// `before` is said before a redirect, and `sentence` where there is none.
fn failed_because(
    config: &HandoffConfig,
    reason: &'static str,
    before: Option<Verb>,
    sentence: Verb,
    outcome: &Outcome,
) -> LastTwiml {
    if let Some(twiml) = &config.fallback_twiml {
        return twiml.clone().into();
    }
    let Some(url) = &config.end_of_interaction_url else { return document(&[sentence, Verb::Hangup]).into() };
    let nothing_matched = Outcome { intent: Intent::default(), ..outcome.clone() };
    let content = Content { reason: Some(reason), ..Content::new(&config.fields, &nothing_matched, None) };
    redirect(before, url, VirtualAgentStatus::Failed, content, outcome)
}

/// TwiML for a call that a limit of the settings ends: the goodbye, and then what ended calls get. Whoever answers at the
/// URL speaks to the caller, so a goodbye before a redirect is only said if the settings have one. After too many failed
/// turns it is what failed calls get.
#[must_use]
pub fn limit_reached(config: &HandoffConfig, limit: CallLimit, words: &OwnWords, outcome: &Outcome) -> LastTwiml {
    let goodbye = words.say_if_set(Sentence::Goodbye);
    if limit == CallLimit::FailedTurns {
        let sentence = goodbye.clone().unwrap_or_else(|| words.say(Sentence::Failed));
        return failed_because(config, limit.as_str(), goodbye, sentence, outcome);
    }
    let Some(url) = &config.end_of_interaction_url else {
        return document(&[words.say(Sentence::Goodbye), Verb::Hangup]).into();
    };
    let content = Content { reason: Some(limit.as_str()), ..Content::new(&config.fields, outcome, None) };
    redirect(goodbye, url, limit.status(), content, outcome)
}

/// Whether Twilio demands a caller ID for this transfer and there is none.
pub(crate) fn lacks_caller_id(rules: &DialRules, end: &AgentEnd, outcome: &Outcome) -> bool {
    let AgentEnd::Transfer(transfer) = end else { return false };
    let is_named = transfer.caller_id.is_some() || rules.caller_id.is_some();
    transfer.to.starts_with('+') && !is_named && outcome.caller_id == CallerId::Missing
}

fn dial(rules: &DialRules, transfer: &Transfer, caller_id: &CallerId) -> Verb {
    let called = match caller_id {
        CallerId::Called(number) if transfer.to.starts_with('+') => Some(number),
        CallerId::Called(_) | CallerId::Own | CallerId::Missing => None,
    };
    Verb::Dial(twiml::Dial {
        to: transfer.to.clone(),
        extension: transfer.extension.clone(),
        caller_id: transfer.caller_id.as_ref().or(rules.caller_id.as_ref()).or(called).cloned(),
        timeout_s: transfer.timeout_s.unwrap_or(rules.timeout_s),
        answer_on_bridge: rules.answer_on_bridge,
        action: DIAL_ACTION.to_owned(),
    })
}

/// TwiML that queues the call. If the task's attributes are too long, their texts are shortened, then left out.
fn queued(enqueue: &Enqueue) -> LastTwiml {
    let with = |attributes: &Value| {
        let content = match (&enqueue.workflow_sid, &enqueue.queue) {
            (None, Some(queue)) => queue.clone(),
            _ if attributes.is_null() => "{}".to_owned(),
            _ => attributes.to_string(),
        };
        document(&[Verb::Enqueue { workflow_sid: enqueue.workflow_sid.clone(), content }])
    };
    let whole = with(&enqueue.attributes);
    if is_short(&whole) {
        return whole.into();
    }
    let marked = match &enqueue.attributes {
        Value::Object(attributes) => {
            let mut attributes = attributes.clone();
            attributes.insert("truncated".to_owned(), true.into());
            Value::Object(attributes)
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => other.clone(),
    };
    match fitted(&marked, in_element, 0, |attributes| is_short(&with(attributes))) {
        Some(short) => LastTwiml {
            twiml: with(&short),
            loss: Loss { shortened: vec!["attributes".to_owned()], ..Loss::default() },
        },
        None => LastTwiml {
            twiml: with(&json!({ "truncated": true })),
            loss: Loss { left_out: vec!["attributes".to_owned()], ..Loss::default() },
        },
    }
}

/// Whether Twilio takes the document in a REST update.
fn is_short(twiml: &str) -> bool {
    twiml.chars().count() < MAX_TWIML_CHARS
}

fn redirect(
    before: Option<Verb>,
    url: &str,
    status: VirtualAgentStatus,
    mut content: Content,
    outcome: &Outcome,
) -> LastTwiml {
    let write = |content: &Content| {
        let url = with_query(url, &content.query(status, outcome));
        document(&before.iter().cloned().chain([Verb::Redirect { url }]).collect::<Vec<_>>())
    };
    content.make_fit(|content| is_short(&write(content)));
    LastTwiml { twiml: write(&content), loss: content.loss }
}

#[cfg(test)]
mod tests;
