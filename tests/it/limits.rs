//! All input from outside has a limit.

use std::time::Duration;

use dialbridge_lab::agent::Script;
use dialbridge_lab::net::Pipes;
use dialbridge_net::websocket::{Frame, OpCode};
use dialbridge_runner::settings::Limits;
use dialbridge_tests::{Came, Harness, RawSocket, SERVICE_URL, TOKEN, paths, post, signed_post, start, voice_url};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const CALL: &str = "CA00000000000000000000000000000001";

fn call(number: u32) -> String {
    format!("CA{number:032}")
}

fn harness(change: impl FnOnce(&mut Limits) + 'static) -> Harness {
    Harness::with(Script::bakery().unwrap()).config(|config| change(&mut config.limits)).start()
}

async fn open(harness: &Harness, call: &str) -> Result<RawSocket, String> {
    let (media, _) = voice_url(&harness.pipes, call).await;
    RawSocket::open(&harness.pipes, &media).await
}

#[tokio::test(start_paused = true)]
async fn the_longest_message_is_a_setting_and_its_fragments_count_together() {
    let harness = harness(|limits| limits.message_bytes = 1_000);
    let mut socket = open(&harness, &call(1)).await.unwrap();
    socket.text(&"x".repeat(1_000)).await;
    assert_eq!(socket.next().await, Came::Nothing, "just the limit is taken");
    socket.text(&"x".repeat(1_001)).await;
    assert_eq!(socket.end().await, Came::Close(1009));
    let mut socket = open(&harness, &call(2)).await.unwrap();
    for opcode in [OpCode::Text, OpCode::Continuation] {
        socket.frame(Frame { is_final: false, opcode, payload: vec![b'x'; 600] }).await;
    }
    assert_eq!(socket.end().await, Came::Close(1009));
}

#[tokio::test(start_paused = true)]
async fn sockets_whose_stream_does_not_start_have_a_limit_of_their_own_and_are_closed_after_their_time() {
    let harness = harness(|limits| {
        limits.waiting_sockets = 3;
        limits.max_calls = 2;
        limits.start = Duration::from_secs(5);
    });
    let mut waiting = Vec::new();
    for number in 0..3 {
        waiting.push(open(&harness, &call(number)).await.unwrap());
    }
    assert!(open(&harness, &call(3)).await.is_err_and(|error| error.contains("503")), "three wait");
    let (media, _) = voice_url(&harness.pipes, &call(4)).await;
    assert!(media.starts_with("/media/"), "they are no calls: MAX_CALLS does not count them");
    waiting[0].text(&start(&call(0))).await;
    assert!(matches!(waiting[0].next().await, Came::Text(_)));
    assert!(open(&harness, &call(5)).await.is_ok(), "one has started, so there is room for one that waits");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(waiting[1].end().await, Came::Close(1000));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((harness.service.calls().waiting(), harness.service.calls().started()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn more_sockets_than_calls_and_those_that_wait_cannot_be_opened() {
    let harness = harness(|limits| {
        limits.waiting_sockets = 1;
        limits.max_calls = 1;
    });
    let (first, _) = voice_url(&harness.pipes, &call(0)).await;
    // A resumed call is let in beyond MAX_CALLS.
    let (_, action) = voice_url(&harness.pipes, &call(1)).await;
    let form = [("CallSid", &*call(1)), ("CallStatus", "in-progress")];
    let back = paths(&signed_post(&harness.pipes, &action, &form).await.body).0;
    let third = voice_url(&harness.pipes, &call(2)).await.0;
    let mut sockets = Vec::new();
    for (number, media) in [first, back].iter().enumerate() {
        let mut socket = RawSocket::open(&harness.pipes, media).await.unwrap();
        socket.text(&start(&call(u32::try_from(number).unwrap()))).await;
        socket.next().await;
        sockets.push(socket);
    }
    assert_eq!(harness.service.calls().started(), 2);
    assert!(RawSocket::open(&harness.pipes, &third).await.is_err_and(|error| error.contains("503")));
}

/// Writes to a new connection and returns what comes back until it closes.
async fn raw(pipes: &Pipes, pieces: &[&str], pause: Duration) -> String {
    let mut pipe: DuplexStream = pipes.connect("service.test:80").await.unwrap();
    for piece in pieces {
        if pipe.write_all(piece.as_bytes()).await.is_err() {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(Duration::from_secs(60), pipe.read_to_end(&mut answer)).await;
    assert!(reading.is_ok(), "the connection is left open: {:?}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_drop_by_drop_or_has_no_end_is_not_waited_for() {
    let harness = harness(|limits| {
        limits.head = Duration::from_secs(3);
        limits.head_bytes = 8_192;
    });
    let drops = ["GET /health HTTP/1.1\r\n", "host: service.test\r\n", "a: b\r\n", "c: d\r\n", "e: f\r\n"];
    assert_eq!(raw(&harness.pipes, &drops, Duration::from_secs(1)).await, "");
    let endless = format!("GET /health HTTP/1.1\r\nhost: service.test\r\nlong: {}\r\n", "x".repeat(9_000));
    let answer = raw(&harness.pipes, &[&endless, "\r\n"], Duration::ZERO).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_or_has_no_end_is_not_waited_for() {
    let harness = harness(|limits| {
        limits.body = Duration::from_secs(3);
        limits.body_bytes = 100;
    });
    let head = "POST /twiml HTTP/1.1\r\nhost: service.test\r\nconnection: close\r\n\
                content-type: application/x-www-form-urlencoded\r\n";
    let slow = raw(&harness.pipes, &[head, "content-length: 50\r\n\r\nCallSid=", "CA"], Duration::from_secs(1)).await;
    assert!(slow.starts_with("HTTP/1.1 408 "), "{slow}");
    let chunked = format!("transfer-encoding: chunked\r\n\r\n{}", "40\r\n".to_owned() + &"x".repeat(64) + "\r\n");
    let endless = raw(&harness.pipes, &[head, &chunked, &chunked[30..]], Duration::ZERO).await;
    assert!(endless.starts_with("HTTP/1.1 413 "), "{endless}");
}

#[tokio::test(start_paused = true)]
async fn a_socket_over_which_nothing_comes_gives_its_call_to_another_one() {
    let harness = harness(|limits| limits.quiet = Duration::from_secs(6));
    let (media, action) = voice_url(&harness.pipes, CALL).await;
    let mut socket = RawSocket::open(&harness.pipes, &media).await.unwrap();
    socket.text(&start(CALL)).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(socket.end().await, Came::Close(1000));
    let pairs = [("CallSid", CALL), ("CallStatus", "in-progress")];
    let answer = signed_post(&harness.pipes, &action, &pairs).await;
    assert!(paths(&answer.body).0.starts_with("/media/"), "{}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn what_twilio_tells_of_a_stream_is_taken_from_twilio_only() {
    let harness = harness(|_| {});
    let pairs = [
        ("CallSid", CALL),
        ("StreamSid", "MZ1"),
        ("StreamEvent", "stream-error"),
        ("StreamError", "31920 handshake error"),
    ];
    assert_eq!(signed_post(&harness.pipes, "/stream-status", &pairs).await.status, StatusCode::NO_CONTENT);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let unsigned = post(&harness.pipes, "POST /stream-status", &form, "CallSid=CA1&StreamEvent=stream-error").await;
    assert_eq!((unsigned.status, unsigned.body.as_str()), (StatusCode::FORBIDDEN, ""));
    assert_eq!(post(&harness.pipes, "GET /stream-status", &[], "").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let twiml = signed_post(&harness.pipes, "/twiml", &pairs[..1]).await.body;
    assert!(twiml.contains(&format!(r#"statusCallback="{SERVICE_URL}/stream-status""#)), "{twiml} {TOKEN}");
}
