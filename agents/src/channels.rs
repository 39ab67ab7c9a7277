//! Connections to the agent. Google's front end allows about 100 streams on a connection; further streams would wait
//! without an error. So we open connections as streams come, one ahead of need, and close them when they are not
//! needed.
//!
//! After GOAWAY a connection takes no new streams. hyper opens another connection in its place, and the streams on the
//! old one run to their end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint as TonicEndpoint, Error};

use crate::address::Endpoint;
use dialbridge_net::dial::{Connector, Dial};

/// We open another connection ahead of need when all connections together have fewer free places than this part of one
/// connection's places.
const SPARE_SHARE: usize = 4;

/// How long a connection without streams stays open. One connection always stays.
const IDLE: Duration = Duration::from_secs(120);

/// How often we look for idle connections.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often we ping an open connection, even without calls. gRPC servers allow one ping in five minutes without
/// streams; with streams, Google allows more.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How long the answer to a ping may take. After that the connection is dead and its streams fail.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// HTTP/2's window of a stream, in bytes. Five seconds of LINEAR16 at 24,000 Hz fit into it and do not wait for a round
/// trip. A larger one delays other calls' frames: what fifty streams have received is read at once. The window of a
/// connection has room for those of all its streams, so a stream whose message waits for room holds up no other.
const STREAM_WINDOW: u32 = 256 << 10;

/// HTTP/2's largest window, in bytes (RFC 9113, section 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// A pool of connections. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Channels(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    endpoint: TonicEndpoint,
    dial: Arc<dyn Dial>,
    /// How many streams share a connection.
    max_streams: usize,
    members: Mutex<Vec<Member>>,
}

#[derive(Debug, Clone)]
struct Member {
    channel: Channel,
    streams: Arc<AtomicUsize>,
    /// When it last had a stream.
    used: Instant,
}

/// A connection with a place for one stream. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) channel: Channel,
    streams: Arc<AtomicUsize>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Member {
    fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }
}

impl Channels {
    pub(super) fn new(endpoint: &Endpoint, dial: Arc<dyn Dial>, max_streams: usize) -> Result<Self, Error> {
        let connection_window = u32::try_from(max_streams).unwrap_or(u32::MAX).saturating_mul(STREAM_WINDOW);
        let mut tonic = TonicEndpoint::from_shared(endpoint.url.clone())?
            .user_agent(concat!("dialbridge/", env!("CARGO_PKG_VERSION")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(connection_window.min(MAX_WINDOW));
        if !endpoint.is_plaintext {
            let tls = ClientTlsConfig::new();
            let has_roots = dialbridge_net::tls::platform_has_roots();
            tonic = tonic.tls_config(if has_roots { tls.with_native_roots() } else { tls.with_webpki_roots() })?;
        }
        Ok(Self(Arc::new(Inner { endpoint: tonic, dial, max_streams, members: Mutex::default() })))
    }

    /// Opens the first connection and waits for it.
    pub(super) async fn warm_up(&self) -> Result<(), Error> {
        if !self.members().is_empty() {
            return Ok(());
        }
        let channel = self.0.endpoint.connect_with_connector(Connector(self.0.dial.clone())).await?;
        self.add(channel);
        Ok(())
    }

    /// Closes connections that are not needed, for as long as it is polled.
    pub(super) async fn maintain(self) {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            self.close_idle();
        }
    }

    /// Takes a place on the connection with the fewest streams, so that a broken connection ends as few calls as
    /// possible.
    pub(super) fn lease(&self) -> Lease {
        let max_streams = self.0.max_streams;
        let mut members = self.members();
        let least = members.iter().map(Member::streams).min().filter(|streams| *streams < max_streams);
        if least.is_none() {
            members.push(self.another());
        }
        let place = members.iter().enumerate().min_by_key(|(_, member)| member.streams()).map_or(0, |(place, _)| place);
        let member = &mut members[place];
        member.used = Instant::now();
        member.streams.fetch_add(1, Ordering::Relaxed);
        let lease = Lease { channel: member.channel.clone(), streams: member.streams.clone() };
        let free: usize = members.iter().map(|member| max_streams.saturating_sub(member.streams())).sum();
        if free < max_streams.div_ceil(SPARE_SHARE) {
            members.push(self.another());
        }
        lease
    }

    fn close_idle(&self) {
        let mut members = self.members();
        for member in members.iter_mut().filter(|member| member.streams() > 0) {
            member.used = Instant::now();
        }
        let mut rest = members.len();
        members.retain(|member| {
            let stays = rest == 1 || member.used.elapsed() < IDLE;
            rest -= usize::from(!stays);
            stays
        });
    }

    /// Adds a connection that opens with its first stream. During those few milliseconds new streams use the free
    /// places of the other connections.
    fn another(&self) -> Member {
        let channel = self.0.endpoint.connect_with_connector_lazy(Connector(self.0.dial.clone()));
        Member { channel, streams: Arc::default(), used: Instant::now() }
    }

    fn add(&self, channel: Channel) {
        self.members().push(Member { channel, streams: Arc::default(), used: Instant::now() });
    }

    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.0.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of connections, and of streams on all of them.
    pub(super) fn load(&self) -> (usize, usize) {
        let members = self.members();
        (members.len(), members.iter().map(Member::streams).sum())
    }

    #[cfg(test)]
    fn streams(&self) -> Vec<usize> {
        self.members().iter().map(Member::streams).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_net::dial::Tcp;

    const STREAMS_PER_CONNECTION: usize = 80;

    fn channels() -> Channels {
        let endpoint = Endpoint { url: "http://127.0.0.1:9".to_owned(), is_plaintext: true };
        Channels::new(&endpoint, Arc::new(Tcp), STREAMS_PER_CONNECTION).unwrap()
    }

    #[tokio::test]
    async fn streams_spread_evenly_and_no_connection_has_more_than_its_share() {
        let channels = channels();
        let leases: Vec<Lease> = (0..200).map(|_| channels.lease()).collect();
        let streams = channels.streams();
        assert_eq!(streams.iter().sum::<usize>(), 200);
        assert!(streams.iter().all(|streams| *streams <= STREAMS_PER_CONNECTION), "{streams:?}");
        drop(leases);
        let _leases: Vec<Lease> = (0..90).map(|_| channels.lease()).collect();
        let streams = channels.streams();
        assert!(streams.iter().max().unwrap() - streams.iter().min().unwrap() <= 1, "{streams:?}");
    }

    #[tokio::test]
    async fn a_connection_is_there_before_it_is_needed() {
        let channels = channels();
        let _leases: Vec<Lease> = (0..STREAMS_PER_CONNECTION).map(|_| channels.lease()).collect();
        assert_eq!(channels.streams().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_are_closed_and_one_stays() {
        let channels = channels();
        let mut leases: Vec<Lease> = (0..200).map(|_| channels.lease()).collect();
        tokio::time::advance(IDLE).await;
        channels.close_idle();
        assert!(channels.streams().len() >= 3, "those with streams stay");
        leases.clear();
        tokio::time::advance(IDLE / 2).await;
        channels.close_idle();
        assert!(channels.streams().len() >= 3, "not at once");
        tokio::time::advance(IDLE).await;
        channels.close_idle();
        assert_eq!(channels.streams(), [0]);
    }
}
