//! Twilio's side of the service, apart from the media socket: signatures, tickets, the URLs that calls come back by, the REST API.

pub mod actions;
pub mod rest;
pub mod signature;
pub mod ticket;
