//! A call as far as its open media socket, for whoever drives the socket without a task and a parser for each call.

use std::time::Duration;

use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::twilio::account::Account;
use crate::twilio::twiml::{self, Verb};
use crate::twilio::{SimulatedTwilio, http_client};

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest answer to a handshake, in bytes.
const MOST_HEAD_BYTES: usize = 8 * 1024;

/// A call whose media socket is open; nothing was sent over it yet.
#[derive(Debug)]
pub struct PlacedCall {
    /// The socket, its handshake done: WebSocket frames from here on.
    pub socket: TcpStream,
    /// What the service sent right behind the handshake.
    pub early: Vec<u8>,
    /// `<Parameter>`s of the stream.
    pub parameters: Vec<(String, String)>,
}

impl SimulatedTwilio {
    /// Asks the voice-url and opens the media socket that the TwiML names, both signed. Over TCP and without TLS.
    ///
    /// # Errors
    /// With a sentence that says what was refused.
    pub async fn place(&self, voice_url: &str, call_sid: &str) -> Result<PlacedCall, String> {
        let form = [
            ("CallSid", call_sid),
            ("AccountSid", &self.account.sid),
            ("From", "+15550100"),
            ("To", "+15550199"),
            ("CallStatus", "ringing"),
            ("Direction", "inbound"),
            ("ApiVersion", "2010-04-01"),
        ];
        let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let answer = http_client::post(&self.net, &self.account, voice_url, &form).await;
        let answer = answer.map_err(|fault| format!("the voice-url: {fault}"))?;
        let verbs = twiml::parse(&answer.body)?.into_iter();
        let stream = verbs.filter_map(|verb| match verb {
            Verb::ConnectStream { stream, .. } => Some((stream.url, stream.parameters)),
            _ => None,
        });
        let (url, parameters) =
            { stream }.next().ok_or_else(|| format!("the voice-url gave no <Stream>: {}", answer.body))?;
        let opened = tokio::time::timeout(HANDSHAKE_TIMEOUT, open(&self.account, &url)).await;
        let (socket, early) = opened.map_err(|_| "the handshake took too long".to_owned())??;
        Ok(PlacedCall { socket, early, parameters })
    }
}

async fn open(account: &Account, url: &str) -> Result<(TcpStream, Vec<u8>), String> {
    let uri: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
    let authority = uri.authority().ok_or_else(|| format!("{url} has no host"))?;
    if uri.scheme_str() != Some("ws") {
        return Err(format!("{url}: only plain ws:// can be driven so"));
    }
    let host = authority.host().trim_matches(['[', ']']);
    let connected = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await;
    let mut socket = connected.map_err(|error| format!("{authority}: {error}"))?;
    socket.set_nodelay(true).map_err(|error| error.to_string())?;
    let signature = account.signature(url, &[]);
    let signature = signature.map(|signature| format!("X-Twilio-Signature: {signature}\r\n")).unwrap_or_default();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {}\r\nUser-Agent: Twilio.TmeWs/1.0\r\n{signature}\r\n",
        uri.path(),
        fastwebsockets::handshake::generate_key(),
    );
    socket.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut head = Vec::new();
    let end = loop {
        if let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
        let read = socket.read_buf(&mut head).await.map_err(|error| error.to_string())?;
        if read == 0 || head.len() > MOST_HEAD_BYTES {
            return Err("the handshake has no answer".to_owned());
        }
    };
    let early = head.split_off(end);
    let status = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    if !status.starts_with("HTTP/1.1 101") {
        return Err(format!("the media socket was refused: {status}"));
    }
    Ok((socket, early))
}
