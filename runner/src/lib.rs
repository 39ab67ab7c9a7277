//! The service of dialbridge around its core: HTTP, the media socket, gRPC, Twilio's REST API, settings, logs. Nothing
//! here decides about a call; `dialbridge_core` does.
#![forbid(unsafe_code)]

mod agent_check;
mod agents;
mod bare_media;
pub mod bridge;
mod busy;
pub mod call_book;
mod call_log;
pub mod calls;
pub mod clock;
pub mod drain;
pub mod gathering;
pub mod http;
pub mod lab_agents;
pub mod log;
pub mod log_limit;
pub mod media_socket;
pub mod prompts;
pub mod service;
pub mod settings;
pub mod sight;
pub mod tape_recorder;
pub mod tools;
pub mod twilio;
