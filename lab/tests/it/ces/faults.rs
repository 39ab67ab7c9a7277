//! Faults that a script has, over both transports.

use tonic::Code;

use super::client::{BOTH, Say, Transport, World, opening, pause};
use super::got::{Ended, Got};

/// What a client of either transport gets.
#[derive(Debug, Clone, Copy)]
struct Expected {
    grpc: Code,
    /// A close code, or an HTTP status.
    socket: u16,
}

fn check(transport: Transport, expected: Expected, ended: Option<Ended>, name: &str) {
    match (transport, ended) {
        (Transport::Grpc, Some(Ended::Grpc(code, told))) => assert_eq!(code, expected.grpc, "{name}: {told}"),
        (Transport::WebSocket, Some(Ended::Closed(code, _) | Ended::Http(code, _))) => {
            assert_eq!(code, expected.socket, "{name}");
        }
        (_, other) => panic!("{name}: {other:?}"),
    }
}

const RESET: Code = Code::Internal;

fn row(fault: &'static str, grpc: Code, socket: u16) -> (&'static str, Expected) {
    (fault, Expected { grpc, socket })
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_be_refused_before_anything_is_read() {
    for transport in BOTH {
        for (fault, expected) in [
            row("401", Code::Unauthenticated, 401),
            row("403", Code::PermissionDenied, 403),
            row("404", Code::Unimplemented, 404),
            row("429", Code::ResourceExhausted, 429),
            row("503", Code::Unavailable, 503),
            row("\"UNAVAILABLE\"", Code::Unavailable, 503),
            row("\"RESOURCE_EXHAUSTED\"", Code::ResourceExhausted, 429),
            row("\"UNIMPLEMENTED\"", Code::Unimplemented, 404),
            row("\"NOT_FOUND\"", Code::NotFound, 404),
            row("\"close\"", Code::Ok, 1000),
            row("\"reset\"", RESET, 1006),
            row("1006", RESET, 1006),
            row("1011", Code::Internal, 1011),
            row("1012", Code::Unavailable, 1012),
        ] {
            let world = World::new(&format!("[ces]\nrefuses = [\"served\", {fault}]\n[start]\nsay = \"hello\""));
            for is_refused in [false, true, false] {
                let mut client = world.connect(transport, "us", &[]).await;
                if !is_refused {
                    client.say(opening()).await;
                    client.say(Say::Event("session_start")).await;
                    pause(100).await;
                    assert!(
                        client
                            .got()
                            .contains(&Got::Text(if world.streams().len() == 1 { 1 } else { 2 }, "hello".to_owned()))
                    );
                    client.break_off().await;
                } else {
                    pause(100).await;
                    check(transport, expected, client.ended(), fault);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_break_once_it_is_configured() {
    for transport in BOTH {
        for (fault, expected) in [
            row("\"UNAVAILABLE\"", Code::Unavailable, 1011),
            row("\"RESOURCE_EXHAUSTED\"", Code::ResourceExhausted, 1011),
            row("\"PERMISSION_DENIED\"", Code::PermissionDenied, 1008),
            row("\"DEADLINE_EXCEEDED\"", Code::DeadlineExceeded, 1011),
            row("\"close\"", Code::Ok, 1000),
            row("\"reset\"", RESET, 1006),
            row("1008", Code::PermissionDenied, 1008),
            row("1012", Code::Unavailable, 1012),
            row("429", Code::ResourceExhausted, 1011),
        ] {
            let world = World::new(&format!("[ces]\nbreaks = [{fault}]"));
            let mut client = world.connect(transport, "us", &[]).await;
            pause(100).await;
            assert_eq!(client.ended(), None);
            client.say(opening()).await;
            pause(100).await;
            check(transport, expected, client.ended(), fault);
            let client = world.open(transport).await;
            pause(100).await;
            assert_eq!(client.ended(), None, "the next one is served");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_break_in_the_middle_of_an_answer() {
    for transport in BOTH {
        for (fault, expected) in [
            row("\"reset\"", RESET, 1006),
            row("1011", Code::Internal, 1011),
            row("1012", Code::Unavailable, 1012),
            row("\"close\"", Code::Ok, 1000),
            row("\"UNAVAILABLE\"", Code::Unavailable, 1011),
        ] {
            let script = format!(
                "[start]\nsay = \"hello\"\ntone = {{ hz = 400, ms = 2000 }}\nbreaks = {fault}\n[[utterance]]\nsay = \"on\""
            );
            let world = World::new(&script);
            let mut client = world.greeted(transport, 1_000).await;
            let got = client.got();
            assert_eq!(got[0], Got::Text(1, "hello".to_owned()));
            // What is in flight when a stream is reset may be lost.
            assert!((5..=6).contains(&got.len()), "half of the audio, and no end of the turn: {}", got.len());
            check(transport, expected, client.ended(), fault);
            let mut client = world.open(transport).await;
            client.say(Say::Text("and")).await;
            client.silence(100).await;
            assert_eq!(client.got()[0], Got::Text(2, "on".to_owned()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_break_while_it_listens() {
    for transport in BOTH {
        for (fault, expected) in
            [row("fault = \"UNAVAILABLE\"", Code::Unavailable, 1011), row("breaks = \"reset\"", RESET, 1006)]
        {
            let script = format!(
                "end_of_utterance_ms = 300\n[[utterance]]\n{fault}\nfault_after_ms = 500\n[[utterance]]\nsay = \"yes\""
            );
            let world = World::new(&script);
            let mut client = world.open(transport).await;
            client.speak(400).await;
            assert_eq!(client.ended(), None);
            client.speak(200).await;
            check(transport, expected, client.ended(), fault);
            let mut client = world.open(transport).await;
            client.speak(600).await;
            client.silence(500).await;
            assert!(client.got().contains(&Got::Text(1, "yes".to_owned())), "the next attempt gets the next answer");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_an_error() {
    for transport in BOTH {
        let world = World::new("[start]\nfault = \"RESOURCE_EXHAUSTED\"");
        let client = world.greeted(transport, 100).await;
        let expected = Expected { grpc: Code::ResourceExhausted, socket: 1011 };
        check(transport, expected, client.ended(), "an error");
        if let Some(Ended::Closed(_, reason)) = client.ended() {
            assert!(reason.contains("generic::resource_exhausted"), "{reason}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_says_nothing_and_takes_everything() {
    for transport in BOTH {
        for script in ["[ces]\nbreaks = [\"stall\"]\n[start]\nsay = \"hello\"", "[start]\nbreaks = \"stall\""] {
            let world = World::new(script);
            let mut client = world.open(transport).await;
            client.say(Say::Event("session_start")).await;
            client.speak(1_000).await;
            client.silence(60_000).await;
            assert_eq!((client.got(), client.ended()), (vec![], None));
            client.break_off().await;
            assert_eq!(world.agent.record().open_streams(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_transport_may_be_missing() {
    let grpc = World::new("[ces]\nserves = \"grpc\"");
    let socket = World::new("[ces]\nserves = \"websocket\"");
    let ended = async |world: &World, transport| {
        let client = world.open(transport).await;
        pause(100).await;
        client.ended()
    };
    assert_eq!(ended(&grpc, Transport::Grpc).await, None);
    assert_eq!(ended(&socket, Transport::WebSocket).await, None);
    let Some(Ended::Http(404, name)) = ended(&grpc, Transport::WebSocket).await else { panic!() };
    assert_eq!(name, "NOT_FOUND");
    let Some(Ended::Grpc(Code::Unimplemented, _)) = ended(&socket, Transport::Grpc).await else { panic!() };
}
