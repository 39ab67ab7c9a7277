//! Bounds of what comes in from outside, so that nobody can fill memory or hold a place for nothing.

use std::time::Duration;

use super::value::{number, set};
use super::{SettingError, Settings};

/// hyper's least buffer for a head, in bytes.
const LEAST_HEAD_BYTES: u64 = 8_192;

/// Below the 100 that Google's front end takes, for a stream that ends still counts for a moment.
const STREAMS_PER_CONNECTION: u64 = 80;
const MOST_STREAMS_PER_CONNECTION: u64 = 100;

/// Long enough for several of a thousand calls' frames, short enough for a median below half a millisecond.
const GATHER_US: u64 = 250;
/// A quarter of a frame: beyond it there is little left to be saved.
const MOST_GATHER_US: u64 = 5_000;

/// Bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Started streams at once.
    pub max_calls: usize,
    /// Media sockets at once whose stream has not started.
    pub waiting_sockets: usize,
    /// Connections at once that no media socket has become of.
    pub connections: usize,
    /// How long the head of a request may take.
    pub head: Duration,
    /// The longest head of a request, in bytes.
    pub head_bytes: usize,
    /// How long the body of a request may take.
    pub body: Duration,
    /// The longest body of a request, in bytes.
    pub body_bytes: usize,
    /// The longest message over a media socket, its fragments together, in bytes.
    pub message_bytes: usize,
    /// From the opening of a media socket to Twilio's `start`.
    pub start: Duration,
    /// How long nothing may come over a media socket whose stream has started.
    pub quiet: Duration,
    /// How long a media socket may take nothing of what is sent over it.
    pub slow: Duration,
    /// How many messages may wait for a media socket.
    pub queued_messages: usize,
    /// Streams that share a connection to the agent.
    pub streams_per_connection: usize,
    /// How long frames are gathered under load.
    pub gather: Duration,
}

impl Settings {
    pub(super) fn limits(&self) -> Result<Limits, SettingError> {
        let seconds = |name, value: &Option<String>, default: u64| {
            number(name, set(value), default, 1..=300, "10").map(Duration::from_secs)
        };
        let count = |name, value: &Option<String>, default: u64, most: u64, example| {
            number(name, set(value), default, 1..=most, example)
                .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
        };
        let head_bytes =
            number("MOST_HEAD_BYTES", set(&self.most_head_bytes), 16_384, LEAST_HEAD_BYTES..=1 << 20, "16384")?;
        Ok(Limits {
            max_calls: count("MAX_CALLS", &self.max_calls, 1_000, 1_000_000, "1000")?,
            waiting_sockets: count("MOST_WAITING_SOCKETS", &self.most_waiting_sockets, 200, 1_000_000, "200")?,
            connections: count("MOST_CONNECTIONS", &self.most_connections, 5_000, 1_000_000, "5000")?,
            head: seconds("HEAD_SECONDS", &self.head_seconds, 10)?,
            head_bytes,
            body: seconds("BODY_SECONDS", &self.body_seconds, 10)?,
            body_bytes: count("MOST_BODY_BYTES", &self.most_body_bytes, 65_536, 1 << 20, "65536")?,
            message_bytes: count("MOST_MESSAGE_BYTES", &self.most_message_bytes, 65_536, 1 << 20, "65536")?,
            start: seconds("START_SECONDS", &self.start_seconds, 10)?,
            quiet: seconds("QUIET_SOCKET_SECONDS", &self.quiet_socket_seconds, 30)?,
            slow: seconds("SLOW_SOCKET_SECONDS", &self.slow_socket_seconds, 20)?,
            queued_messages: count("MOST_QUEUED_MESSAGES", &self.most_queued_messages, 1_024, 100_000, "1024")?,
            streams_per_connection: count(
                "STREAMS_PER_CONNECTION",
                &self.streams_per_connection,
                STREAMS_PER_CONNECTION,
                MOST_STREAMS_PER_CONNECTION,
                "80",
            )?,
            gather: number("GATHER_MICROSECONDS", set(&self.gather_microseconds), GATHER_US, 0..=MOST_GATHER_US, "250")
                .map(Duration::from_micros)?,
        })
    }
}

impl Default for Limits {
    /// Those of a service that sets none.
    fn default() -> Self {
        Settings::default().limits().expect("no setting, no wrong one")
    }
}
