//! How far away a server is: what a connection carries arrives later, in order, each way. Nothing waits for anything
//! else, so the distance does not limit how much goes through.

use std::future::pending;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex, split};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How many bytes are read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// The room in a buffer for another chunk, in bytes.
const MIN_CHUNK_BYTES: usize = 1_024;

/// How many chunks may be on their way. A second of the audio of a hundred calls, frame by frame, is half as many.
const MAX_CHUNKS: usize = 10_000;

/// How many bytes may have arrived and wait to be read.
const ARRIVED_BYTES: usize = 64 << 10;

/// A connection, near or far.
pub(crate) type Connection = Box<dyn ReadWrite>;

/// What a connection can do.
pub(crate) trait ReadWrite: AsyncRead + AsyncWrite + Unpin + Send {}

impl<I: AsyncRead + AsyncWrite + Unpin + Send> ReadWrite for I {}

/// Serves a connection as if its client were that far away. Ends when `serve` has ended and its last bytes have arrived.
pub(crate) async fn serve_at<F: Future<Output = ()>>(
    distance: Duration,
    connection: impl ReadWrite + 'static,
    serve: impl FnOnce(Connection) -> F,
) {
    if distance.is_zero() {
        return serve(Box::new(connection)).await;
    }
    let (ours, theirs) = duplex(ARRIVED_BYTES);
    let (from_client, to_client) = split(connection);
    let (from_server, to_server) = split(theirs);
    let served = async {
        tokio::join!(serve(Box::new(ours)), carry(distance, from_server, to_client));
    };
    let client = async {
        carry(distance, from_client, to_server).await;
        pending().await
    };
    tokio::select! {
        () = served => {}
        () = client => {}
    }
}

/// Carries bytes until there are no more or nobody takes them.
async fn carry(distance: Duration, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let (departs, mut arrives) = mpsc::channel::<(Instant, Bytes)>(MAX_CHUNKS);
    let departing = async move {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        loop {
            let is_over = !matches!(from.read_buf(&mut chunk).await, Ok(1..));
            // The end is on its way too: a chunk without bytes.
            if departs.send((Instant::now() + distance, chunk.split().freeze())).await.is_err() || is_over {
                return;
            }
            // A short chunk must not keep a whole buffer while it is on its way.
            if chunk.capacity() < MIN_CHUNK_BYTES {
                chunk.reserve(CHUNK_BYTES);
            }
        }
    };
    let arriving = async move {
        while let Some((at, chunk)) = arrives.recv().await {
            sleep_until(at).await;
            let arrived = if chunk.is_empty() { to.shutdown().await } else { to.write_all(&chunk).await };
            if arrived.is_err() {
                return;
            }
        }
    };
    tokio::join!(departing, arriving);
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Duration = Duration::from_millis(120);

    #[tokio::test(start_paused = true)]
    async fn everything_arrives_in_order_and_later_and_a_round_trip_takes_twice_the_distance() {
        let (mut client, server) = duplex(1 << 20);
        let serving = serve_at(FAR, server, async |mut connection| {
            let mut came = vec![0; 300_000];
            connection.read_exact(&mut came).await.unwrap();
            connection.write_all(&came).await.unwrap();
        });
        let began = Instant::now();
        let asking = async {
            let sent: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[1]).collect();
            client.write_all(&sent).await.unwrap();
            let mut came = Vec::new();
            client.read_to_end(&mut came).await.unwrap();
            assert!(came == sent);
        };
        tokio::join!(serving, asking);
        let took = began.elapsed();
        assert!(took >= 2 * FAR && took < 3 * FAR, "{took:?}: the distance does not add up over the chunks");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_and_a_server_that_ends_are_noticed_at_the_other_side() {
        let (client, server) = duplex(1_000);
        drop(client);
        let began = Instant::now();
        let serving = serve_at(FAR, server, async |mut connection| {
            assert_eq!(connection.read(&mut [0]).await.unwrap(), 0);
        });
        serving.await;
        assert!(began.elapsed() >= FAR);

        let (mut client, server) = duplex(1_000);
        tokio::join!(serve_at(FAR, server, async |connection| drop(connection)), async {
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        });
    }
}
