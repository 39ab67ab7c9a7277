//! The certificates that we trust: the platform's, or bundled ones if the platform has none (an image made from scratch
//! has no CA bundle). Also connects to the server of a URL, with TLS if the scheme requires it.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use http::Uri;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::dial::{Dial, Io};
use crate::hosts::without_brackets;

/// HTTP/2 in TLS's list of protocols (RFC 9113, section 3.2).
pub const HTTP_2: &[u8] = b"h2";

/// Why we cannot connect to the server of a URL.
#[derive(Debug)]
pub enum ConnectError {
    /// The URL names no host.
    NoHost(String),
    /// The host cannot be reached.
    Unreachable(io::Error),
    /// The TLS handshake failed.
    Tls(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHost(why) => f.write_str(why),
            Self::Unreachable(error) | Self::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}

/// Connects to the server of a URL, with TLS if the scheme is `https` or `wss`. `None` for `tls` means
/// [`client_config`]. It has no deadline.
///
/// # Errors
/// [`ConnectError`] if there is no connection, or if the server does not choose HTTP/2 where only that is offered.
pub async fn connect(dial: &dyn Dial, tls: Option<&Arc<ClientConfig>>, url: &Uri) -> Result<Box<dyn Io>, ConnectError> {
    let host = url.host().ok_or_else(|| ConnectError::NoHost("it has no host".to_owned()))?;
    let is_tls = matches!(url.scheme_str(), Some("https" | "wss"));
    if !is_tls {
        return dial.dial(host, url.port_u16().unwrap_or(80)).await.map_err(ConnectError::Unreachable);
    }
    let dialled = dial.dial_for_tls(host, url.port_u16().unwrap_or(443));
    let connection = dialled.await.map_err(ConnectError::Unreachable)?;
    let name = ServerName::try_from(without_brackets(host).to_owned());
    let name = name.map_err(|_| ConnectError::NoHost(format!("{host} is no host's name")))?;
    let tls = match tls {
        Some(tls) => tls.clone(),
        None => Arc::new(client_config().map_err(|error| ConnectError::Tls(io::Error::other(error)))?),
    };
    let is_http2_only = tls.alpn_protocols == [HTTP_2];
    let connected = TlsConnector::from(tls).connect(name, connection).await.map_err(ConnectError::Tls)?;
    if is_http2_only && connected.get_ref().1.alpn_protocol() != Some(HTTP_2) {
        return Err(ConnectError::Tls(io::Error::other("the server does not speak HTTP/2")));
    }
    Ok(Box::new(connected))
}

/// Installs the cryptography of this process. Call it first in `main`: libraries that find none panic.
pub fn install_crypto() {
    // It fails only if a provider is installed already, and that one works too.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The trusted certificates. The process reads them once, because reading them takes milliseconds.
fn roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Arc::new(roots)
    };
    ROOTS.get_or_init(read).clone()
}

/// The client's TLS configuration.
///
/// # Errors
/// If the cryptography and rustls have no protocol version in common.
pub fn client_config() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots()).with_no_client_auth())
}
