//! The parts of a WebSocket that fastwebsockets leaves to its user.

mod batched;
mod fragments;
mod frame_check;

pub use batched::Batched;
pub use fragments::{Fragments, Message, PROTOCOL_ERROR, TOO_BIG};
pub use frame_check::FrameWatch;
