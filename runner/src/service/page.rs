//! What the page needs of the service.

use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

use super::admin::Admin;
use super::admission::Admission;
use super::agent_check::AgentChecks;
use super::call_runner::CallRunner;
use crate::history::History;

/// How many viewers there may be at once; each one follows the list of calls or one call.
const MAX_VIEWERS: usize = 64;

/// What the page shows, and what it needs for calls from the browser.
pub(crate) struct Page {
    pub(crate) admin: Arc<Admin>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) runner: Arc<CallRunner>,
    pub(crate) checks: AgentChecks,
    pub(crate) history: History,
    /// The places for viewers.
    pub(crate) viewers: Arc<Semaphore>,
    /// The place for whoever reads a tape: one at a time, because a tape is large.
    pub(crate) tape_reader: Arc<Semaphore>,
    /// A random name for this process, so that people can tell instances apart.
    pub(crate) instance: String,
    pub(crate) started_ms: u64,
    pub(crate) has_rest: bool,
}

impl Page {
    /// A page that shows this history.
    pub(super) fn new(admin: Arc<Admin>, runner: Arc<CallRunner>, history: History) -> Self {
        let (admission, agents) = (runner.admission.clone(), runner.setup.agents.clone());
        Self {
            admin,
            checks: AgentChecks::new(admission.clone(), agents),
            history,
            viewers: Arc::new(Semaphore::new(MAX_VIEWERS)),
            tape_reader: Arc::new(Semaphore::new(1)),
            instance: instance_name(),
            started_ms: admission.clock.now_ms(),
            has_rest: runner.setup.rest.is_some(),
            admission,
            runner,
        }
    }
}

/// A random name. Without random bytes all instances have the same name, which does no harm.
fn instance_name() -> String {
    let mut random = [0; 3];
    let _ = SystemRandom::new().fill(&mut random);
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}
