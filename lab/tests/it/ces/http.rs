//! Paths, tokens, frames, and both versions of HTTP at one address.

use dialbridge_net::websocket::{Frame, OpCode};
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use tonic::Code;

use ces::session_service_client::SessionServiceClient;

use super::client::{BOTH, Say, Transport, World, opening, pause};
use super::got::{Ended, Got};

const PATH: &str = "/ws/google.cloud.ces.v1.SessionService/BidiRunSession/locations/";

#[tokio::test(start_paused = true)]
async fn only_one_path_is_served_and_only_with_an_upgrade() {
    let world = World::new("");
    for path in [
        "/",
        "/ws/google.cloud.ces.v1.SessionService/BidiRunSession",
        "/ws/google.cloud.ces.v1.SessionService/RunSession/locations/us",
        &format!("{PATH}us/more"),
    ] {
        let client = world.connect_socket(path, &[]).await;
        assert_eq!(client.ended(), Some(Ended::Http(404, "NOT_FOUND".to_owned())), "{path}");
    }
    for header in [("upgrade", "h2c"), ("connection", "close"), ("sec-websocket-version", "8")] {
        let client = world.connect_socket(&format!("{PATH}us"), &[header]).await;
        assert_eq!(client.ended(), Some(Ended::Http(400, "INVALID_ARGUMENT".to_owned())), "{header:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_location_of_the_path_is_that_of_the_session() {
    let world = World::new("");
    for (location, is_right) in [("us", true), ("eu", false), ("", false)] {
        let mut client = world.connect(Transport::WebSocket, location, &[]).await;
        client.say(opening()).await;
        pause(100).await;
        match client.ended() {
            None => assert!(is_right, "{location}"),
            Some(Ended::Closed(1007, reason)) => assert!(!is_right && reason.contains("location"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_asked_for_where_the_script_has_one() {
    for transport in BOTH {
        for (header, is_right) in
            [(None, false), (Some("Bearer other"), false), (Some("t0ken"), false), (Some("Bearer t0ken"), true)]
        {
            let world = World::new("[ces]\ntoken = \"t0ken\"\n[start]\nsay = \"hello\"");
            let headers: Vec<(&str, &str)> = header.map(|header| ("authorization", header)).into_iter().collect();
            let mut client = world.connect(transport, "us", &headers).await;
            client.say(opening()).await;
            client.say(Say::Event("session_start")).await;
            pause(100).await;
            assert_eq!(client.got().contains(&Got::Text(1, "hello".to_owned())), is_right, "{header:?}");
            match client.ended() {
                None => assert!(is_right),
                Some(Ended::Grpc(code, _)) => assert_eq!((code, is_right), (Code::Unauthenticated, false)),
                Some(Ended::Http(status, name)) => {
                    assert_eq!((status, name.as_str(), is_right), (401, "UNAUTHENTICATED", false));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn frames_may_be_binary_or_fragmented_and_pings_are_answered() {
    let world = World::new("[start]\nsay = \"hello\"");
    let mut client = world.connect(Transport::WebSocket, "us", &[]).await;
    client.send_frame(Frame::binary(opening().json().to_string().into_bytes())).await;
    let text = Say::Event("session_start").json().to_string();
    let (one, rest) = text.split_at(7);
    let (two, three) = rest.split_at(11);
    let part = |is_final, opcode, text: &str| Frame { is_final, opcode, payload: text.as_bytes().to_vec() };
    client.send_frame(part(false, OpCode::Text, one)).await;
    client.send_frame(part(false, OpCode::Continuation, two)).await;
    client.send_frame(part(true, OpCode::Ping, "there?")).await;
    client.send_frame(part(true, OpCode::Continuation, three)).await;
    pause(100).await;
    let got = client.got();
    assert_eq!(got[..2], [Got::Text(-1, "pong".to_owned()), Got::Text(1, "hello".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn fragments_in_the_wrong_place_end_the_stream() {
    let world = World::new("");
    for opcodes in [&[OpCode::Continuation][..], &[OpCode::Text, OpCode::Text]] {
        let mut client = world.open(Transport::WebSocket).await;
        for opcode in opcodes {
            client.send_frame(Frame { is_final: false, opcode: *opcode, payload: b"{".to_vec() }).await;
        }
        pause(100).await;
        let Some(Ended::Closed(1002, _)) = client.ended() else { panic!("{:?}", client.ended()) };
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_has_at_most_four_mebibytes() {
    let world = World::new("");
    for (bytes, is_taken) in [(2 << 20, true), (4 << 20, false)] {
        let mut client = world.open(Transport::WebSocket).await;
        client.say(Say::Audio(vec![0xFF; bytes])).await;
        pause(100).await;
        match client.ended() {
            None => assert!(is_taken),
            Some(Ended::Closed(code, _)) => assert_eq!((code, is_taken), (1009, false)),
            other => panic!("{other:?}"),
        }
    }
    let mut client = world.open(Transport::WebSocket).await;
    for number in 0..9 {
        let opcode = if number == 0 { OpCode::Text } else { OpCode::Continuation };
        client.send_frame(Frame { is_final: false, opcode, payload: vec![b' '; 500_000] }).await;
    }
    pause(100).await;
    let Some(Ended::Closed(1009, _)) = client.ended() else { panic!("{:?}", client.ended()) };
}

#[tokio::test(start_paused = true)]
async fn the_other_methods_are_not_implemented() {
    let world = World::new("");
    let mut client = SessionServiceClient::new(world.channel().await);
    let status = client.run_session(ces::RunSessionRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let status = client.stream_run_session(ces::RunSessionRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test(start_paused = true)]
async fn one_address_serves_every_edition() {
    let world = World::new("[start]\nsay = \"hello\"");
    let mut socket = world.open(Transport::WebSocket).await;
    let mut grpc = world.open(Transport::Grpc).await;
    let message = cx::StreamingDetectIntentRequest {
        session: "projects/p/locations/us/agents/a/sessions/s".to_owned(),
        query_input: Some(cx::QueryInput {
            language_code: "en".to_owned(),
            input: Some(cx::query_input::Input::Text(cx::TextInput { text: "hi".to_owned() })),
        }),
        ..Default::default()
    };
    let mut dialogflow = cx::sessions_client::SessionsClient::new(world.channel().await);
    let mut stream = dialogflow.streaming_detect_intent(tokio_stream::iter([message])).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    for client in [&mut socket, &mut grpc] {
        client.say(Say::Event("session_start")).await;
    }
    pause(100).await;
    for (client, turn) in [(&mut socket, 1), (&mut grpc, 2)] {
        assert_eq!(client.got()[0], Got::Text(turn, "hello".to_owned()));
    }
}
