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
#[derive(Debug, Default)]
pub(super) struct Tools {
    last: ToolsId,
    running: VecDeque<Running>,
}

impl Tools {
    pub(super) fn are_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Nobody waits for their results any more.
    pub(super) fn forget(&mut self) {
        self.running.clear();
    }
}

/// One request of the agent for tools.
#[derive(Debug)]
struct Running {
    id: ToolsId,
    turn: TurnId,
    calls: Vec<ToolCall>,
}

impl Call {
    pub(super) fn on_tool_calls(&mut self, turn: TurnId, calls: Vec<ToolCall>) {
        if calls.is_empty() || !self.lifecycle.is_active() {
            return;
        }
        self.streams.note_tool_calls();
        let has_room = self.tools.running.len() < MAX_WAITING_TOOL_RUNS;
        if self.config.has_tools && has_room {
            let id = self.tools.last.next();
            self.tools.last = id;
            self.tools.running.push_back(Running { id, turn, calls: calls.clone() });
            self.outputs.push_back(Output::RunTools(id, calls));
        } else {
            self.refuse_tools(turn, calls);
        }
    }

    /// Whether the next stream waits for the results of tools. What the caller says meanwhile waits with it.
    pub(super) fn awaits_tools(&self) -> bool {
        self.streams.waits_for_tools() && self.tools.are_running()
    }

    fn refuse_tools(&mut self, turn: TurnId, calls: Vec<ToolCall>) {
        for call in &calls {
            self.report(Report::ToolRefused { turn, tool: call.tool.clone() });
        }
        let refused = calls.into_iter().map(|call| ToolResult { call, outcome: ToolOutcome::Refused });
        self.queue_tool_results(turn, refused.collect());
    }

    fn queue_tool_results(&mut self, turn: TurnId, results: Vec<ToolResult>) {
        let mut all_fit = true;
        for results in self.streams.tool_inputs(results) {
            all_fit &= self.inputs.add_tool_results(results);
        }
        if !all_fit {
            self.report(Report::ToolResultsDropped { turn });
        }
    }

    /// The tools ran: each has a result or a sentence that says why not. We ignore results that nobody waits for.
    pub(super) fn on_tools_run(&mut self, id: ToolsId, results: Vec<Result<Map<String, Value>, String>>) {
        let Some(place) = self.tools.running.iter().position(|running| running.id == id) else { return };
        let Some(Running { turn, calls, .. }) = self.tools.running.remove(place) else { return };
        if !self.lifecycle.is_active() {
            return;
        }
        let results = results.into_iter().chain(std::iter::repeat_with(|| Err("the tool has no result".to_owned())));
        let results: Vec<ToolResult> = calls
            .into_iter()
            .zip(results)
            .map(|(call, result)| ToolResult {
                call,
                outcome: result.map_or_else(ToolOutcome::Failed, ToolOutcome::Done),
            })
            .collect();
        for ToolResult { call, outcome } in &results {
            let fault = match outcome {
                ToolOutcome::Failed(why) => Some(why.clone()),
                ToolOutcome::Done(_) | ToolOutcome::Refused => None,
            };
            self.report(Report::ToolRun { turn, tool: call.tool.clone(), fault });
        }
        self.queue_tool_results(turn, results);
    }
}
