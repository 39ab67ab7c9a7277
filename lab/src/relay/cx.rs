//! A call with an agent of Dialogflow CX: one task reads the WebSocket, the other holds the turn's stream and writes
//! the WebSocket.

use bytes::Bytes;
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3::sessions_client::SessionsClient;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::channels::Lease;
use super::twilio::{Caller, Player, Started};
use super::{Failure, MAX_BYTES};

use cx::query_input::Input;
use cx::streaming_detect_intent_response::Response as Part;
use cx::streaming_recognition_result::MessageType;

/// How many frames may wait for the call, and for the agent: two seconds.
const QUEUE: usize = 100;

/// Relays a call until either side ends it.
pub(super) async fn relay(started: Started, lease: &Lease) -> Result<(), Failure> {
    let Started { call_sid, caller, player } = started;
    let (sender, heard) = mpsc::channel(QUEUE);
    let mut reading = JoinSet::new();
    reading.spawn(read(caller, sender));
    let session = format!("projects/p/locations/global/agents/load/sessions/{call_sid}");
    Call { player, heard, session }.run(lease).await
}

/// Reads until the WebSocket ends. It does nothing else, because a read that is dropped half-way loses bytes.
async fn read(mut caller: Caller, call: mpsc::Sender<Bytes>) {
    let mut audio = Vec::new();
    while caller.hear(&mut audio).await {
        if call.send(std::mem::take(&mut audio).into()).await.is_err() {
            return;
        }
    }
}

struct Call {
    player: Player,
    heard: mpsc::Receiver<Bytes>,
    session: String,
}

type Requests = mpsc::Sender<cx::StreamingDetectIntentRequest>;

impl Call {
    async fn run(mut self, lease: &Lease) -> Result<(), Failure> {
        let mut client = SessionsClient::new(lease.channel.clone()).max_decoding_message_size(MAX_BYTES);
        let (mut requests, mut stream) = self.turn()?;
        loop {
            // What the caller says while the agent answers belongs to the next turn.
            let (next_requests, next_stream) = self.turn()?;
            self.converse(&mut client, requests, stream, &next_requests).await?;
            (requests, stream) = (next_requests, next_stream);
        }
    }

    /// A turn's input, which already holds its first message.
    fn turn(&self) -> Result<(Requests, ReceiverStream<cx::StreamingDetectIntentRequest>), Failure> {
        let (requests, stream) = mpsc::channel(QUEUE);
        requests.try_send(first_request(&self.session))?;
        Ok((requests, ReceiverStream::new(stream)))
    }

    /// One turn, from the opening of its stream to its end.
    async fn converse(
        &mut self,
        client: &mut SessionsClient<Channel>,
        requests: Requests,
        stream: ReceiverStream<cx::StreamingDetectIntentRequest>,
        next: &Requests,
    ) -> Result<(), Failure> {
        let mut responses = client.streaming_detect_intent(stream).await?.into_inner();
        let mut requests = Some(requests);
        loop {
            tokio::select! {
                heard = self.heard.recv() => {
                    let audio = heard.ok_or("the caller has gone")?;
                    requests.as_ref().unwrap_or(next).send(audio_request(audio)).await?;
                }
                response = responses.message() => match response? {
                    None => return Ok(()),
                    Some(response) => match response.response {
                        Some(Part::RecognitionResult(result))
                            if result.message_type() == MessageType::EndOfSingleUtterance => requests = None,
                        Some(Part::DetectIntentResponse(answer)) if !answer.output_audio.is_empty() => {
                            self.player.play(&answer.output_audio).await?;
                        }
                        _ => {}
                    },
                },
            }
        }
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
