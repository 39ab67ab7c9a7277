//! Stories of calls: what comes in, and what the call does. Time is virtual, Twilio's play-out is modelled.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::cast_possible_truncation, reason = "frame numbers are small")]

mod ending;
mod hostile;
mod interruption;
mod line;
mod listening;
mod trouble;
