//! `dev`: how Twilio reaches the service on this machine.
//!
//! - `tunnel` starts a program that gives this machine a public URL.
//! - `reached` asks whether a URL leads to this very process.

mod args;
mod reached;
mod tunnel;

pub use args::DevArgs;
pub(crate) use reached::{check_reached, word};
pub(crate) use tunnel::{Tunnel, TunnelError};
