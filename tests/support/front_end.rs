//! The front end of a service in public: it ends TLS like Cloud Run's, and can be set up wrong like any proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use dialbridge_lab::served::Served;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// The longest request head, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// A test's own certificate authority, with one certificate for all names that it needs.
pub struct Authority {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    /// Creates a certificate for these names.
    #[must_use]
    pub fn for_names(names: &[&str]) -> Self {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        Self { certificate: made.cert.der().clone(), key }
    }

    /// A client configuration that trusts only this authority.
    #[must_use]
    pub fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// The authority's certificate in PEM form.
    #[must_use]
    pub fn pem(&self) -> String {
        let base64 = base64::engine::general_purpose::STANDARD.encode(&self.certificate);
        let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// Starts a server with that certificate that speaks HTTP/2 and HTTP/1.1 and forwards all requests to `upstream`.
    /// It ends when the returned value is dropped.
    pub async fn before_http(&self, upstream: SocketAddr) -> Served {
        self.before(upstream, &["h2", "http/1.1"]).await
    }

    /// The same for a server that chooses among these protocols. Without any it chooses none, whatever the client offers.
    pub async fn before(&self, upstream: SocketAddr, protocols: &[&str]) -> Served {
        let mut tls = (*self.server()).clone();
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let tls = TlsAcceptor::from(Arc::new(tls));
        let forward = move |tls: TlsAcceptor, stream| async move {
            // A client that does not trust the certificate leaves.
            let Ok(mut client) = tls.accept(stream).await else { return };
            let Ok(mut server) = TcpStream::connect(upstream).await else { return };
            let _ = copy_bidirectional(&mut client, &mut server).await;
        };
        Served::on_loopback(tls, forward).await.unwrap()
    }

    fn server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let chain = vec![self.certificate.clone()];
        Arc::new(builder.with_no_client_auth().with_single_cert(chain, self.key.clone_key()).unwrap())
    }
}

/// How a proxy treats requests.
#[derive(Debug, Clone, Default)]
pub struct Proxy {
    /// It does not tell that requests came over TLS.
    pub hides_tls: bool,
    /// It does not forward upgrades.
    pub drops_upgrades: bool,
    /// It answers paths that begin like that itself, with that status, location and body.
    pub answers: Option<(&'static str, u16, &'static str, &'static str)>,
    /// It accepts requests and answers none.
    pub is_silent: bool,
}

/// Forwards requests to `upstream` as that proxy does. With an authority it expects TLS.
pub(crate) async fn front_end(upstream: SocketAddr, authority: Option<&Authority>, proxy: Proxy) -> Served {
    let tls = authority.map(|authority| TlsAcceptor::from(authority.server()));
    let forward = move |(tls, proxy): (Option<TlsAcceptor>, Proxy), stream| async move {
        // Some tests are about clients that break off.
        let _ = match tls {
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => pass_on(stream, upstream, &proxy, true).await,
                Err(error) => Err(error),
            },
            None => pass_on(stream, upstream, &proxy, false).await,
        };
    };
    Served::on_loopback((tls, proxy), forward).await.unwrap()
}

/// Forwards one request and its answer, or one WebSocket.
async fn pass_on<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: S,
    upstream: SocketAddr,
    proxy: &Proxy,
    is_tls: bool,
) -> io::Result<()> {
    let (head, rest) = head(&mut client).await?;
    if proxy.is_silent {
        return std::future::pending().await;
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    if let Some((prefix, status, location, body)) = proxy.answers
        && path.starts_with(prefix)
    {
        let location = if location.is_empty() { String::new() } else { format!("location: {location}\r\n") };
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status} Said\r\n{location}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
        client.write_all(answer.as_bytes()).await?;
        return client.shutdown().await;
    }
    let mut server = TcpStream::connect(upstream).await?;
    server.write_all(forwarded(&head, proxy, is_tls).as_bytes()).await?;
    server.write_all(&rest).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// A request's head with its empty line, and the bytes read after it.
async fn head<S: AsyncRead + Unpin>(client: &mut S) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        if bytes.len() > MAX_HEAD_BYTES || client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn forwarded(head: &str, proxy: &Proxy, is_tls: bool) -> String {
    let is_upgrade = head.to_ascii_lowercase().contains("\r\nupgrade:") && !proxy.drops_upgrades;
    let dropped = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !is_upgrade && matches!(name.as_str(), "connection" | "upgrade")
    };
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").filter(|line| !dropped(line)).collect();
    if is_tls && !proxy.hides_tls {
        lines.push("x-forwarded-proto: https");
    }
    if !is_upgrade {
        lines.push("connection: close");
    }
    lines.join("\r\n") + "\r\n\r\n"
}
