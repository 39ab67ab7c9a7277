//! One call: what drives it, and what it uses outside of core.

pub mod bridge;
pub mod calls;
pub mod prompts;
pub mod tape_recorder;
pub mod tools;
