//! Connections to the agent. Google's front end allows about 100 streams on a connection; further streams would wait
//! without an error. So we open connections as streams come, one ahead of need, and close them when they are not
//! needed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dialbridge_core::agent::AgentFault;
use tokio::time::Instant;

use crate::connection::{Connection, Connector};

/// We open another connection ahead of need when all connections together have fewer free places than this part of one
/// connection's places.
const SPARE_SHARE: usize = 4;

/// How long a connection without streams stays open. One connection always stays.
const IDLE: Duration = Duration::from_secs(120);

/// How often we look for idle connections.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// A pool of connections. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Channels(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: Arc<Connector>,
    /// How many streams share a connection.
    max_streams: usize,
    members: Mutex<Vec<Member>>,
}

#[derive(Debug, Clone)]
struct Member {
    connection: Arc<Connection>,
    streams: Arc<AtomicUsize>,
    /// When it last had a stream.
    used: Instant,
}

/// A connection with a place for one stream. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) connection: Arc<Connection>,
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
    /// A pool of connections that take `max_streams` each.
    pub(super) fn new(connector: Connector, max_streams: usize) -> Self {
        Self(Arc::new(Inner { connector: Arc::new(connector), max_streams, members: Mutex::default() }))
    }

    /// Opens the first connection and waits for it.
    pub(super) async fn warm_up(&self) -> Result<(), AgentFault> {
        let first = {
            let mut members = self.members();
            if members.is_empty() {
                members.push(self.another());
            }
            members[0].connection.clone()
        };
        first.ready().await.map(drop)
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
        let lease = Lease { connection: member.connection.clone(), streams: member.streams.clone() };
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
        let connection = Arc::new(Connection::new(self.0.connector.clone()));
        Member { connection, streams: Arc::default(), used: Instant::now() }
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
    use crate::address::Endpoint;
    use crate::target::Target;
    use dialbridge_net::dial::Tcp;

    const STREAMS_PER_CONNECTION: usize = 80;

    fn channels() -> Channels {
        let endpoint = Endpoint { url: "http://127.0.0.1:9".to_owned(), is_plaintext: true };
        let target = Target::http2(&endpoint, Arc::new(Tcp)).unwrap();
        Channels::new(Connector::new(target, STREAMS_PER_CONNECTION), STREAMS_PER_CONNECTION)
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
