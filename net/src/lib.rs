//! The network code of dialbridge: connections ([`dial`]), TLS ([`tls`]), an HTTP client ([`http_client`]) and a
//! WebSocket ([`websocket`]).
#![forbid(unsafe_code)]

pub mod dial;
pub mod http_client;
mod secret;
pub mod tls;
pub mod websocket;

pub use secret::Secret;
