//! Whether a URL leads to this very process: before the service starts, its socket answers with a word that nobody else
//! knows, and the URL must give that word.

use std::convert::Infallible;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::doctor::Doctor;
use dialbridge_runner::settings::PublicUrl;

/// How long to wait before the URL is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a request may take to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: u64 = 16 * 1024;

/// How many connections are answered at once.
const MAX_CONNECTIONS: usize = 32;

/// Waits until the URL leads to the listener. A new tunnel takes some seconds.
///
/// # Errors
/// Says what the URL leads to instead, when the deadline has passed.
pub(crate) async fn check_reached(
    doctor: &Doctor,
    listener: &TcpListener,
    public: &PublicUrl,
    deadline: Duration,
) -> Result<(), String> {
    let word = word()?;
    tokio::select! {
        asked = ask(doctor, public, &word, deadline) => asked,
        never = answer(listener, &word) => match never {},
    }
}

/// Asks until the word comes.
async fn ask(doctor: &Doctor, public: &PublicUrl, word: &str, deadline: Duration) -> Result<(), String> {
    let (url, until) = (public.http("/health"), Instant::now() + deadline);
    loop {
        let found = match timeout(deadline, doctor.web.get(&url)).await {
            Ok(Ok(response)) if response.body().trim_ascii() == word.as_bytes() => return Ok(()),
            Ok(Ok(response)) if response.status().is_success() => {
                return Err(format!("{url} does not lead to this machine's port: another process answers there"));
            }
            Ok(Ok(response)) => format!("it answers {}", response.status()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        if Instant::now() + PAUSE >= until {
            return Err(format!("{url} does not lead to this machine's port: {found}"));
        }
        sleep(PAUSE).await;
    }
}

/// Answers every request with the word. Never returns.
async fn answer(listener: &TcpListener, word: &str) -> Infallible {
    let mut answering = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if answering.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    answering.spawn(timeout(REQUEST_TIMEOUT, answer_one(stream, word.to_owned())));
                }
                Err(_) => sleep(PAUSE).await,
            },
            Some(_) = answering.join_next() => {}
        }
    }
}

async fn answer_one(stream: TcpStream, word: String) {
    let mut stream = BufReader::new(stream).take(MAX_HEAD_BYTES);
    let mut line = Vec::new();
    while !matches!(line.as_slice(), b"\r\n" | b"\n") {
        line.clear();
        if !matches!(stream.read_until(b'\n', &mut line).await, Ok(1..)) {
            return;
        }
    }
    let length = word.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{word}"
    );
    // Whoever has gone does not ask any more.
    let _ = stream.get_mut().get_mut().write_all(answer.as_bytes()).await;
}

/// A random word that nobody can guess.
///
/// # Errors
/// If the system has no randomness to give.
pub(crate) fn word() -> Result<String, String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system has no randomness to give".to_owned())?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
