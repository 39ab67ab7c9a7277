//! TwiML, written by the code that answers Twilio.

use dialbridge_core::agent::{AgentEnd, Intent};
use dialbridge_core::handoff::{self, HandoffConfig, Outcome};
use dialbridge_core::twiml::{Dial, Say, Verb, document};
use dialbridge_core::words::OwnWords;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A verb of [`Verb`].
#[derive(Deserialize)]
#[serde(tag = "verb", rename_all = "camelCase")]
pub(crate) enum VerbOf {
    #[serde(rename_all = "camelCase")]
    ConnectStream {
        action: String,
        url: String,
        status_callback: Option<String>,
        parameters: Vec<(String, String)>,
    },
    Redirect {
        url: String,
    },
    #[serde(rename_all = "camelCase")]
    Dial {
        to: String,
        caller_id: Option<String>,
        timeout_s: u32,
        answer_on_bridge: bool,
        action: String,
    },
    #[serde(rename_all = "camelCase")]
    Enqueue {
        workflow_sid: Option<String>,
        content: String,
    },
    Say {
        text: String,
        language: Option<String>,
        voice: Option<String>,
    },
    Hangup,
}

/// A document of these verbs.
pub(crate) fn written(verbs: Vec<VerbOf>) -> Value {
    let verbs: Vec<Verb> = verbs.into_iter().map(VerbOf::verb).collect();
    document(&verbs).into()
}

impl VerbOf {
    fn verb(self) -> Verb {
        match self {
            Self::ConnectStream { action, url, status_callback, parameters } => {
                Verb::ConnectStream { action, url, status_callback, parameters }
            }
            Self::Redirect { url } => Verb::Redirect { url },
            Self::Dial { to, caller_id, timeout_s, answer_on_bridge, action } => {
                Verb::Dial(Dial { to, extension: None, caller_id, timeout_s, answer_on_bridge, action })
            }
            Self::Enqueue { workflow_sid, content } => Verb::Enqueue { workflow_sid, content },
            Self::Say { text, language, voice } => Verb::Say(Say { text, language, voice }),
            Self::Hangup => Verb::Hangup,
        }
    }
}

/// A call whose agent is done.
#[derive(Deserialize)]
pub(crate) struct Ended {
    config: HandoffConfig,
    end: AgentEnd,
    outcome: OutcomeOf,
}

impl Ended {
    pub(crate) fn written(self) -> String {
        handoff::ended(&self.config, &self.end, &self.outcome.outcome()).twiml
    }
}

/// A call whose agent cannot be had.
#[derive(Deserialize)]
pub(crate) struct Failed {
    config: HandoffConfig,
    #[serde(default)]
    words: OwnWords,
    outcome: OutcomeOf,
}

impl Failed {
    pub(crate) fn written(self) -> String {
        handoff::failed(&self.config, &self.words, &self.outcome.outcome()).twiml
    }
}

/// An [`Outcome`].
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct OutcomeOf {
    call_sid: String,
    session: String,
    intent: Intent,
    parameters: Map<String, Value>,
    query_text: String,
    action: String,
}

impl OutcomeOf {
    fn outcome(self) -> Outcome {
        Outcome {
            call_sid: self.call_sid,
            session: self.session,
            intent: self.intent,
            parameters: self.parameters,
            query_text: self.query_text,
            action: self.action,
            ..Outcome::default()
        }
    }
}
