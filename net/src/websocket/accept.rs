//! The server's side of the handshake.

use std::error::Error;

use fastwebsockets::Role;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use http::{Request, Response};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use super::socket::{Limits, WebSocket};

pub use fastwebsockets::upgrade::is_upgrade_request;

/// A connection that becomes a WebSocket after its request is answered.
#[derive(Debug)]
pub struct Upgrade(UpgradeFut);

/// Accepts a handshake. Returns the response to send, and the upgrade that follows it.
///
/// # Errors
/// If a header is missing or wrong.
pub fn accept<B, A: Default>(request: &mut Request<B>) -> Result<(Response<A>, Upgrade), impl Error + use<B, A>> {
    upgrade(request).map(|(response, upgraded)| (response.map(|_| A::default()), Upgrade(upgraded)))
}

impl Upgrade {
    /// Waits for the connection.
    ///
    /// # Errors
    /// If the connection ends first.
    pub async fn connection(self) -> Result<TokioIo<Upgraded>, impl Error> {
        self.0.await.map(fastwebsockets::WebSocket::into_inner)
    }

    /// Waits for the WebSocket.
    ///
    /// # Errors
    /// If the connection ends first.
    pub async fn socket(self, limits: &Limits) -> Result<WebSocket, impl Error> {
        let connection = self.connection().await;
        connection.map(|connection| WebSocket::new(connection, Role::Server, limits))
    }
}
