//! Traces, as an OpenTelemetry collector gets them.

use std::collections::BTreeMap;
use std::time::Duration;

use dialbridge_lab::agent::Script;
use dialbridge_lab::twilio::{Account, When};
use dialbridge_tests::{
    Collector, Harness, HarnessBuilder, RawSocket, Reaction, TOKEN, bakery, hang_up, numbered_speech, paths, post,
    press, say, start,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A harness that sends its spans to `otel.test`.
fn traced(script: Script) -> HarnessBuilder {
    Harness::with(script).settings(|settings| {
        settings.set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel.test:4318");
        settings.set("OTEL_EXPORTER_OTLP_HEADERS", "api-key=planted-key");
    })
}

fn script(toml: &str) -> Script {
    Script::parse(toml, "the test's script", &|_| Err(std::io::ErrorKind::NotFound.into())).unwrap()
}

const SHORT: &str = "[start]\ntone = { hz = 400, ms = 300 }\nintent = \"welcome\"";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => panic!("{other:?}"),
    })
}

/// All spans so far, after those that wait were sent.
async fn spans(collector: &Collector) -> Vec<Span> {
    tokio::time::sleep(Duration::from_secs(60)).await;
    let messages = collector.posted().into_iter().map(|posted| {
        assert_eq!(
            (posted.path.as_str(), &posted.headers["content-type"]),
            ("/v1/traces", &"application/x-protobuf".parse().unwrap())
        );
        assert_eq!(posted.headers["api-key"], "planted-key");
        ExportTraceServiceRequest::decode(posted.body).unwrap()
    });
    let resources = messages.flat_map(|message| message.resource_spans);
    let scopes = resources.flat_map(|spans| spans.scope_spans);
    scopes.flat_map(|spans| spans.spans).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_is_a_trace_of_its_request_its_turns_and_their_stages() {
    let harness = traced(Script::bakery().unwrap()).start();
    let collector = Collector::start(&harness.pipes, "otel.test:4318");
    let call = harness.call(bakery()).await;
    let spans = spans(&collector).await;
    let by_id: BTreeMap<&[u8], &Span> = spans.iter().map(|span| (&span.span_id[..], span)).collect();
    assert_eq!(by_id.len(), spans.len(), "each span has an id of its own");
    let [request] = named(&spans, "/twiml")[..] else { panic!("{spans:?}") };
    assert!(request.parent_span_id.is_empty());
    assert_eq!(attribute(request, "http.response.status_code").as_deref(), Some("200"));
    let [whole] = named(&spans, "call")[..] else { panic!("{spans:?}") };
    assert_eq!(whole.parent_span_id, request.span_id);
    for (name, value) in [
        ("twilio.call_sid", call.call_sid.as_str()),
        ("dialbridge.agent", "default"),
        ("dialbridge.edition", "cx"),
        ("dialbridge.status", "live-agent-handoff"),
        ("dialbridge.reason", "stop"),
    ] {
        assert_eq!(attribute(whole, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(whole.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["barge-in"]);
    let turns = named(&spans, "turn");
    let intents: Vec<Option<String>> = turns.iter().map(|turn| attribute(turn, "dialbridge.intent")).collect();
    assert_eq!(
        intents,
        ["welcome", "order.bread", "order.time", "speak-to-an-agent"].map(|name| Some(name.to_owned()))
    );
    for span in &spans {
        assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
        assert_eq!(span.trace_id, request.trace_id);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        if span.name != "/twiml" {
            let parent = by_id[&span.parent_span_id[..]];
            if parent.name != "/twiml" {
                let inside = parent.start_time_unix_nano <= span.start_time_unix_nano
                    && span.end_time_unix_nano <= parent.end_time_unix_nano;
                assert!(inside, "{span:?} in {parent:?}");
            }
        }
    }
    for turn in turns {
        assert_eq!(turn.parent_span_id, whole.span_id);
        let parts: Vec<&str> =
            spans.iter().filter(|span| span.parent_span_id == turn.span_id).map(|span| span.name.as_str()).collect();
        // The greeting is not an answer to an utterance.
        let expected: &[&str] = match attribute(turn, "dialbridge.input").as_deref() {
            Some("audio") => &["waiting", "recogniser", "agent", "first-audio", "playout", "speech"],
            _ => &["agent", "first-audio", "playout"],
        };
        assert_eq!(parts, expected);
    }
    let text = harness.service.metrics_text();
    assert!(text.contains(&format!("dialbridge_spans_total{{result=\"sent\"}} {}\n", spans.len())), "{text}");
}

/// Requests the voice-url with those headers and plays a short stream. Returns the spans.
async fn with_headers(builder: HarnessBuilder, more: &[(&str, &str)]) -> Vec<Span> {
    let harness = builder.start();
    let collector = Collector::start(&harness.pipes, "otel.test:4318");
    let form = [("CallSid".to_owned(), "CA1".to_owned()), ("CallStatus".to_owned(), "ringing".to_owned())];
    let signature = Account::new(Some(TOKEN)).signature("http://service.test/twiml", &form).unwrap();
    let mut headers =
        vec![("content-type", "application/x-www-form-urlencoded"), ("x-twilio-signature", signature.as_str())];
    headers.extend(more);
    let answer = post(&harness.pipes, "POST /twiml", &headers, "CallSid=CA1&CallStatus=ringing").await;
    let (media, _) = paths(&answer.body);
    let mut socket = RawSocket::open(&harness.pipes, &media).await.unwrap();
    socket.text(&start("CA1")).await;
    socket.next().await;
    socket.text(r#"{"event":"stop"}"#).await;
    socket.end().await;
    spans(&collector).await
}

#[tokio::test(start_paused = true)]
async fn a_requests_trace_carries_on() {
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let google = format!("{TRACE}/67667974448284343;o=1");
    for header in [("traceparent", parent.as_str()), ("x-cloud-trace-context", google.as_str())] {
        let spans = with_headers(traced(script(SHORT)), &[header]).await;
        assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "{header:?}");
        let [request] = named(&spans, "/twiml")[..] else { panic!("{spans:?}") };
        assert_eq!(hex(&request.parent_span_id), "00f067aa0ba902b7", "{header:?}");
        assert_eq!(named(&spans, "call")[0].parent_span_id, request.span_id);
        assert_eq!(named(&spans, "turn")[0].parent_span_id, named(&spans, "call")[0].span_id);
    }
}

#[tokio::test(start_paused = true)]
async fn the_sampler_says_which_calls_are_traced() {
    let (sampled, unsampled) = (format!("00-{TRACE}-00f067aa0ba902b7-01"), format!("00-{TRACE}-00f067aa0ba902b7-00"));
    let (with, without) = (Some(sampled.as_str()), Some(unsampled.as_str()));
    for (sampler, arg, header, is_traced) in [
        (None, None, None, true),
        (None, None, with, true),
        (None, None, without, false),
        (Some("always_on"), None, without, true),
        (Some("always_off"), None, with, false),
        (Some("traceidratio"), Some("0"), with, false),
        (Some("parentbased_traceidratio"), Some("0"), with, true),
        (Some("parentbased_traceidratio"), Some("0"), None, false),
        (Some("parentbased_traceidratio"), Some("1"), None, true),
    ] {
        let builder = traced(script(SHORT)).settings(|settings| {
            settings.set("OTEL_TRACES_SAMPLER", sampler.unwrap_or_default());
            settings.set("OTEL_TRACES_SAMPLER_ARG", arg.unwrap_or_default());
        });
        let headers: Vec<(&str, &str)> = header.map(|value| ("traceparent", value)).into_iter().collect();
        let spans = with_headers(builder, &headers).await;
        assert_eq!(!spans.is_empty(), is_traced, "{sampler:?} {arg:?} {header:?}");
        assert_eq!(named(&spans, "call").len(), usize::from(is_traced));
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_fails_is_a_failed_span() {
    let toml = "[start]\ntone = { hz = 400, ms = 300 }\n[[utterance]]\nfault = \"UNAVAILABLE\"\n[[utterance]]\ntone = { hz = 400, ms = 300 }";
    let harness = traced(script(toml)).start();
    let collector = Collector::start(&harness.pipes, "otel.test:4318");
    harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 700)), hang_up(When::AgentSilent(300))]).await;
    let spans = spans(&collector).await;
    let failed: Vec<&Span> =
        spans.iter().filter(|span| span.status.as_ref().is_some_and(|status| status.code == 2)).collect();
    assert_eq!(failed.len(), 1, "{spans:?}");
    assert_eq!(attribute(failed[0], "error.type").as_deref(), Some("UNAVAILABLE"));
    assert_eq!(attribute(failed[0], "dialbridge.tried_again").as_deref(), Some("true"));
}

#[tokio::test(start_paused = true)]
async fn no_span_shows_what_was_said_pressed_or_called_and_no_collector_delays_a_call() {
    let toml = r#"
        [start]
        tone = { hz = 400, ms = 300 }
        [[utterance]]
        heard = "planted words"
        say = "planted answer"
        tone = { hz = 400, ms = 300 }
        parameters = { loaf = "planted rye" }
        [other_digits]
        say = "planted digits"
        tone = { hz = 400, ms = 300 }
    "#;
    let steps = || {
        vec![
            say(When::AgentSilent(300), numbered_speech(0, 700)),
            press(When::AgentSilent(300), "4711#"),
            hang_up(When::AgentSilent(300)),
        ]
    };
    let plain = Harness::with(script(toml)).start().call(steps()).await;
    for reaction in [Reaction::Status(200), Reaction::Hangs, Reaction::Status(503)] {
        let harness = traced(script(toml)).start();
        let collector = Collector::start(&harness.pipes, "otel.test:4318");
        collector.always(reaction);
        let call = harness.call(steps()).await;
        assert_eq!(call.heard, plain.heard, "{reaction:?}");
        let times =
            |call: &dialbridge_lab::twilio::CallRecord| call.events.iter().map(|event| event.at_ms).collect::<Vec<_>>();
        assert_eq!(times(&call), times(&plain), "{reaction:?}");
        let spans = spans(&collector).await;
        assert!(named(&spans, "turn").len() >= 3, "{reaction:?}");
        // Each batch gets three attempts of ten seconds if nobody answers.
        tokio::time::sleep(Duration::from_secs(60)).await;
        for posted in collector.posted() {
            let text = String::from_utf8_lossy(&posted.body).into_owned();
            for secret in ["planted", "4711", "5550", TOKEN] {
                assert!(!text.contains(secret), "{secret}");
            }
        }
        let text = harness.service.metrics_text();
        assert_eq!(
            text.contains("dialbridge_spans_total{result=\"lost\"} 0\n"),
            reaction == Reaction::Status(200),
            "{text}"
        );
        assert!(text.contains("dialbridge_spans_waiting 0\n"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_ends_sends_its_spans_first() {
    let harness = traced(script(SHORT)).start();
    let collector = Collector::start(&harness.pipes, "otel.test:4318");
    let service = harness.service.clone();
    let ending = async {
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        service.end().await;
        // The instance sends nothing after it has ended.
        collector.posted().len()
    };
    let (_, posted) = tokio::join!(harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 700))]), ending);
    assert!(posted > 0);
    let spans = spans(&collector).await;
    assert_eq!(named(&spans, "call").len(), 1);
    assert_eq!(collector.posted().len(), posted);
}
