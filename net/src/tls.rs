//! Which certificates are trusted: the platform's, or bundled ones where the platform has none (an image made from
//! scratch has no CA bundle).

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Installs the cryptography of this process. To be called first in `main`: libraries that find none panic.
pub fn install_crypto() {
    // It fails only where one is installed already, and that one serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Whether the platform has certificates.
#[must_use]
pub fn platform_has_roots() -> bool {
    !rustls_native_certs::load_native_certs().certs.is_empty()
}

/// The client's side of TLS.
///
/// # Errors
/// When the cryptography has no protocol version in common with rustls.
pub fn client_config() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
