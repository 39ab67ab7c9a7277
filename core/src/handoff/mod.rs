//! Where a call goes when the agent is done with it, as TwiML for Twilio's REST update.
//!
//! The parameters are those of Twilio's own sample (`dialogflowJSON`) and of its `<VirtualAgent>` connector
//! (`VirtualAgentStatus`, `VirtualAgentProviderData`), so that handlers written for either go on working.

mod content;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::agent::{AgentEnd, Answer, Enqueue, Intent, Transfer};
use crate::report::Bound;
use crate::twiml::{self, DIAL_ACTION, Verb, document};

use content::{Content, with_query};

/// Twilio's bound for the `Twiml` of a REST update, in characters (error 32018 beyond it).
pub const MAX_TWIML_CHARS: usize = 4_000;

/// Session parameters of ours that every webhook of Twilio's has anyway.
const TWILIOS_OWN: [&str; 3] = ["From", "To", "CallSid"];

/// Where calls go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HandoffConfig {
    /// `END_OF_INTERACTION_URL`; without it a call that the agent ends is hung up.
    pub end_of_interaction_url: Option<String>,
    /// `FALLBACK_TWIML`: what a call gets when the agent cannot be had.
    pub fallback_twiml: Option<String>,
    /// `HANDOFF_FIELDS`: what of the agent's result may stand in the URL.
    pub fields: Vec<HandoffField>,
    /// How a call is put through.
    pub dial: DialRules,
}

/// How a call is put through, where the agent does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DialRules {
    /// The number that is shown; `None`: the caller's own.
    pub caller_id: Option<String>,
    /// How long the other side is rung, in seconds.
    pub timeout_s: u32,
    /// Whether the caller hears ringing until the other side answers.
    pub answer_on_bridge: bool,
}

impl Default for DialRules {
    fn default() -> Self {
        Self { caller_id: None, timeout_s: 30, answer_on_bridge: true }
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
    /// What the caller said last.
    QueryText,
    /// The result's action (ES).
    Action,
    /// The metadata with which the agent asks for a person.
    LiveAgentHandoff,
    /// The session's resource name.
    Session,
}

impl HandoffField {
    /// All of them, in the order of `dialogflowJSON`.
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

/// How the agent's part ended: `VirtualAgentStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VirtualAgentStatus {
    /// The agent is done.
    Completed,
    /// The agent asks for a person or a transfer.
    LiveAgentHandoff,
    /// The caller or a limit of ours ended the call.
    Hangup,
    /// The agent pauses; the call may come back to the same session.
    Paused,
    /// The agent could not be had.
    Failed,
}

impl VirtualAgentStatus {
    /// The status of a call whose agent ended its part so.
    pub(crate) fn of(end: &AgentEnd) -> Self {
        match end {
            AgentEnd::EndInteraction => Self::Completed,
            AgentEnd::LiveAgentHandoff { .. } | AgentEnd::Transfer(_) | AgentEnd::Enqueue(_) => Self::LiveAgentHandoff,
            AgentEnd::Pause { .. } => Self::Paused,
        }
    }

    /// The value as Twilio's connector sends it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::LiveAgentHandoff => "live-agent-handoff",
            Self::Hangup => "hangup",
            Self::Paused => "paused",
            Self::Failed => "failed",
        }
    }
}

/// What is known of the call when the agent's part ends.
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
    /// What the caller said last.
    pub query_text: String,
    /// Action of the last answer (ES).
    pub action: String,
}

impl Outcome {
    /// Takes over what an answer tells.
    pub(crate) fn update(&mut self, answer: &Answer) {
        if let Some(intent) = &answer.intent {
            self.intent = intent.clone();
        }
        if !answer.parameters.is_empty() {
            self.parameters = answer.parameters.clone();
            // CX answers with all parameters of the session. The hand-off's webhook has these from Twilio, and a number
            // has no place in a URL.
            for name in TWILIOS_OWN {
                self.parameters.remove(name);
            }
        }
        if !answer.query_text.is_empty() {
            self.query_text.clone_from(&answer.query_text);
        }
        if !answer.action.is_empty() {
            self.action.clone_from(&answer.action);
        }
    }
}

/// TwiML for a call whose agent ended its part. A `<Dial>` has [`DIAL_ACTION`] as its action.
#[must_use]
pub fn ended(config: &HandoffConfig, end: &AgentEnd, outcome: &Outcome) -> String {
    let url = config.end_of_interaction_url.as_deref();
    let (metadata, pause) = match end {
        AgentEnd::Transfer(transfer) => return document(&[dial(&config.dial, transfer)]),
        AgentEnd::Enqueue(enqueue) => return queued(enqueue),
        AgentEnd::LiveAgentHandoff { metadata } => (Some(metadata), None),
        AgentEnd::Pause { parameters } => (None, Some(parameters)),
        AgentEnd::EndInteraction => (None, None),
    };
    let Some(url) = url else { return document(&[Verb::Hangup]) };
    let content = Content { pause: pause.cloned(), ..Content::new(&config.fields, outcome, metadata) };
    redirect(&[], url, VirtualAgentStatus::of(end), content, outcome)
}

/// TwiML for a call whose agent cannot be had: the configured one, else a redirect that says so with an empty intent,
/// else a sentence.
#[must_use]
pub fn failed(config: &HandoffConfig, outcome: &Outcome) -> String {
    if let Some(twiml) = &config.fallback_twiml {
        return twiml.clone();
    }
    let Some(url) = &config.end_of_interaction_url else {
        let text = "We are sorry, there is a technical problem. Please call again later.".to_owned();
        return document(&[Verb::Say { text }, Verb::Hangup]);
    };
    let nothing_matched = Outcome { intent: Intent::default(), ..outcome.clone() };
    let content = Content { reason: Some("agent-failed"), ..Content::new(&config.fields, &nothing_matched, None) };
    redirect(&[], url, VirtualAgentStatus::Failed, content, outcome)
}

/// TwiML for a call that a bound of the settings ends: a goodbye where there is one, then on to where ended calls go.
#[must_use]
pub fn bounded(config: &HandoffConfig, bound: Bound, goodbye: Option<&str>, outcome: &Outcome) -> String {
    if bound == Bound::FailedTurns {
        return failed(config, outcome);
    }
    let mut verbs: Vec<Verb> = goodbye.map(|text| Verb::Say { text: text.to_owned() }).into_iter().collect();
    let Some(url) = &config.end_of_interaction_url else {
        verbs.push(Verb::Hangup);
        return document(&verbs);
    };
    let content = Content { reason: Some(bound.as_str()), ..Content::new(&config.fields, outcome, None) };
    redirect(&verbs, url, VirtualAgentStatus::Hangup, content, outcome)
}

fn dial(rules: &DialRules, transfer: &Transfer) -> Verb {
    Verb::Dial(twiml::Dial {
        to: transfer.to.clone(),
        caller_id: transfer.caller_id.clone().or_else(|| rules.caller_id.clone()),
        timeout_s: transfer.timeout_s.unwrap_or(rules.timeout_s),
        answer_on_bridge: rules.answer_on_bridge,
        action: DIAL_ACTION.to_owned(),
    })
}

fn queued(enqueue: &Enqueue) -> String {
    let with = |attributes: &Value| {
        let content = match (&enqueue.workflow_sid, &enqueue.queue) {
            (None, Some(queue)) => queue.clone(),
            _ if attributes.is_null() => "{}".to_owned(),
            _ => attributes.to_string(),
        };
        document(&[Verb::Enqueue { workflow_sid: enqueue.workflow_sid.clone(), content }])
    };
    let whole = with(&enqueue.attributes);
    if whole.chars().count() < MAX_TWIML_CHARS { whole } else { with(&json!({ "truncated": true })) }
}

fn redirect(before: &[Verb], url: &str, status: VirtualAgentStatus, mut content: Content, outcome: &Outcome) -> String {
    loop {
        let url = with_query(url, &content.query(status, outcome));
        let twiml = document(&[before, &[Verb::Redirect { url }]].concat());
        if twiml.chars().count() < MAX_TWIML_CHARS || !content.leave_out_largest() {
            return twiml;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> HandoffConfig {
        HandoffConfig { end_of_interaction_url: Some(url.to_owned()), ..HandoffConfig::default() }
    }

    fn outcome() -> Outcome {
        Outcome {
            call_sid: "CA1".to_owned(),
            session: "projects/p/sessions/CA1".to_owned(),
            intent: Intent { name: "intents/7".to_owned(), display_name: "order & pay".to_owned() },
            parameters: json!({ "loaves": 2 }).as_object().cloned().unwrap(),
            query_text: "two loaves".to_owned(),
            action: String::new(),
        }
    }

    /// The query's parameters of the document's one `<Redirect>`.
    fn parameters(twiml: &str) -> Vec<(String, String)> {
        let url = twiml.split_once("POST\">").unwrap().1.split_once("</Redirect>").unwrap().0.replace("&amp;", "&");
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), decode(value)));
        url.split_once('?').unwrap().1.split('&').filter_map(pair).collect()
    }

    #[test]
    fn the_end_of_an_interaction_redirects_with_what_the_agent_found() {
        let twiml = ended(&config("https://example.com/next?a=1"), &AgentEnd::EndInteraction, &outcome());
        let expected = [
            ("a", "1"),
            (
                "dialogflowJSON",
                r#"{"intent":{"displayName":"order & pay","name":"intents/7"},"parameters":{"loaves":2},"queryText":"two loaves"}"#,
            ),
            ("VirtualAgentStatus", "completed"),
            ("VirtualAgentProviderData", r#"{"ConversationId":"CA1","EndUserId":"CA1"}"#),
        ];
        assert_eq!(parameters(&twiml), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_live_agent_handoff_carries_its_metadata_in_both_places() {
        let end = AgentEnd::LiveAgentHandoff { metadata: json!({ "queue": "bread" }) };
        let parameters = parameters(&ended(&config("https://example.com/next"), &end, &outcome()));
        assert!(parameters[0].1.contains(r#""liveAgentHandoff":{"queue":"bread"}"#));
        assert_eq!(parameters[1].1, "live-agent-handoff");
        assert!(parameters[2].1.contains(r#""AgentHandoffParameters":{"queue":"bread"}"#));
    }

    #[test]
    fn only_allowed_fields_leave() {
        let config = HandoffConfig { fields: vec![HandoffField::Intent], ..config("https://example.com/next") };
        let end = AgentEnd::LiveAgentHandoff { metadata: json!({ "secret": "x" }) };
        let twiml = ended(&config, &end, &outcome());
        assert_eq!(parameters(&twiml)[0].1, r#"{"intent":{"displayName":"order & pay","name":"intents/7"}}"#);
        assert!(!twiml.contains("secret") && !twiml.contains("loaves"));
    }

    #[test]
    fn what_does_not_fit_is_left_out_largest_first() {
        let mut outcome = outcome();
        outcome.parameters.insert("story".to_owned(), Value::from("é".repeat(900)));
        outcome.parameters.insert("note".to_owned(), Value::from("x".repeat(700)));
        outcome.query_text = "y".repeat(2_400);
        let twiml = ended(&config("https://example.com/next"), &AgentEnd::EndInteraction, &outcome);
        assert!(twiml.chars().count() < MAX_TWIML_CHARS);
        let json: Value = serde_json::from_str(&parameters(&twiml)[0].1).unwrap();
        assert_eq!(json["truncated"], true);
        assert_eq!(json["parameters"]["loaves"], 2);
        assert_eq!(json["parameters"]["note"], "x".repeat(700));
        assert!(json["parameters"].get("story").is_none(), "5,400 characters once encoded");
        assert_eq!(json["queryText"], "y".repeat(2_400));
    }

    #[test]
    fn a_handoff_of_any_size_ends_under_the_bound() {
        let mut outcome = outcome();
        outcome.intent.display_name = "i".repeat(5_000);
        outcome.query_text = "q".repeat(5_000);
        let end = AgentEnd::LiveAgentHandoff { metadata: Value::from("m".repeat(5_000)) };
        let twiml = ended(&config("https://example.com/next"), &end, &outcome);
        assert_eq!(parameters(&twiml)[0].1, r#"{"truncated":true}"#);
        assert_eq!(parameters(&twiml)[1].1, "live-agent-handoff");
    }

    #[test]
    fn without_a_url_the_call_is_hung_up() {
        let twiml = ended(&HandoffConfig::default(), &AgentEnd::EndInteraction, &outcome());
        assert!(twiml.ends_with("<Response><Hangup/></Response>"));
    }

    #[test]
    fn a_transfer_dials() {
        let end = AgentEnd::Transfer(Transfer::to("+15550199"));
        let twiml = ended(&config("https://example.com/next"), &end, &outcome());
        let body = r#"<Dial action="dialbridge:dial-ended" method="POST" timeout="30" answerOnBridge="true"><Number>+15550199</Number></Dial>"#;
        assert!(twiml.ends_with(&format!("<Response>{body}</Response>")), "{twiml}");
    }

    #[test]
    fn a_task_is_queued_and_one_too_large_loses_its_attributes() {
        let queue = |attributes| {
            let enqueue = Enqueue { workflow_sid: Some("WW1".to_owned()), attributes, ..Enqueue::default() };
            ended(&config("https://example.com/next"), &AgentEnd::Enqueue(enqueue), &outcome())
        };
        assert!(queue(json!({ "skill": "cakes" })).contains(r#"<Task>{&quot;skill&quot;:&quot;cakes&quot;}</Task>"#));
        assert!(queue(json!({ "story": "x".repeat(4_000) })).contains("{&quot;truncated&quot;:true}"));
    }

    #[test]
    fn a_pause_says_what_for() {
        let end = AgentEnd::Pause { parameters: json!({ "reason": "pay" }) };
        let parameters = parameters(&ended(&config("https://example.com/next"), &end, &outcome()));
        assert_eq!(parameters[1].1, "paused");
        assert!(parameters[2].1.contains(r#""PauseParameters":{"reason":"pay"}"#));
    }

    #[test]
    fn a_bound_gives_its_reason_after_a_goodbye() {
        let twiml = bounded(&config("https://example.com/next"), Bound::Silence, Some("Good bye."), &outcome());
        assert!(twiml.contains("<Response><Say>Good bye.</Say><Redirect"));
        assert_eq!(parameters(&twiml)[1].1, "hangup");
        assert!(parameters(&twiml)[0].1.ends_with(r#","reason":"silence"}"#), "{twiml}");
        let nowhere = bounded(&HandoffConfig::default(), Bound::Call, None, &outcome());
        assert!(nowhere.ends_with("<Response><Hangup/></Response>"));
        assert!(bounded(&config("https://e.com"), Bound::FailedTurns, None, &outcome()).contains("=failed"));
    }

    #[test]
    fn a_failed_agent_gives_the_fallback_or_a_redirect_or_a_sentence() {
        let twiml = failed(&config("https://example.com/next"), &outcome());
        assert!(parameters(&twiml)[0].1.starts_with(r#"{"intent":{"displayName":"","name":""},"#));
        assert_eq!(parameters(&twiml)[1].1, "failed");
        let fixed = HandoffConfig { fallback_twiml: Some("<Response/>".to_owned()), ..config("https://example.com") };
        assert_eq!(failed(&fixed, &outcome()), "<Response/>");
        assert!(failed(&HandoffConfig::default(), &outcome()).contains("</Say><Hangup/>"));
    }

    #[test]
    fn parameters_come_after_the_urls_own_query_and_before_its_fragment() {
        let added = [("x", "ä b".to_owned())];
        for (url, whole) in [
            ("https://e.com/", "https://e.com/?x=%C3%A4%20b"),
            ("https://e.com/?", "https://e.com/?x=%C3%A4%20b"),
            ("https://e.com/?a=1&", "https://e.com/?a=1&x=%C3%A4%20b"),
            ("https://e.com/?a=1#ct=2000", "https://e.com/?a=1&x=%C3%A4%20b#ct=2000"),
        ] {
            assert_eq!(with_query(url, &added), whole);
        }
    }
}
