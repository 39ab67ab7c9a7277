//! HTTP: the routes of Twilio's webhooks, of media streams, of probes and of the page.

mod admin;
mod answer;
mod bare_media;
mod events;
mod media;
mod page;
mod routes;
mod server;
mod softphone;
mod status;
mod voice;
// Public for the fuzz targets alone: what takes bytes from outside in is called with any bytes there.
#[doc(hidden)]
pub mod webhook;

pub use server::{serve, serve_connection};
