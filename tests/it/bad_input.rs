//! Bytes that Twilio never sends. The call goes on or ends with a reason. The service and the other calls never notice.

use dialbridge_core::Report;
use dialbridge_net::websocket::{Frame, OpCode};
use dialbridge_tests::{Came, Harness, RawSocket, bakery, voice_url};

const CALL: &str = "CA00000000000000000000000000000001";
const START: &str = r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA00000000000000000000000000000001"}}"#;
const ECHO: &str = "[start]\ntone = { hz = 400, ms = 200 }\n[[utterance]]\ntone = { hz = 500, ms = 300 }";

async fn open(harness: &Harness) -> RawSocket {
    let (media, _) = voice_url(&harness.pipes, CALL).await;
    RawSocket::open(&harness.pipes, &media).await.unwrap()
}

/// Whether the call still works: the agent's greeting comes after `start`.
async fn still_greets(socket: &mut RawSocket) -> bool {
    socket.text(START).await;
    matches!(socket.next().await, Came::Text(text) if text.contains(r#""event":"media""#))
}

#[tokio::test(start_paused = true)]
async fn text_that_is_no_message_changes_nothing() {
    let harness = Harness::with_script(ECHO).start();
    let mut socket = open(&harness).await;
    for text in ["hello", "", "[]", "{}", "null", r#"{"event":7}"#, r#"{"event":"media","media":{"payload":"/w=="}}"#] {
        socket.text(text).await;
    }
    socket.frame(Frame::binary(vec![0; 500])).await;
    socket.text(r#"{"event":"hologram","x":[1,2,3]}"#).await;
    assert!(still_greets(&mut socket).await);
    socket.text(START).await;
    socket.text(r#"{"event":"media","media":{"payload":"A"}}"#).await;
    socket.text(r#"{"event":"media","media":{"payload":"AQI="}}"#).await;
    socket.text(r#"{"event":"mark","mark":{"name":"not ours"}}"#).await;
    while socket.next().await != Came::Nothing {}
    assert_eq!(harness.agent.record().turns(CALL).last().unwrap().audio, [1, 2], "what was good has arrived");
    socket.text(r#"{"event":"stop"}"#).await;
    assert_eq!(socket.end().await, Came::Close(1000));
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_is_closed_with_1009_and_no_other_call_notices() {
    let harness = Harness::with(dialbridge_lab::agent::Script::bakery().unwrap()).start();
    let hostile = async {
        for n in 0..20 {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            let call = format!("CA{n:032}");
            let (media, _) = voice_url(&harness.pipes, &call).await;
            let mut socket = RawSocket::open(&harness.pipes, &media).await.unwrap();
            socket.text(&"x".repeat(70_000)).await;
            assert_eq!(socket.end().await, Came::Close(1009));
        }
    };
    let (call, ()) = tokio::join!(harness.call(bakery()), hostile);
    assert!(call.documents[1].contains("live-agent-handoff"), "{:?}", call.events);
}

#[tokio::test(start_paused = true)]
async fn fragments_without_end_are_closed_with_1009() {
    let harness = Harness::with_script(ECHO).start();
    let mut socket = open(&harness).await;
    socket.frame(Frame { is_final: false, opcode: OpCode::Text, payload: vec![b'x'; 1_000] }).await;
    for _ in 0..80 {
        socket.frame(Frame { is_final: false, opcode: OpCode::Continuation, payload: vec![b'x'; 1_000] }).await;
    }
    assert_eq!(socket.end().await, Came::Close(1009));
}

#[tokio::test(start_paused = true)]
async fn text_that_is_no_utf_8_is_closed_with_1002() {
    let harness = Harness::with_script(ECHO).start();
    let mut socket = open(&harness).await;
    socket.frame(Frame { is_final: true, opcode: OpCode::Text, payload: vec![0xFF, 0xFE] }).await;
    assert_eq!(socket.end().await, Came::Close(1002));
}

#[tokio::test(start_paused = true)]
async fn a_socket_without_start_is_closed_after_ten_seconds() {
    let mut harness = Harness::with_script(ECHO).start();
    let mut socket = open(&harness).await;
    socket.text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#).await;
    for _ in 0..9 {
        assert_eq!(socket.next().await, Came::Nothing);
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(socket.end().await, Came::Close(1000));
    assert!(harness.reports().iter().any(|report| matches!(report, Report::Ended { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_just_ends_ends_the_call() {
    let mut harness = Harness::with_script(ECHO).start();
    let mut socket = open(&harness).await;
    assert!(still_greets(&mut socket).await);
    drop(socket);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(harness.service.calls().live(), 0);
    let ended = harness.reports().into_iter().find_map(|report| match report {
        Report::Ended { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(ended, Some(dialbridge_core::CloseReason::MediaStreamClosed));
}
