//! One call: what drives it, and what it asks for outside of core.

pub mod bridge;
pub mod calls;
pub mod prompts;
pub mod tape_recorder;
pub mod tools;
