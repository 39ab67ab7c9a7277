//! A ticket becomes a call: its settings for core, and the context that it runs in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dialbridge_agents::SessionContext;
use dialbridge_core::CallConfig;
use dialbridge_core::carried::{CarriedOver, Opening};

use tokio::sync::mpsc::Sender;

use super::admission::Admission;
use super::agents::Agents;
use super::busy::busy;
use crate::call::audio_share::WaitingAudio;
use crate::call::context::{AgentSide, Backup, CallContext, CallKind};
use crate::call::tape_recorder::CallTape;
use crate::call::watch::Watch;
use crate::history::{CallStart, History};
use crate::settings::{AgentConfig, Limits, PublicUrl, Redaction};
use crate::tape_files::tape_path;
use crate::telemetry::log_limit::LogLimit;
use crate::twilio::actions::DialAction;
use crate::twilio::rest::RestClient;
use crate::twilio::ticket::{State, Ticket};

/// How long the page may take to stop the stream of a call that was handed off, in milliseconds.
const BROWSER_STOP_MS: u64 = 1_500;

/// What the calls of this instance share.
pub(crate) struct CallSetup {
    pub(super) admission: Arc<Admission>,
    pub(super) agents: Arc<Agents>,
    pub(super) rest: Option<Arc<RestClient>>,
    pub(super) fault_log: Arc<LogLimit>,
    pub(super) waiting_audio: WaitingAudio,
    pub(super) watch: Option<Watch>,
    /// Gets the tape of each call.
    pub(super) tapes: Option<Sender<CallTape>>,
    /// The calls that the page shows; `None` if there is no page.
    pub(super) history: Option<History>,
}

impl CallSetup {
    /// The context of a ticket's call; `None` if its agent is not configured.
    ///
    /// `public` is the URL at which Twilio reaches this service.
    pub(super) fn context(&self, ticket: &Ticket, public: &PublicUrl, kind: CallKind) -> Option<CallContext> {
        let (admission, agent) = (&self.admission, &ticket.info.agent);
        let settings = admission.agent(agent)?;
        let limits = &admission.config.limits;
        let mut config = call_config(ticket, kind, settings, limits);
        let side = self.side(agent, &config)?;
        let backup = self.backup(ticket, kind).map(|(backup, call)| {
            config.backup = Some(Box::new(call));
            Box::new(backup)
        });
        let start = self.call_start(ticket, &side.session.language, kind, settings);
        Some(CallContext {
            side,
            backup,
            waiting_audio: self.waiting_audio.clone(),
            kind,
            config: Arc::new(config),
            dial_action: self.dial_action(ticket, public, kind),
            account: ticket.info.account.clone(),
            rest: self.rest.clone().filter(|_| kind != CallKind::Browser),
            calls: admission.calls.clone(),
            clock: admission.clock,
            fault_log: self.fault_log.clone(),
            // A call that resumes was live before, here or on another instance: we take it even if there is no room.
            max_calls: if ticket.opening == Opening::Greet { limits.max_calls } else { usize::MAX },
            watch: self.watch.clone(),
            history: self.history.as_ref().map(|history| Arc::new(history.begin(start))),
        })
    }

    /// What the call needs to speak with the agent of this name.
    fn side(&self, agent: &str, config: &CallConfig) -> Option<AgentSide> {
        let (settings, client) = (self.admission.agent(agent)?, self.agents.client(agent)?);
        let session = SessionContext {
            session: config.session.clone(),
            product: settings.address.product(),
            language: config.words.language.clone(),
            speech: client.speech.clone(),
            ces: client.ces.clone(),
        };
        Some(AgentSide {
            agent: client.agent.clone(),
            breaker: self.admission.breakers.get(agent)?.clone(),
            session,
            prompts: client.prompts.clone(),
            tools: client.tools.clone(),
        })
    }

    /// The backup of the ticket's agent, with its call. `None` if it has none, or stands in for another one already.
    fn backup(&self, ticket: &Ticket, kind: CallKind) -> Option<(Backup, CallConfig)> {
        let name = self.admission.config.backups.get(&ticket.info.agent).filter(|_| ticket.info.backup_of.is_none())?;
        let settings = self.admission.agent(name)?;
        let mut ticket = ticket.clone();
        // Each agent has its own event for a transfer that nobody has answered.
        let first = self.admission.agent(&ticket.info.agent);
        let failed_dial = first.and_then(|first| first.dial_failed_event.clone()).map(Opening::Event);
        if failed_dial.as_ref() == Some(&ticket.opening) {
            ticket.opening = settings.dial_failed_event.clone().map_or(Opening::Resume, Opening::Event);
        }
        ticket.info.stand_in(name);
        let call = call_config(&ticket, kind, settings, &self.admission.config.limits);
        let (name, edition) = (name.clone(), settings.address.edition());
        // An agent that has no events of its own tells nothing to those of another one.
        let redaction = settings.events.as_ref().map_or(Redaction::All, |events| events.redaction);
        Some((Backup { side: self.side(&name, &call)?, name, edition, redaction }, call))
    }

    /// The `<Dial action>` of this call.
    fn dial_action(&self, ticket: &Ticket, public: &PublicUrl, kind: CallKind) -> DialAction {
        let state = State {
            call_sid: ticket.call_sid.clone(),
            issued_ms: ticket.issued_ms,
            info: ticket.info.clone(),
            attempt: 1,
        };
        let state = Some(state).filter(|_| kind != CallKind::Browser);
        DialAction { public: public.clone(), signer: self.admission.signer.clone(), state }
    }

    /// What the history is told when the call starts.
    fn call_start(&self, ticket: &Ticket, language: &str, kind: CallKind, settings: &AgentConfig) -> CallStart {
        let is_browser = kind == CallKind::Browser;
        let folder_tape = |folder: &Path| tape_path(folder, &ticket.call_sid, ticket.issued_ms);
        CallStart {
            call_sid: ticket.call_sid.clone(),
            agent: ticket.info.agent.clone(),
            backup_of: ticket.info.backup_of.clone(),
            language: language.to_owned(),
            kind: if is_browser { "browser" } else { "phone" },
            began_ms: self.admission.clock.now_ms(),
            words: is_browser || self.admission.config.page_transcripts,
            slow: settings.slow,
            // A test that gets the tapes has them in no folder.
            tape: settings.record_dir.as_deref().filter(|_| self.tapes.is_none()).map(folder_tape),
        }
    }
}

/// The agent's settings for core, with what this call's ticket changes.
fn call_config(ticket: &Ticket, kind: CallKind, settings: &AgentConfig, limits: &Limits) -> CallConfig {
    let mut config = settings.call_in(ticket.info.language.as_deref());
    config.call_sid = Some(ticket.call_sid.clone());
    config.session = settings.address.session(ticket.call_sid.as_str());
    config.seed = ticket.issued_ms;
    config.handoff.dial.failed_event.clone_from(&settings.dial_failed_event);
    config.stands_in = ticket.info.stands_in();
    config.busy = Some(busy(settings, ticket.info.language.as_deref()));
    config.timeouts.start_ms = milliseconds(limits.start);
    config.timeouts.frames_ms = milliseconds(limits.quiet);
    config.carried = CarriedOver {
        elapsed_ms: ticket.info.elapsed_ms(ticket.issued_ms),
        failed_turns: ticket.info.failed_turns,
        opening: ticket.opening.clone(),
    };
    if kind != CallKind::Ticket {
        // Only a call with a ticket has our action URL, which is needed to bring it back.
        config.migrate_after_ms = 0;
    }
    if kind == CallKind::Browser {
        config.timeouts.stop_ms = BROWSER_STOP_MS;
    }
    config
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
