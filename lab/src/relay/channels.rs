//! Connections to the agent: a new one for every eighty calls.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tonic::transport::{Channel, Endpoint, Error};

/// How many calls share a connection; Google's front end takes about 100 streams on one.
const CALLS_PER_CHANNEL: usize = 80;

/// HTTP/2's windows: an answer must not wait for a round trip.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

#[derive(Debug)]
pub(super) struct Channels {
    endpoint: Endpoint,
    members: Mutex<Vec<Lease>>,
}

/// A channel, with a place for one call as long as this lives.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) channel: Channel,
    calls: Arc<AtomicUsize>,
}

impl Lease {
    fn take(&self) -> Self {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Self { channel: self.channel.clone(), calls: self.calls.clone() }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Channels {
    pub(super) fn new(agent_url: &str) -> Result<Self, Error> {
        let endpoint = Endpoint::from_shared(agent_url.to_owned())?
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        Ok(Self { endpoint, members: Mutex::default() })
    }

    /// A channel for a call. It is requested once per call, so no frame waits for the lock.
    pub(super) fn lease(&self) -> Lease {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let with_room = members.iter().find(|member| member.calls.load(Ordering::Relaxed) < CALLS_PER_CHANNEL);
        if let Some(member) = with_room {
            return member.take();
        }
        // The pool's own reference does not count.
        let member = Lease { channel: self.endpoint.connect_lazy(), calls: Arc::default() };
        let lease = member.take();
        members.push(member);
        lease
    }
}
