//! Stories of whole calls.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod agent_faults;
mod assumptions;
mod attacker;
mod bad_input;
mod bare_media;
mod barge_in;
mod call_flow;
mod conversation;
mod doctor;
mod doors;
mod fillers;
mod gapless;
mod golden;
mod keys;
mod limits;
#[cfg(target_os = "linux")]
mod load;
mod messages;
mod readme;
mod routing;
mod settings;
mod silence;
mod stages;
mod survival;
mod tapes;
mod tasks;
mod transfer;
mod twilio_faults;
mod twiml;
