//! What must hold for any input from outside. Each fuzz target has a module with one function. libFuzzer calls it, and
//! the tests call it with the seeds. The function panics if a property does not hold.
//!
//! | target | input |
//! | --- | --- |
//! | [`twilio_message`] | text frames of the media stream, one on a line |
//! | [`wav`] | audio from an agent, after three bytes with its declared format and where it is cut |
//! | [`webhook`] | an HTTP/1.1 request without its version |
//! | [`ticket`] | a ticket or a state, and the parts to make one |
//! | [`call`] | settings and operations, decoded by `arbitrary` |
#![forbid(unsafe_code)]

pub mod call;
pub mod seeds;
pub mod ticket;
pub mod twilio_message;
pub mod watch;
pub mod wav;
pub mod webhook;

/// Runs an input. Panics if a property does not hold.
pub type Target = fn(&[u8]);

/// Every target with its name.
pub const TARGETS: [(&str, Target); 5] = [
    ("twilio_message", twilio_message::run),
    ("wav", wav::run),
    ("webhook", webhook::run),
    ("ticket", ticket::run),
    ("call", call::run),
];
