//! The load agent: Dialogflow CX `StreamingDetectIntent`, as lean as can be, for a thousand calls beside everything else
//! on one core.
//!
//! It hears no speech; the frames say themselves what they are. It answers an utterance as Google does: interim
//! transcripts, a final one, END_OF_SINGLE_UTTERANCE, and after the half-close and a while of thought two seconds of
//! audio. The session's last four digits are the call's number.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use h2::server::{Builder, SendResponse};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
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

/// The agent; clones share its book.
#[derive(Debug, Clone)]
pub struct LoadAgent {
    ledger: Arc<Mutex<Ledger>>,
    phrases: Arc<Phrases>,
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
        Self { ledger: Arc::default(), phrases: Arc::new(phrases) }
    }
}

impl LoadAgent {
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
        let mut turns = JoinSet::new();
        // A connection that breaks ends like one that is closed: its streams tell.
        while let Some(Ok((request, respond))) = connection.accept().await {
            turns.spawn(self.clone().stream(request, respond));
            while turns.try_join_next().is_some() {}
        }
        self.ledger().connections -= 1;
    }

    async fn stream(self, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        let turn = Turn { agent: &self, opened_us: now_us(), call: None, ended: None, speech: 0 };
        self.ledger().stream_opened();
        let failed = turn.run(request.into_body(), respond).await.is_err();
        let mut ledger = self.ledger();
        ledger.streams -= 1;
        ledger.counts.failed_streams += u64::from(failed);
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
        self.answer(&mut answer)
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
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Ok(answer.send_trailers(trailers)?)
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
