//! The service of dialbridge around its core: HTTP routes, media streams, Twilio's REST API, settings, telemetry, the page.
//! Nothing here decides about a call; `dialbridge_core` does.
#![forbid(unsafe_code)]

pub mod call;
pub mod history;
pub mod http;
pub mod media;
pub mod service;
pub mod settings;
pub mod telemetry;
pub mod twilio;
