//! The load agent: the streams of Dialogflow CX, ES and CES, as lean as can be, so that one core serves a thousand
//! calls and everything else.
//!
//! It does not analyse speech: each frame carries a code that says what it is. It answers an utterance as Google does:
//! interim transcripts, a final one, and after some thinking time two seconds of audio. With CX and ES a stream is one
//! turn, with END_OF_SINGLE_UTTERANCE and the half-close in it. With CES a stream is the whole call, over gRPC or a
//! WebSocket, and speech into an answer interrupts it. The last four digits of the session are the call's number. The
//! first bytes of a connection tell which protocol the client speaks, so one address serves all of them.

mod ces;
mod ces_grpc;
mod ces_websocket;
mod cx;
mod es;
mod hearing;
mod http2;
mod planned;
mod response;
mod turn;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::audio::{AudioFormat, Encoding};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::distance::serve_at;
use crate::load::clock::now_us;
use crate::load::code::FRAME_MS;
use crate::load::ledger::{AgentFigures, Ledger};

use hearing::Voice;
use planned::Planned;
use turn::Phrases;

/// How long an answer is, in milliseconds.
pub const ANSWER_MS: u64 = 2_000;

/// Blocks of 20 ms in it.
pub(super) const ANSWER_BLOCKS: u64 = ANSWER_MS / FRAME_MS;

/// How long the agent thinks, in milliseconds.
pub const THINK_MS: u64 = 250;

/// What HTTP/2 begins with, and HTTP/1.1 does not (RFC 9113, section 3.4).
const PREFACE: &[u8; 3] = b"PRI";

/// The agent; clones share its ledger.
#[derive(Debug, Clone, Default)]
pub struct LoadAgent {
    ledger: Arc<Mutex<Ledger>>,
    said: Arc<Prepared>,
    /// How many turns reached their answer, for planned faults.
    failing: Option<Arc<AtomicU32>>,
    /// What it says in place of its short answers.
    long_answer: Option<Bytes>,
    /// How far away it is, each way.
    distance: Duration,
}

/// Messages that are sent again and again.
#[derive(Debug)]
struct Prepared {
    voice: Voice,
    cx: Phrases,
    es: Phrases,
}

impl Default for Prepared {
    fn default() -> Self {
        Self { voice: Voice::default(), cx: Phrases::of::<cx::Cx>(), es: Phrases::of::<es::Es>() }
    }
}

impl LoadAgent {
    /// An agent that fails some of its turns, for a soak.
    #[must_use]
    pub fn with_faults() -> Self {
        Self { failing: Some(Arc::default()), ..Self::default() }
    }

    /// Says so many seconds of a WAV in LINEAR16 at 24,000 Hz to each utterance, in one message (CX, ES).
    #[must_use]
    pub fn with_long_answers(self, seconds: u32) -> Self {
        let format = AudioFormat { encoding: Encoding::Linear16, sample_rate: 24_000 };
        let samples = (0..seconds * format.sample_rate).map(|n| if n / 30 % 2 == 0 { 4_000_i16 } else { -4_000 });
        let wav = write_wav(1, format, &samples.flat_map(i16::to_le_bytes).collect::<Vec<u8>>());
        Self { long_answer: Some(wav.into()), ..self }
    }

    /// Is that many milliseconds away, each way.
    #[must_use]
    pub fn at_distance(self, ms: u64) -> Self {
        Self { distance: Duration::from_millis(ms), ..self }
    }

    /// Serves a listener for ever.
    ///
    /// # Errors
    /// When no more connections can be accepted.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _): (TcpStream, SocketAddr) = listener.accept().await?;
            stream.set_nodelay(true)?;
            connections.spawn(self.clone().connection(stream));
            while connections.try_join_next().is_some() {}
        }
    }

    /// Begins the window in which latencies are measured.
    pub fn begin(&self) {
        self.ledger().begin(now_us());
    }

    /// The figures of what it has heard.
    #[must_use]
    pub fn figures(&self) -> AgentFigures {
        self.ledger().figures()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault of the turn that is to be answered next.
    fn next_fault(&self) -> Option<Planned> {
        Planned::of(self.failing.as_ref()?.fetch_add(1, Ordering::Relaxed))
    }

    /// Serves a connection by its protocol, and counts it while it is open.
    async fn connection(self, stream: TcpStream) {
        let mut head = [0; PREFACE.len()];
        let Ok(read @ 1..) = stream.peek(&mut head).await else { return };
        self.ledger().connections += 1;
        let is_http2 = PREFACE.starts_with(&head[..read]);
        let serve = async |connection| {
            if is_http2 {
                http2::serve(&self, connection).await;
            } else {
                ces_websocket::serve(&self, connection).await;
            }
        };
        serve_at(self.distance, stream, serve).await;
        self.ledger().connections -= 1;
    }
}

/// A stream that cannot go on.
#[derive(Debug)]
struct Failed;

impl From<h2::Error> for Failed {
    fn from(_: h2::Error) -> Self {
        Self
    }
}

/// A stream that counts as open.
struct OpenStream<'a>(&'a LoadAgent);

impl<'a> OpenStream<'a> {
    fn of(agent: &'a LoadAgent) -> Self {
        agent.ledger().stream_opened();
        Self(agent)
    }
}

impl Drop for OpenStream<'_> {
    fn drop(&mut self) {
        self.0.ledger().streams -= 1;
    }
}
