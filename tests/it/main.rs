//! Stories of whole calls.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod assumptions;
mod bad_input;
mod bare_media;
mod barge_in;
mod call_flow;
mod conversation;
mod doors;
mod events;
mod gapless;
mod keys;
mod limits;
#[cfg(target_os = "linux")]
mod load;
mod metrics;
mod readme;
mod routing;
mod settings;
mod sight;
mod silence;
mod survival;
mod tapes;
mod traces;
mod twilio_faults;
