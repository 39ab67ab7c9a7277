//! One address for HTTP/2 and HTTP/1.1, near or far. The first bytes of a connection tell which it speaks, because HTTP/2 begins
//! with a preface (RFC 9113, section 3.4).

use std::fmt::Display;
use std::io::{self, Cursor};
use std::pin::pin;
use std::time::Duration;

use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Chain, Join, ReadHalf, WriteHalf, join, split};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;

use crate::agent::connection::Outage;
use crate::distance::{Connection, serve_at};

/// HTTP/2's preface.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a connection may take to send its first bytes.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait after a failed accept.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Accepts connections for as long as there are any, and serves each by its protocol. In an outage they break.
pub(super) async fn serve_each<I, E, F, G>(
    incoming: impl Stream<Item = Result<I, E>>,
    outage: &Outage,
    distance: Duration,
    serve_http2: impl Fn(SniffedConnection<Connection>) -> F + Clone + Send + 'static,
    serve_http1: impl Fn(SniffedConnection<Connection>) -> G + Clone + Send + 'static,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    E: Display,
    F: Future<Output = ()> + Send + 'static,
    G: Future<Output = ()> + Send + 'static,
{
    let mut incoming = pin!(incoming);
    let mut connections = JoinSet::new();
    loop {
        let connection = tokio::select! {
            connection = incoming.next() => connection,
            Some(_) = connections.join_next() => continue,
        };
        match connection {
            None => break,
            Some(Err(error)) => {
                tracing::warn!(%error, "the lab's agent cannot take a connection");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
            Some(Ok(_)) if outage.until().is_some() => {}
            Some(Ok(connection)) => {
                let (serve_http2, serve_http1) = (serve_http2.clone(), serve_http1.clone());
                let outage = outage.clone();
                connections.spawn(async move {
                    let served = serve_at(distance, connection, async move |connection| {
                        match tokio::time::timeout(PREFACE_TIMEOUT, sniff(connection)).await {
                            Ok(Ok((begun, true))) => serve_http2(begun).await,
                            Ok(Ok((begun, false))) => serve_http1(begun).await,
                            // The client left, or sent nothing.
                            Ok(Err(_)) | Err(_) => {}
                        }
                    });
                    tokio::select! {
                        () = served => {}
                        _ = outage.begins() => {}
                    }
                });
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Reads until it is clear whether the client speaks HTTP/2.
async fn sniff<I: AsyncRead + AsyncWrite + Unpin>(mut inner: I) -> io::Result<(SniffedConnection<I>, bool)> {
    let mut head = Vec::with_capacity(PREFACE.len());
    while head.len() < PREFACE.len() && PREFACE.starts_with(&head) {
        let mut more = [0; PREFACE.len()];
        let count = inner.read(&mut more[..PREFACE.len() - head.len()]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&more[..count]);
    }
    let is_http2 = head == PREFACE;
    let (reader, writer) = split(inner);
    Ok((join(Cursor::new(head).chain(reader), writer), is_http2))
}

/// A connection whose first bytes have been read; they are read once more.
pub(super) type SniffedConnection<I> = Join<Chain<Cursor<Vec<u8>>, ReadHalf<I>>, WriteHalf<I>>;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn begun(sent: &[&[u8]]) -> io::Result<(Vec<u8>, bool)> {
        let (mut ours, theirs) = tokio::io::duplex(3);
        let writing = async {
            for part in sent {
                ours.write_all(part).await?;
            }
            ours.shutdown().await
        };
        let reading = async {
            let (mut begun, is_http2) = sniff(theirs).await?;
            let mut all = Vec::new();
            begun.read_to_end(&mut all).await?;
            Ok((all, is_http2))
        };
        tokio::join!(writing, reading).1
    }

    #[tokio::test]
    async fn the_first_bytes_tell_and_are_read_once_more() {
        let http2 = [PREFACE, b"more"].concat();
        assert_eq!(begun(&[b"PR", &http2[2..]]).await.unwrap(), (http2.clone(), true));
        for http1 in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"PRI * HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n"] {
            assert_eq!(begun(&[http1]).await.unwrap(), (http1.to_vec(), false));
        }
        assert!(begun(&[b"PRI"]).await.is_err());
    }
}
