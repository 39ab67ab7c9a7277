//! The load agent: Dialogflow CX `StreamingDetectIntent`, as lean as can be, for a thousand calls beside everything else
//! on one core.
//!
//! It hears no speech; the frames say themselves what they are. It answers an utterance as Google does: interim
//! transcripts, a final one, END_OF_SINGLE_UTTERANCE, and after the half-close and a while of thought two seconds of
//! audio. The session's last four digits are the call's number.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::load::clock::now_us;
use crate::load::code::{CODE_BYTES, Code, FRAME_BYTES, FRAME_MS, Kind};
use crate::load::grpc::{Messages, framed};
use crate::load::ledger::{AgentFigures, Ledger};
use crate::load::write::speech;

use cx::query_input::Input;
use cx::streaming_detect_intent_response::Response as Part;
use cx::streaming_recognition_result::MessageType;

/// How long an answer is, in milliseconds.
pub const ANSWER_MS: u64 = 2_000;

/// Blocks of 20 ms in it.
pub(super) const ANSWER_BLOCKS: u64 = ANSWER_MS / FRAME_MS;

/// How long the agent thinks, in milliseconds.
pub const THINK_MS: u64 = 250;

/// The number in the code of an answer to what was no utterance: a greeting's.
const NO_UTTERANCE: u32 = 0xFF_FFFF;

/// An interim transcript comes with the first of so many frames of speech.
const INTERIM_FRAMES: u32 = 25;

/// Google's bound for a connection.
const MOST_STREAMS: u32 = 100;

/// HTTP/2's windows, so large that they are seldom moved.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 26;

/// How many orders wait for a connection: more say nothing new.
const ORDERS: usize = 4;

/// The agent; clones share its book.
#[derive(Debug, Clone)]
pub struct LoadAgent {
    ledger: Arc<Mutex<Ledger>>,
    phrases: Arc<Phrases>,
    /// How many turns came to their answer, where some of them fail by plan.
    failing: Option<Arc<AtomicU32>>,
}

/// What goes wrong by plan in the place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Planned {
    /// The stream is reset.
    Reset,
    /// The stream ends with that gRPC status.
    Status(&'static str),
    /// The connection takes no further streams; the turn is answered.
    GoAway,
    /// The connection breaks off.
    Cut,
}

impl Planned {
    /// Of twenty turns four have a fault; each tenth of those takes its whole connection with it.
    fn of(turn: u32) -> Option<Self> {
        match turn % 20 {
            3 => Some(Self::Reset),
            8 => Some(Self::Status("8")),
            13 => Some(Self::Status("14")),
            18 if turn % 200 == 198 => Some(Self::Cut),
            18 => Some(Self::GoAway),
            _ => None,
        }
    }
}

/// What is said again and again, framed and ready.
#[derive(Debug)]
struct Phrases {
    interim: Bytes,
    /// The final transcript and the end of the utterance.
    end: Bytes,
    answer: Vec<u8>,
}

impl Default for LoadAgent {
    fn default() -> Self {
        let end = [transcript(true), end_of_utterance()].map(|phrase| framed(&phrase)).concat();
        let phrases = Phrases {
            interim: framed(&transcript(false)).freeze(),
            end: end.into(),
            answer: speech().repeat(usize::try_from(ANSWER_BLOCKS).unwrap_or_default()),
        };
        Self { ledger: Arc::default(), phrases: Arc::new(phrases), failing: None }
    }
}

impl LoadAgent {
    /// An agent that fails some of its turns, for a soak.
    #[must_use]
    pub fn with_faults() -> Self {
        Self { failing: Some(Arc::default()), ..Self::default() }
    }

    /// What goes wrong with the turn that is to be answered now.
    fn next_fault(&self) -> Option<Planned> {
        Planned::of(self.failing.as_ref()?.fetch_add(1, Ordering::Relaxed))
    }

    /// Serves a listener for ever.
    ///
    /// # Errors
    /// When no connection can be accepted any more.
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

    /// What it has heard.
    #[must_use]
    pub fn figures(&self) -> AgentFigures {
        self.ledger().figures()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(self, stream: TcpStream) {
        let mut builder = Builder::new();
        builder
            .max_concurrent_streams(MOST_STREAMS)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let Ok(mut connection) = builder.handshake(stream).await else { return };
        self.ledger().connections += 1;
        let (orders, mut ordered) = mpsc::channel(ORDERS);
        let mut turns = JoinSet::new();
        loop {
            tokio::select! {
                accepted = connection.accept() => match accepted {
                    Some(Ok((request, respond))) => {
                        turns.spawn(self.clone().stream(request, respond, orders.clone()));
                    }
                    // A connection that breaks ends like one that is closed: its streams tell.
                    Some(Err(_)) | None => break,
                },
                Some(order) = ordered.recv() => match order {
                    Planned::GoAway => connection.graceful_shutdown(),
                    _ => break,
                },
            }
            while turns.try_join_next().is_some() {}
        }
        self.ledger().connections -= 1;
    }

    async fn stream(self, request: Request<RecvStream>, respond: SendResponse<Bytes>, orders: mpsc::Sender<Planned>) {
        let turn = Turn { agent: &self, opened_us: now_us(), call: None, ended: None, speech: 0, orders };
        let open = OpenStream::of(&self);
        let failed = turn.run(request.into_body(), respond).await.is_err();
        drop(open);
        self.ledger().counts.failed_streams += u64::from(failed);
    }
}

/// A stream that is counted as open.
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

/// A stream that cannot go on.
struct Failed;

impl From<h2::Error> for Failed {
    fn from(_: h2::Error) -> Self {
        Self
    }
}

/// One stream.
struct Turn<'a> {
    agent: &'a LoadAgent,
    opened_us: u64,
    /// The call, as the session's name says it.
    call: Option<u16>,
    /// The number of the frame that ended the utterance.
    ended: Option<u32>,
    /// Frames of speech so far.
    speech: u32,
    /// What is to become of the connection.
    orders: mpsc::Sender<Planned>,
}

impl Turn<'_> {
    async fn run(mut self, mut body: RecvStream, mut respond: SendResponse<Bytes>) -> Result<(), Failed> {
        let mut head = Response::new(());
        head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        let mut answer = respond.send_response(head, false)?;
        let mut messages = Messages::default();
        while let Some(chunk) = body.data().await {
            let chunk = match chunk {
                // The other side has reset the stream: nobody waits for an answer.
                Err(error) if error.is_reset() => return Ok(()),
                chunk => chunk?,
            };
            body.flow_control().release_capacity(chunk.len())?;
            messages.push(chunk);
            while let Some(message) = messages.next() {
                self.hear(message, &mut answer)?;
            }
        }
        tokio::time::sleep(Duration::from_millis(THINK_MS)).await;
        match self.agent.next_fault() {
            None => return self.answer(&mut answer),
            Some(Planned::Reset) => answer.send_reset(Reason::INTERNAL_ERROR),
            Some(Planned::Status(code)) => answer.send_trailers(status(code))?,
            Some(order @ Planned::GoAway) => {
                // With others waiting there is one already.
                let _ = self.orders.try_send(order);
                return self.answer(&mut answer);
            }
            Some(order @ Planned::Cut) => {
                let _ = self.orders.try_send(order);
                // The stream ends with its connection.
                std::future::pending().await
            }
        }
        Ok(())
    }

    fn hear(&mut self, message: Bytes, answer: &mut SendStream<Bytes>) -> Result<(), Failed> {
        let request = cx::StreamingDetectIntentRequest::decode(message).map_err(|_| Failed)?;
        if self.call.is_none() {
            self.call = Some(call_number(&request.session).ok_or(Failed)?);
        }
        match request.query_input.and_then(|query| query.input) {
            Some(Input::Audio(audio)) if !audio.audio.is_empty() => self.frames(&audio.audio, answer),
            Some(_) => Ok(()),
            None => Err(Failed),
        }
    }

    fn frames(&mut self, audio: &[u8], answer: &mut SendStream<Bytes>) -> Result<(), Failed> {
        let now_us = now_us();
        let (mut interim, mut end) = (false, false);
        {
            let mut ledger = self.agent.ledger();
            ledger.message();
            // Bridges send whole frames, one or more; what is left over is told.
            let frames = audio.chunks_exact(FRAME_BYTES);
            ledger.counts.strange += frames.remainder().len() as u64;
            for frame in frames {
                let Some(code) = Code::decode(frame) else {
                    ledger.counts.strange += FRAME_BYTES as u64;
                    continue;
                };
                ledger.counts.misrouted += u64::from(Some(code.call) != self.call);
                ledger.frame(&code, self.opened_us, now_us);
                match code.kind {
                    Kind::Speech => {
                        interim |= self.speech.is_multiple_of(INTERIM_FRAMES);
                        self.speech += 1;
                    }
                    Kind::End => {
                        self.ended = Some(code.number);
                        end = true;
                    }
                    Kind::Silence | Kind::Answer => {}
                }
            }
        }
        if interim {
            answer.send_data(self.agent.phrases.interim.clone(), false)?;
        }
        if end {
            answer.send_data(self.agent.phrases.end.clone(), false)?;
        }
        Ok(())
    }

    fn answer(self, answer: &mut SendStream<Bytes>) -> Result<(), Failed> {
        let call = self.call.ok_or(Failed)?;
        let audio = self.audio(call);
        self.agent.ledger().counts.turns += 1;
        answer.send_data(framed(&detected(audio)).freeze(), false)?;
        Ok(answer.send_trailers(status("0"))?)
    }

    /// The answer's audio, each block with its code.
    fn audio(&self, call: u16) -> Bytes {
        let number = self.ended.unwrap_or(NO_UTTERANCE);
        let mut audio = BytesMut::with_capacity(self.agent.phrases.answer.len());
        let at_us = now_us();
        for (place, block) in (0..).zip(self.agent.phrases.answer.chunks_exact(FRAME_BYTES)) {
            audio.put_slice(&Code { kind: Kind::Answer, call, number, at_us, extra: place }.encode());
            audio.put_slice(&block[CODE_BYTES..]);
        }
        audio.freeze()
    }
}

/// The end of a stream.
fn status(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static(code))])
}

/// The number that a session's name ends with.
fn call_number(session: &str) -> Option<u16> {
    u16::from_str_radix(session.get(session.len().checked_sub(4)?..)?, 16).ok()
}

fn transcript(is_final: bool) -> cx::StreamingDetectIntentResponse {
    recognised(cx::StreamingRecognitionResult {
        message_type: MessageType::Transcript.into(),
        transcript: "a few words".to_owned(),
        is_final,
        ..Default::default()
    })
}

fn end_of_utterance() -> cx::StreamingDetectIntentResponse {
    recognised(cx::StreamingRecognitionResult {
        message_type: MessageType::EndOfSingleUtterance.into(),
        ..Default::default()
    })
}

fn recognised(result: cx::StreamingRecognitionResult) -> cx::StreamingDetectIntentResponse {
    cx::StreamingDetectIntentResponse { response: Some(Part::RecognitionResult(result)), ..Default::default() }
}

fn detected(audio: Bytes) -> cx::StreamingDetectIntentResponse {
    use cx::response_message::{Message, Text};
    let text = Message::Text(Text { text: vec!["an answer".to_owned()], allow_playback_interruption: true });
    let result = cx::QueryResult {
        language_code: "en-US".to_owned(),
        response_messages: vec![cx::ResponseMessage { message: Some(text), ..Default::default() }],
        r#match: Some(cx::Match { match_type: cx::r#match::MatchType::Intent.into(), ..Default::default() }),
        query: Some(cx::query_result::Query::Transcript("a few words".to_owned())),
        ..Default::default()
    };
    let response = cx::DetectIntentResponse {
        query_result: Some(result),
        output_audio: audio,
        output_audio_config: Some(cx::OutputAudioConfig {
            audio_encoding: cx::OutputAudioEncoding::Mulaw.into(),
            sample_rate_hertz: 8_000,
            ..Default::default()
        }),
        response_type: cx::detect_intent_response::ResponseType::Final.into(),
        ..Default::default()
    };
    cx::StreamingDetectIntentResponse { response: Some(Part::DetectIntentResponse(response)), ..Default::default() }
}
