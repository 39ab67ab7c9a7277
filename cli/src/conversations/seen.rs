//! The facts of a call, for its expectations: all that the service saw, or only what its caller did.

pub use dialbridge_core::agent::Matched;
use dialbridge_core::replay::{AgentMessage, PlayedCall, PlayedTurn};
use dialbridge_core::{AgentEvent, CallTime};
use dialbridge_runner::telemetry::is_warning;
use roxmltree::Document;
use serde_json::{Map, Value};

/// A call.
#[derive(Debug, Clone, Default)]
pub struct SeenCall {
    /// The exchange before the first step.
    pub greeting: SeenStep,
    /// The exchange of each step, until the next; `None` for one that the caller never came to.
    pub steps: Vec<Option<SeenStep>>,
    /// How it ended.
    pub end: SeenEnd,
    /// The trace of the call, line by line, each with its time.
    pub trace: Vec<(CallTime, String)>,
    /// The agent's parts that its answers name, in order.
    pub visits: Vec<Visit>,
    /// Why there is nothing to see from some moment on.
    pub stopped: Option<String>,
}

/// The agent's parts that an answer names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The intent that matched; empty: none.
    pub intent: String,
    /// How the input matched.
    pub matched: Matched,
    /// The flow then; empty: the answer does not say.
    pub flow: String,
    /// The page then.
    pub page: String,
}

/// The exchange of a step.
#[derive(Debug, Clone, Default)]
pub struct SeenStep {
    /// When the step began.
    pub at: CallTime,
    /// When it was answered, if it was.
    pub answered_at: Option<CallTime>,
    /// The words of the agent.
    pub reply: String,
    /// The words that it understood.
    pub understood: String,
    /// The intent.
    pub intent: String,
    /// The flow.
    pub flow: String,
    /// The page.
    pub page: String,
    /// The parameters.
    pub params: Map<String, Value>,
    /// From the last voiced frame to the answer's first audio, in milliseconds. Negative: the answer began before the caller
    /// had finished.
    pub within_ms: Option<i64>,
    /// How much of a prompt was heard before it was cut, in milliseconds, and when that was.
    pub cut: Option<(u64, CallTime)>,
    /// The slow stage of its turn, in words.
    pub stages: String,
}

/// How a call ended.
#[derive(Debug, Clone, Default)]
pub struct SeenEnd {
    /// When.
    pub at: CallTime,
    /// The status of the hand-off; empty: there was none.
    pub status: String,
    /// Why the media stream was closed.
    pub reason: String,
    /// The TwiML of the hand-off.
    pub twiml: String,
    /// `dialogflowJSON`.
    pub handoff: Value,
    /// How many turns the agent answered.
    pub turns: usize,
    /// The warnings, each with its time.
    pub warnings: Vec<(CallTime, String)>,
}

impl SeenCall {
    /// All of a call.
    #[must_use]
    pub fn of(call: &PlayedCall) -> Self {
        let twiml = call.twiml().unwrap_or_default().to_owned();
        let warnings = call.reports().filter(|(_, report)| is_warning(report));
        let end = SeenEnd {
            at: call.ended(),
            status: call.status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
            reason: call.close_reason().map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
            handoff: dialogflow_json(&twiml),
            twiml,
            turns: call.turns(),
            warnings: warnings.map(|(at, report)| (at, report.tape_text())).collect(),
        };
        let stopped = call.divergence.as_ref().map(ToString::to_string);
        let steps = (0..call.steps.len()).map(|n| call.turn_of_step(n).map(SeenStep::of)).collect();
        let visits = call.messages.iter().filter_map(visit).collect();
        Self {
            visits,
            greeting: SeenStep::of(call.greeting()),
            steps,
            end,
            trace: call.replayed.trace_lines(),
            stopped,
        }
    }
}

impl SeenStep {
    fn of(turn: PlayedTurn<'_>) -> Self {
        let stages = turn.stages().find(|stages| stages.answered.is_some());
        Self {
            at: turn.began(),
            answered_at: stages.and_then(|stages| stages.answered),
            reply: turn.reply(),
            understood: turn.transcript(),
            intent: turn.intent().to_owned(),
            flow: turn.flow().to_owned(),
            page: turn.page().to_owned(),
            params: turn.parameters(),
            within_ms: turn.wait_ms(),
            cut: turn.prompt_cut().map(|cut| (cut.played_ms, cut.at)),
            stages: stages.map(described).unwrap_or_default(),
        }
    }
}

fn visit(message: &AgentMessage) -> Option<Visit> {
    let AgentEvent::Answer(answer) = &message.event else { return None };
    let intent = answer.intent.as_ref().map(|intent| intent.display_name.clone()).unwrap_or_default();
    Some(Visit { intent, matched: answer.matched, flow: answer.flow.clone(), page: answer.page.clone() })
}

/// The stages of a turn that take their time.
fn described(stages: &dialbridge_core::report::Stages) -> String {
    use dialbridge_core::stages::TurnStage;
    let took = TurnStage::ALL.into_iter().filter_map(|stage| {
        let ms = stages.interval(stage)?.ms();
        (ms >= 10).then(|| format!("{} {}", stage.as_str(), seconds(ms)))
    });
    took.collect::<Vec<_>>().join(", ")
}

/// A duration for people.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10)
}

/// `dialogflowJSON` of a hand-off; `Null` if its TwiML has none.
pub(super) fn dialogflow_json(twiml: &str) -> Value {
    parameter(twiml, "dialogflowJSON").and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
}

/// A parameter of the URL that a document redirects to.
pub(super) fn parameter(twiml: &str, name: &str) -> Option<String> {
    let document = Document::parse(twiml).ok()?;
    let redirect = document.descendants().find(|node| node.has_tag_name("Redirect"))?;
    let (_, query) = redirect.text()?.trim().split_once('?')?;
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
