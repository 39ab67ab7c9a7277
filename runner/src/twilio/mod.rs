//! Twilio's side of the service, apart from media streams: signatures, tickets, action URLs, the REST API.

pub mod actions;
pub mod rest;
pub mod signature;
pub mod ticket;
