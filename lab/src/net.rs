//! Connects the lab's parts and the service: over TCP and TLS, or over pipes inside one process. With pipes a whole
//! call can run on tokio's virtual clock (`start_paused`), because nothing waits for a real socket.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use dialbridge_net::dial::{Dial, Dialled, Io, Tcp};
use dialbridge_net::tls::{ConnectError, connect};
use http::Uri;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

/// How many bytes a pipe holds for a reader that does not read.
const PIPE_BYTES: usize = 256 * 1024;

/// How many connections may wait to be accepted.
const BACKLOG: usize = 64;

/// How to reach a server.
#[derive(Debug, Clone, Default)]
pub enum Net {
    /// At its address.
    #[default]
    Tcp,
    /// In another way, such as through a proxy.
    Dialled(Arc<dyn Dial>),
    /// Under its name, inside this process.
    Pipes(Pipes),
}

/// Servers of this process, by `host:port`.
#[derive(Debug, Clone, Default)]
pub struct Pipes(Arc<Mutex<BTreeMap<String, mpsc::Sender<DuplexStream>>>>);

impl Pipes {
    /// Listens under a name, in place of an earlier listener. The channel delivers the connections.
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

impl Dial for Pipes {
    fn dial(&self, host: &str, port: u16) -> Dialled {
        let (pipes, authority) = (self.clone(), format!("{host}:{port}"));
        Box::pin(async move { pipes.connect(&authority).await.map(|pipe| Box::new(pipe) as Box<dyn Io>) })
    }
}

impl Net {
    /// Connects to the server of a URL, with TLS if the scheme is `https` or `wss`.
    pub(crate) async fn connect(&self, url: &Uri) -> Result<Box<dyn Io>, ConnectError> {
        let dial: &dyn Dial = match self {
            Self::Tcp => &Tcp,
            Self::Dialled(dial) => &**dial,
            Self::Pipes(pipes) => pipes,
        };
        connect(dial, None, url).await
    }
}
