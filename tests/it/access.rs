//! Who may use the service.

use dialbridge_lab::agent::Script;
use dialbridge_tests::{Came, Harness, RawSocket, SERVICE_URL, paths, post, signed_post, start, voice_url};
use http::StatusCode;

const CALL: &str = "CA00000000000000000000000000000001";
const OTHER: &str = "CA00000000000000000000000000000002";

fn harness() -> Harness {
    Harness::with(Script::bakery().unwrap()).start()
}

const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

#[tokio::test(start_paused = true)]
async fn a_webhook_that_twilio_did_not_sign_is_refused_without_a_word() {
    let harness = harness();
    let (_, action) = voice_url(&harness.pipes, CALL).await;
    for path in ["/twiml", action.as_str()] {
        for signature in [None, Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA="), Some("nonsense")] {
            let mut headers = FORM.to_vec();
            headers.extend(signature.map(|signature| ("x-twilio-signature", signature)));
            let answer = post(&harness.pipes, &format!("POST {path}"), &headers, &format!("CallSid={CALL}")).await;
            assert_eq!((answer.status, answer.body.as_str()), (StatusCode::FORBIDDEN, ""), "{path} {signature:?}");
        }
    }
    let get = post(&harness.pipes, &format!("GET /twiml?CallSid={CALL}"), &[], "").await;
    assert_eq!(get.status, StatusCode::FORBIDDEN);
}

#[tokio::test(start_paused = true)]
async fn a_voice_url_asked_by_get_is_signed_over_its_url() {
    let harness = harness();
    let path = format!("/twiml?CallSid={CALL}&CallStatus=ringing");
    let signature = dialbridge_lab::twilio::sign(dialbridge_tests::TOKEN, &format!("{SERVICE_URL}{path}"), &[]);
    let answer = post(&harness.pipes, &format!("GET {path}"), &[("x-twilio-signature", &signature)], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(paths(&answer.body).0.starts_with("/media/"));
}

#[tokio::test(start_paused = true)]
async fn a_socket_needs_a_ticket_of_ours_and_the_handshakes_signature() {
    let harness = harness();
    let (media, _) = voice_url(&harness.pipes, CALL).await;
    let forged = format!("{}A", &media[..media.len() - 1]);
    let truncated = &media[..media.len() - 5];
    for path in [forged.as_str(), truncated, "/media/", "/media/x", "/media/x.y"] {
        assert!(RawSocket::open(&harness.pipes, path).await.is_err(), "{path}");
    }
    assert!(RawSocket::open_signed(&harness.pipes, &media, None).await.is_err());
    assert!(RawSocket::open_signed(&harness.pipes, &media, Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")).await.is_err());
    assert!(RawSocket::open(&harness.pipes, &media).await.is_ok(), "a refused attempt does not use the ticket up");
    assert!(RawSocket::open(&harness.pipes, &media).await.is_err(), "the same ticket twice");
}

#[tokio::test(start_paused = true)]
async fn a_ticket_lives_for_a_minute() {
    for (seconds, opens) in [(59, true), (61, false)] {
        let harness = harness();
        let (media, _) = voice_url(&harness.pipes, CALL).await;
        tokio::time::advance(std::time::Duration::from_secs(seconds)).await;
        assert_eq!(RawSocket::open(&harness.pipes, &media).await.is_ok(), opens, "after {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_of_another_call_than_the_tickets_ends_the_socket() {
    let harness = harness();
    let (media, _) = voice_url(&harness.pipes, CALL).await;
    let mut socket = RawSocket::open(&harness.pipes, &media).await.unwrap();
    socket.text(&start(OTHER)).await;
    assert_eq!(socket.end().await, Came::Close(1000));
    assert!(harness.agent.record().turns(OTHER).is_empty() && harness.agent.record().turns(CALL).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_newer_ticket_takes_the_call_over() {
    let harness = harness();
    let (first, _) = voice_url(&harness.pipes, CALL).await;
    let mut old = RawSocket::open(&harness.pipes, &first).await.unwrap();
    old.text(&start(CALL)).await;
    tokio::time::advance(std::time::Duration::from_millis(5)).await;
    let (second, _) = voice_url(&harness.pipes, CALL).await;
    let mut new = RawSocket::open(&harness.pipes, &second).await.unwrap();
    assert_eq!(old.end().await, Came::Close(1000));
    new.text(&start(CALL)).await;
    assert!(matches!(new.next().await, Came::Text(_)), "the new socket has the call");
    assert_eq!(harness.service.calls().live(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_state_is_for_its_own_call_only() {
    let harness = harness();
    let (_, action) = voice_url(&harness.pipes, CALL).await;
    let asked = |path: String, call: &'static str| {
        let pipes = harness.pipes.clone();
        async move { signed_post(&pipes, &path, &[("CallSid", call), ("CallStatus", "in-progress")]).await.status }
    };
    assert_eq!(asked(action.clone(), CALL).await, StatusCode::OK);
    assert_eq!(asked(action.clone(), OTHER).await, StatusCode::FORBIDDEN);
    assert_eq!(asked(format!("{action}A"), CALL).await, StatusCode::FORBIDDEN);
    assert_eq!(asked("/connect-ended".to_owned(), CALL).await, StatusCode::FORBIDDEN);
    tokio::time::advance(std::time::Duration::from_secs(4 * 3600 + 1)).await;
    assert_eq!(asked(action, CALL).await, StatusCode::FORBIDDEN, "four hours are over");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_broke_is_resumed_without_a_greeting_and_not_for_ever() {
    let harness = harness();
    let (_, mut action) = voice_url(&harness.pipes, CALL).await;
    let pairs = [("CallSid", CALL), ("CallStatus", "in-progress")];
    for _ in 0..2 {
        let answer = signed_post(&harness.pipes, &action, &pairs).await;
        let (media, next) = paths(&answer.body);
        let mut socket = RawSocket::open(&harness.pipes, &media).await.unwrap();
        socket.text(&start(CALL)).await;
        assert_eq!(socket.next().await, Came::Nothing, "no greeting");
        action = next;
        tokio::time::advance(std::time::Duration::from_millis(20)).await;
    }
    let turns = harness.agent.record().turns(CALL);
    assert!(turns.iter().all(|turn| turn.input == "audio"), "the agent is listened with, not greeted");
    let answer = signed_post(&harness.pipes, &action, &pairs).await;
    assert!(answer.body.contains("VirtualAgentStatus=failed"), "the fourth stream in a minute is one too many");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_lasted_a_minute_has_all_attempts_before_it() {
    let harness = harness();
    let (_, mut action) = voice_url(&harness.pipes, CALL).await;
    for _ in 0..6 {
        tokio::time::advance(std::time::Duration::from_secs(61)).await;
        let pairs = [("CallSid", CALL), ("CallStatus", "in-progress")];
        action = paths(&signed_post(&harness.pipes, &action, &pairs).await.body).1;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_over_gets_an_empty_answer() {
    let harness = harness();
    let (_, action) = voice_url(&harness.pipes, CALL).await;
    let answer = signed_post(&harness.pipes, &action, &[("CallSid", CALL), ("CallStatus", "completed")]).await;
    assert!(answer.body.ends_with("<Response></Response>"), "{}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn the_number_s_fallback_url_greets_a_call_that_nobody_has_greeted() {
    let harness = harness();
    let failed = |path: &str| ("ErrorUrl", format!("https://service.test{path}"));
    for (path, status, extra, greets) in [
        ("/twiml", "in-progress", ("Other", String::new()), true),
        ("/twiml", "in-progress", ("ErrorCode", "11200".to_owned()), false),
        ("/twiml", "ringing", ("ErrorCode", "11200".to_owned()), true),
        ("/twiml?resume=1", "ringing", ("Other", String::new()), true),
        ("/twiml?resume=1", "in-progress", ("Other", String::new()), false),
        ("/twiml?resume=1", "ringing", failed("/twiml?agent=a"), true),
        ("/twiml?resume=1", "in-progress", failed("/twiml?agent=a#rc=2"), true),
        ("/twiml?resume=1", "in-progress", failed("/twiml?resume=1"), false),
        ("/twiml?resume=1", "in-progress", failed("/connect-ended?s=x"), false),
        ("/twiml?resume=1", "in-progress", failed("/dial-ended?s=x#rc=2"), false),
        ("/twiml?resume=1", "in-progress", failed("/next?VirtualAgentStatus=completed"), false),
    ] {
        let pairs = [("CallSid", CALL), ("CallStatus", status), (extra.0, extra.1.as_str())];
        let (media, _) = paths(&signed_post(&harness.pipes, path, &pairs).await.body);
        let mut socket = RawSocket::open(&harness.pipes, &media).await.unwrap();
        socket.text(&start(CALL)).await;
        let is_greeted = matches!(socket.next().await, Came::Text(_));
        assert_eq!(is_greeted, greets, "{path} {status} {extra:?}");
        tokio::time::advance(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_rest_the_call_goes_on_through_the_action() {
    let harness = Harness::with_script("[start]\nsay = \"bye\"\ntone = { hz = 400, ms = 300 }\nend = true")
        .settings(|settings| settings.set("TWILIO_ACCOUNT_SID", ""))
        .start();
    let call = harness.call(Vec::new()).await;
    assert!(call.documents[1].contains("VirtualAgentStatus=completed"), "{:?}", call.documents);
}

#[tokio::test(start_paused = true)]
async fn beyond_max_calls_the_caller_is_told_or_sent_elsewhere() {
    for overflow in [None, Some("https://example.com/overflow")] {
        let harness = Harness::with(Script::bakery().unwrap())
            .settings(|settings| {
                settings.set("MAX_CALLS", "1");
                settings.set("OVERFLOW_URL", overflow.unwrap_or_default());
            })
            .start();
        let (media, _) = voice_url(&harness.pipes, CALL).await;
        let mut socket = RawSocket::open(&harness.pipes, &media).await.unwrap();
        socket.text(&start(CALL)).await;
        socket.next().await;
        let answer = signed_post(&harness.pipes, "/twiml", &[("CallSid", OTHER)]).await;
        assert_eq!(answer.status, StatusCode::OK);
        let expected = overflow.map_or(
            "<Say language=\"en-US\">All our lines are busy",
            |_| "<Redirect method=\"POST\">https://example.com/overflow",
        );
        assert!(answer.body.contains(expected), "{}", answer.body);
    }
}

#[tokio::test(start_paused = true)]
async fn other_paths_methods_and_bodies_have_their_answers() {
    let harness = harness();
    let asked = |head: &'static str| {
        let pipes = harness.pipes.clone();
        async move { post(&pipes, head, &[], "").await }
    };
    assert_eq!(asked("GET /health").await.status, StatusCode::OK);
    for (get, head) in [
        ("GET /health", "HEAD /health"),
        ("GET /ready", "HEAD /ready"),
        ("GET /metrics", "HEAD /metrics"),
        ("GET /", "HEAD /"),
        ("GET /page/page.css", "HEAD /page/page.css"),
        ("GET /status.json", "HEAD /status.json"),
        ("GET /calls.json", "HEAD /calls.json"),
        ("GET /calls/1.json", "HEAD /calls/1.json"),
        ("GET /calls/events", "HEAD /calls/events"),
    ] {
        let (get, answer) = (asked(get).await, asked(head).await);
        assert_eq!((answer.status, answer.body.as_str()), (get.status, ""), "{head}");
    }
    assert_eq!(asked("HEAD /media/ticket").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(asked("POST /health").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(asked("DELETE /twiml").await.headers["allow"], "GET, HEAD, POST");
    assert_eq!(asked("GET /connect-ended").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(asked("GET /nowhere").await.status, StatusCode::NOT_FOUND);
    assert_eq!(asked("POST /twiml").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let long = "x".repeat(70_000);
    assert_eq!(post(&harness.pipes, "POST /twiml", &FORM, &long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let no_call = signed_post(&harness.pipes, "/twiml", &[("From", "1")]).await;
    assert_eq!(no_call.status, StatusCode::BAD_REQUEST);
    let strange = signed_post(&harness.pipes, "/twiml", &[("CallSid", "CA/../1")]).await;
    assert_eq!(strange.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn behind_a_front_end_the_forwarded_scheme_and_host_make_the_urls() {
    let harness = Harness::with(Script::bakery().unwrap()).settings(|settings| settings.set("PUBLIC_URL", "")).start();
    let form = [("CallSid".to_owned(), CALL.to_owned())];
    let signature = dialbridge_lab::twilio::sign(dialbridge_tests::TOKEN, "https://calls.example.com/twiml", &form);
    let headers = [FORM[0], ("x-forwarded-proto", "https"), ("x-twilio-signature", &signature)];
    let answer = post(&harness.pipes, "POST /twiml", &headers, &format!("CallSid={CALL}")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "the host is service.test");
    let signature = dialbridge_lab::twilio::sign(dialbridge_tests::TOKEN, "https://service.test/twiml", &form);
    let headers = [FORM[0], ("x-forwarded-proto", "https,http"), ("x-twilio-signature", &signature)];
    let answer = post(&harness.pipes, "POST /twiml", &headers, &format!("CallSid={CALL}")).await;
    assert!(answer.body.contains(r#"url="wss://service.test/media/"#), "{}", answer.body);
    assert!(answer.body.contains(r#"action="https://service.test/connect-ended?s="#));
}
