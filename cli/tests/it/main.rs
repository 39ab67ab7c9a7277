//! The program as people start it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod agent_tls;
mod cli;
mod compare;
mod configure;
mod conversations;
mod dev;
mod doctor;
mod number;
mod program;
mod progress;
mod proxy;
mod secrets;
mod twilios_sample;
mod two_instances;
