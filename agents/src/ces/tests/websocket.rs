//! The client's side of the WebSocket, against a server that each test controls.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_core::agent::{AgentFault, Answer, TurnInput};
use dialbridge_core::{AgentEvent, StreamId};
use dialbridge_net::websocket::{Closed, Frame, Incoming, Message, OpCode, Reader, Role, Writer, split};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{at_once, context, object, start};
use crate::address::Endpoint;
use crate::agent::{Agent, Link, StreamHandle};
use crate::message_room::MessageRoom;
use dialbridge_net::dial::{Dial, Dialled, Io};

/// The buffer of a connection, in bytes.
const PIPE: usize = 65_536;

/// Opens pipes and gives their other ends to the test.
#[derive(Debug)]
pub(super) struct Pipes(pub(super) mpsc::Sender<DuplexStream>);

impl Dial for Pipes {
    fn dial(&self, host: &str, port: u16) -> Dialled {
        assert_eq!((host, port), ("ces.test", 80));
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let sender = self.0.clone();
        Box::pin(async move {
            sender.send(theirs).await.unwrap();
            Ok(Box::new(ours) as Box<dyn Io>)
        })
    }
}

/// A stream that is opening, as the call sees it.
struct Client {
    handle: StreamHandle,
    events: mpsc::Receiver<(StreamId, AgentEvent)>,
    _tasks: JoinSet<()>,
}

impl Client {
    async fn next(&mut self) -> AgentEvent {
        let next = timeout(Duration::from_secs(60), self.events.recv()).await;
        next.expect("something is said in time").expect("the stream is there").1
    }

    async fn failed(&mut self) -> AgentFault {
        match self.next().await {
            AgentEvent::Failed(fault) => fault,
            other => panic!("{other:?}"),
        }
    }

    async fn text(&mut self) -> String {
        match self.next().await {
            AgentEvent::Answer(answer) => answer.text,
            other => panic!("{other:?}"),
        }
    }
}

/// Opens a stream and returns it with the server's end of its connection.
async fn open_with(queue: usize, input: TurnInput) -> (Client, DuplexStream) {
    let (sender, mut dialled) = mpsc::channel(1);
    let endpoint = Endpoint { url: "http://ces.test".to_owned(), is_plaintext: true };
    let agent =
        Agent::new(&endpoint, Link::WebSocket, None, Arc::new(Pipes(sender)), 1, MessageRoom::default()).unwrap();
    let (events_sender, events) = mpsc::channel(queue);
    let mut tasks = JoinSet::new();
    let mut start = start(input);
    start.parameters = object(serde_json::json!({ "shop": "north" }));
    let handle = agent.open(&context(at_once()), StreamId(1), &start, events_sender, &mut tasks);
    (Client { handle, events, _tasks: tasks }, dialled.recv().await.unwrap())
}

/// Reads the head of a request.
pub(super) async fn head(connection: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")))?;
    Some(&line[name.len() + 2..])
}

fn accept(head: &str) -> String {
    let key = format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", header(head, "sec-websocket-key").unwrap());
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes()))
}

/// The server's end of a WebSocket.
struct Server(Reader<DuplexStream>, Writer<DuplexStream>);

/// What the client sent.
#[derive(Debug, PartialEq)]
enum Got {
    Text(Value),
    Ping,
    Pong(Vec<u8>),
    Close(u16),
    Gone,
}

impl Server {
    async fn over(mut connection: DuplexStream) -> Self {
        let head = head(&mut connection).await;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {}\r\n\r\n",
            accept(&head)
        );
        connection.write_all(answer.as_bytes()).await.unwrap();
        Self::after_handshake(connection)
    }

    fn after_handshake(connection: DuplexStream) -> Self {
        let (reader, writer) = split(connection, Role::Server, 1 << 20);
        Self(reader, writer)
    }

    async fn got(&mut self) -> Got {
        match self.0.next().await {
            Ok(Incoming::Message(Message::Text(text))) => Got::Text(serde_json::from_slice(text.as_ref()).unwrap()),
            Ok(Incoming::Ping(_)) => Got::Ping,
            Ok(Incoming::Pong(payload)) => Got::Pong(payload),
            Err(Closed::ByPeer { code, .. }) => Got::Close(code.unwrap()),
            Err(Closed::Broken) => Got::Gone,
            other => panic!("{other:?}"),
        }
    }

    /// The next thing from the client that is not audio.
    async fn got_other(&mut self) -> Got {
        loop {
            match self.got().await {
                Got::Text(message) if message["realtimeInput"].get("audio").is_some() => {}
                other => return other,
            }
        }
    }

    async fn send(&mut self, fin: bool, opcode: OpCode, payload: &[u8]) {
        self.1.send(Frame { is_final: fin, opcode, payload: payload.to_vec() }).await.unwrap();
    }

    async fn says(&mut self, text: &str) {
        self.send(true, OpCode::Text, format!(r#"{{"sessionOutput":{{"text":"{text}"}}}}"#).as_bytes()).await;
    }

    async fn close(&mut self, code: u16, reason: &str) {
        self.1.send(Frame::close(code, reason)).await.unwrap();
    }
}

/// An open stream.
async fn opened() -> (Client, Server) {
    let (client, connection) = open_with(64, TurnInput::Audio).await;
    (client, Server::over(connection).await)
}

#[tokio::test(start_paused = true)]
async fn the_handshake_names_the_location_and_the_first_messages_follow() {
    let (client, mut connection) = open_with(64, TurnInput::Event("session_start".to_owned())).await;
    let head = {
        let mut peeked = head(&mut connection).await;
        peeked.shrink_to_fit();
        peeked
    };
    let path = "/ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/eu";
    assert!(head.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{head}");
    assert_eq!(header(&head, "host"), Some("ces.test"));
    assert_eq!(header(&head, "x-goog-user-project"), None, "only credentials name one");
    assert_eq!(header(&head, "authorization"), None, "a plaintext endpoint gets no token");
    assert_eq!((header(&head, "upgrade"), header(&head, "sec-websocket-version")), (Some("websocket"), Some("13")));

    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {}\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        accept(&head)
    );
    connection.write_all(answer.as_bytes()).await.unwrap();
    let mut server = Server::after_handshake(connection);
    client.handle.audio(&[0x55; 480]).unwrap();
    let Got::Text(config) = server.got().await else { panic!() };
    assert_eq!(config["config"]["session"], "projects/my-project/locations/eu/apps/a/sessions/CA123");
    let Got::Text(variables) = server.got().await else { panic!() };
    assert_eq!(variables["realtimeInput"]["variables"]["shop"], "north");
    let Got::Text(event) = server.got().await else { panic!() };
    assert_eq!(event["realtimeInput"]["event"]["event"], "session_start");
    let Got::Text(audio) = server.got().await else { panic!() };
    assert_eq!(audio["realtimeInput"]["audio"], STANDARD.encode([0x55; 480]));
}

#[tokio::test(start_paused = true)]
async fn messages_come_as_text_or_as_binary_whole_or_in_fragments_and_pings_are_answered() {
    let (mut client, mut server) = opened().await;
    server.says("one").await;
    server.send(true, OpCode::Binary, br#"{"sessionOutput":{"text":"two"}}"#).await;
    server.send(false, OpCode::Text, br#"{"sessionOut"#).await;
    server.send(true, OpCode::Ping, b"there?").await;
    server.send(false, OpCode::Continuation, br#"put":{"text":"#).await;
    server.send(true, OpCode::Pong, b"nobody asked").await;
    server.send(true, OpCode::Continuation, br#""three"}}"#).await;
    server.send(true, OpCode::Text, b"{}").await;
    server.says("four").await;
    for expected in ["one", "two", "three", "four"] {
        assert_eq!(client.text().await, expected);
    }
    let mut got = Vec::new();
    for _ in 0..3 {
        got.push(server.got_other().await);
    }
    assert!(got.contains(&Got::Pong(b"there?".to_vec())), "beside the configuration and the variables: {got:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_of_five_mebibytes_is_taken() {
    let (mut client, mut server) = opened().await;
    let audio = STANDARD.encode(vec![7_u8; 5 << 20]);
    let message = format!(r#"{{"sessionOutput":{{"audio":"{audio}"}}}}"#);
    let (first, second) = message.as_bytes().split_at(3 << 20);
    let sending = async {
        server.send(true, OpCode::Text, message.as_bytes()).await;
        server.send(false, OpCode::Text, first).await;
        server.send(true, OpCode::Continuation, second).await;
    };
    let reading = async {
        for _ in 0..2 {
            let AgentEvent::Answer(answer) = client.next().await else { panic!() };
            assert_eq!(answer.prompts[0].audio.len(), 5 << 20);
        }
    };
    tokio::join!(sending, reading);
}

#[tokio::test(start_paused = true)]
async fn fragments_count_together_and_what_is_no_message_ends_the_stream() {
    let part = vec![b' '; 1 << 20];
    let (mut client, mut server) = opened().await;
    let sending = async {
        server.send(false, OpCode::Text, &part).await;
        for _ in 0..40 {
            let frame = Frame { is_final: false, opcode: OpCode::Continuation, payload: part.clone() };
            if server.1.send(frame).await.is_err() {
                break;
            }
        }
    };
    let (fault, ()) = tokio::join!(client.failed(), sending);
    assert_eq!((fault.code.as_str(), fault.transient), ("INTERNAL", true));

    for (opcode, text) in [(OpCode::Continuation, "x"), (OpCode::Text, "no json"), (OpCode::Text, "[]")] {
        let (mut client, mut server) = opened().await;
        server.send(true, opcode, text.as_bytes()).await;
        assert_eq!(client.failed().await.code, "INTERNAL", "{text}");
    }
    let (mut client, mut server) = opened().await;
    server.send(true, OpCode::Text, br#"{"sessionOutput":{"text":7,"secret":"my PIN is 4711"}}"#).await;
    let told = client.failed().await.to_string();
    assert!(!told.contains("4711"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn each_close_code_is_a_fault_or_an_ordinary_end_and_is_answered() {
    for (code, fault) in [
        (1000, None),
        (1001, Some(("UNAVAILABLE", true))),
        (1007, Some(("INVALID_ARGUMENT", false))),
        (1008, Some(("PERMISSION_DENIED", false))),
        (1011, Some(("UNAVAILABLE", true))),
        (1012, Some(("UNAVAILABLE", true))),
    ] {
        let (mut client, mut server) = opened().await;
        server.says("last words").await;
        server.close(code, "because").await;
        assert_eq!(client.text().await, "last words");
        let answered = async {
            loop {
                match server.got_other().await {
                    Got::Close(code) => break code,
                    Got::Gone => panic!("the close was not answered"),
                    Got::Text(_) | Got::Ping | Got::Pong(_) => {}
                }
            }
        };
        let (event, answer) = tokio::join!(client.next(), answered);
        assert_eq!(answer, code);
        match (event, fault) {
            (AgentEvent::Ended, None) => {}
            (AgentEvent::Failed(told), Some((name, transient))) => {
                assert_eq!((told.code.as_str(), told.transient), (name, transient), "{code}");
                assert!(told.message.contains("because"));
            }
            (other, _) => panic!("{code}: {other:?}"),
        }
    }
    let (mut client, mut server) = opened().await;
    server.send(true, OpCode::Close, b"").await;
    assert_eq!(client.next().await, AgentEvent::Ended, "a close without a code");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_unavailable() {
    let (mut client, server) = opened().await;
    drop(server);
    let fault = client.failed().await;
    assert_eq!((fault.code.as_str(), fault.transient), ("UNAVAILABLE", true));
}

#[tokio::test(start_paused = true)]
async fn each_refusal_of_the_handshake_is_a_fault() {
    let body = r#"{"error":{"code":403,"message":"Permission 'ces.sessions.bidiRunSession' denied","status":"PERMISSION_DENIED"}}"#;
    for (status, body, name, transient) in [
        ("400 Bad Request", "", "INVALID_ARGUMENT", false),
        ("401 Unauthorized", "", "UNAUTHENTICATED", false),
        ("403 Forbidden", body, "PERMISSION_DENIED", false),
        ("404 Not Found", "<html>not here</html>", "NOT_FOUND", false),
        ("429 Too Many Requests", "", "RESOURCE_EXHAUSTED", true),
        ("500 Internal Server Error", "", "UNAVAILABLE", true),
        ("503 Service Unavailable", "", "UNAVAILABLE", true),
        ("302 Found", "", "FAILED_PRECONDITION", false),
        ("200 OK", "hello", "FAILED_PRECONDITION", false),
    ] {
        let (mut client, mut connection) = open_with(64, TurnInput::Audio).await;
        head(&mut connection).await;
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        connection.write_all(answer.as_bytes()).await.unwrap();
        let fault = client.failed().await;
        assert_eq!((fault.code.as_str(), fault.transient), (name, transient), "{status}");
        assert_eq!(fault.message.contains("bidiRunSession"), !body.is_empty() && name == "PERMISSION_DENIED");
        assert_eq!(fault.message.contains("ces.eu.rep.googleapis.com"), name == "NOT_FOUND", "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_answered_wrongly_or_never_is_a_fault() {
    let switching = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n";
    for (answer, name) in [
        (format!("{switching}sec-websocket-accept: wrong\r\n\r\n"), "FAILED_PRECONDITION"),
        (format!("{switching}\r\n"), "FAILED_PRECONDITION"),
        ("SSH-2.0-OpenSSH\r\n\r\n".to_owned(), "UNAVAILABLE"),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 100\r\n\r\nthe rest does not come".to_owned(), "UNAVAILABLE"),
        (String::new(), "UNAVAILABLE"),
    ] {
        let (mut client, mut connection) = open_with(64, TurnInput::Audio).await;
        head(&mut connection).await;
        connection.write_all(answer.as_bytes()).await.unwrap();
        assert_eq!(client.failed().await.code, name, "{answer}");
    }
    let (mut client, connection) = open_with(64, TurnInput::Audio).await;
    drop(connection);
    assert_eq!(client.failed().await.code, "UNAVAILABLE");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_input_is_a_close_and_what_the_server_still_says_is_heard() {
    let (mut client, mut server) = opened().await;
    client.handle.audio(&[0x55; 100]).unwrap();
    client.handle.half_close();
    assert!(matches!(server.got().await, Got::Text(_)), "the configuration");
    assert!(matches!(server.got().await, Got::Text(_)), "the variables");
    let Got::Text(rest) = server.got().await else { panic!() };
    assert_eq!(rest["realtimeInput"]["audio"], STANDARD.encode([0x55; 100]), "the rest of the audio goes first");
    assert_eq!(server.got().await, Got::Close(1000));
    server.says("still talking").await;
    assert_eq!(client.text().await, "still talking");
    server.close(1001, "gone away").await;
    assert_eq!(client.next().await, AgentEvent::Ended, "whoever leaves is not told that he may not");

    let (mut client, server) = opened().await;
    client.handle.half_close();
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(server);
    assert_eq!(client.next().await, AgentEvent::Ended, "nor does a broken connection matter any more");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cancelled_closes_its_connection() {
    let (client, mut server) = opened().await;
    server.says("long words").await;
    client.handle.cancel();
    assert!(matches!(server.got().await, Got::Text(_) | Got::Gone));
    while server.got().await != Got::Gone {}
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_nothing_is_dead_after_a_while() {
    let (mut client, connection) = open_with(64, TurnInput::Audio).await;
    let server = Server::over(connection).await;
    for _ in 0..300 {
        client.handle.audio(&[0x55; 1_600]).unwrap();
    }
    let fault = client.failed().await;
    assert_eq!((fault.code.as_str(), fault.message.as_str()), ("UNAVAILABLE", "the server takes nothing"));
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answered_probes_and_gives_no_sign_of_life_any_more_is_gone() {
    // Answers that many pings and keeps reading.
    for (answers, is_gone) in [(0, false), (1, true), (2, true), (100, false)] {
        let (mut client, mut server) = opened().await;
        let began = tokio::time::Instant::now();
        let serving = async {
            let mut probes = 0;
            while began.elapsed() < Duration::from_secs(55) {
                if server.got().await == Got::Ping {
                    probes += 1;
                    if probes <= answers {
                        server.send(true, OpCode::Pong, b"").await;
                    }
                }
            }
        };
        let failed = timeout(Duration::from_secs(50), client.failed());
        let failed = tokio::select! { failed = failed => failed.ok(), () = serving => panic!("it went on for long") };
        assert_eq!(failed.is_some(), is_gone, "{answers}: {failed:?}");
        if let Some(fault) = failed {
            assert_eq!(fault.to_string(), "UNAVAILABLE: the server gives no sign of life");
            assert_eq!(began.elapsed().as_secs(), 10 * answers + 20);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_nothing_holds_the_server_up_and_fills_no_memory() {
    let (client, connection) = open_with(1, TurnInput::Audio).await;
    let mut server = Server::over(connection).await;
    let message = format!(r#"{{"sessionOutput":{{"text":"{}"}}}}"#, "x".repeat(30_000));
    let mut taken = 0;
    while taken < 1_000 && timeout(Duration::from_secs(1), server.1.send(Frame::text(message.as_str()))).await.is_ok() {
        taken += 1;
    }
    // One message in the call's queue, one in hand, and those in the buffers of the socket and the pipe.
    assert!(taken <= 1 + 1 + 1 + PIPE / message.len() + 1, "{taken}");
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_comes_as_a_message_is_told_by_its_name() {
    let (mut client, mut server) = opened().await;
    let error =
        br#"{"error":{"code":429,"message":"Quota exceeded for projects/my-project","status":"RESOURCE_EXHAUSTED"}}"#;
    server.send(true, OpCode::Text, error).await;
    assert_eq!(client.failed().await.to_string(), "RESOURCE_EXHAUSTED: Quota exceeded for …");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_session_ends_the_silence_too() {
    let (mut client, mut server) = opened().await;
    server.send(true, OpCode::Text, br#"{"endSession":{}}"#).await;
    let AgentEvent::Answer(answer) = client.next().await else { panic!() };
    assert!(matches!(*answer, Answer { end: Some(_), .. }));
    assert!(matches!(server.got().await, Got::Text(_)) && matches!(server.got().await, Got::Text(_)));
    let silence = async { while server.got().await == Got::Ping {} };
    assert!(timeout(Duration::from_secs(25), silence).await.is_err(), "no audio takes the place of the caller's");
}
