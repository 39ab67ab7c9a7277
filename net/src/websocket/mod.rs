//! A WebSocket (RFC 6455) over any connection.
//!
//! [`WebSocket`] is the whole of it: it reads messages, sends what waits in a bounded queue, answers pings and close frames,
//! and gives up a peer that takes nothing. [`accept`] and [`handshake`] open one. [`split`] gives the halves below it, for
//! whoever drives them himself, and for simulators that must misbehave.

mod accept;
mod batched;
mod closed;
mod fragments;
mod frame_check;
mod halves;
mod handshake;
mod keep_alive;
mod socket;
#[cfg(test)]
mod tests;
mod writing;

pub use accept::{Upgrade, accept, is_upgrade_request};
pub use closed::{Closed, Fault, NORMAL, PROTOCOL_ERROR, TOO_BIG};
pub use fastwebsockets::Role;
pub use fragments::Message;
pub use halves::{Frame, Incoming, OpCode, Reader, Writer, split};
pub use handshake::{HandshakeError, handshake};
pub use socket::{Full, Gone, Limits, WebSocket};
