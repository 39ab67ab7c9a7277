//! `BidiRunSession` over gRPC.

use bytes::Bytes;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1::session_service_client::SessionServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{KICK_START, collect_audio, run, session};
use crate::relay::channels::Lease;
use crate::relay::twilio::{Caller, Player, Started};
use crate::relay::{Failure, MAX_BYTES};

use ces::bidi_session_client_message::MessageType as ToAgent;
use ces::bidi_session_server_message::MessageType as FromAgent;
use ces::session_input::InputType;
use ces::session_output::OutputType;

/// How many messages may wait for the agent: two seconds.
const QUEUE: usize = 33;

/// Relays a call until either side ends it.
pub(in crate::relay) async fn relay(started: Started, lease: &Lease, bytes: usize) -> Result<(), Failure> {
    let Started { call_sid, caller, player } = started;
    let client = SessionServiceClient::new(lease.channel.clone()).max_decoding_message_size(MAX_BYTES);
    let (requests, stream) = mpsc::channel(QUEUE);
    let sending = send(caller, session(&call_sid), requests, bytes);
    run(sending, play(player, client, ReceiverStream::new(stream))).await
}

type Message = ces::BidiSessionClientMessage;

/// Sends what the caller says. When the caller has gone, half-closes the stream.
async fn send(
    mut caller: Caller,
    session: String,
    requests: mpsc::Sender<Message>,
    bytes: usize,
) -> Result<(), Failure> {
    requests.send(message(ToAgent::Config(config(session)))).await?;
    let kick_start = ces::Event { event: KICK_START.to_owned() };
    requests.send(input(InputType::Event(kick_start))).await?;
    let mut is_there = true;
    while is_there {
        let mut audio = Vec::with_capacity(bytes);
        is_there = collect_audio(&mut caller, &mut audio, bytes).await;
        if !audio.is_empty() {
            requests.send(input(InputType::Audio(Bytes::from(audio)))).await?;
        }
    }
    Ok(())
}

/// Plays what the agent says.
async fn play(
    mut player: Player,
    mut client: SessionServiceClient<tonic::transport::Channel>,
    requests: ReceiverStream<Message>,
) -> Result<(), Failure> {
    let mut responses = client.bidi_run_session(requests).await?.into_inner();
    while let Some(response) = responses.message().await? {
        match response.message_type {
            Some(FromAgent::SessionOutput(ces::SessionOutput {
                output_type: Some(OutputType::Audio(audio)), ..
            })) => player.play(&audio).await?,
            Some(FromAgent::InterruptionSignal(_)) => player.clear().await?,
            _ => {}
        }
    }
    Ok(())
}

fn config(session: String) -> ces::SessionConfig {
    let (audio_encoding, sample_rate_hertz) = (ces::AudioEncoding::Mulaw.into(), 8_000);
    ces::SessionConfig {
        session,
        input_audio_config: Some(ces::InputAudioConfig { audio_encoding, sample_rate_hertz, ..Default::default() }),
        output_audio_config: Some(ces::OutputAudioConfig { audio_encoding, sample_rate_hertz }),
        ..Default::default()
    }
}

fn input(input: InputType) -> Message {
    message(ToAgent::RealtimeInput(ces::SessionInput { input_type: Some(input), ..Default::default() }))
}

fn message(message: ToAgent) -> Message {
    Message { message_type: Some(message) }
}
