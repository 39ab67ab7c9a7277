//! Checks whether an agent answers: a real turn, in its own session, over the connections that calls use.
//!
//! A turn costs money and may run the agent's webhook. So one result is used for a minute, whoever asks. Who asks
//! during a check waits for its result.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dialbridge_core::agent::{AgentFault, TurnInput, TurnStart};
use dialbridge_core::audio::{BYTES_PER_MS, MULAW_SILENCE};
use dialbridge_core::config::StreamShape;
use dialbridge_core::{AgentEvent, StreamId};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::service::admission::Admission;
use crate::service::agents::{AgentClient, Agents};
use crate::settings::AgentConfig;
use dialbridge_agents::{EVENT_QUEUE, SessionContext};

/// How long a result is used.
const RESULT_LIFE: Duration = Duration::from_secs(60);

/// How long an agent may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// An agent that listens first does not answer. It counts as reachable when it has taken audio for this long.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(2);

/// How much silence we send, in milliseconds.
const SILENCE_MS: usize = 200;

/// How many agents are checked at once.
const MAX_CHECKS: usize = 4;

/// The results, by the agents' names.
pub(crate) struct AgentChecks {
    admission: Arc<Admission>,
    agents: Arc<Agents>,
    results: BTreeMap<String, Mutex<Option<(Instant, Checked)>>>,
    room: Semaphore,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    /// When the agent was checked, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// What we sent to the agent: `event`, `text` or `audio`.
    pub(crate) by: &'static str,
    /// How long the agent took to answer, in milliseconds; or why it did not answer.
    pub(crate) answered: Result<u64, String>,
}

impl Checked {
    /// The result as the page gets it.
    pub(crate) fn json(&self) -> Value {
        let (took_ms, fault) = match &self.answered {
            Ok(took_ms) => (Some(*took_ms), None),
            Err(fault) => (None, Some(fault.as_str())),
        };
        json!({ "atMs": self.at_ms, "by": self.by, "answers": fault.is_none(), "tookMs": took_ms, "fault": fault })
    }
}

impl AgentChecks {
    /// No results yet.
    pub(super) fn new(admission: Arc<Admission>, agents: Arc<Agents>) -> Self {
        let results = admission.config.agents.keys().map(|name| (name.clone(), Mutex::default())).collect();
        Self { admission, agents, results, room: Semaphore::new(MAX_CHECKS) }
    }

    /// Checks the agent, unless there is a result of the last minute. `None` if no agent has this name.
    pub(crate) async fn check(&self, name: &str) -> Option<Checked> {
        let (settings, client) = (self.admission.agent(name)?, self.agents.client(name)?);
        // Who holds the lock runs the check, within ANSWER_TIMEOUT for each input. All others wait and get its result.
        let mut result = self.results.get(name)?.lock().await;
        if let Some((at, checked)) = &*result
            && at.elapsed() < RESULT_LIFE
        {
            return Some(checked.clone());
        }
        let _permit = self.room.acquire().await.ok()?;
        let (by, answered) = ask(settings, client).await;
        if let Err(fault) = &answered {
            tracing::warn!(name, by, fault, "the page's check of an agent has failed");
        }
        let checked = Checked { at_ms: self.admission.clock.now_ms(), by, answered };
        *result = Some((Instant::now(), checked.clone()));
        Some(checked)
    }
}

/// Starts as a call does: with the starting event, then with the starting text if the event gets no answer, or with
/// silence.
async fn ask(settings: &AgentConfig, client: &AgentClient) -> (&'static str, Result<u64, String>) {
    let greeting = &settings.call.starting_input;
    let inputs = [greeting.event.clone().map(TurnInput::Event), greeting.text.clone().map(TurnInput::Text)];
    let mut inputs: Vec<TurnInput> = inputs.into_iter().flatten().collect();
    if inputs.is_empty() {
        inputs.push(TurnInput::Audio);
    }
    let mut last = ("audio", Err("it was not asked".to_owned()));
    for input in inputs {
        let (by, timeout) = (input.kind(), if input == TurnInput::Audio { LISTEN_TIMEOUT } else { ANSWER_TIMEOUT });
        let began = Instant::now();
        let outcome = tokio::time::timeout(timeout, turn(settings, client, input)).await;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        last = match outcome {
            Ok(Ok(true)) => return (by, Ok(took_ms)),
            Ok(Ok(false)) => (by, Err(format!("it leaves the starting {by} unanswered"))),
            Ok(Err(fault)) => return (by, Err(fault.to_string())),
            Err(_) if by == "audio" => return (by, Ok(took_ms)),
            Err(_) => return (by, Err(format!("no answer within {} seconds", ANSWER_TIMEOUT.as_secs()))),
        };
    }
    last
}

/// Runs one turn in its own session. Returns whether the agent answered; it need not answer silence.
async fn turn(settings: &AgentConfig, client: &AgentClient, input: TurnInput) -> Result<bool, AgentFault> {
    let session = SessionContext {
        session: settings.address.session(&session_id()),
        product: settings.address.product(),
        language: settings.language.clone(),
        speech: client.speech.clone(),
        ces: client.ces.clone(),
    };
    let is_audio = input == TurnInput::Audio;
    let parameters = settings.call.parameters.clone();
    let start = TurnStart { known_parameters: parameters.clone(), parameters, ..TurnStart::new(input) };
    let (events, mut came) = mpsc::channel(EVENT_QUEUE);
    // The stream ends with this set, even if nobody waits for the result.
    let mut tasks: JoinSet<()> = JoinSet::new();
    let handle = client.agent.open(&session, StreamId(1), &start, events, &mut tasks);
    if is_audio {
        // This is the first input, so there is room for it.
        let _ = handle.audio(&[MULAW_SILENCE; SILENCE_MS * BYTES_PER_MS]);
    }
    if settings.call.shape == StreamShape::PerTurn {
        handle.half_close();
    }
    while let Some((_, event)) = came.recv().await {
        match event {
            AgentEvent::Answer(answer) if !answer.is_empty() => return Ok(true),
            AgentEvent::Ended => return Ok(is_audio),
            AgentEvent::Failed(fault) => return Err(fault),
            AgentEvent::Answer(_)
            | AgentEvent::Transcript(_)
            | AgentEvent::EndOfUtterance { .. }
            | AgentEvent::Interrupted { .. }
            | AgentEvent::GoAway => {}
        }
    }
    Ok(is_audio)
}

/// A session id that no call has. Without random bytes checks share a session, which does no harm.
fn session_id() -> String {
    let mut random = [0; 8];
    let _ = SystemRandom::new().fill(&mut random);
    format!("check-{:016x}", u64::from_be_bytes(random))
}
