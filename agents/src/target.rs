//! Google's endpoint: where it is, and how a connection to it is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dialbridge_core::agent::AgentFault;
use dialbridge_net::dial::{Dial, Io};
use dialbridge_net::tls::{ConnectError, HTTP_2, client_config, connect};
use http::Uri;
use http::uri::{InvalidUri, PathAndQuery};
use rustls::ClientConfig;

use crate::address::Endpoint;
use crate::fault::{certificate_fault, unreachable, untrusted};

/// How long opening a connection may take, TLS included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An endpoint to connect to. Clones share its TLS sessions.
#[derive(Debug, Clone)]
pub(super) struct Target {
    url: Uri,
    dial: Arc<dyn Dial>,
    /// `None` for plaintext.
    tls: Option<Arc<ClientConfig>>,
}

/// Why an endpoint cannot be connected to, whatever the network does.
#[derive(Debug)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// It is no URL.
    Url(InvalidUri),
    /// TLS cannot be set up.
    Tls(rustls::Error),
}

impl fmt::Display for InvalidTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => write!(f, "the endpoint cannot be used: {error}"),
            Self::Tls(error) => write!(f, "TLS cannot be set up: {error}"),
        }
    }
}

impl std::error::Error for InvalidTarget {}

impl Target {
    /// An endpoint that speaks HTTP/1.1.
    pub(super) fn http1(endpoint: &Endpoint, dial: Arc<dyn Dial>) -> Result<Self, InvalidTarget> {
        Self::new(endpoint, dial, None)
    }

    /// An endpoint that speaks HTTP/2.
    pub(super) fn http2(endpoint: &Endpoint, dial: Arc<dyn Dial>) -> Result<Self, InvalidTarget> {
        Self::new(endpoint, dial, Some(HTTP_2))
    }

    fn new(endpoint: &Endpoint, dial: Arc<dyn Dial>, protocol: Option<&[u8]>) -> Result<Self, InvalidTarget> {
        let url = endpoint.url.parse().map_err(InvalidTarget::Url)?;
        if endpoint.is_plaintext {
            return Ok(Self { url, dial, tls: None });
        }
        let mut tls = client_config().map_err(InvalidTarget::Tls)?;
        tls.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        Ok(Self { url, dial, tls: Some(Arc::new(tls)) })
    }

    /// The URL of a path at the endpoint.
    pub(super) fn url_of(&self, path: PathAndQuery) -> Uri {
        let mut parts = self.url.clone().into_parts();
        parts.path_and_query = Some(path);
        // A URL with a host stays one, whatever its path is.
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// UNAVAILABLE with the reason.
    pub(super) async fn connect(&self) -> Result<Box<dyn Io>, AgentFault> {
        match tokio::time::timeout(CONNECT_TIMEOUT, connect(&*self.dial, self.tls.as_ref(), &self.url)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(ConnectError::Tls(error))) => Err(match certificate_fault(&error) {
                Some(why) => untrusted("UNAVAILABLE", &why),
                None => unreachable(&error.to_string()),
            }),
            Ok(Err(error)) => Err(unreachable(&error.to_string())),
            Err(_) => Err(not_in_time()),
        }
    }
}

/// No connection was opened within [`CONNECT_TIMEOUT`].
pub(super) fn not_in_time() -> AgentFault {
    unreachable("no connection was opened in time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_net::dial::Tcp;

    #[test]
    fn only_an_endpoint_for_grpc_offers_http2() {
        let endpoint = Endpoint { url: "https://agent.test".to_owned(), is_plaintext: false };
        let offers = |target: Result<Target, _>| target.unwrap().tls.unwrap().alpn_protocols.clone();
        assert_eq!(offers(Target::http2(&endpoint, Arc::new(Tcp))), [HTTP_2]);
        assert!(offers(Target::http1(&endpoint, Arc::new(Tcp))).is_empty());
    }
}
