//! A socket against a peer that writes raw bytes.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

const LIMITS: Limits = Limits {
    max_message_bytes: 64 * 1024,
    max_queued_messages: 1_024,
    write_timeout: Duration::from_secs(10),
    ping_every: None,
    echoes_close_code: false,
};

const TEXT: u8 = 0x81;
const TEXT_BEGINS: u8 = 0x01;
const CONTINUES: u8 = 0x00;
const CONTINUES_LAST: u8 = 0x80;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;

/// A frame with RFC 6455's length and mask; a client's is masked.
fn frame_of(role: Role, first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mask = if role == Role::Client { 0x80 } else { 0 };
    let mut bytes = vec![first_byte];
    match u16::try_from(payload.len()) {
        Ok(len @ 0..126) => bytes.push(mask | u8::try_from(len).unwrap()),
        Ok(len) => {
            bytes.push(mask | 126);
            bytes.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            bytes.push(mask | 127);
            bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    if role == Role::Client {
        bytes.extend_from_slice(&[0; 4]);
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// A masked client frame.
fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    frame_of(Role::Client, first_byte, payload)
}

fn open_with(limits: Limits) -> (DuplexStream, WebSocket) {
    let (theirs, ours) = tokio::io::duplex(1 << 20);
    (theirs, WebSocket::new(ours, Role::Server, &limits))
}

fn open() -> (DuplexStream, WebSocket) {
    open_with(LIMITS)
}

async fn next_text(socket: &mut WebSocket) -> String {
    match socket.next().await {
        Ok(Message::Text(message)) => String::from_utf8(message.as_ref().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The code of the next close frame.
async fn closed_with(mut theirs: DuplexStream) -> u16 {
    let mut frame = [0; 4];
    theirs.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[0], CLOSE);
    u16::from_be_bytes([frame[2], frame[3]])
}

#[tokio::test]
async fn a_message_in_fragments_arrives_whole_and_a_ping_between_them_does_no_harm() {
    let (mut theirs, mut socket) = open();
    theirs.write_all(&frame(TEXT_BEGINS, b"hel")).await.unwrap();
    theirs.write_all(&frame(PING, b"x")).await.unwrap();
    theirs.write_all(&frame(CONTINUES, b"l")).await.unwrap();
    theirs.write_all(&frame(CONTINUES_LAST, b"o")).await.unwrap();
    theirs.write_all(&frame(TEXT, b"again")).await.unwrap();
    theirs.write_all(&frame(BINARY, b"bytes")).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "hello");
    assert_eq!(next_text(&mut socket).await, "again");
    assert!(matches!(socket.next().await, Ok(Message::Binary(bytes)) if bytes.as_ref() == b"bytes"));
    let mut pong = [0; 3];
    theirs.read_exact(&mut pong).await.unwrap();
    assert_eq!(pong, [PONG, 1, b'x']);
}

#[tokio::test]
async fn a_message_over_the_limit_is_closed_with_1009() {
    let (mut theirs, mut socket) = open();
    let max_bytes = LIMITS.max_message_bytes;
    theirs.write_all(&frame(TEXT, &vec![b'x'; max_bytes])).await.unwrap();
    assert_eq!(next_text(&mut socket).await.len(), max_bytes, "just the limit is taken");
    theirs.write_all(&frame(TEXT, &vec![b'x'; max_bytes + 1])).await.unwrap();
    assert_eq!(socket.next().await.unwrap_err(), Closed::Fault(Fault::TooBig));
    assert_eq!(closed_with(theirs).await, TOO_BIG);
}

#[tokio::test]
async fn fragments_count_together() {
    let (mut theirs, mut socket) = open();
    theirs.write_all(&frame(TEXT_BEGINS, &[b'x'; 1000])).await.unwrap();
    for _ in 0..70 {
        theirs.write_all(&frame(CONTINUES, &[b'x'; 1000])).await.unwrap();
    }
    assert_eq!(socket.next().await.unwrap_err(), Closed::Fault(Fault::TooBig));
    assert_eq!(closed_with(theirs).await, TOO_BIG);
}

#[tokio::test]
async fn frames_that_make_no_message_are_a_protocol_error() {
    for faults in [
        vec![frame(CONTINUES_LAST, b"x")],
        vec![frame(TEXT_BEGINS, b"x"), frame(TEXT, b"y")],
        vec![frame(0x83, b"reserved opcode")],
        vec![frame(0xC1, b"reserved bit")],
        vec![vec![TEXT, 2, b'h', b'i']],
        vec![frame(PONG, &[b'x'; 126])],
        vec![frame(PING, &[b'x'; 126])],
        vec![frame(TEXT, &[0xFF])],
    ] {
        let (mut theirs, mut socket) = open();
        theirs.write_all(&faults.concat()).await.unwrap();
        assert!(matches!(socket.next().await, Err(Closed::Fault(Fault::Protocol(_)))), "{faults:?}");
        assert!(matches!(socket.next().await, Err(Closed::Fault(_))), "it stays so");
        assert_eq!(closed_with(theirs).await, PROTOCOL_ERROR);
    }
}

#[tokio::test]
async fn a_client_masks_and_takes_no_frame_that_is_masked() {
    let (mut theirs, ours) = tokio::io::duplex(1024);
    let mut socket = WebSocket::new(ours, Role::Client, &LIMITS);
    socket.send(Frame::text("hi")).await.unwrap();
    let mut head = [0; 8];
    theirs.read_exact(&mut head).await.unwrap();
    assert_eq!(head[..2], [TEXT, 0x80 | 2]);
    theirs.write_all(&frame_of(Role::Server, TEXT, b"hello")).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "hello");
    theirs.write_all(&frame(TEXT, b"hello")).await.unwrap();
    assert!(matches!(socket.next().await, Err(Closed::Fault(Fault::Protocol(_)))));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_when_a_wait_is_dropped_half_way() {
    let (mut theirs, mut socket) = open();
    for byte in frame(TEXT, b"drop by drop") {
        let waited = tokio::time::timeout(Duration::from_millis(1), socket.next()).await;
        assert!(waited.is_err(), "the message is not whole yet");
        theirs.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(next_text(&mut socket).await, "drop by drop");
}

#[tokio::test]
async fn a_peer_that_takes_nothing_fills_the_queue_and_no_more() {
    let (_theirs, socket) = open();
    let sent = (0..100_000).take_while(|_| socket.try_send(Frame::text("x".repeat(4_000))).is_ok()).count();
    assert!(sent <= LIMITS.max_queued_messages + 1, "{sent}");
    assert!(socket.queued() >= LIMITS.max_queued_messages - 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_for_too_long_is_given_up() {
    let (theirs, ours) = tokio::io::duplex(100);
    let mut socket = WebSocket::new(ours, Role::Server, &LIMITS);
    socket.send(Frame::text("x".repeat(200))).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(socket.next().await.unwrap_err(), Closed::Stalled);
    assert_eq!(began.elapsed().as_secs(), LIMITS.write_timeout.as_secs());
    assert_eq!(socket.send(Frame::text("more")).await, Err(Gone));
    drop(theirs);
}

#[tokio::test(start_paused = true)]
async fn what_waits_goes_out_in_one_write() {
    let (mut theirs, socket) = open();
    for _ in 0..100 {
        socket.try_send(Frame::text("x")).unwrap();
    }
    let mut bytes = vec![0; 1_000];
    assert_eq!(theirs.read(&mut bytes).await.unwrap(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_close_is_written_after_what_waits_and_does_not_wait_for_ever() {
    let (mut theirs, socket) = open();
    socket.try_send(Frame::text("last words")).unwrap();
    let began = tokio::time::Instant::now();
    socket.close(Duration::from_secs(2)).await;
    assert_eq!(began.elapsed().as_secs(), 2);
    let mut bytes = Vec::new();
    theirs.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, [&[TEXT, 10][..], b"last words", &[CLOSE, 2, 3, 232]].concat());
}

#[tokio::test(start_paused = true)]
async fn a_close_ends_with_the_peers_and_what_comes_before_it_is_read() {
    let (mut theirs, socket) = open();
    theirs.write_all(&[frame(TEXT, b"one more"), frame(CLOSE, &[3, 232])].concat()).await.unwrap();
    let began = tokio::time::Instant::now();
    socket.close(Duration::from_secs(2)).await;
    assert!(began.elapsed().is_zero());
    assert_eq!(closed_with(theirs).await, NORMAL);
}

#[tokio::test]
async fn the_close_of_the_peer_is_told_and_answered() {
    for (payload, code, echoed, answer) in [
        (&b"\x03\xF3because"[..], Some(1011), false, NORMAL),
        (b"\x03\xF3because", Some(1011), true, 1011),
        (b"", None, true, NORMAL),
        (b"\x03", None, true, NORMAL),
    ] {
        let (mut theirs, mut socket) = open_with(Limits { echoes_close_code: echoed, ..LIMITS });
        theirs.write_all(&frame(CLOSE, payload)).await.unwrap();
        let reason = if code.is_some() { "because".to_owned() } else { String::new() };
        let closed = socket.next().await.unwrap_err();
        assert_eq!(closed.peer_code(), code);
        assert_eq!(closed, Closed::ByPeer { code, reason });
        assert_eq!(closed_with(theirs).await, answer);
    }
}

#[tokio::test]
async fn a_connection_that_ends_without_a_close_frame_is_broken() {
    let (mut theirs, mut socket) = open();
    theirs.write_all(&frame(TEXT, b"cut off")[..8]).await.unwrap();
    drop(theirs);
    assert_eq!(socket.next().await.unwrap_err(), Closed::Broken);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answered_pings_and_sends_nothing_any_more_is_silent() {
    for (answers, is_gone) in [(0, false), (1, true), (2, true)] {
        let (mut theirs, mut socket) = open_with(Limits { ping_every: Some(Duration::from_secs(10)), ..LIMITS });
        let began = tokio::time::Instant::now();
        let serving = async {
            for number in 0.. {
                let mut ping = [0; 2];
                theirs.read_exact(&mut ping).await.unwrap();
                assert_eq!(ping, [PING, 0]);
                if number < answers {
                    theirs.write_all(&frame(PONG, b"")).await.unwrap();
                }
            }
        };
        let closed = tokio::select! {
            closed = tokio::time::timeout(Duration::from_secs(60), socket.next()) => closed,
            () = serving => panic!(),
        };
        assert_eq!(closed.is_ok(), is_gone, "{answers}");
        if let Ok(closed) = closed {
            assert_eq!(closed.unwrap_err(), Closed::Silent);
            assert_eq!(began.elapsed().as_secs(), 10 * answers + 20);
        }
    }
}

/// A fixed sequence of frames.
struct Few(std::collections::VecDeque<Frame>);

impl futures_core::Stream for Few {
    type Item = Frame;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Frame>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

#[tokio::test]
async fn frames_are_fetched_until_a_close_and_break_the_connection_off_without_one() {
    let (theirs, ours) = tokio::io::duplex(1024);
    let frames = Few([Frame::close(1008, "no"), Frame::text("late")].into());
    let mut socket = WebSocket::sending(ours, Role::Server, &LIMITS, frames);
    let waited = tokio::time::timeout(Duration::from_millis(10), socket.next()).await;
    assert!(waited.is_err(), "the peer may still say something");
    assert_eq!(closed_with(theirs).await, 1008);

    let (mut theirs, ours) = tokio::io::duplex(1024);
    let mut socket = WebSocket::sending(ours, Role::Server, &LIMITS, Few([Frame::text("x")].into()));
    assert_eq!(socket.next().await.unwrap_err(), Closed::Broken);
    drop(socket);
    let mut bytes = Vec::new();
    theirs.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, [TEXT, 1, b'x']);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_closed_gets_the_answer_before_what_is_fetched() {
    struct Endless;
    impl futures_core::Stream for Endless {
        type Item = Frame;
        fn poll_next(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Frame>> {
            std::task::Poll::Ready(Some(Frame::text("x")))
        }
    }
    let (mut theirs, ours) = tokio::io::duplex(4096);
    let mut socket = WebSocket::sending(ours, Role::Server, &LIMITS, Endless);
    theirs.write_all(&frame(CLOSE, b"")).await.unwrap();
    assert_eq!(socket.next().await.unwrap_err().peer_code(), None);
    let mut bytes = Vec::new();
    let reading = tokio::time::timeout(Duration::from_secs(1), theirs.read_to_end(&mut bytes));
    let (_, ()) = tokio::join!(reading, socket.close(Duration::from_secs(2)));
    assert_eq!(bytes[bytes.len() - 4..], [CLOSE, 2, 3, 232]);
}
