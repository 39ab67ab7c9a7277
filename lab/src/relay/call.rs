//! One call: a task that reads the socket, and one that holds the turn's stream and writes the socket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fastwebsockets::{Frame, OpCode, Payload, WebSocket, WebSocketError, WebSocketRead, WebSocketWrite};
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3::sessions_client::SessionsClient;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::channels::{Channels, Lease};

use cx::query_input::Input;
use cx::streaming_detect_intent_response::Response as Part;
use cx::streaming_recognition_result::MessageType;

type Socket = TokioIo<Upgraded>;

/// How many frames wait for the call, and for the agent: two seconds.
const QUEUE: usize = 100;

/// The largest answer, in bytes.
const MOST_BYTES: usize = 32 << 20;

/// What Twilio sends, as far as it matters here: one flat structure, for that is what serde reads fastest.
#[derive(Deserialize)]
struct FromTwilio<'a> {
    event: &'a str,
    start: Option<Start>,
    #[serde(borrow)]
    media: Option<Media<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    stream_sid: String,
    call_sid: String,
}

#[derive(Deserialize, Serialize)]
struct Media<'a> {
    payload: &'a str,
}

/// What Twilio is sent.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum ToTwilio<'a> {
    #[serde(rename_all = "camelCase")]
    Media { stream_sid: &'a str, media: Media<'a> },
    #[serde(rename_all = "camelCase")]
    Mark { stream_sid: &'a str, mark: Mark<'a> },
}

#[derive(Serialize)]
struct Mark<'a> {
    name: &'a str,
}

enum Heard {
    Start(Start),
    Audio(Bytes),
}

/// Relays a call until either side ends it.
pub(super) async fn relay(mut socket: WebSocket<Socket>, channels: &Channels) -> Result<(), String> {
    socket.set_writev(false);
    let (reader, writer) = socket.split(tokio::io::split);
    let (sender, mut heard) = mpsc::channel(QUEUE);
    let mut reading = JoinSet::new();
    reading.spawn(read(reader, sender));
    let Some(Heard::Start(start)) = heard.recv().await else { return Err("no start".to_owned()) };
    let lease = channels.lease();
    let call = Call { writer, heard, session: session(&start.call_sid), stream_sid: start.stream_sid, marks: 0 };
    call.run(&lease).await
}

fn session(call_sid: &str) -> String {
    format!("projects/p/locations/global/agents/load/sessions/{call_sid}")
}

/// Reads until the socket ends. It does nothing else, for a read that is dropped half-way loses bytes.
async fn read(mut socket: WebSocketRead<ReadHalf<Socket>>, call: mpsc::Sender<Heard>) {
    loop {
        let Ok(frame) = socket.read_frame::<_, WebSocketError>(&mut |_| async { Ok(()) }).await else { return };
        let message = match frame.opcode {
            OpCode::Text => serde_json::from_slice::<FromTwilio<'_>>(&frame.payload),
            OpCode::Close => return,
            OpCode::Ping | OpCode::Pong | OpCode::Binary | OpCode::Continuation => continue,
        };
        let Ok(message) = message else { return };
        let heard = match message {
            FromTwilio { media: Some(media), .. } => match STANDARD.decode(media.payload) {
                Ok(audio) => Heard::Audio(audio.into()),
                Err(_) => return,
            },
            FromTwilio { start: Some(start), .. } => Heard::Start(start),
            FromTwilio { event: "stop", .. } => return,
            FromTwilio { .. } => continue,
        };
        if call.send(heard).await.is_err() {
            return;
        }
    }
}

struct Call {
    writer: WebSocketWrite<WriteHalf<Socket>>,
    heard: mpsc::Receiver<Heard>,
    session: String,
    stream_sid: String,
    marks: u64,
}

type Requests = mpsc::Sender<cx::StreamingDetectIntentRequest>;

impl Call {
    async fn run(mut self, lease: &Lease) -> Result<(), String> {
        let mut client = SessionsClient::new(lease.channel.clone()).max_decoding_message_size(MOST_BYTES);
        let (mut requests, mut stream) = self.turn()?;
        loop {
            // What is said while the agent answers is for the next turn.
            let (next_requests, next_stream) = self.turn()?;
            self.converse(&mut client, requests, stream, &next_requests).await?;
            (requests, stream) = (next_requests, next_stream);
        }
    }

    /// A turn's input, with its first message in it.
    fn turn(&self) -> Result<(Requests, ReceiverStream<cx::StreamingDetectIntentRequest>), String> {
        let (requests, stream) = mpsc::channel(QUEUE);
        requests.try_send(first_request(&self.session)).map_err(|error| error.to_string())?;
        Ok((requests, ReceiverStream::new(stream)))
    }

    /// One turn, from its stream's opening to its end.
    async fn converse(
        &mut self,
        client: &mut SessionsClient<Channel>,
        requests: Requests,
        stream: ReceiverStream<cx::StreamingDetectIntentRequest>,
        next: &Requests,
    ) -> Result<(), String> {
        let responses = client.streaming_detect_intent(stream).await;
        let mut responses = responses.map_err(|status| status.to_string())?.into_inner();
        let mut requests = Some(requests);
        loop {
            tokio::select! {
                heard = self.heard.recv() => {
                    let Some(Heard::Audio(audio)) = heard else { return Err("the caller has gone".to_owned()) };
                    let sent = requests.as_ref().unwrap_or(next).send(audio_request(audio)).await;
                    sent.map_err(|_| "the agent does not listen".to_owned())?;
                }
                response = responses.message() => match response.map_err(|status| status.to_string())? {
                    None => return Ok(()),
                    Some(response) => match response.response {
                        Some(Part::RecognitionResult(result))
                            if result.message_type() == MessageType::EndOfSingleUtterance => requests = None,
                        Some(Part::DetectIntentResponse(answer)) if !answer.output_audio.is_empty() => {
                            self.play(&answer.output_audio).await.map_err(|error| error.to_string())?;
                        }
                        _ => {}
                    },
                },
            }
        }
    }

    async fn play(&mut self, audio: &[u8]) -> Result<(), WebSocketError> {
        let payload = STANDARD.encode(audio);
        self.marks += 1;
        let name = self.marks.to_string();
        let stream_sid = self.stream_sid.as_str();
        let messages = [
            ToTwilio::Media { stream_sid, media: Media { payload: &payload } },
            ToTwilio::Mark { stream_sid, mark: Mark { name: &name } },
        ];
        for message in messages {
            // Such a structure is always JSON.
            let text = serde_json::to_vec(&message).unwrap_or_default();
            self.writer.write_frame(Frame::text(Payload::Owned(text))).await?;
        }
        self.writer.flush().await
    }
}

fn first_request(session: &str) -> cx::StreamingDetectIntentRequest {
    let config = cx::InputAudioConfig {
        audio_encoding: cx::AudioEncoding::Mulaw.into(),
        sample_rate_hertz: 8_000,
        single_utterance: true,
        ..Default::default()
    };
    cx::StreamingDetectIntentRequest {
        session: session.to_owned(),
        query_input: Some(cx::QueryInput {
            language_code: "en-US".to_owned(),
            input: Some(Input::Audio(cx::AudioInput { config: Some(config), audio: Bytes::new() })),
        }),
        output_audio_config: Some(cx::OutputAudioConfig {
            audio_encoding: cx::OutputAudioEncoding::Mulaw.into(),
            sample_rate_hertz: 8_000,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn audio_request(audio: Bytes) -> cx::StreamingDetectIntentRequest {
    cx::StreamingDetectIntentRequest {
        query_input: Some(cx::QueryInput {
            input: Some(Input::Audio(cx::AudioInput { config: None, audio })),
            ..Default::default()
        }),
        ..Default::default()
    }
}
