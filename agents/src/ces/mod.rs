//! Agents of Google's Customer Engagement Suite: one `BidiRunSession` for the whole call, over gRPC or over a
//! WebSocket.
//!
//! `request` and `convert` convert between core's types and CES's messages, and `json` writes the messages for a
//! WebSocket. `outgoing` decides what is sent when. `grpc` and `websocket` implement `transport`. `run` runs a stream
//! from its opening to its end, and `fault` says why it ended.

mod config;
mod convert;
mod fault;
mod grpc;
mod json;
mod outgoing;
mod request;
mod run;
mod socket;
#[cfg(test)]
mod tests;
mod transport;
mod websocket;

pub use config::CesConfig;
pub(crate) use run::{Carrier, run};
pub(crate) use websocket::WebSockets;
