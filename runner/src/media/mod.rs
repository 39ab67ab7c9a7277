//! Twilio's media streams.

pub mod coalescing;
pub mod media_socket;
