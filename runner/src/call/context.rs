//! What a call needs of the service.

use std::sync::Arc;

use dialbridge_agents::{Agent, SessionContext};
use dialbridge_core::CallConfig;

use crate::call::agent_breaker::AgentBreaker;
use crate::call::audio_share::WaitingAudio;
use crate::call::calls::Calls;
use crate::call::prompts::Prompts;
use crate::call::tools::Tools;
use crate::call::watch::Watch;
use crate::history::HistoryWriter;
use crate::settings::Redaction;
use crate::telemetry::clock::WallClock;
use crate::telemetry::log_limit::LogLimit;
use crate::twilio::actions::DialAction;
use crate::twilio::rest::RestClient;

/// What opened a call's media socket: it says what may be done to the call over REST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// A ticket of ours: the call is what the ticket says.
    Ticket,
    /// The handshake's signature alone: the call is what the stream says, so Twilio is asked first.
    Bare,
    /// A ticket of the page's: Twilio knows no such call, and is never told of it.
    Browser,
}

/// An agent, and what a call needs to speak with it.
#[derive(Debug, Clone)]
pub struct AgentSide {
    /// The agent.
    pub agent: Agent,
    /// Its breaker.
    pub(crate) breaker: Arc<AgentBreaker>,
    /// Session and language.
    pub session: SessionContext,
    /// Audio that the agent names by its address.
    pub prompts: Prompts,
    /// What runs the tools that the agent asks for.
    pub tools: Option<Tools>,
}

/// The agent that goes on with a call if the call's own agent cannot be had.
#[derive(Debug, Clone)]
pub struct Backup {
    /// Its name in the settings.
    pub name: String,
    /// Its edition, as the log names it.
    pub edition: &'static str,
    /// The personal data that its events leave out (`EVENT_REDACTION`).
    pub(crate) redaction: Redaction,
    /// What the call needs to speak with it.
    pub side: AgentSide,
}

/// What a call needs of the service.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The agent that has the call.
    pub side: AgentSide,
    /// `None` if there is no backup, or if it has the call already.
    pub backup: Option<Box<Backup>>,
    /// The waiting audio of all calls.
    pub(crate) waiting_audio: WaitingAudio,
    /// What core is told.
    pub config: Arc<CallConfig>,
    /// What `<Dial action>` of this call is.
    pub dial_action: DialAction,
    /// What opened its media socket.
    pub kind: CallKind,
    /// The call's account, if it is not the configured one.
    pub account: Option<String>,
    /// Twilio's REST API, where it can be used.
    pub rest: Option<Arc<RestClient>>,
    /// The instance's calls.
    pub calls: Calls,
    /// For what is kept for a time.
    pub clock: WallClock,
    /// For lines that Twilio's side causes.
    pub fault_log: Arc<LogLimit>,
    /// Whoever watches.
    pub watch: Option<Watch>,
    /// With so many started streams of others there is no room for this one.
    pub max_calls: usize,
    /// The call's hand in the page's history.
    pub(crate) history: Option<Arc<HistoryWriter>>,
}
