//! Connections to the agent. Google's front end takes about 100 streams on a connection, and further ones would wait in
//! silence; so connections are opened as streams come.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tonic::transport::{Channel, ClientTlsConfig, Endpoint as TonicEndpoint, Error};

use crate::net::{Connector, Dial};
use crate::settings::Endpoint;

/// How many streams share a connection. Below 100, for a stream that ends still counts for a moment.
const STREAMS_PER_CONNECTION: usize = 80;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often an open connection is probed, also while no call is on it. gRPC servers allow one in five minutes without
/// streams; with streams Google's allows more.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How long the answer to a probe may take: then the connection is dead, and its streams fail.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// HTTP/2's windows: prompts come in one piece of up to some hundred kilobytes, and must not wait for a round trip.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// A pool of connections. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Channels {
    endpoint: TonicEndpoint,
    dial: Arc<dyn Dial>,
    members: Arc<Mutex<Vec<Member>>>,
}

#[derive(Debug, Clone)]
struct Member {
    channel: Channel,
    streams: Arc<AtomicUsize>,
}

/// A connection with a place for one stream; dropping it gives the place back.
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

impl Channels {
    pub(super) fn new(endpoint: &Endpoint, dial: Arc<dyn Dial>) -> Result<Self, Error> {
        let mut tonic = TonicEndpoint::from_shared(endpoint.url.clone())?
            .user_agent(concat!("dialbridge/", env!("CARGO_PKG_VERSION")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        if !endpoint.is_plaintext {
            let tls = ClientTlsConfig::new();
            let has_roots = crate::tls::platform_has_roots();
            tonic = tonic.tls_config(if has_roots { tls.with_native_roots() } else { tls.with_webpki_roots() })?;
        }
        Ok(Self { endpoint: tonic, dial, members: Arc::default() })
    }

    /// Opens the first connection and waits for it.
    pub(super) async fn warm_up(&self) -> Result<(), Error> {
        let channel = self.endpoint.connect_with_connector(Connector(self.dial.clone())).await?;
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.push(Member { channel, streams: Arc::default() });
        Ok(())
    }

    /// A connection with room; the least used one, so that a connection that breaks takes as few calls with it as can be.
    pub(super) fn lease(&self) -> Lease {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let least = members.iter().min_by_key(|member| member.streams.load(Ordering::Relaxed));
        let with_room = least.filter(|member| member.streams.load(Ordering::Relaxed) < STREAMS_PER_CONNECTION);
        let member = with_room.cloned().unwrap_or_else(|| {
            let channel = self.endpoint.connect_with_connector_lazy(Connector(self.dial.clone()));
            let member = Member { channel, streams: Arc::default() };
            members.push(member.clone());
            member
        });
        member.streams.fetch_add(1, Ordering::Relaxed);
        Lease { channel: member.channel, streams: member.streams }
    }
}
