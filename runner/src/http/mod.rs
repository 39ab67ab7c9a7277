//! HTTP: the routes of Twilio's webhooks, media streams, probes and the page.

mod admin;
mod answer;
mod bare_media;
mod dial_failure;
mod events;
mod forwarded;
mod listen;
mod masked;
mod media;
mod near_paths;
mod page;
mod parameters;
mod routes;
mod server;
mod softphone;
mod status;
mod tapes;
mod voice;
// Public for the fuzz targets only, which call everything that reads bytes from outside.
#[doc(hidden)]
pub mod webhook;

pub use listen::listen;
pub use server::{serve, serve_connection};
