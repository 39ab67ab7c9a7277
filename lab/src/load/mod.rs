//! Many calls at once, and what they cost: the callers of a load, the agent that hears them, and what both measure.
//!
//! Three processes take part: the tool with the callers ([`Load`]), the service, and the agent ([`LoadAgent`]), so that
//! the service's cost stays separate from theirs. Each frame of audio carries a [`code`]: both ends know which frame it
//! is and when it was sent, on the machine's one clock. Linux only: it reads `/proc`.

pub mod agent;
mod caller;
pub mod clock;
pub mod code;
mod drive;
pub mod figures;
mod grpc;
mod histogram;
mod ledger;
mod load_call;
pub mod process;
mod read;
mod search;
mod write;

pub use agent::LoadAgent;
pub use caller::CallerSpeech;
pub use drive::{CallerFigures, Load, Plan, SoFar};
pub use figures::{Held, Measurement, Readings};
pub use histogram::{Histogram, Latency};
pub use ledger::AgentFigures;
pub use search::Search;
