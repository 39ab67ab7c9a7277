//! Connections: those of a listener, and single ones in a test.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::admin::Peer;
use super::routes::traced;
use crate::service::Service;

/// How long we wait after the system could not accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves a listener for ever.
pub async fn serve(service: Arc<Service>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    connections.spawn(service.clone().keep_agents());
    let room = Arc::new(Semaphore::new(service.config().limits.connections));
    loop {
        // Never closed, so a permit always comes.
        let permit = room.clone().acquire_owned().await;
        match accept(&listener).await {
            Ok((stream, peer)) => {
                let serving = serve_connection_from(service.clone(), stream, Some(peer));
                connections.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            Err(error) => {
                // No room for another connection: some will end.
                tracing::error!(%error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, IpAddr)> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    // A socket for both kinds of addresses writes IPv4 addresses as IPv6 ones.
    Ok((stream, peer.ip().to_canonical()))
}

/// Serves one connection to its end. A media stream outlives it.
pub async fn serve_connection<S>(service: Arc<Service>, connection: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    serve_connection_from(service, connection, None).await;
}

/// Like [`serve_connection`], for a connection from this address.
async fn serve_connection_from<S>(service: Arc<Service>, connection: S, peer: Option<IpAddr>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let limits = service.config().limits;
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let service = service.clone();
        if let Some(peer) = peer {
            request.extensions_mut().insert(Peer(peer));
        }
        async move { Ok::<_, Infallible>(traced(service, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(connection), answer)
        .with_upgrades();
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection has ended early");
    }
}
