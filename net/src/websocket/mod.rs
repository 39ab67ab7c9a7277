//! A WebSocket (RFC 6455) over any connection.
//!
//! [`WebSocket`] is the complete socket: it reads messages, sends from a bounded queue, answers pings and close frames,
//! and closes if the peer reads nothing. [`accept`] and [`handshake`] open one. [`split`] gives the two halves below
//! it, for code that drives them itself, such as simulators that must misbehave.

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
