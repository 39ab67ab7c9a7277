//! Where the lab's parts and the service meet: over TCP and TLS, or over pipes inside one process. With pipes a whole
//! call can run on tokio's virtual clock (`start_paused`), for then nothing waits for a real socket.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Uri;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How much a pipe holds for a reader that does not read, in bytes.
const PIPE_BYTES: usize = 256 * 1024;

/// How many connections wait to be accepted.
const BACKLOG: usize = 64;

/// How to reach a server.
#[derive(Debug, Clone, Default)]
pub enum Net {
    /// By its address.
    #[default]
    Tcp,
    /// By its name, inside this process.
    Pipes(Pipes),
}

/// A connection of any kind.
#[derive(Debug)]
pub enum Connection {
    /// TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
    /// A pipe.
    Pipe(DuplexStream),
}

/// Servers of this process, by `host:port`.
#[derive(Debug, Clone, Default)]
pub struct Pipes(Arc<Mutex<BTreeMap<String, mpsc::Sender<DuplexStream>>>>);

impl Pipes {
    /// Listens under a name, and takes it over from an earlier listener. Connections come out of the channel.
    #[must_use]
    pub fn listen(&self, authority: &str) -> mpsc::Receiver<DuplexStream> {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(authority.to_owned(), sender);
        receiver
    }

    /// Connects to a name.
    ///
    /// # Errors
    /// `ConnectionRefused` when nobody listens there.
    pub async fn connect(&self, authority: &str) -> io::Result<DuplexStream> {
        let listener = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(authority).cloned();
        let listener = listener.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        listener.send(theirs).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(ours)
    }
}

impl Net {
    /// Connects to the server of a URL, with TLS where the scheme is `https` or `wss`.
    ///
    /// # Errors
    /// As the socket gives them; `InvalidInput` for a URL without a host.
    pub async fn connect(&self, url: &Uri) -> io::Result<Connection> {
        let host = url.host().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the URL has no host"))?;
        let is_tls = matches!(url.scheme_str(), Some("https" | "wss"));
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        match self {
            Self::Pipes(pipes) => pipes.connect(&format!("{host}:{port}")).await.map(Connection::Pipe),
            Self::Tcp => {
                let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
                stream.set_nodelay(true)?;
                if is_tls { tls(stream, host).await } else { Ok(Connection::Tcp(stream)) }
            }
        }
    }
}

async fn tls(stream: TcpStream, host: &str) -> io::Result<Connection> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(Connection::Tls(Box::new(stream)))
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Pipe(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Pipe(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Pipe(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Pipe(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
