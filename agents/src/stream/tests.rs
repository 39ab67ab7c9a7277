//! Turns over HTTP/2, to a server that does what a server may do: take little, go away, say nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialbridge_core::agent::{MAX_AUDIO_BYTES, TurnInput, TurnStart};
use dialbridge_core::{AgentEvent, StreamId};
use dialbridge_net::dial::{Dial, Dialled, Io};
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use prost::Message as _;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::address::{Endpoint, Product};
use crate::agent::{Agent, Link, StreamHandle};
use crate::codec::HEAD_BYTES;
use crate::message_room::MessageRoom;
use crate::session::SessionContext;

/// The minutes and more that a test lets pass on the virtual clock, before it gives up.
const LONG: Duration = Duration::from_secs(300);

/// Dials pipes, whose other ends the test gets.
#[derive(Debug)]
struct Pipes(mpsc::Sender<DuplexStream>);

impl Dial for Pipes {
    fn dial(&self, _: &str, _: u16) -> Dialled {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        self.0.try_send(theirs).unwrap();
        Box::pin(async move { Ok(Box::new(ours) as Box<dyn Io>) })
    }
}

/// Dials for ever. The test gets a word for each attempt.
#[derive(Debug)]
struct Nowhere(mpsc::Sender<()>);

impl Dial for Nowhere {
    fn dial(&self, _: &str, _: u16) -> Dialled {
        self.0.try_send(()).unwrap();
        Box::pin(std::future::pending())
    }
}

/// An agent of CX, and the events of its streams.
struct Client {
    agent: Agent,
    to_events: mpsc::Sender<(StreamId, AgentEvent)>,
    events: mpsc::Receiver<(StreamId, AgentEvent)>,
    tasks: JoinSet<()>,
}

impl Client {
    fn new(dial: impl Dial + 'static) -> Self {
        let endpoint = Endpoint { url: "http://agent.test".to_owned(), is_plaintext: true };
        let agent = Agent::new(&endpoint, Link::Grpc, None, Arc::new(dial), 80, MessageRoom::default()).unwrap();
        let (to_events, events) = mpsc::channel(64);
        Self { agent, to_events, events, tasks: JoinSet::new() }
    }

    fn open(&mut self, id: u32) -> StreamHandle {
        let context = SessionContext {
            session: "projects/p/locations/global/agents/a/sessions/CA1".to_owned(),
            product: Product::Cx,
            language: "en-US".to_owned(),
            speech: Arc::default(),
            ces: Arc::default(),
        };
        let start = TurnStart::new(TurnInput::Audio);
        self.agent.open(&context, StreamId(id), &start, self.to_events.clone(), &mut self.tasks)
    }

    async fn next(&mut self) -> (StreamId, AgentEvent) {
        timeout(LONG, self.events.recv()).await.unwrap().unwrap()
    }

    /// The code of the next stream that fails.
    async fn fault(&mut self) -> (StreamId, String) {
        match self.next().await {
            (id, AgentEvent::Failed(fault)) => (id, fault.code),
            other => panic!("{other:?}"),
        }
    }
}

/// A client and the connections that it dials.
fn client() -> (Client, mpsc::Receiver<DuplexStream>) {
    let (sender, dialled) = mpsc::channel(10);
    (Client::new(Pipes(sender)), dialled)
}

/// The server's end of a connection.
struct Server {
    requests: mpsc::Receiver<(RecvStream, SendResponse<Bytes>)>,
    go_away: mpsc::Sender<()>,
    _driving: JoinSet<()>,
}

impl Server {
    async fn on(connection: DuplexStream, window: u32) -> Self {
        let mut connection = Builder::new().initial_window_size(window).handshake(connection).await.unwrap();
        let (sender, requests) = mpsc::channel(10);
        let (go_away, mut told) = mpsc::channel(1);
        let mut driving = JoinSet::new();
        driving.spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = told.recv() => connection.graceful_shutdown(),
                    accepted = connection.accept() => match accepted {
                        Some(Ok((request, response))) => sender.send((request.into_body(), response)).await.unwrap(),
                        _ => return,
                    }
                }
            }
        });
        Self { requests, go_away, _driving: driving }
    }

    async fn next(&mut self) -> (Request, SendResponse<Bytes>) {
        let (body, response) = timeout(LONG, self.requests.recv()).await.unwrap().unwrap();
        (Request { body, bytes: BytesMut::new() }, response)
    }
}

/// A request as the server reads it.
struct Request {
    body: RecvStream,
    bytes: BytesMut,
}

impl Request {
    /// The audio of the next message; `None` at the half-close.
    async fn audio(&mut self) -> Result<Option<Bytes>, Reason> {
        loop {
            if let Some(message) = self.message() {
                return Ok(Some(match message.query_input.unwrap().input.unwrap() {
                    cx::query_input::Input::Audio(audio) => audio.audio,
                    other => panic!("{other:?}"),
                }));
            }
            let Some(data) = timeout(LONG, self.body.data()).await.unwrap() else { return Ok(None) };
            let data = data.map_err(|error| error.reason().unwrap())?;
            self.body.flow_control().release_capacity(data.len()).unwrap();
            self.bytes.extend_from_slice(&data);
        }
    }

    /// The length of the next data, for which no more room is given. `None` at the half-close.
    async fn some(&mut self) -> Option<usize> {
        timeout(LONG, self.body.data()).await.unwrap().map(|data| data.unwrap().len())
    }

    fn message(&mut self) -> Option<cx::StreamingDetectIntentRequest> {
        let length = u32::from_be_bytes(self.bytes.get(1..HEAD_BYTES)?.try_into().unwrap()) as usize;
        let message = self.bytes.get(HEAD_BYTES..HEAD_BYTES + length)?;
        let message = cx::StreamingDetectIntentRequest::decode(message).unwrap();
        let _ = self.bytes.split_to(HEAD_BYTES + length);
        Some(message)
    }

    /// All audio until the half-close.
    async fn all_audio(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(audio) = self.audio().await.unwrap() {
            assert!(audio.len() <= MAX_AUDIO_BYTES);
            all.extend_from_slice(&audio);
        }
        all
    }
}

/// Ends a stream as an agent does that has nothing to say.
fn end(mut response: SendResponse<Bytes>) {
    let mut body = response.send_response(http::Response::new(()), false).unwrap();
    let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    body.send_trailers(trailers).unwrap();
}

/// A turn at a server that gives its stream that much room, in bytes.
async fn turn(window: u32) -> (Client, StreamHandle, Server, Request, SendResponse<Bytes>) {
    let (mut client, mut dialled) = client();
    let stream = client.open(1);
    let mut server = Server::on(dialled.recv().await.unwrap(), window).await;
    let (request, response) = server.next().await;
    (client, stream, server, request, response)
}

fn frame(number: u8) -> Vec<u8> {
    vec![number; 160]
}

#[tokio::test(start_paused = true)]
async fn frames_for_which_there_is_no_room_wait_and_come_whole_and_in_order() {
    let (mut client, stream, _server, mut request, response) = turn(700).await;
    // The window takes the first of them. The server reads no more until all are written.
    for number in 0..100 {
        stream.audio(&frame(number)).unwrap();
        tokio::task::yield_now().await;
    }
    stream.half_close();
    let all: Vec<u8> = (0..100).flat_map(frame).collect();
    assert!(request.all_audio().await == all);
    end(response);
    assert!(matches!(client.next().await, (StreamId(1), AgentEvent::Ended)));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_utterance_is_told_even_if_the_agent_takes_no_more_audio() {
    let (_client, stream, _server, mut request, _response) = turn(1_000).await;
    let mut left = 1_000 - request.some().await.unwrap();
    stream.audio(&frame(1)).unwrap();
    let framed = request.some().await.unwrap();
    left -= framed;
    // This message fills the window to its last byte, and nobody opens it again.
    stream.audio(&vec![2; left - (framed - 160)]).unwrap();
    assert_eq!(request.some().await, Some(left));
    stream.half_close();
    assert_eq!(request.some().await.unwrap_or(0), 0);
    assert!(request.body.is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn what_was_written_before_the_connection_is_open_goes_first() {
    let (mut client, mut dialled) = client();
    let stream = client.open(1);
    stream.audio(&frame(1)).unwrap();
    let mut server = Server::on(dialled.recv().await.unwrap(), 60_000).await;
    let (mut request, _response) = server.next().await;
    assert_eq!(request.audio().await, Ok(Some(Bytes::new())), "the first message has the session and no audio");
    assert_eq!(request.audio().await, Ok(Some(frame(1).into())));
    // From here on a frame goes out when it comes.
    for number in 2..5 {
        stream.audio(&frame(number)).unwrap();
        assert_eq!(request.audio().await, Ok(Some(frame(number).into())));
    }
    stream.half_close();
    assert_eq!(request.audio().await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_given_up_is_reset_and_one_that_is_left_half_closed() {
    let cancel: fn(StreamHandle) = |stream| stream.cancel();
    for (gives_up, rest) in [(cancel, Err(Reason::CANCEL)), (|stream| stream.leave(), Ok(None))] {
        let (_client, stream, _server, mut request, _response) = turn(60_000).await;
        stream.audio(&frame(1)).unwrap();
        assert_eq!(request.audio().await, Ok(Some(Bytes::new())));
        assert_eq!(request.audio().await, Ok(Some(frame(1).into())));
        gives_up(stream);
        assert_eq!(request.audio().await, rest);
    }
}

#[tokio::test(start_paused = true)]
async fn after_go_away_new_turns_get_another_connection_and_the_old_one_runs_to_its_end() {
    let (mut client, mut dialled) = client();
    let old = client.open(1);
    let mut server = Server::on(dialled.recv().await.unwrap(), 60_000).await;
    let (mut request, response) = server.next().await;
    server.go_away.send(()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let new = client.open(2);
    let mut other = Server::on(dialled.recv().await.unwrap(), 60_000).await;
    let (mut second, _response) = other.next().await;
    old.audio(&frame(1)).unwrap();
    old.half_close();
    new.audio(&frame(2)).unwrap();
    new.half_close();
    assert_eq!((request.all_audio().await, second.all_audio().await), (frame(1), frame(2)));
    end(response);
    assert!(matches!(client.next().await, (StreamId(1), AgentEvent::Ended)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_answers_fails_its_turns() {
    let (mut client, mut dialled) = client();
    let _stream = client.open(1);
    // Nobody reads it.
    let _connection = dialled.recv().await.unwrap();
    let began = Instant::now();
    assert_eq!(client.fault().await, (StreamId(1), "UNAVAILABLE".to_owned()));
    assert_eq!(began.elapsed().as_secs(), 70, "a ping after 60 s, and 10 s for its answer");
    let _next = client.open(2);
    assert!(dialled.recv().await.is_some(), "the next turn has a new connection");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_fails_its_turns_at_once() {
    let (mut client, mut dialled) = client();
    let _streams = [client.open(1), client.open(2)];
    let connection = dialled.recv().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(connection);
    for _ in 0..2 {
        assert_eq!(client.fault().await.1, "UNAVAILABLE");
    }
}

#[tokio::test(start_paused = true)]
async fn turns_that_wait_for_the_same_connection_learn_together_that_it_cannot_be_opened() {
    let (sender, mut dialled) = mpsc::channel(10);
    let mut client = Client::new(Nowhere(sender));
    let _streams = [client.open(1), client.open(2), client.open(3)];
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(client.fault().await.1, "UNAVAILABLE");
    }
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!((dialled.recv().await, dialled.try_recv().is_err()), (Some(()), true), "one attempt");
    // A turn that comes later tries again.
    let _next = client.open(4);
    assert_eq!(timeout(LONG, dialled.recv()).await, Ok(Some(())));
}

#[tokio::test(start_paused = true)]
async fn a_status_without_messages_is_the_agents_and_its_absence_is_a_fault() {
    let (mut client, mut dialled) = client();
    let _stream = client.open(1);
    let mut server = Server::on(dialled.recv().await.unwrap(), 60_000).await;
    let refused = http::Response::builder().header("grpc-status", "5").header("grpc-message", "no%20agent").body(());
    server.next().await.1.send_response(refused.unwrap(), true).unwrap();
    match client.next().await {
        (StreamId(1), AgentEvent::Failed(fault)) => assert_eq!(fault.to_string(), "NOT_FOUND: no agent"),
        other => panic!("{other:?}"),
    }
    let _stream = client.open(2);
    server.next().await.1.send_response(http::Response::new(()), true).unwrap();
    assert_eq!(client.fault().await, (StreamId(2), "UNKNOWN".to_owned()));
    let _stream = client.open(3);
    let details = [("grpc-status", "3"), ("grpc-message", "wrong"), ("grpc-status-details-bin", "%")];
    let strange = details.into_iter().fold(http::Response::builder(), |head, (name, value)| head.header(name, value));
    server.next().await.1.send_response(strange.body(()).unwrap(), true).unwrap();
    assert_eq!(client.fault().await, (StreamId(3), "INVALID_ARGUMENT".to_owned()), "without details");
    let _stream = client.open(4);
    let compressed = http::Response::builder().header("grpc-encoding", "gzip").body(());
    server.next().await.1.send_response(compressed.unwrap(), false).unwrap();
    assert_eq!(client.fault().await, (StreamId(4), "UNIMPLEMENTED".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_the_server_resets_fails_with_what_grpc_says_of_the_reason() {
    let (mut client, mut dialled) = client();
    let mut server = None;
    for (id, (reason, code)) in (1..).zip([
        (Reason::REFUSED_STREAM, "UNAVAILABLE"),
        (Reason::CANCEL, "UNAVAILABLE"),
        (Reason::ENHANCE_YOUR_CALM, "RESOURCE_EXHAUSTED"),
        (Reason::INTERNAL_ERROR, "INTERNAL"),
        (Reason::NO_ERROR, "UNKNOWN"),
    ]) {
        let _stream = client.open(id);
        let server = match &mut server {
            Some(server) => server,
            None => server.insert(Server::on(dialled.recv().await.unwrap(), 60_000).await),
        };
        let (_request, mut response) = server.next().await;
        let mut body = response.send_response(http::Response::new(()), false).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        body.send_reset(reason);
        assert_eq!(client.fault().await, (StreamId(id), code.to_owned()), "{reason:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_waits_no_longer_for_a_connection_when_the_one_that_opens_it_gives_up() {
    let (sender, mut dialled) = mpsc::channel(10);
    let mut client = Client::new(Nowhere(sender));
    let first = client.open(1);
    let _second = client.open(2);
    let began = Instant::now();
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    first.cancel();
    assert_eq!(client.fault().await, (StreamId(2), "UNAVAILABLE".to_owned()));
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!((dialled.recv().await, dialled.recv().await), (Some(()), Some(())));
}
