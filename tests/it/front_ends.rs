//! The service behind front ends of every kind: what they say of TLS and of the host, and a path of their own.

use dialbridge_lab::agent::Script;
use dialbridge_lab::net::Pipes;
use dialbridge_lab::twilio::{CallPlan, When, sign};
use dialbridge_net::http_client::send_once;
use dialbridge_net::websocket::handshake;
use dialbridge_tests::{Harness, HttpAnswer, Log, TOKEN, hang_up, signed_post, spoke};
use http::{HeaderMap, HeaderName, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;

const CALL: &str = "CA00000000000000000000000000000001";

const HOST: &str = "calls.example.com";

/// A service without PUBLIC_URL, with a token or without one.
fn harness(token: &str) -> Harness {
    let token = token.to_owned();
    let change = move |settings: &mut dialbridge_runner::settings::Settings| {
        settings.set("PUBLIC_URL", "");
        settings.set("TWILIO_AUTH_TOKEN", token);
    };
    Harness::with(Script::bakery().unwrap()).settings(change).start()
}

fn at(url: &str) -> Harness {
    let url = url.to_owned();
    Harness::with(Script::bakery().unwrap()).settings(move |settings| settings.set("PUBLIC_URL", url)).start()
}

/// Sends a request as a front end passes it on: with that host and path, and these headers.
async fn passed_on(pipes: &Pipes, method: &str, url: &str, headers: &[(&str, &str)]) -> HttpAnswer {
    let mut request = Request::builder().method(method).uri(url);
    request = request.header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if method == "POST" { format!("CallSid={CALL}") } else { String::new() };
    let request = request.body(Full::<Bytes>::from(body)).unwrap();
    let pipe = pipes.connect("service.test:80").await.unwrap();
    let (head, body) = send_once(pipe, request, 1 << 20).await.unwrap().into_parts();
    HttpAnswer { status: head.status, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// The same, signed by Twilio for `signed`.
async fn signed(pipes: &Pipes, url: &str, signed: &str, headers: &[(&str, &str)]) -> HttpAnswer {
    let signature = sign(TOKEN, signed, &[("CallSid".to_owned(), CALL.to_owned())]);
    let headers = [headers, &[("x-twilio-signature", signature.as_str())]].concat();
    passed_on(pipes, "POST", url, &headers).await
}

/// The value of an attribute in a document.
fn attribute(twiml: &str, name: &str) -> String {
    let value = twiml.split(&format!(" {name}=\"")).nth(1).unwrap_or_else(|| panic!("{name} in {twiml}"));
    value.split('"').next().unwrap().replace("&amp;", "&")
}

#[tokio::test(start_paused = true)]
async fn whatever_a_front_end_says_of_tls_twilio_gets_urls_that_it_can_open() {
    for (token, told) in [TOKEN, ""].into_iter().flat_map(|token| {
        [
            &[][..],
            &[("x-forwarded-proto", "https")],
            &[("x-forwarded-proto", "http,https")],
            &[("x-forwarded-ssl", "on")],
            &[("front-end-https", "on")],
            &[("x-forwarded-scheme", "https")],
            &[("x-url-scheme", "https")],
            &[("forwarded", "for=192.0.2.60;proto=https;host=calls.example.com")],
            &[("cf-visitor", "{\"scheme\":\"https\"}")],
            &[("x-forwarded-for", "54.172.60.1"), ("x-forwarded-port", "443")],
        ]
        .map(|told| (token, told))
    }) {
        let log = Log::start();
        let harness = harness(token);
        let url = format!("https://{HOST}/twiml");
        let answer = signed(&harness.pipes, &format!("http://{HOST}/twiml"), &url, told).await;
        let twiml = answer.body;
        assert_eq!(answer.status, StatusCode::OK, "{told:?}");
        assert!(attribute(&twiml, "url").starts_with(&format!("wss://{HOST}/media/")), "{told:?} {twiml}");
        for name in ["action", "statusCallback"] {
            assert!(attribute(&twiml, name).starts_with(&format!("https://{HOST}/")), "{told:?} {twiml}");
        }
        // The media stream's handshake is signed over the same host.
        let stream = attribute(&twiml, "url");
        let mut headers: HeaderMap =
            told.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect();
        headers.insert("x-twilio-signature", sign(TOKEN, &stream, &[]).parse().unwrap());
        let pipe = harness.pipes.connect("service.test:80").await.unwrap();
        let opened = handshake(pipe, &stream.replace("wss://", "http://").parse().unwrap(), &headers).await;
        assert!(opened.is_ok(), "{told:?} {:?}", opened.err());
        // Who says nothing of TLS is told once what is missing.
        signed(&harness.pipes, &format!("http://{HOST}/twiml"), &url, told).await;
        let says_tls = told.iter().any(|(name, _)| !name.ends_with("-for") && !name.ends_with("-port"));
        let warnings = log.text().matches("no header says that callers of this host have TLS").count();
        assert_eq!(warnings, usize::from(!says_tls), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_is_right_for_the_url_that_twilio_called_and_for_no_other() {
    let harness = harness(TOKEN);
    let port = ("x-forwarded-port", "8443");
    let named = ("x-forwarded-host", "calls.example.com");
    for (host, headers, called, expected) in [
        (HOST, vec![], "http://calls.example.com/twiml", StatusCode::OK),
        (HOST, vec![("x-forwarded-proto", "http")], "https://calls.example.com/twiml", StatusCode::OK),
        (HOST, vec![port], "https://calls.example.com:8443/twiml", StatusCode::OK),
        (HOST, vec![port], "https://calls.example.com/twiml", StatusCode::OK),
        ("127.0.0.1:8080", vec![named], "https://calls.example.com/twiml", StatusCode::OK),
        ("upstream", vec![named], "https://calls.example.com/twiml", StatusCode::OK),
        (HOST, vec![], "https://elsewhere.example.com/twiml", StatusCode::FORBIDDEN),
        (HOST, vec![], "https://calls.example.com/voice", StatusCode::FORBIDDEN),
        (HOST, vec![("x-forwarded-host", "evil.example.org")], "https://evil.example.org/twiml", StatusCode::FORBIDDEN),
        (HOST, vec![("x-forwarded-port", "8444")], "https://calls.example.com:8443/twiml", StatusCode::FORBIDDEN),
    ] {
        let answer = signed(&harness.pipes, &format!("http://{host}/twiml"), called, &headers).await;
        assert_eq!(answer.status, expected, "{called} came with the host {host} and {headers:?}");
        if expected == StatusCode::OK {
            let (stream, port) = (attribute(&answer.body, "url"), if called.contains(":8443") { ":8443" } else { "" });
            assert!(stream.starts_with(&format!("wss://{HOST}{port}/media/")), "{called}: {stream}");
        }
    }
    // With PUBLIC_URL no header counts.
    let harness = at("https://calls.example.com");
    let headers = [("x-forwarded-host", "evil.example.org"), ("x-forwarded-proto", "http")];
    for (called, expected) in
        [("https://calls.example.com/twiml", StatusCode::OK), ("https://evil.example.org/twiml", StatusCode::FORBIDDEN)]
    {
        assert_eq!(
            signed(&harness.pipes, "http://10.0.0.1/twiml", called, &headers).await.status,
            expected,
            "{called}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_a_stranger_chose_is_not_given_as_advice() {
    let (log, harness) = (Log::start(), harness(TOKEN));
    signed(&harness.pipes, "http://evil.example.org/voice", "https://evil.example.org/voice", &[]).await;
    let text = log.text();
    assert!(text.contains("the right one is /twiml") && !text.contains("evil.example.org"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_only_this_network_knows_is_never_given_to_twilio() {
    let log = Log::start();
    let harness = harness("");
    // Another line about what a front end leaves out comes first, and does not take this one's place.
    passed_on(&harness.pipes, "POST", "http://calls.example.com/twiml", &[]).await;
    assert_eq!(log.text().matches("no header says that callers of this host have TLS").count(), 1, "{}", log.text());
    let from_afar = [("x-forwarded-for", "54.172.60.1, 10.0.0.7")];
    for _ in 0..2 {
        let answer = passed_on(&harness.pipes, "POST", "http://127.0.0.1:8080/twiml", &from_afar).await;
        assert!(
            !answer.body.contains("127.0.0.1") && answer.body.contains("VirtualAgentStatus=failed"),
            "{}",
            answer.body
        );
    }
    assert_eq!(log.text().matches("with a host that only this network knows").count(), 1, "{}", log.text());
    let metrics = harness.service.metrics_text();
    assert!(metrics.contains("dialbridge_refused_requests_total{kind=\"reach\"} 2\n"), "{metrics}");
    // The lab's Twilio is on this machine, and has no TLS.
    let answer = passed_on(&harness.pipes, "POST", "http://127.0.0.1:8080/twiml", &[]).await;
    assert!(attribute(&answer.body, "url").starts_with("ws://127.0.0.1:8080/media/"), "{}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_twilio_cannot_open_does_not_try_an_agent_that_was_down() {
    let script = "[start]\nfault = \"RESOURCE_EXHAUSTED\"\nfault_times = 1000\ntone = { hz = 400, ms = 400 }\n";
    let harness = Harness::with_script(script)
        .settings(|settings| {
            settings.set("PUBLIC_URL", "");
            settings.set("TWILIO_AUTH_TOKEN", "");
        })
        .start();
    harness.call(Vec::new()).await;
    let voice_url = async |from: &[(&str, &str)]| {
        passed_on(&harness.pipes, "POST", "http://127.0.0.1:8080/twiml", from).await.body.contains("<Connect")
    };
    assert!(!voice_url(&[]).await, "the agent is down");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(!voice_url(&[("x-forwarded-for", "54.172.60.1")]).await);
    assert!(voice_url(&[]).await, "this call may try the agent");
    assert!(!voice_url(&[]).await, "and no other one");
}

#[tokio::test(start_paused = true)]
async fn a_public_url_without_tls_is_warned_of_and_its_streams_have_tls_all_the_same() {
    let harness = at("http://calls.example.com");
    assert!(harness.service.config().warnings().iter().any(|line| line.starts_with("PUBLIC_URL begins with http://")));
    let answer = signed(&harness.pipes, "http://calls.example.com/twiml", "http://calls.example.com/twiml", &[]).await;
    assert!(attribute(&answer.body, "url").starts_with("wss://calls.example.com/media/"), "{}", answer.body);
    assert!(!at("http://localhost:8080").service.config().warnings().iter().any(|line| line.contains("PUBLIC_URL")));
}

#[tokio::test(start_paused = true)]
async fn with_a_path_in_public_url_every_url_has_it_and_requests_may_come_with_it_or_without_it() {
    let public = "http://service.test/phone/bot";
    for passed in ["http://service.test/phone/bot", "http://service.test"] {
        let harness = at(public);
        let answer = signed(&harness.pipes, &format!("{passed}/twiml"), &format!("{public}/twiml"), &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{passed}");
        for (name, path) in [("action", "/connect-ended?"), ("statusCallback", "/stream-status")] {
            let url = attribute(&answer.body, name);
            assert!(url.starts_with(&format!("{public}{path}")), "{passed} {url}");
        }
        let stream = attribute(&answer.body, "url");
        assert!(stream.starts_with("ws://service.test/phone/bot/media/"), "{passed} {stream}");
        let action = attribute(&answer.body, "action");
        let back = signed(&harness.pipes, &action.replace(public, passed), &action, &[]).await;
        assert_eq!(back.status, StatusCode::OK, "{passed}");
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("x-twilio-signature"),
            sign(TOKEN, &stream, &[]).parse().unwrap(),
        )]);
        let pipe = harness.pipes.connect("service.test:80").await.unwrap();
        let url = stream.replace("ws://", "http://").replace(public, passed).parse().unwrap();
        let opened = handshake(pipe, &url, &headers).await;
        assert!(opened.is_ok(), "{passed} {:?}", opened.err());
        // Twilio signs the path that it calls.
        let unsigned = signed(&harness.pipes, &format!("{passed}/twiml"), "http://service.test/twiml", &[]).await;
        assert_eq!(unsigned.status, StatusCode::FORBIDDEN, "{passed}");
        for path in ["/health", "/ready", "/", "/page/page.css", "/status.json"] {
            let status = passed_on(&harness.pipes, "GET", &format!("{passed}{path}"), &[]).await.status;
            assert_ne!(status, StatusCode::NOT_FOUND, "{passed}{path}");
        }
    }
    let harness = at(public);
    let page = passed_on(&harness.pipes, "GET", public, &[]).await;
    assert_eq!((page.status.as_u16(), page.headers["location"].to_str().unwrap()), (308, "/phone/bot/"));
    let page = passed_on(&harness.pipes, "GET", &format!("{public}/"), &[]).await.body;
    assert!(!page.contains("=\"/"), "the page's links are relative: {page}");
}

#[tokio::test(start_paused = true)]
async fn a_call_works_with_a_path_prefix() {
    let harness = at("http://service.test/phone");
    let plan = CallPlan {
        voice_url: "http://service.test/phone/twiml".to_owned(),
        ..harness.plan(vec![hang_up(When::AgentSilent(300))])
    };
    let call = harness.twilio.call(plan).await;
    assert!(!spoke(&call).is_empty(), "{:?}", call.events);
}

#[tokio::test(start_paused = true)]
async fn a_path_near_ours_stays_404_and_one_line_names_the_right_one() {
    for (head, says) in [
        ("POST /voice", "set the number's voice-url to http://service.test/twiml"),
        ("POST /twiml/", "set the number's voice-url to http://service.test/twiml"),
        ("POST //twiml", "set the number's voice-url to http://service.test/twiml"),
        ("POST /customers/15550100123", "set the number's voice-url to http://service.test/twiml"),
        ("POST /connect-ended/", "the right one is /connect-ended"),
        ("GET /Twiml", "the right one is /twiml"),
        ("GET /incoming", "the right one is /twiml"),
        ("GET /healthz", "the right one is /health"),
        ("GET /wp-login.php", ""),
        ("GET /nowhere", ""),
    ] {
        let log = Log::start();
        let harness = Harness::with(Script::bakery().unwrap()).start();
        let (method, path) = head.split_once(' ').unwrap();
        for _ in 0..3 {
            let answer = match method {
                "POST" => signed_post(&harness.pipes, path, &[("CallSid", CALL), ("From", "+15550100123")]).await,
                _ => passed_on(&harness.pipes, "GET", &format!("http://service.test{path}"), &[]).await,
            };
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{head}");
        }
        let text = log.text();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("there is nothing at this path")).collect();
        assert_eq!(lines.len(), usize::from(!says.is_empty()), "{head}: {lines:?}");
        assert!(lines.iter().all(|line| line.contains(says) && !line.contains("15550100123")), "{head}: {lines:?}");
        let counted = harness.service.metrics_text().contains("kind=\"path\"} 3");
        assert_eq!(counted, !says.is_empty(), "{head}");
    }
}
