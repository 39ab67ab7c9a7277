//! One detect-intent turn, in any dialect: what is heard, when the utterance is over, when the answer comes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dialbridge_core::audio::AudioFormat;
use http::Request;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::server::{Grpc, StreamingService};
use tonic::{Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::agent::conversation::{Conversations, Said};
use crate::agent::dialect::{Answered, Dialect, Later, Listening, Opened, Opening, invalid};
use crate::agent::ears::{Ears, Noticed};
use crate::agent::record::{Record, TurnEntry, TurnRecord};
use crate::agent::script::{Answers, Closes, Output, Reply, Script, Transcripts};
use crate::agent::server::WasReset;
use crate::agent::speech::coded;

/// For so long a stream may go without audio before the recogniser gives up.
const AUDIO_TIMEOUT: Duration = Duration::from_secs(10);

/// How many responses wait for a client that does not read.
const RESPONSE_QUEUE: usize = 16;

type Reader<D> = Streaming<<D as Dialect>::Request>;
type Writer<D> = mpsc::Sender<Result<<D as Dialect>::Response, Status>>;

/// What all turns of an agent share.
#[derive(Debug, Clone)]
pub(super) struct Sessions {
    pub(super) script: Arc<Script>,
    pub(super) conversations: Conversations,
    pub(super) record: Record,
    /// How many responses there were.
    pub(super) responses: Arc<AtomicU64>,
}

impl Sessions {
    fn next_response_id(&self) -> String {
        format!("lab-{}", self.responses.fetch_add(1, Ordering::Relaxed))
    }
}

/// Answers one request to the service of a dialect.
pub(super) async fn answer<D: Dialect>(
    sessions: Sessions,
    method: &str,
    request: Request<Body>,
) -> http::Response<Body> {
    match method {
        "StreamingDetectIntent" => {
            let streams = Streams::<D>(sessions, std::marker::PhantomData);
            Grpc::new(ProstCodec::default()).streaming(streams, request).await
        }
        other => Status::unimplemented(format!("the lab does not serve {other}")).into_http(),
    }
}

struct Streams<D>(Sessions, std::marker::PhantomData<D>);

impl<D: Dialect> StreamingService<D::Request> for Streams<D> {
    type Response = D::Response;
    type ResponseStream = ReceiverStream<Result<D::Response, Status>>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Reader<D>>) -> Self::Future {
        let sessions = self.0.clone();
        Box::pin(async move {
            let was_reset = request.extensions().get::<WasReset>().cloned().unwrap_or_default();
            let mut reader = request.into_inner();
            let first = reader.message().await?.ok_or_else(|| invalid("the stream has no message"))?;
            let turn = Turn::open(sessions, D::open(first)?, was_reset);
            let (writer, responses) = mpsc::channel(RESPONSE_QUEUE);
            // The task ends with the stream: when the client reads no more, sending fails.
            tokio::spawn(async move {
                if let Err(status) = turn.run::<D>(reader, &writer).await {
                    let _ = writer.send(Err(status)).await;
                }
            });
            Ok(Response::new(ReceiverStream::new(responses)))
        })
    }
}

struct Turn {
    sessions: Sessions,
    opened: Opened,
    entry: TurnEntry,
    was_reset: WasReset,
}

impl Turn {
    fn open(sessions: Sessions, opened: Opened, was_reset: WasReset) -> Self {
        let entry = sessions.record.begin(&opened.session, record_of(&opened));
        Self { sessions, opened, entry, was_reset }
    }

    async fn run<D: Dialect>(mut self, mut reader: Reader<D>, writer: &Writer<D>) -> Result<(), Status> {
        let said = match self.opened.input.clone() {
            Opening::Listen(listening) => match self.listen::<D>(listening, &mut reader, writer).await? {
                Some(said) => said,
                None => return Ok(()),
            },
            Opening::Said(said) => said,
        };
        self.answer::<D>(&said, writer).await?;
        if self.sessions.script.closes == Closes::AfterHalfClose {
            while reader.message().await?.is_some() {}
        }
        Ok(())
    }

    /// Listens until the turn's input is complete; `None` when the client has gone.
    async fn listen<D: Dialect>(
        &self,
        listening: Listening,
        reader: &mut Reader<D>,
        writer: &Writer<D>,
    ) -> Result<Option<Said>, Status> {
        let script = &self.sessions.script;
        let mut ears = Ears::new(listening.format, script.end_of_utterance_ms, script.no_speech_ms);
        if let Some((deaf_ms, patient_ms)) = listening.barge_in {
            ears.beside_prompt(deaf_ms, patient_ms);
        }
        let mut is_over = false;
        loop {
            let message = tokio::time::timeout(AUDIO_TIMEOUT, reader.message()).await;
            let Ok(message) = message else { return Err(audio_timeout()) };
            let Some(message) = message? else {
                if self.was_reset.get() {
                    return Ok(None);
                }
                self.entry.change(|turn| turn.half_closed = true);
                return self.half_closed::<D>(&ears, is_over, writer).await;
            };
            let audio = match D::later(message)? {
                Later::Audio(audio) => audio,
                Later::Instead(said) => return Ok(Some(said)),
            };
            self.entry.change(|turn| {
                turn.audio.extend_from_slice(&audio);
                turn.messages += 1;
            });
            for noticed in ears.hear(&audio) {
                is_over |= self.tell::<D>(noticed, listening.single_utterance, writer).await?;
            }
            let (limit_ms, beyond) = D::AUDIO_LIMIT;
            if ears.heard_ms() > limit_ms {
                return Err(Status::out_of_range(beyond));
            }
            if is_over && script.answers == Answers::AtOnce {
                return Ok(Some(said(&ears)));
            }
        }
    }

    /// The client has said that nothing more comes.
    async fn half_closed<D: Dialect>(
        &self,
        ears: &Ears,
        was_over: bool,
        writer: &Writer<D>,
    ) -> Result<Option<Said>, Status> {
        let said = said(ears);
        if let Some((_, end_ms)) = ears.spoken().filter(|_| !was_over) {
            send::<D>(writer, D::transcript(said.transcript(), end_ms, true)).await?;
        }
        Ok(Some(said))
    }

    /// Tells the client what the ears noticed; whether the utterance is over.
    async fn tell<D: Dialect>(
        &self,
        noticed: Noticed,
        single_utterance: bool,
        writer: &Writer<D>,
    ) -> Result<bool, Status> {
        match noticed {
            Noticed::Speech { spoken_ms, end_ms } => {
                let said = Said::Utterance { spoken_ms };
                send::<D>(writer, D::transcript(said.transcript(), end_ms, false)).await?;
                Ok(false)
            }
            Noticed::EndOfUtterance { spoken_ms, end_ms } => {
                let said = Said::Utterance { spoken_ms };
                let mut parts = vec![D::transcript(said.transcript(), end_ms, true)];
                if single_utterance {
                    let place = usize::from(self.sessions.script.transcripts == Transcripts::BeforeEnd);
                    parts.insert(place, D::end_of_utterance());
                }
                for part in parts {
                    send::<D>(writer, part).await?;
                }
                Ok(single_utterance)
            }
            Noticed::NoSpeech if single_utterance => {
                send::<D>(writer, D::end_of_utterance()).await?;
                Ok(true)
            }
            Noticed::NoSpeech => Ok(false),
        }
    }

    async fn answer<D: Dialect>(&mut self, said: &Said, writer: &Writer<D>) -> Result<(), Status> {
        let script = self.sessions.script.clone();
        let reply = self.sessions.conversations.answer(&self.opened.name, said);
        let is_matched = reply.is_some();
        if D::COLLECTS_PARAMETERS {
            self.sessions.conversations.collect(&self.opened.name, &self.opened.parameters);
        }
        let think_ms = reply.as_ref().and_then(|reply| reply.think_ms).unwrap_or(script.think_ms);
        tokio::time::sleep(Duration::from_millis(think_ms)).await;
        let reply = reply.unwrap_or_default();
        if self.opened.partial_responses {
            for first in &reply.first {
                self.say::<D>(first, said, is_matched, true, writer).await?;
                tokio::time::sleep(Duration::from_millis(first.think_ms.unwrap_or(script.think_ms))).await;
            }
        }
        self.say::<D>(&reply, said, is_matched, false, writer).await
    }

    async fn say<D: Dialect>(
        &mut self,
        reply: &Reply,
        said: &Said,
        is_matched: bool,
        is_partial: bool,
        writer: &Writer<D>,
    ) -> Result<(), Status> {
        let audio = self.audio(reply)?;
        let audio_messages = self.sessions.script.audio_messages;
        let response_id = self.sessions.next_response_id();
        let parameters = self.parameters::<D>(reply);
        let responses = D::answer(&Answered {
            opened: &self.opened,
            said,
            reply,
            is_matched,
            response_id,
            parameters: &parameters,
            audio,
            audio_messages,
            is_partial,
        });
        if !is_partial {
            self.entry.answered();
        }
        for response in responses {
            send::<D>(writer, response).await?;
        }
        Ok(())
    }

    fn parameters<D: Dialect>(&self, reply: &Reply) -> Map<String, Value> {
        if !D::COLLECTS_PARAMETERS {
            return reply.parameters.clone();
        }
        self.sessions.conversations.collect(&self.opened.name, &reply.parameters)
    }

    /// The reply's audio as asked for, or as the agent's own settings want it.
    fn audio(&self, reply: &Reply) -> Result<Option<(Bytes, Output)>, Status> {
        let (Some(mulaw), Some(asked)) = (&reply.mulaw, self.opened.output) else { return Ok(None) };
        let output = self.sessions.script.output.unwrap_or(asked);
        let format = AudioFormat { encoding: output.encoding, sample_rate: output.sample_rate };
        let audio = coded(mulaw, format, output.wav).map_err(|error| Status::unimplemented(error.to_string()))?;
        Ok(Some((audio.into(), output)))
    }
}

fn said(ears: &Ears) -> Said {
    ears.spoken().map_or(Said::Nothing, |(spoken_ms, _)| Said::Utterance { spoken_ms })
}

fn record_of(opened: &Opened) -> TurnRecord {
    let (input, text, barge_in) = match &opened.input {
        Opening::Listen(listening) => ("audio", String::new(), listening.barge_in),
        Opening::Said(Said::Text(text)) => ("text", text.clone(), None),
        Opening::Said(Said::Event(name)) => ("event", name.clone(), None),
        Opening::Said(Said::Digits { digits, .. }) => ("dtmf", digits.clone(), None),
        Opening::Said(Said::Utterance { .. } | Said::Nothing) => ("other", String::new(), None),
    };
    TurnRecord {
        input,
        text,
        barge_in,
        parameters: opened.parameters.clone(),
        payload: opened.payload.clone(),
        ..TurnRecord::default()
    }
}

fn audio_timeout() -> Status {
    Status::out_of_range(
        "Audio Timeout Error: Long duration elapsed without audio. Audio should be sent close to real time.",
    )
}

async fn send<D: Dialect>(writer: &Writer<D>, response: D::Response) -> Result<(), Status> {
    writer.send(Ok(response)).await.map_err(|_| Status::cancelled("the client has gone"))
}
