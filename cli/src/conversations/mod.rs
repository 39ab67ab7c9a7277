//! Conversation files: `dialbridge test`.
//!
//! - `fields` reads the tables of a file, `file` what they mean, `expect` what a value must be.
//! - `caller` makes the caller of them. `offline` plays the call with the agent of a tape; `live` places it at a service of
//!   its own, which `stack` starts; `speech` speaks what has no recording; `url` places it at a running service.
//! - `run` runs files, several at a time: those that `discover` finds. `report` tells what came of them.
//! - `draft` writes files: out of a tape, out of recordings, out of exported test cases.
//! - `coverage` tells which parts of an agent's export the calls have visited.
//! - `seen` is what there is to see of a call, and `check` compares it with the expectations.

mod args;
mod caller;
mod check;
mod coverage;
mod discover;
mod draft;
mod expect;
mod fields;
mod file;
mod live;
mod offline;
mod report;
mod run;
mod seen;
mod speech;
mod stack;
mod url;

pub use args::{TestArgs, TestCommand};
pub use check::Difference;
pub use coverage::Coverage;
pub use discover::Found;
pub use draft::{import, of_recordings, of_tape};
pub use fields::Fault;
pub use file::{Action, ConversationFile, Expectation, FileError, FileSetting, FileStep, Subject};
pub use live::LiveCall;
pub use offline::EDITIONS;
pub use report::Summary;
pub use run::{Mode, Run, TestResult, Verdict};
pub use seen::{Matched, SeenCall, SeenEnd, SeenStep, Visit};
pub use stack::Surroundings;
pub use url::RunningService;
