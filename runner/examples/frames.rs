//! Sends callers' frames through the whole service, from the bytes of a media socket to the bytes for Dialogflow. All
//! of it runs in memory and in one thread, so that two runs execute the same instructions.
//!
//! ```text
//! cargo run --release -p dialbridge-runner --example frames -- [CALLS] [FRAMES] [AT_ONCE]
//! ```
//!
//! The frames of `AT_ONCE` calls arrive before the service runs, as when one wake-up serves several calls. The two ends
//! cost as little as possible: the caller is a pipe, and the agent accepts all bytes and speaks only as much HTTP/2 as
//! that needs. `.ci/instructions` runs this program under valgrind with two numbers of frames; the difference is the
//! cost of a frame.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is there to print")]

use std::io;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_net::dial::{Dial, Dialled, Io};
use dialbridge_runner::http::serve_connection;
use dialbridge_runner::service::{Dependencies, Service};
use dialbridge_runner::settings::{Platform, Settings};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::task::{JoinSet, yield_now};

/// The size of a caller's pipe, in bytes.
const PIPE: usize = 64 * 1024;

/// Audio in a frame, in bytes.
const FRAME: u64 = 160;

/// How often we let the service run until a round of frames must have arrived.
const MAX_YIELDS: usize = 10_000;

/// What an HTTP/2 server sends first: SETTINGS with the largest window for streams, the same window for the connection,
/// and the acknowledgement of the client's SETTINGS.
const AGENTS_WORDS: &[u8] = &[
    0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7F, 0xFF, 0xFF, 0xFF, // SETTINGS: INITIAL_WINDOW_SIZE
    0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0, 0, // WINDOW_UPDATE
    0, 0, 0, 4, 1, 0, 0, 0, 0, // SETTINGS, acknowledged
];

/// What the agent received over all connections.
#[derive(Debug, Default)]
struct Taken {
    bytes: AtomicU64,
    writes: AtomicU64,
}

/// Dials agents that accept everything and send nothing.
#[derive(Debug)]
struct SilentAgent(Arc<Taken>);

impl Dial for SilentAgent {
    fn dial(&self, _: &str, _: u16) -> Dialled {
        let connection = Connection { said: 0, taken: self.0.clone() };
        Box::pin(async move { Ok(Box::new(connection) as Box<dyn Io>) })
    }
}

struct Connection {
    said: usize,
    taken: Arc<Taken>,
}

impl Connection {
    fn swallow(&self, bytes: usize) -> Poll<io::Result<usize>> {
        self.taken.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.taken.writes.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(bytes))
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let words = &AGENTS_WORDS[this.said..];
        if words.is_empty() {
            // The service waits for ever: we never wake its reader.
            return Poll::Pending;
        }
        let length = words.len().min(buf.remaining());
        buf.put_slice(&words[..length]);
        this.said += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.swallow(buf.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.swallow(bufs.iter().map(|buf| buf.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        true // as a TCP connection is
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    dialbridge_net::tls::install_crypto();
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let number = |place: usize, default: u64| numbers.get(place).copied().unwrap_or(default).max(1);
    let (calls, frames, at_once) = (number(0, 40), number(1, 50), number(2, 1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ran = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(calls, frames, at_once)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(calls: u64, frames: u64, at_once: u64) -> Outcome<()> {
    let taken = Arc::new(Taken::default());
    let settings = Settings::of([
        ("DIALOGFLOW_AGENT", "projects/p/locations/global/agents/a"),
        ("DIALOGFLOW_ENDPOINT", "http://agent.test"),
        ("DIALOGFLOW_STARTING_TEXT", ""),
    ]);
    let mut config = settings.check(Platform::Elsewhere)?;
    // No turn and no call may end because of the number of frames.
    config.default_agent_mut().call.audio_limit_ms = 0;
    let service =
        Service::new(config, Dependencies { dial: Arc::new(SilentAgent(taken.clone())), ..Dependencies::default() })?;
    let mut connections = JoinSet::new();
    let mut callers = Vec::new();
    for call in 0..calls {
        callers.push(begin(&service, &mut connections, call).await?);
    }
    for _ in 0..MAX_YIELDS {
        yield_now().await;
    }
    let (bytes, writes) = (taken.bytes.load(Ordering::Relaxed), taken.writes.load(Ordering::Relaxed));
    for frame in 0..frames {
        let media = media(frame)?;
        for some in callers.chunks_mut(usize::try_from(at_once)?) {
            let due = taken.bytes.load(Ordering::Relaxed) + some.len() as u64 * FRAME;
            for caller in &mut *some {
                caller.write_all(&media).await?;
            }
            arrive(&taken, due).await?;
        }
    }
    let (bytes, writes) = (taken.bytes.load(Ordering::Relaxed) - bytes, taken.writes.load(Ordering::Relaxed) - writes);
    println!("{calls} calls, {frames} frames of each, {at_once} at once");
    println!("to the agent: {bytes} bytes in {writes} writes, {} frames", calls * frames);
    Ok(())
}

/// Lets the service run until the agent has received `due` bytes.
async fn arrive(taken: &Taken, due: u64) -> Outcome<()> {
    for _ in 0..MAX_YIELDS {
        yield_now().await;
        if taken.bytes.load(Ordering::Relaxed) >= due {
            return Ok(());
        }
    }
    Err("the frames do not arrive".into())
}

/// Requests TwiML, opens the media socket that it names, and starts the media stream. Returns Twilio's end of the socket.
async fn begin(service: &Arc<Service>, connections: &mut JoinSet<()>, call: u64) -> Outcome<DuplexStream> {
    let call_sid = format!("CA{call:032x}");
    let mut pipe = connect(service, connections);
    let ask = format!("GET /twiml?CallSid={call_sid} HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n");
    pipe.write_all(ask.as_bytes()).await?;
    let mut twiml = String::new();
    pipe.read_to_string(&mut twiml).await?;
    let path = twiml.split("bench.test").find(|part| part.starts_with("/media/")).unwrap_or_default();
    let path = path.split('"').next().filter(|path| !path.is_empty()).ok_or("no media socket in the TwiML")?;
    let mut pipe = connect(service, connections);
    let handshake = format!(
        "GET {path} HTTP/1.1\r\nHost: bench.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    pipe.write_all(handshake.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(pipe.read_u8().await?);
    }
    if !answer.starts_with(b"HTTP/1.1 101") {
        return Err(String::from_utf8_lossy(&answer).into());
    }
    let start = format!(
        r#"{{"event":"start","sequenceNumber":"1","streamSid":"MZ{call:032x}","start":{{"accountSid":"AC0","streamSid":"MZ{call:032x}","callSid":"{call_sid}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{{}}}}}}"#
    );
    pipe.write_all(&masked(&start)?).await?;
    Ok(pipe)
}

/// A frame as Twilio sends it: 20 ms of audio, too quiet to be voice. All callers send the same one, because what it costs
/// to make it is none of the service's cost.
fn media(frame: u64) -> io::Result<Vec<u8>> {
    let audio = [0xFE_u8; 160];
    masked(&format!(
        r#"{{"event":"media","sequenceNumber":"{}","media":{{"track":"inbound","chunk":"{}","timestamp":"{}","payload":"{}"}},"streamSid":"MZ0123456789abcdef0123456789abcdef"}}"#,
        frame + 2,
        frame + 1,
        frame * 20,
        STANDARD.encode(audio)
    ))
}

/// A text message, masked as by a client.
fn masked(text: &str) -> io::Result<Vec<u8>> {
    const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let length = u16::try_from(text.len()).map_err(io::Error::other)?.to_be_bytes();
    let payload = text.bytes().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    Ok([0x81, 0x80 | 126].into_iter().chain(length).chain(MASK).chain(payload).collect())
}

fn connect(service: &Arc<Service>, connections: &mut JoinSet<()>) -> DuplexStream {
    let (theirs, ours) = tokio::io::duplex(PIPE);
    connections.spawn(serve_connection(service.clone(), ours));
    theirs
}
