//! The service of dialbridge around its core: HTTP routes, media streams, Twilio's REST API, settings, telemetry, the
//! page. `dialbridge_core` decides what happens in a call; this crate does not.
#![forbid(unsafe_code)]

pub mod call;
pub mod comparison;
pub mod conversation_draft;
pub mod history;
pub mod http;
pub mod media;
mod paths;
pub mod service;
pub mod settings;
mod tape_files;
pub mod telemetry;
pub mod twilio;
