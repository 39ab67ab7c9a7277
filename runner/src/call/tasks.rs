//! The tasks of one call: its streams to the agent, and what core waits for.

use std::future::Future;
use std::task::{Context, Poll};

use bytes::Bytes;
use dialbridge_core::{FetchId, ToolsId, UpdateResult};
use tokio::task::{Id, JoinError, JoinSet};

use crate::call::tools::ToolResult;

/// What came of a task of the call's.
#[derive(Debug)]
pub(super) enum Finished {
    /// Nothing that core waits for: a stream to the agent, whose last event says how it ended, or a task that panicked. Core
    /// does not wait for ever.
    Nothing,
    /// Twilio has answered a REST update.
    Updated(UpdateResult),
    /// Audio was fetched.
    Fetched(FetchId, Result<Bytes, String>),
    /// Tools were run.
    ToolsRun(ToolsId, Vec<ToolResult>),
}

impl From<()> for Finished {
    fn from((): ()) -> Self {
        Self::Nothing
    }
}

/// The tasks of one call. They end when this is dropped.
#[derive(Debug, Default)]
pub(super) struct CallTasks {
    all: JoinSet<Finished>,
    /// The REST update that Twilio has not answered yet.
    update: Option<Id>,
}

impl CallTasks {
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Finished>> {
        self.all.poll_join_next_with_id(cx).map(|ended| Some(self.result_of(ended?)))
    }

    fn result_of(&mut self, ended: Result<(Id, Finished), JoinError>) -> Finished {
        let (id, finished) = match ended {
            Ok((id, finished)) => (id, finished),
            Err(error) if self.update == Some(error.id()) => (error.id(), Finished::Updated(UpdateResult::Impossible)),
            Err(error) => (error.id(), Finished::Nothing),
        };
        self.update.take_if(|update| *update == id);
        finished
    }

    pub(super) fn spawn(&mut self, task: impl Future<Output = Finished> + Send + 'static) {
        self.all.spawn(task);
    }

    /// Starts a REST update. A call has one at a time.
    pub(super) fn spawn_update(&mut self, update: impl Future<Output = UpdateResult> + Send + 'static) {
        self.update = Some(self.all.spawn(async { Finished::Updated(update.await) }).id());
    }

    /// Whether Twilio has not answered the last update yet.
    pub(super) fn awaits_update(&self) -> bool {
        self.update.is_some()
    }

    /// Where streams to the agent are spawned.
    pub(super) fn set(&mut self) -> &mut JoinSet<Finished> {
        &mut self.all
    }
}
