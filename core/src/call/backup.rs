//! The backup: another agent, of any edition, which goes on with the call in the same media stream when the call's own
//! agent cannot be had. That is so when its budget of retries is spent, when it refuses us, or when too many turns failed.
//!
//! The backup gets what the caller has said and the agent has not answered, the keys that wait, and all session
//! parameters. It greets the caller only if nobody has. A call has one backup; if that fails too, the call gets its
//! fallback.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::call::echo::Echo;
use crate::call::end_of_utterance::EndRules;
use crate::call::inputs::AgentInputs;
use crate::call::lifecycle::Ending;
use crate::call::prompt_guard::Backchannels;
use crate::call::retry::FailureStreak;
use crate::call::streams::streams;
use crate::call::unanswered::Asked;
use crate::call::{Call, Output, Timer};
use crate::call_facts::ToldFacts;
use crate::carried::StandIn;
use crate::config::{CallConfig, StartingInput};
use crate::report::Report;

/// The backup of a call whose agent still has it.
#[derive(Debug)]
pub(super) struct Standby {
    config: CallConfig,
    /// What it gets of the media stream's start.
    inputs: AgentInputs,
    told: ToldFacts,
}

impl Call {
    /// The call has started with these parameters, which a backup needs too.
    pub(super) fn prepare_backup(&mut self, custom: &BTreeMap<String, String>) {
        let Some(config) = self.config.backup.as_deref().cloned() else { return };
        let told = ToldFacts::new(&self.facts, &config.call_parameters, config.parameter_names);
        let mut inputs = AgentInputs::new(&config);
        inputs.start(&self.facts, &told, custom);
        self.standby = Some(Box::new(Standby { config, inputs, told }));
    }

    /// Whether there is a backup that does not have the call yet.
    pub(super) fn has_standby(&self) -> bool {
        self.standby.is_some()
    }

    /// Whether the backup has the call.
    pub(super) fn is_on_backup(&self) -> bool {
        self.config.stands_in.is_some()
    }

    /// The agent cannot be had. No stream is open, and what it has not answered is queued.
    pub(super) fn on_agent_lost(&mut self) {
        match self.standby.take().filter(|_| self.lifecycle.is_active()) {
            Some(standby) => self.use_backup(*standby),
            None => self.end(Ending::AgentFailed),
        }
    }

    fn use_backup(&mut self, standby: Standby) {
        let Standby { config, mut inputs, told } = standby;
        if let Some(StandIn { agent, backup_of }) = config.stands_in.clone() {
            self.report(Report::BackupTookOver { backup: agent, backup_of });
        }
        self.outputs.push_back(Output::UseBackup);
        self.awaits_greeting &= config.first_input() != StartingInput::default();
        inputs.take_over(&mut self.inputs, self.awaits_greeting, &self.outcome.parameters, &config.dtmf.form);
        self.inputs = inputs;
        self.streams = streams(config.shape);
        self.past_turns.change_server(self.streams.may_lose_session());
        self.failures = FailureStreak::new(config.seed, 0);
        self.asked = Asked::default();
        self.end_rules = EndRules::default();
        self.digits.set_rules(None);
        self.tools.forget();
        self.backchannels = Backchannels::new(&config);
        if config.barge_in.echo_guard != self.config.barge_in.echo_guard {
            self.echo = Echo::new(config.barge_in.echo_guard, &config.words.language);
        }
        for timer in [Timer::Retry, Timer::Thinking] {
            self.timers.stop(timer);
        }
        self.outcome.session.clone_from(&config.session);
        self.outcome.stands_in.clone_from(&config.stands_in);
        self.outcome.told = told;
        self.config = Arc::new(config);
        self.play_retry_filler();
    }
}
