//! One call: what drives it, and what it uses outside of core.

pub(crate) mod agent_breaker;
pub(crate) mod audio_share;
pub mod bridge;
pub mod calls;
pub mod context;
mod effects;
pub mod prompts;
mod recorded_call;
pub mod tape_recorder;
mod tasks;
pub mod tools;
mod wake_flag;
pub mod watch;
