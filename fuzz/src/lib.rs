//! What must hold whatever comes in from outside: a module for each fuzz target, with the function that libFuzzer calls
//! and that the tests call with the seeds. Each panics where something does not hold.
//!
//! | target | bytes are |
//! | --- | --- |
//! | [`twilio_message`] | text frames of the media socket, a line each |
//! | [`wav`] | audio that an agent sends, after three bytes that say what was declared and where it is cut |
//! | [`webhook`] | a request as HTTP/1.1 has it, without its version |
//! | [`ticket`] | a ticket or a state; and what one is made of |
//! | [`call`] | settings and operations, by `arbitrary` |
#![forbid(unsafe_code)]

pub mod call;
pub mod seeds;
pub mod ticket;
pub mod twilio_message;
pub mod watch;
pub mod wav;
pub mod webhook;

/// Takes an input, and panics where something does not hold.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 5] = [
    ("twilio_message", twilio_message::run),
    ("wav", wav::run),
    ("webhook", webhook::run),
    ("ticket", ticket::run),
    ("call", call::run),
];
