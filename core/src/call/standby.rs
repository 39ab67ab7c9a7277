//! What a call's backup needs of the media stream's start, until it has the call or the call is over.

use std::collections::BTreeMap;

use crate::call::inputs::AgentInputs;
use crate::call_facts::{CallFacts, ToldFacts};
use crate::config::CallConfig;
use crate::time::CallTime;

/// The backup of a call whose agent still has it.
#[derive(Debug)]
pub(super) struct Standby {
    /// When the media stream began: the limit of the call counts from there.
    pub(super) began: CallTime,
    /// What it gets of the media stream's start.
    pub(super) inputs: AgentInputs,
    pub(super) told: ToldFacts,
}

impl Standby {
    /// The call has started with these parameters. `None` if it has no backup.
    pub(super) fn new(
        config: &CallConfig,
        facts: &CallFacts,
        custom: &BTreeMap<String, String>,
        now: CallTime,
    ) -> Option<Box<Self>> {
        let backup = config.backup.as_deref()?;
        let told = ToldFacts::new(facts, &backup.call_parameters, backup.parameter_names);
        let mut inputs = AgentInputs::new(backup);
        inputs.start(facts, &told, custom);
        Some(Box::new(Self { began: now, inputs, told }))
    }
}
