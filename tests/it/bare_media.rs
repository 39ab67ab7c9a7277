//! `GET /media`: streams from TwiML that others wrote.

use dialbridge_core::CloseReason;
use dialbridge_lab::agent::Script;
use dialbridge_lab::twilio::{RestFault, sign};
use dialbridge_tests::{Came, Harness, RawSocket, TOKEN, close_reasons, voice_url};

const CALL: &str = "CA00000000000000000000000000000001";

fn harness(allowed: bool) -> Harness {
    Harness::with(Script::bakery().unwrap()).config(move |config| config.allow_bare_media = allowed).start()
}

fn start(parameters: &str) -> String {
    format!(
        r#"{{"event":"start","streamSid":"MZ1","start":{{"callSid":"{CALL}","customParameters":{{{parameters}}}}}}}"#
    )
}

async fn greeted(socket: &mut RawSocket, start: &str) -> bool {
    socket.text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#).await;
    socket.text(start).await;
    matches!(socket.next().await, Came::Text(text) if text.contains(r#""event":"media""#))
}

#[tokio::test(start_paused = true)]
async fn it_is_not_there_unless_it_is_allowed() {
    let closed = RawSocket::open(&harness(false).pipes, "/media").await;
    assert!(closed.is_err_and(|error| error.contains("404")));
    let harness = harness(true);
    assert!(RawSocket::open_signed(&harness.pipes, "/media", None).await.is_err_and(|error| error.contains("403")));
    let other = sign(TOKEN, "ws://service.test/media/x", &[]);
    assert!(RawSocket::open_signed(&harness.pipes, "/media", Some(&other)).await.is_err());
    let mut socket = RawSocket::open(&harness.pipes, "/media").await.unwrap();
    assert!(greeted(&mut socket, &start(r#""from":"+15550100","param.shop":"north""#)).await);
    let turns = harness.agent.record().turns(CALL);
    assert_eq!(
        (turns[0].parameters["From"].as_str(), turns[0].parameters["shop"].as_str()),
        (Some("+15550100"), Some("north"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_does_not_say_which_call_it_is_is_closed() {
    let harness = harness(true);
    for messages in [
        vec![],
        vec!["hello"; 9],
        vec![r#"{"event":"media","media":{"payload":"/w=="}}"#; 9],
        vec![r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"../x"}}"#],
        vec![r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1","customParameters":{"agent":"nobody"}}}"#],
    ] {
        let mut socket = RawSocket::open(&harness.pipes, "/media").await.unwrap();
        for message in &messages {
            socket.text(message).await;
        }
        tokio::time::sleep(std::time::Duration::from_secs(11)).await;
        assert_eq!(socket.end().await, Came::Close(1000), "{messages:?}");
    }
    assert_eq!((harness.service.calls().live(), harness.service.calls().waiting()), (0, 0));
    let metrics = harness.service.metrics_text();
    for counted in ["{kind=\"ticket\"} 4\n", "{kind=\"agent\"} 1\n"] {
        assert!(metrics.contains(&format!("dialbridge_refused_requests_total{counted}")), "{counted} in {metrics}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_takes_no_call_over_and_a_ticket_takes_its_call_over() {
    let mut harness = harness(true);
    let (media, _) = voice_url(&harness.pipes, CALL).await;
    let mut ticketed = RawSocket::open(&harness.pipes, &media).await.unwrap();
    assert!(greeted(&mut ticketed, &start("")).await);
    let mut bare = RawSocket::open(&harness.pipes, "/media").await.unwrap();
    assert!(!greeted(&mut bare, &start("")).await, "the call has a stream");
    drop(ticketed);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let mut bare = RawSocket::open(&harness.pipes, "/media").await.unwrap();
    assert!(greeted(&mut bare, &start("")).await);
    let (media, _) = voice_url(&harness.pipes, CALL).await;
    let mut ticketed = RawSocket::open(&harness.pipes, &media).await.unwrap();
    assert_eq!(bare.end().await, Came::Close(1000));
    assert_eq!(close_reasons(&harness.reports()), [CloseReason::MediaStreamClosed, CloseReason::TakenOver]);
    ticketed.text(&start("")).await;
    assert!(matches!(ticketed.next().await, Came::Text(_)));
}

#[tokio::test(start_paused = true)]
async fn its_call_is_updated_only_when_twilio_says_that_it_is_in_progress() {
    for (faults, updates) in [(vec![], 1), (vec![RestFault::NOT_FOUND], 0), (vec![RestFault::UNAUTHORIZED], 0)] {
        let ends = "[start]\ntone = { hz = 400, ms = 200 }\nend = true";
        let harness = Harness::with_script(ends).config(|config| config.allow_bare_media = true).start();
        harness.twilio.fail_rest(faults.iter().copied());
        let mut known = harness.twilio.add_known_call(CALL);
        let mut socket = RawSocket::open(&harness.pipes, "/media").await.unwrap();
        assert!(greeted(&mut socket, &start("")).await);
        tokio::time::sleep(std::time::Duration::from_secs(8)).await;
        assert_eq!(known.updates().len(), updates, "{faults:?}");
    }
}
