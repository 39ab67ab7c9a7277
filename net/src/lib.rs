//! The network code of dialbridge: connections ([`dial`]), proxies ([`proxy`]), connections to hosts that somebody else names
//! ([`guarded`]), lists of hosts ([`hosts`]), public addresses ([`public_address`]), TLS ([`tls`]), an HTTP client
//! ([`http_client`]) and a WebSocket ([`websocket`]).
#![forbid(unsafe_code)]

pub mod dial;
pub mod guarded;
pub mod hosts;
pub mod http_client;
pub mod proxy;
pub mod public_address;
mod secret;
pub mod tls;
pub mod websocket;

pub use secret::Secret;
