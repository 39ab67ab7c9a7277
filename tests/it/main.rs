//! Stories of whole calls.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod agent_faults;
mod assumptions;
mod attacker;
mod bad_input;
mod bare_media;
mod barge_in;
mod call_flow;
mod ces;
mod conversation;
mod deploy;
mod doctor;
mod doors;
mod events;
mod fillers;
mod gapless;
mod golden;
mod keys;
mod limits;
#[cfg(target_os = "linux")]
mod load;
mod messages;
mod metrics;
mod overload;
mod page;
mod readme;
mod relay;
mod routing;
mod settings;
mod sight;
mod silence;
mod stages;
mod survival;
mod tapes;
mod tasks;
mod traces;
mod transfer;
mod twilio_faults;
mod twiml;
mod ungreeted;
