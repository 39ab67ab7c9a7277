//! Stories of calls: what comes in, and what the call does. Time is virtual, Twilio's play-out is modelled.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::cast_possible_truncation, reason = "frame numbers are small")]

mod answer_parts;
mod disorder;
mod ending;
mod fillers;
mod hostile;
mod interruption;
mod keys;
mod line;
mod listening;
mod messages;
mod one_stream;
mod renewal;
mod sight;
mod silence;
mod tapes;
mod tools;
mod trouble;
