//! A call up to its open media stream, for tools that drive the WebSocket without a task and a parser for each call.

use std::time::Duration;

use dialbridge_net::hosts::without_brackets;
use dialbridge_net::websocket::handshake;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::twilio::account::Account;
use crate::twilio::behaviour::TwilioBehaviour;
use crate::twilio::media_stream::headers;
use crate::twilio::twiml::{self, Verb};
use crate::twilio::{SimulatedTwilio, http_client};

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);

/// A call whose media stream is open; nothing was sent over it yet.
#[derive(Debug)]
pub struct PlacedCall {
    /// The WebSocket after its handshake: WebSocket frames from here on.
    pub socket: TcpStream,
    /// What the service sent right after the handshake.
    pub early: Vec<u8>,
    /// `<Parameter>`s of the stream.
    pub parameters: Vec<(String, String)>,
}

impl SimulatedTwilio {
    /// Requests the voice-url and opens the media stream that the TwiML names; signs both. Over TCP, without TLS.
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
    let host = without_brackets(authority.host());
    let connected = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await;
    let socket = connected.map_err(|error| format!("{authority}: {error}"))?;
    socket.set_nodelay(true).map_err(|error| error.to_string())?;
    let headers = headers(account, url, TwilioBehaviour::default()).map_err(|error| error.to_string())?;
    let opened = handshake(socket, &uri, &headers).await;
    let upgraded = opened.map_err(|error| format!("the media socket was refused: {error}"))?.into_inner();
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().map_err(|_| "the connection is another one".to_owned())?;
    Ok((parts.io.into_inner(), parts.read_buf.to_vec()))
}
