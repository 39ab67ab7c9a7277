//! A proxy between the service and the Internet, as companies have them: it opens tunnels (`CONNECT`), and can be as wrong
//! or as slow as any of them.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::TcpStream;

use crate::served::Served;

/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: u64 = 16 * 1024;

/// A proxy; it stops when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    asked: Asked,
    served: Served,
}

/// The requests of all connections.
type Asked = Arc<Mutex<Vec<ProxyRequest>>>;

/// A request to the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyRequest {
    /// Such as `CONNECT agent.test:443`.
    pub line: String,
    /// `Proxy-Authorization`, if the request has it.
    pub authorization: Option<String>,
}

/// What the proxy does with requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProxyBehaviour {
    /// It opens tunnels to the hosts that it knows, and answers 502 for others.
    #[default]
    Tunnels,
    /// It answers with this status.
    Refuses(u16),
    /// It never answers.
    Silent,
    /// The head of its answer has no end.
    Endless,
}

impl Proxy {
    /// Serves on a free port of the loopback address. `hosts` are the servers that it reaches, by `host:port`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(behaviour: ProxyBehaviour, hosts: &[(&str, SocketAddr)]) -> io::Result<Self> {
        let hosts: BTreeMap<String, SocketAddr> =
            hosts.iter().map(|(host, address)| ((*host).to_owned(), *address)).collect();
        let asked = Asked::default();
        let state = (behaviour, Arc::new(hosts), asked.clone());
        let served = Served::on_loopback(state, |(behaviour, hosts, asked), client| async move {
            // A client that breaks off does not concern the proxy.
            let _ = carry(BufReader::new(client), behaviour, &hosts, &asked).await;
        });
        Ok(Self { asked, served: served.await? })
    }

    /// Its URL, with that login in it.
    #[must_use]
    pub fn url(&self, login: &str) -> String {
        let at = if login.is_empty() { "" } else { "@" };
        format!("http://{login}{at}{}", self.served.address())
    }

    /// The requests so far, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<ProxyRequest> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn carry(
    mut client: BufReader<TcpStream>,
    behaviour: ProxyBehaviour,
    hosts: &BTreeMap<String, SocketAddr>,
    asked: &Asked,
) -> io::Result<()> {
    let request = read(&mut client).await?;
    let target = request.line.strip_prefix("CONNECT ").unwrap_or_default().to_owned();
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    let said = |status: u16| format!("HTTP/1.1 {status} Said\r\n\r\n");
    match (behaviour, hosts.get(&target)) {
        (ProxyBehaviour::Silent, _) => std::future::pending().await,
        (ProxyBehaviour::Endless, _) => loop {
            client.write_all(b"HTTP/1.1 200 OK\r\nX-Long: ").await?;
            client.write_all(&[b'x'; 1024]).await?;
        },
        (ProxyBehaviour::Refuses(status), _) => client.write_all(said(status).as_bytes()).await,
        (ProxyBehaviour::Tunnels, None) => client.write_all(said(502).as_bytes()).await,
        (ProxyBehaviour::Tunnels, Some(address)) => {
            let mut server = TcpStream::connect(address).await?;
            client.write_all(said(200).as_bytes()).await?;
            copy_bidirectional(&mut client, &mut server).await.map(drop)
        }
    }
}

/// Reads a request's head.
async fn read(client: &mut BufReader<TcpStream>) -> io::Result<ProxyRequest> {
    let mut lines = client.take(MAX_HEAD_BYTES).lines();
    let mut line = lines.next_line().await?.unwrap_or_default();
    if let Some(end) = line.rfind(" HTTP/") {
        line.truncate(end);
    }
    let mut authorization = None;
    while let Some(header) = lines.next_line().await?.filter(|header| !header.is_empty()) {
        let value = header.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
        authorization = value.map(|(_, value)| value.trim().to_owned()).or(authorization);
    }
    Ok(ProxyRequest { line, authorization })
}
