//! Call events for the users' own systems.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_lab::agent::Script;
use dialbridge_lab::twilio::{CallEvent, CallEventKind, CallRecord, When};
use dialbridge_runner::telemetry::clock::WallClock;
use dialbridge_tests::{
    Collector, Harness, HarnessBuilder, Log, Posted, Reaction, bakery, hang_up, numbered_speech, press, say,
};
use ring::hmac;
use serde_json::Value;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

const OLD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

const TALK: &str = r#"
    [start]
    tone = { hz = 400, ms = 300 }
    [[utterance]]
    heard = "planted words of mine"
    say = "planted answer of the agent"
    tone = { hz = 400, ms = 300 }
    intent = "order.bread"
    parameters = { loaf = "planted rye" }
    [other_digits]
    say = "planted digits are right"
    tone = { hz = 400, ms = 300 }
"#;

/// A harness that sends its events to `events.test`.
fn telling(script: Script) -> HarnessBuilder {
    Harness::with(script).settings(|settings| {
        settings.set("EVENT_WEBHOOK_URL", "http://events.test/hook");
        settings.set("EVENT_WEBHOOK_SECRET", SECRET);
    })
}

fn script(toml: &str) -> Script {
    Script::parse(toml, "the test's script", &|_| Err(std::io::ErrorKind::NotFound.into())).unwrap()
}

/// Waits until everything that can be sent is sent.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(60)).await;
}

/// The events of all requests, in order.
fn events(posted: &[Posted]) -> Vec<Value> {
    let batches = posted.iter().map(|posted| serde_json::from_slice::<Vec<Value>>(&posted.body).unwrap());
    batches.flatten().collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().strip_prefix("dialbridge.call.").unwrap()).collect()
}

/// Whether its signature is that of Standard Webhooks, as their libraries check it.
fn is_signed(posted: &Posted, secret: &str) -> bool {
    let header = |name: &str| posted.headers[name].to_str().unwrap();
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let signed =
        [format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes(), &posted.body].concat();
    let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed);
    header("webhook-signature").split(' ').any(|part| part == format!("v1,{}", STANDARD.encode(expected)))
}

#[tokio::test(start_paused = true)]
async fn a_call_sends_its_events_in_order_signed_and_as_cloudevents() {
    let harness = telling(Script::bakery().unwrap()).start();
    let collector = Collector::start(&harness.pipes, "events.test:80");
    let call = harness.call(bakery()).await;
    a_while().await;
    let posted = collector.posted();
    for request in &posted {
        assert_eq!(
            (request.path.as_str(), &request.headers["content-type"]),
            ("/hook", &"application/cloudevents-batch+json".parse().unwrap())
        );
        assert!(is_signed(request, SECRET) && !is_signed(request, OLD_SECRET));
    }
    let events = events(&posted);
    let mut course = kinds(&events);
    // We report a turn when its answer starts to play, and that depends on the prompt's length.
    let turns = course.iter().filter(|kind| **kind == "turn").count();
    course.retain(|kind| *kind != "turn");
    assert_eq!(turns, 4);
    assert_eq!(
        course,
        [
            "started",
            "intent",
            "transcript",
            "intent",
            "transcript",
            "intent",
            "transcript",
            "intent",
            "handoff",
            "ended"
        ]
    );
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["subject"], call.call_sid.as_str());
        assert_eq!(event["source"], "http://service.test/agents/default");
        assert_eq!(event["datacontenttype"], "application/json");
        assert_eq!(event["sequence"], format!("{:010}", n + 1));
        assert_eq!((&event["data"]["callSid"], &event["data"]["agent"]), (&event["subject"], &"default".into()));
        assert!(event["time"].as_str().unwrap().starts_with("2026-11-23T00:0"), "{event}");
    }
    let ids: BTreeSet<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len());
    let times: Vec<&str> = events.iter().map(|event| event["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let named = |kind: &str| {
        events.iter().filter(|event| event["type"] == format!("dialbridge.call.{kind}")).collect::<Vec<_>>()
    };
    let intents: Vec<&Value> = named("intent").iter().map(|event| &event["data"]["intent"]["displayName"]).collect();
    assert_eq!(intents, ["welcome", "order.bread", "order.time", "speak-to-an-agent"]);
    assert_eq!(named("handoff")[0]["data"]["status"], "live-agent-handoff");
    let ended = &named("ended")[0]["data"];
    assert_eq!((&ended["reason"], &ended["turns"], &ended["bargeIns"]), (&"stop".into(), &4.into(), &1.into()));
    assert!(
        named("turn").iter().all(|turn| turn["data"]["slow"] == false && turn["data"]["stagesMs"]["agent"].is_u64())
    );
}

#[tokio::test(start_paused = true)]
async fn events_that_are_not_taken_at_once_come_again_with_the_same_ids_and_in_order() {
    let harness = telling(script(TALK)).start();
    let collector = Collector::start(&harness.pipes, "events.test:80");
    collector.react([Reaction::Status(500), Reaction::Status(429), Reaction::Hangs, Reaction::Status(503)]);
    harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 700)), hang_up(When::AgentSilent(300))]).await;
    a_while().await;
    let posted = collector.posted();
    assert_eq!(posted[0].body, posted[4].body, "the same batch until it is taken");
    assert!(posted.iter().all(|posted| is_signed(posted, SECRET)));
    let stamps: BTreeSet<&str> =
        posted[..5].iter().map(|posted| posted.headers["webhook-signature"].to_str().unwrap()).collect();
    assert!(stamps.len() >= 3, "each attempt is signed at its own time: {stamps:?}");
    assert!(posted[..5].iter().all(|again| again.headers["webhook-id"] == posted[0].headers["webhook-id"]));
    let taken = events(&posted[4..]);
    let sequence: Vec<String> = taken.iter().map(|event| event["sequence"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<String> = (1..=taken.len()).map(|n| format!("{n:010}")).collect();
    assert_eq!(sequence, expected);
    assert_eq!(kinds(&taken).last(), Some(&"ended"));
    assert!(harness.service.metrics_text().contains("dialbridge_events_total{result=\"lost\"} 0"));
}

/// A call as Twilio saw it, without what differs in each call.
fn timeline_of(call: &CallRecord) -> Vec<String> {
    let what = |event: &CallEvent| match &event.kind {
        CallEventKind::Redirected { .. } => "redirected".to_owned(),
        what => format!("{what:?}"),
    };
    call.events.iter().map(|event| format!("{} {}", event.at_ms, what(event))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_hangs_fails_or_is_not_there_delays_no_call() {
    let plain = Harness::with(Script::bakery().unwrap()).start().call(bakery()).await;
    for reaction in [Some(Reaction::Hangs), Some(Reaction::Status(500)), Some(Reaction::Status(403)), None] {
        let log = Log::start();
        let harness = telling(Script::bakery().unwrap()).start();
        let collector = reaction.map(|reaction| {
            let collector = Collector::start(&harness.pipes, "events.test:80");
            collector.always(reaction);
            collector
        });
        let call = harness.call(bakery()).await;
        assert_eq!(timeline_of(&call), timeline_of(&plain), "{reaction:?}");
        assert!(call.heard == plain.heard && call.said == plain.said, "{reaction:?}");
        for _ in 0..5 {
            a_while().await;
        }
        let text = harness.service.metrics_text();
        let count = |name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("dialbridge_events{name} ")));
            line.unwrap().parse().unwrap()
        };
        // 14 events: each batch gets five attempts, then the events are lost and the service says so.
        assert_eq!((count("_total{result=\"lost\"}"), count("_waiting")), (14, 0), "{reaction:?}");
        let said = log.text().matches("telemetry of calls was lost").count();
        assert!((1..=6).contains(&said), "{reaction:?}: {said}");
        let requests = collector.map_or(0, |collector| collector.posted().len());
        assert!(requests <= 14 * 5, "{reaction:?}: {requests}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_webhook_that_hangs_is_bounded() {
    let harness = telling(script("[start]\ntone = { hz = 400, ms = 300 }")).start();
    let collector = Collector::start(&harness.pipes, "events.test:80");
    collector.always(Reaction::Hangs);
    // A few calls only: the queue's own tests fill it.
    for _ in 0..20 {
        harness.call(vec![hang_up(When::AgentSilent(100))]).await;
    }
    let text = harness.service.metrics_text();
    assert!(text.contains("dialbridge_live_calls 0\n"), "{text}");
    assert!(text.contains("dialbridge_events_waiting ") && !text.contains("dialbridge_events_waiting 0\n"));
}

#[tokio::test(start_paused = true)]
async fn at_the_default_level_nothing_personal_is_told_and_other_levels_tell_what_they_say() {
    let steps = || {
        vec![
            say(When::AgentSilent(300), numbered_speech(0, 700)),
            press(When::AgentSilent(300), "47110815#"),
            hang_up(When::AgentSilent(300)),
        ]
    };
    for (level, words, numbers) in
        [(None, false, false), (Some("all"), false, false), (Some("words"), false, true), (Some("none"), true, true)]
    {
        let harness = telling(script(TALK))
            .settings(|settings| settings.set("EVENT_REDACTION", level.unwrap_or_default()))
            .start();
        let collector = Collector::start(&harness.pipes, "events.test:80");
        harness.call(steps()).await;
        a_while().await;
        let posted = collector.posted();
        let text: String = posted.iter().map(|posted| String::from_utf8(posted.body.to_vec()).unwrap()).collect();
        assert!(text.contains("order.bread"), "{level:?}");
        for secret in
            ["planted words of mine", "planted answer of the agent", "planted rye", "planted digits are right"]
        {
            assert_eq!(text.contains(secret), words, "{level:?}: {secret}");
        }
        for number in ["+15550100", "+15550199"] {
            assert_eq!(text.contains(number), numbers, "{level:?}");
        }
        for never in ["47110815", SECRET, dialbridge_tests::TOKEN] {
            assert!(!text.contains(never), "{level:?}: {never}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_agent_has_its_own_webhook_or_none() {
    let file = "[agents.a]\nevent_webhook_url = \"http://a.test/\"\n[agents.b]\nevent_webhook_url = \"http://b.test/\"\n\
                event_webhook_secret = \"SECRETS\"\n[agents.c]\n";
    let file = file.replace("SECRETS", &format!("{SECRET},{OLD_SECRET}"));
    let harness = Harness::with(script(TALK)).file(&file).start();
    let (a, b) = (Collector::start(&harness.pipes, "a.test:80"), Collector::start(&harness.pipes, "b.test:80"));
    for agent in ["a", "b", "c"] {
        let mut plan = harness.plan(vec![hang_up(When::AgentSilent(300))]);
        plan.voice_url = format!("{}?agent={agent}", plan.voice_url);
        harness.twilio.call(plan).await;
    }
    a_while().await;
    for (collector, agent) in [(&a, "a"), (&b, "b")] {
        let events = events(&collector.posted());
        assert_eq!(kinds(&events), ["started", "intent", "turn", "ended"]);
        assert!(events.iter().all(|event| event["data"]["agent"] == agent));
    }
    assert!(a.posted().iter().all(|posted| !posted.headers.contains_key("webhook-signature")));
    assert!(b.posted().iter().all(|posted| is_signed(posted, SECRET) && is_signed(posted, OLD_SECRET)));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_ends_sends_what_waits_and_no_longer_than_it_may() {
    for (reaction, arrives) in [(Reaction::Status(204), true), (Reaction::Hangs, false)] {
        let harness = telling(script(TALK)).start();
        let collector = Collector::start(&harness.pipes, "events.test:80");
        collector.always(reaction);
        let service = harness.service.clone();
        let clock = WallClock::Since { began_ms: 0, at: tokio::time::Instant::now() };
        let ending = async {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            let began = clock.now_ms();
            service.end().await;
            clock.now_ms() - began
        };
        let (_, took) = tokio::join!(harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 700))]), ending);
        assert!(took <= 9_500, "{took}");
        let events = events(&collector.posted());
        assert_eq!(kinds(&events).contains(&"ended"), arrives, "{reaction:?}: {:?}", kinds(&events));
        let text = harness.service.metrics_text();
        assert_eq!(text.contains("dialbridge_events_total{result=\"lost\"} 0\n"), arrives, "{reaction:?}");
    }
}
