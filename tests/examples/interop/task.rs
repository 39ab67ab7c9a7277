//! What can be asked of the example.

use dialbridge_lab::twilio::sign;
use dialbridge_runner::settings::Secret;
use dialbridge_runner::twilio::signature::is_signed;
use serde::Deserialize;
use serde_json::Value;

use crate::documents::{Ended, Failed, VerbOf};

/// A line of stdin.
#[derive(Deserialize)]
pub(crate) struct Line {
    /// Comes back with the answer.
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) task: Task,
}

/// What is to be done.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
pub(crate) enum Task {
    /// Serves a lab agent; the answer is its port.
    Agent(AgentOf),
    /// Starts a service over TCP; the answer is its port.
    Service(ServiceOf),
    /// Makes a simulated Twilio with that token and serves its REST API; the answer is where.
    Twilio { token: String },
    /// That Twilio places a call and plays it to its end; the answer is what happened.
    Call(CallOf),
    /// The lab signs; the answers are signatures.
    Sign { token: String, requests: Vec<Signed> },
    /// The service checks; the answers are yes or no.
    Check { tokens: Vec<String>, requests: Vec<Signed> },
    /// Writes TwiML documents.
    Documents { documents: Vec<Vec<VerbOf>> },
    /// Writes the TwiML of a call whose agent is done.
    Ended(Ended),
    /// Writes the TwiML of a call whose agent cannot be had.
    Failed(Failed),
}

/// A lab agent.
#[derive(Deserialize)]
pub(crate) struct AgentOf {
    /// Its script as TOML, without recordings; the bakery where there is none.
    pub(crate) script: Option<String>,
}

/// A service.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceOf {
    /// The port of its agent on the loopback address.
    pub(crate) agent_port: u16,
    /// `DIALOGFLOW_AGENT`.
    pub(crate) agent: String,
    /// `DIALOGFLOW_ES_API`.
    pub(crate) es_api: Option<String>,
    /// `DIALOGFLOW_STARTING_EVENT_NAME`.
    pub(crate) event: Option<String>,
    /// `TWILIO_AUTH_TOKEN`.
    pub(crate) token: String,
    /// `PUBLIC_URL`.
    pub(crate) public_url: Option<String>,
    /// `TWILIO_ACCOUNT_SID`.
    pub(crate) account_sid: Option<String>,
    /// `TWILIO_API_URL`.
    pub(crate) api_url: Option<String>,
    /// `END_OF_INTERACTION_URL`.
    pub(crate) end_url: Option<String>,
}

/// A call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallOf {
    /// The number's voice-url.
    pub(crate) voice_url: String,
    /// The caller's number.
    pub(crate) from: Option<String>,
    /// Recordings of the bakery's caller, each said when the agent has fallen silent.
    pub(crate) say: Vec<String>,
    /// With nothing left to do, the caller hangs up when the agent has been silent for so long.
    pub(crate) patience_ms: u64,
}

/// A request, signed or to be signed.
#[derive(Deserialize)]
pub(crate) struct Signed {
    url: String,
    /// Names and values.
    form: Vec<(String, String)>,
    #[serde(default)]
    signature: String,
}

impl Signed {
    /// The lab's signature.
    pub(crate) fn sign(&self, token: &str) -> Value {
        sign(token, &self.url, &self.form).into()
    }

    /// Whether the service takes the signature for one of Twilio's.
    pub(crate) fn check(&self, tokens: &[String]) -> Value {
        let tokens: Vec<Secret> = tokens.iter().map(|token| Secret::new(token.as_str())).collect();
        is_signed(&tokens, &self.url, &self.form, &self.signature).into()
    }
}
