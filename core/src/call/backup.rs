//! The backup: another agent, of any edition, which goes on with the call in the same media stream when the call's own
//! agent cannot be had. That is so when its budget of retries is spent, when it refuses us, or when too many turns
//! failed.
//!
//! The backup gets what the caller has said and the agent has not answered, the keys that wait, and all session
//! parameters. It greets the caller only if nobody has. A call has one backup; if that fails too, the call gets its
//! fallback.

use std::sync::Arc;

use crate::agent::TurnInput;
use crate::call::end_of_utterance::EndRules;
use crate::call::inputs::AgentInputs;
use crate::call::lifecycle::Ending;
use crate::call::retry::FailureStreak;
use crate::call::standby::Standby;
use crate::call::streams::streams;
use crate::call::{Call, Output, Timer};
use crate::carried::StandIn;
use crate::config::{CallConfig, StartingInput};
use crate::report::Report;

impl Call {
    /// The agent cannot be had. No stream is open, and what it has not answered is queued.
    pub(super) fn on_agent_lost(&mut self) {
        let standby = self.standby.take().filter(|_| self.lifecycle.is_active());
        match standby.zip(self.config.backup.clone()) {
            Some((standby, config)) => self.use_backup(*standby, *config),
            None => self.end(Ending::AgentFailed),
        }
    }

    fn use_backup(&mut self, standby: Standby, config: CallConfig) {
        let Standby { began, inputs, told } = standby;
        if let Some(StandIn { agent, backup_of }) = config.stands_in.clone() {
            self.outputs.report(Report::BackupTookOver { backup: agent, backup_of });
        }
        self.outputs.add(Output::UseBackup);
        let first = std::mem::replace(&mut self.config, Arc::new(config));
        self.awaits_greeting &= self.config.first_input() != StartingInput::default();
        self.streams = streams(self.config.shape);
        self.past_turns.change_server(self.streams.may_lose_session());
        self.failures = FailureStreak::new(self.config.seed, 0);
        let waiting = std::mem::take(&mut self.unanswered).into_words();
        waiting.into_iter().for_each(|words| self.inputs.add_first(TurnInput::Text(words)));
        self.end_rules = EndRules::new(self.config.end_of_utterance);
        self.tools.forget();
        self.playback.set_max(self.config.max_answer_ms);
        self.guard.change_config(&first, &self.config);
        self.outcome.session.clone_from(&self.config.session);
        self.outcome.stands_in.clone_from(&self.config.stands_in);
        self.outcome.told = told;
        self.take_over_inputs(inputs, &first);
        for timer in [Timer::Retry, Timer::Thinking, Timer::Greeting] {
            self.timers.stop(timer);
        }
        self.start_greeting_timer();
        self.timers.put(Timer::CallTooLong, self.config.call_limit_ms().map(|ms| began + ms));
        self.fillers.begin_again();
        self.play_retry_filler();
    }

    /// The backup gets the inputs that wait. Keys that an agent takes one by one are collected by the backup's rules.
    fn take_over_inputs(&mut self, inputs: AgentInputs, first: &CallConfig) {
        let mut other = std::mem::replace(&mut self.inputs, inputs);
        self.outcome.parameters = self.inputs.take_over(&mut other, self.awaits_greeting, &self.outcome.parameters);
        let written = self.caller.audio.written();
        let words_first = other.first() == Some(&TurnInput::Audio)
            || self.guard.is_voice_before(&self.caller, written, self.digits.began());
        self.digits.set_rules(None);
        let one_by_one = first.dtmf.max_digits == 1;
        for digits in other.take_digits() {
            if one_by_one {
                digits.digits.chars().chain(digits.finish_digit).for_each(|digit| self.collect_digit(digit));
            } else if !self.inputs.add_digits(digits, self.config.dtmf.form.clone()) {
                self.outputs.report(Report::DigitDropped);
            }
        }
        if words_first {
            self.inputs.hear_words_first(&*self.streams);
        }
    }
}
