//! What the driver must do, in order.

use std::collections::VecDeque;

use crate::agent::AgentCommand;
use crate::ids::StreamId;
use crate::report::{Report, Stages};

use super::interface::Output;

/// The outputs that the driver has not taken.
#[derive(Debug, Default)]
pub(super) struct Outputs(VecDeque<Output>);

impl Outputs {
    pub(super) fn add(&mut self, output: Output) {
        self.0.push_back(output);
    }

    /// A stream gets a command.
    pub(super) fn agent(&mut self, stream: StreamId, command: AgentCommand) {
        self.add(Output::Agent(stream, command));
    }

    /// A fact for logs and metrics.
    pub(super) fn report(&mut self, report: Report) {
        self.add(Output::Report(report));
    }

    /// The stages of turns that are over.
    pub(super) fn stages(&mut self, stages: impl IntoIterator<Item = Stages>) {
        stages.into_iter().for_each(|stages| self.report(Report::Stages(Box::new(stages))));
    }

    pub(super) fn take_first(&mut self) -> Option<Output> {
        self.0.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
