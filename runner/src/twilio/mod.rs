//! Twilio's side of the service, apart from the media socket: signatures, tickets, the REST API.

pub mod rest;
pub mod signature;
pub mod ticket;
