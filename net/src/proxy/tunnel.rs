//! A tunnel through a proxy: `CONNECT` (RFC 9110 section 9.3.6).

use std::io;
use std::time::Duration;

use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::dial::{Dial, Io};
use crate::secret::Secret;
use crate::tls::connect;

/// How long the proxy may take to open a tunnel, its own TLS included. It is shorter than the agent's time for a connection,
/// so that a log says that the proxy is at fault.
const TIMEOUT: Duration = Duration::from_secs(4);

/// The longest head of the proxy's answer, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Opens a tunnel through the proxy at `proxy` to `target`, a host with its port.
///
/// # Errors
/// An error that says what the proxy answered and what to do.
pub(super) async fn open(
    dial: &dyn Dial,
    proxy: &Uri,
    authorization: Option<&Secret>,
    target: &str,
) -> io::Result<Box<dyn Io>> {
    let opening = async {
        let mut connection = connect(dial, None, proxy).await.map_err(|error| fault(proxy, &error.to_string()))?;
        ask(&mut connection, authorization, target).await.map_err(|error| fault(proxy, &error.to_string()))?;
        Ok(connection)
    };
    tokio::time::timeout(TIMEOUT, opening).await.unwrap_or_else(|_| Err(fault(proxy, "no tunnel was opened in time")))
}

async fn ask(connection: &mut Box<dyn Io>, authorization: Option<&Secret>, target: &str) -> io::Result<()> {
    let login = authorization.map_or(String::new(), |value| format!("Proxy-Authorization: {}\r\n", value.expose()));
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n");
    connection.write_all(request.as_bytes()).await?;
    connection.flush().await?;
    match status(&head(connection).await?) {
        Some(200..=299) => Ok(()),
        Some(407) if authorization.is_some() => Err(io::Error::other("it refuses the login in its URL (407)")),
        Some(407) => Err(io::Error::other("it wants a login (407): set it as http://USER:PASSWORD@HOST:PORT")),
        Some(status) => Err(io::Error::other(format!("it answers {status} to CONNECT {target}"))),
        None => Err(io::Error::other("its answer is no HTTP")),
    }
}

/// Reads the head of an answer. Not a byte more: what follows belongs to the tunnel.
async fn head(connection: &mut Box<dyn Io>) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() == MAX_HEAD_BYTES {
            return Err(io::Error::other(format!("the head of its answer is longer than {MAX_HEAD_BYTES} bytes")));
        }
        head.push(match connection.read_u8().await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(io::Error::other("it closes the connection instead of an answer"));
            }
            read => read?,
        });
    }
    Ok(head)
}

/// The status of an answer.
fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|b| *b == b'\n').next()?).ok()?;
    let mut words = line.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next().filter(|status| status.len() == 3)?.parse().ok()
}

fn fault(proxy: &Uri, why: &str) -> io::Error {
    let proxy = proxy.authority().map_or("", |authority| authority.as_str());
    io::Error::other(format!("the proxy {proxy}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::Dialled;
    use std::sync::Mutex;
    use tokio::io::DuplexStream;

    /// Opens one connection: a pipe.
    #[derive(Debug)]
    struct OnePipe(Mutex<Option<DuplexStream>>);

    impl Dial for OnePipe {
        fn dial(&self, host: &str, port: u16) -> Dialled {
            assert_eq!((host, port), ("p.test", 3128));
            let pipe = self.0.lock().unwrap().take().unwrap();
            Box::pin(async move { Ok(Box::new(pipe) as Box<dyn Io>) })
        }
    }

    /// Dials through a proxy that sends this answer. Returns the outcome and the proxy's requests.
    async fn opened(answer: &[u8], login: Option<&str>) -> (io::Result<Box<dyn Io>>, String) {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let dial = OnePipe(Mutex::new(Some(ours)));
        let answering = async {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(theirs.read_u8().await.unwrap());
            }
            theirs.write_all(answer).await.unwrap();
            // A silent proxy keeps the connection.
            let kept = answer.is_empty().then_some(theirs);
            (String::from_utf8(asked).unwrap(), kept)
        };
        let (proxy, login) = (Uri::from_static("http://p.test:3128"), login.map(Secret::new));
        let (opened, (asked, _kept)) = tokio::join!(open(&dial, &proxy, login.as_ref(), "agent.test:443"), answering);
        (opened, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_begins_right_after_the_head_of_the_answer() {
        let answer = b"HTTP/1.1 200 Connection established\r\nVia: p\r\n\r\nafterwards";
        let (tunnel, asked) = opened(answer, Some("Basic abc")).await;
        assert_eq!(
            asked,
            "CONNECT agent.test:443 HTTP/1.1\r\nHost: agent.test:443\r\nProxy-Authorization: Basic abc\r\n\r\n"
        );
        let mut after = String::new();
        tunnel.unwrap().read_to_string(&mut after).await.unwrap();
        assert_eq!(after, "afterwards");
        let (tunnel, asked) = opened(b"HTTP/1.0 200\n\n", None).await;
        assert!(tunnel.is_ok() && !asked.contains("Authorization"));
    }

    #[tokio::test(start_paused = true)]
    async fn every_other_answer_of_a_proxy_is_an_error_within_the_timeout() {
        let endless = [&b"HTTP/1.1 200 OK\r\n"[..], &vec![b'x'; MAX_HEAD_BYTES]].concat();
        for (answer, login, says) in [
            (&b""[..], None, "no tunnel was opened in time"),
            (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", None, "it wants a login (407): set it as"),
            (b"HTTP/1.1 407 No\r\n\r\n", Some("Basic planted"), "it refuses the login in its URL (407)"),
            (b"HTTP/1.1 403 Forbidden\r\n\r\n", None, "it answers 403 to CONNECT agent.test:443"),
            (b"HTTP/1.1 2000 OK\r\n\r\n", None, "its answer is no HTTP"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", None, "its answer is no HTTP"),
            (b"HTTP/1.1 200", None, "it closes the connection"),
            (&endless, None, "the head of its answer is longer than 16384 bytes"),
        ] {
            let error = opened(answer, login).await.0.map(drop).unwrap_err().to_string();
            assert!(error.starts_with("the proxy p.test:3128: ") && error.contains(says), "{error}");
            assert!(!error.contains("planted"), "{error}");
        }
    }
}
