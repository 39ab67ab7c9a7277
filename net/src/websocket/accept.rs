//! The server's side of the handshake.

use std::fmt;

use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{Role, WebSocketError};
use http::{Request, Response};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use super::socket::{Limits, WebSocket};

pub use fastwebsockets::upgrade::is_upgrade_request;

/// A connection that becomes a WebSocket once its request is answered.
#[derive(Debug)]
pub struct Upgrade(UpgradeFut);

/// The request is no handshake of a WebSocket.
#[derive(Debug)]
pub struct NoHandshake(WebSocketError);

impl fmt::Display for NoHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for NoHandshake {}

/// Accepts a handshake: gives the answer to send, and what the connection becomes then.
///
/// # Errors
/// [`NoHandshake`] when a header is missing or wrong.
pub fn accept<B, A: Default>(request: &mut Request<B>) -> Result<(Response<A>, Upgrade), NoHandshake> {
    let (response, upgraded) = upgrade(request).map_err(NoHandshake)?;
    Ok((response.map(|_| A::default()), Upgrade(upgraded)))
}

impl Upgrade {
    /// Waits for the connection.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn connection(self) -> Result<TokioIo<Upgraded>, NoHandshake> {
        Ok(self.0.await.map_err(NoHandshake)?.into_inner())
    }

    /// Waits for the socket.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn socket(self, limits: &Limits) -> Result<WebSocket, NoHandshake> {
        Ok(WebSocket::new(self.connection().await?, Role::Server, limits))
    }
}
