//! Tools that the agent asks its client to run. The driver runs them if it can. Otherwise we refuse them at once,
//! because the agent waits for the results.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use crate::agent::{ToolCall, ToolOutcome, ToolResult};
use crate::call::{Call, Output};
use crate::ids::{ToolsId, TurnId};
use crate::report::Report;

/// How many requests for tools may wait for their results. An agent may make one in each part of an answer. It gets no
/// results for further ones.
const MAX_WAITING_TOOL_RUNS: usize = 16;

/// Tools that are running.
#[derive(Debug)]
pub(super) struct Tools {
    next: ToolsId,
    running: VecDeque<Running>,
}

/// One request of the agent for tools.
#[derive(Debug)]
struct Running {
    id: ToolsId,
    turn: TurnId,
    calls: Vec<ToolCall>,
}

impl Default for Tools {
    fn default() -> Self {
        Self { next: ToolsId(1), running: VecDeque::new() }
    }
}

impl Tools {
    pub(super) fn are_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Nobody waits for their results any more.
    pub(super) fn forget(&mut self) {
        self.running.clear();
    }

    /// Whether more may run.
    fn have_room(&self) -> bool {
        self.running.len() < MAX_WAITING_TOOL_RUNS
    }

    fn run(&mut self, turn: TurnId, calls: Vec<ToolCall>) -> ToolsId {
        let id = self.next.take();
        self.running.push_back(Running { id, turn, calls });
        id
    }

    /// They ran: each has a result or a sentence that says why not. `None` if nobody waits for the results.
    fn take_results(
        &mut self,
        id: ToolsId,
        results: Vec<Result<Map<String, Value>, String>>,
    ) -> Option<(TurnId, Vec<ToolResult>)> {
        let place = self.running.iter().position(|running| running.id == id)?;
        let Running { turn, calls, .. } = self.running.remove(place)?;
        let results = results.into_iter().chain(std::iter::repeat_with(|| Err("the tool has no result".to_owned())));
        let outcomes = results.map(|result| result.map_or_else(ToolOutcome::Failed, ToolOutcome::Done));
        Some((turn, calls.into_iter().zip(outcomes).map(|(call, outcome)| ToolResult { call, outcome }).collect()))
    }
}

impl Call {
    pub(super) fn on_tool_calls(&mut self, turn: TurnId, calls: Vec<ToolCall>) {
        if calls.is_empty() || !self.lifecycle.is_active() {
            return;
        }
        self.streams.note_tool_calls();
        if self.config.has_tools && self.tools.have_room() {
            let id = self.tools.run(turn, calls.clone());
            self.outputs.add(Output::RunTools(id, calls));
            self.start_filler_timer();
        } else {
            for call in &calls {
                self.outputs.report(Report::ToolRefused { turn, tool: call.tool.clone() });
            }
            let refused = calls.into_iter().map(|call| ToolResult { call, outcome: ToolOutcome::Refused });
            self.queue_tool_results(turn, refused.collect());
        }
    }

    /// Whether the next stream waits for the results of tools. What the caller says meanwhile waits with it.
    pub(super) fn awaits_tools(&self) -> bool {
        self.streams.waits_for_tools() && self.tools.are_running()
    }

    fn queue_tool_results(&mut self, turn: TurnId, results: Vec<ToolResult>) {
        let mut all_fit = true;
        for results in self.streams.tool_inputs(results) {
            all_fit &= self.inputs.add_tool_results(results);
        }
        if !all_fit {
            self.outputs.report(Report::ToolResultsDropped { turn });
        }
    }

    /// The tools ran. We ignore results that nobody waits for.
    pub(super) fn on_tools_run(&mut self, id: ToolsId, results: Vec<Result<Map<String, Value>, String>>) {
        let Some((turn, results)) = self.tools.take_results(id, results).filter(|_| self.lifecycle.is_active()) else {
            return;
        };
        for ToolResult { call, outcome } in &results {
            let fault = match outcome {
                ToolOutcome::Failed(why) => Some(why.clone()),
                ToolOutcome::Done(_) | ToolOutcome::Refused => None,
            };
            self.outputs.report(Report::ToolRun { turn, tool: call.tool.clone(), fault });
        }
        self.queue_tool_results(turn, results);
    }
}
