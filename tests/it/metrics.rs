//! `/metrics`: what it counts, and who may read it.

use std::collections::BTreeMap;

use dialbridge_core::UpdateResult;
use dialbridge_core::report::AudioAccount;
use dialbridge_lab::agent::Script;
use dialbridge_lab::twilio::When;
use dialbridge_runner::settings::Platform;
use dialbridge_tests::{
    Edition, Harness, HttpAnswer, RawSocket, bakery, hang_up, numbered_speech, post, press, say, signed_post, start,
    voice_url,
};
use http::StatusCode;

/// Figures by name and labels.
struct Figures(BTreeMap<String, f64>);

impl Figures {
    async fn of(harness: &Harness) -> Self {
        let answer = post(&harness.pipes, "GET /metrics", &[], "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
        assert!(answer.body.ends_with("# EOF\n"));
        let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
        let figure = |line: &str| line.rsplit_once(' ').map(|(name, n)| (in_order(name), n.parse().unwrap()));
        Self(lines.map(|line| figure(line).unwrap()).collect())
    }

    /// A figure of the only agent, by its name and one more label.
    fn of_agent(&self, name: &str, more: &str) -> f64 {
        let more = if more.is_empty() { String::new() } else { format!(",{more}") };
        self.get(&format!("dialbridge_{name}{{agent=\"default\",edition=\"cx\"{more}}}"))
    }

    fn get(&self, name: &str) -> f64 {
        *self.0.get(&in_order(name)).unwrap_or_else(|| panic!("{name} is not there"))
    }

    /// The changed figures whose name begins like that.
    fn moved(&self, name: &str) -> Vec<(&str, f64)> {
        self.0.iter().filter(|(key, n)| key.starts_with(name) && **n > 0.0).map(|(key, n)| (key.as_str(), *n)).collect()
    }
}

/// A name with its labels sorted, because their order means nothing.
fn in_order(name: &str) -> String {
    let Some((name, labels)) = name.split_once('{') else { return name.to_owned() };
    let mut labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

fn seconds(bytes: u64) -> f64 {
    bytes as f64 / 8_000.0
}

#[tokio::test(start_paused = true)]
async fn a_call_to_the_bakery_is_counted_exactly() {
    let mut harness = Harness::with(Script::bakery().unwrap()).start();
    harness.call(bakery()).await;
    let figures = Figures::of(&harness).await;
    let AudioAccount { received, written, resent, after_end, .. } = harness.account();

    assert_eq!(figures.of_agent("calls_total", ""), 1.0);
    assert_eq!(figures.moved("dialbridge_calls_ended_total").len(), 1);
    assert_eq!(figures.of_agent("calls_ended_total", "reason=\"stop\""), 1.0);
    assert_eq!(figures.moved("dialbridge_handoffs_total").len(), 1);
    assert_eq!(figures.of_agent("handoffs_total", "status=\"live-agent-handoff\""), 1.0);
    // The greeting, and three utterances.
    assert_eq!(figures.of_agent("turns_total", "input=\"text\""), 1.0);
    assert_eq!(figures.of_agent("turns_total", "input=\"audio\""), 3.0);
    assert_eq!(figures.moved("dialbridge_barge_ins_total").len(), 1);
    assert_eq!(figures.of_agent("barge_ins_total", "by=\"speech\""), 1.0);
    // This Twilio stops the stream before it answers the update.
    assert_eq!(figures.get("dialbridge_rest_updates_total{result=\"overtaken\"}"), 1.0);
    assert_eq!(figures.moved("dialbridge_turn_faults_total"), []);
    assert_eq!(figures.moved("dialbridge_no_matches_total"), []);
    assert_eq!(figures.of_agent("call_seconds_count", ""), 1.0);
    assert_eq!(figures.moved("dialbridge_slow_turns_total"), []);

    assert_eq!(figures.of_agent("caller_audio_seconds_total", "outcome=\"received\""), seconds(received));
    assert_eq!(figures.of_agent("caller_audio_seconds_total", "outcome=\"written\""), seconds(written));
    assert_eq!(figures.of_agent("caller_audio_seconds_total", "outcome=\"after-end\""), seconds(after_end));
    assert!(written > 0 && resent == 0);

    // Three answers to words were heard; nobody waits for the greeting. Each stage of each has a time, and each time is in the
    // right bucket.
    assert_eq!(figures.of_agent("turn_seconds_count", ""), 3.0);
    for (stage, count) in
        [("waiting", 3.0), ("recogniser", 3.0), ("agent", 3.0), ("first-audio", 3.0), ("playout", 3.0)]
    {
        assert_eq!(figures.of_agent("turn_stage_seconds_count", &format!("stage=\"{stage}\"")), count, "{stage}");
        assert_eq!(
            figures.of_agent("turn_stage_seconds_bucket", &format!("le=\"+Inf\",stage=\"{stage}\"")),
            count,
            "{stage}"
        );
    }
    // The bakery thinks for 250 ms, and its voice detector waits for 700 ms.
    assert_eq!(figures.of_agent("turn_stage_seconds_bucket", "le=\"0.1\",stage=\"agent\""), 0.0);
    assert_eq!(figures.of_agent("turn_stage_seconds_bucket", "le=\"0.5\",stage=\"agent\""), 3.0);
    assert_eq!(figures.of_agent("turn_stage_seconds_bucket", "le=\"0.5\",stage=\"recogniser\""), 0.0);
    assert_eq!(figures.of_agent("turn_stage_seconds_bucket", "le=\"1.0\",stage=\"recogniser\""), 3.0);
    assert_eq!(figures.get("dialbridge_live_calls"), 0.0);
    assert!(figures.get("dialbridge_socket_queue_max") > 10.0, "a prompt is many messages");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_what_was_not_understood_is_a_no_match_and_a_call_has_a_length() {
    let script =
        "[start]\ntone = { hz = 400, ms = 300 }\n[[utterance]]\nno_match = true\ntone = { hz = 500, ms = 300 }";
    for (edition, name) in [(Edition::Cx, "cx"), (Edition::EsV2Beta1, "es")] {
        let harness = Harness::with_script(script).edition(edition).start();
        harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 600)), hang_up(When::AgentSilent(900))]).await;
        let figures = Figures::of(&harness).await;
        let of_agent =
            |metric: &str| figures.get(&format!("dialbridge_{metric}{{agent=\"default\",edition=\"{name}\"}}"));
        assert_eq!(of_agent("no_matches_total"), 1.0, "{name}");
        assert_eq!(of_agent("call_seconds_count"), 1.0, "{name}");
        assert!(of_agent("call_seconds_sum") > 1.0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn gauges_show_what_is_going_on() {
    let harness = Harness::with_script("[start]\ntone = { hz = 400, ms = 600 }").start();
    let (waiting, _) = voice_url(&harness.pipes, "CA1").await;
    let _waiting = RawSocket::open(&harness.pipes, &waiting).await.unwrap();
    let (started, _) = voice_url(&harness.pipes, "CA2").await;
    let mut started = RawSocket::open(&harness.pipes, &started).await.unwrap();
    started.text(&start("CA2")).await;
    started.next().await;
    let figures = Figures::of(&harness).await;
    assert_eq!(figures.get("dialbridge_live_calls"), 2.0);
    assert_eq!(figures.get("dialbridge_waiting_sockets"), 1.0);
    assert_eq!(figures.get("dialbridge_agent_connections"), 1.0);
    assert_eq!(figures.get("dialbridge_agent_streams"), 1.0);
    assert_eq!((figures.get("dialbridge_ready"), figures.get("dialbridge_draining")), (0.0, 0.0));
    harness.service.clone().warm_up().await;
    assert_eq!(Figures::of(&harness).await.get("dialbridge_ready"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_turn_without_words_is_no_wait() {
    let script = "[start]\ntone = { hz = 400, ms = 300 }\n[other_digits]\ntone = { hz = 400, ms = 300 }";
    let harness = Harness::with_script(script).start();
    harness.call(vec![press(When::AgentSilent(300), "4711#"), hang_up(When::AgentSilent(900))]).await;
    let figures = Figures::of(&harness).await;
    assert_eq!(figures.of_agent("turns_total", "input=\"digits\""), 1.0);
    assert_eq!(figures.moved("dialbridge_turn_seconds"), []);
    assert_eq!(figures.moved("dialbridge_turn_stage_seconds"), []);
}

#[tokio::test(start_paused = true)]
async fn a_media_stream_that_is_only_opened_and_closed_is_no_call() {
    let harness = Harness::with_script("").start();
    let (media, _) = voice_url(&harness.pipes, "CA1").await;
    RawSocket::open(&harness.pipes, &media).await.unwrap().end().await;
    let figures = Figures::of(&harness).await;
    assert_eq!(figures.moved("dialbridge_calls"), []);
    let listed = harness.service.history().unwrap().summary(0);
    assert_eq!((&listed["liveCount"], listed["finished"].as_array().unwrap().len()), (&0.into(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_starts_has_no_length() {
    let harness = Harness::with_script("").start();
    let (media, _) = voice_url(&harness.pipes, "CA1").await;
    let _socket = RawSocket::open(&harness.pipes, &media).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    let figures = Figures::of(&harness).await;
    assert_eq!(figures.of_agent("calls_ended_total", "reason=\"no start\""), 1.0);
    assert_eq!(figures.of_agent("call_seconds_count", ""), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_does_not_read_openmetrics_gets_the_classic_format() {
    let harness = Harness::with_script("").start();
    let answer = post(&harness.pipes, "GET /metrics", &[("accept", "text/plain;version=0.0.4")], "").await;
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(answer.body.contains("# TYPE dialbridge_calls_total counter\n") && !answer.body.contains("# EOF"));
}

#[tokio::test(start_paused = true)]
async fn failures_and_retries_are_counted_by_their_codes() {
    let script = r#"
        [start]
        tone = { hz = 400, ms = 600 }
        [[utterance]]
        fault = "UNAVAILABLE"
        [[utterance]]
        fault = "INTERNAL"
        [[utterance]]
        tone = { hz = 500, ms = 900 }
        [[utterance]]
        fault = "INVALID_ARGUMENT"
    "#;
    let mut harness = Harness::with_script(script).start();
    let steps = vec![
        say(When::AgentSilent(300), numbered_speech(0, 700)),
        say(When::AgentSilent(300), numbered_speech(35, 700)),
    ];
    harness.call(steps).await;
    let figures = Figures::of(&harness).await;
    for code in ["UNAVAILABLE", "INTERNAL", "INVALID_ARGUMENT"] {
        assert_eq!(figures.of_agent("turn_faults_total", &format!("code=\"{code}\"")), 1.0, "{code}");
    }
    assert_eq!(figures.of_agent("turn_retries_total", ""), 2.0);
    assert_eq!(figures.of_agent("handoffs_total", "status=\"failed\""), 1.0);
    let resent = harness.account().resent;
    assert_eq!(figures.of_agent("caller_audio_seconds_total", "outcome=\"resent\""), seconds(resent));
    assert!(resent > 0);
}

#[tokio::test(start_paused = true)]
async fn updates_are_counted_by_what_came_of_them() {
    use dialbridge_lab::twilio::RestFault;
    let script = "[start]\ntone = { hz = 400, ms = 200 }\nend = true";
    let refused = |status, code| Some(RestFault::Refused { status, code, retry_after: None });
    for (fault, result) in [
        (None, None),
        (refused(StatusCode::NOT_FOUND, 20404), Some(UpdateResult::Impossible)),
        (refused(StatusCode::BAD_REQUEST, 21220), Some(UpdateResult::CallGone)),
        (refused(StatusCode::BAD_REQUEST, 21218), Some(UpdateResult::Impossible)),
    ] {
        let harness = Harness::with_script(script).start();
        harness.twilio.fail_rest(fault);
        harness.call(vec![hang_up(When::AgentSilent(3_000))]).await;
        let figures = Figures::of(&harness).await;
        for (name, other) in [
            ("accepted", Some(UpdateResult::Accepted)),
            ("call-gone", Some(UpdateResult::CallGone)),
            ("impossible", Some(UpdateResult::Impossible)),
            ("overtaken", None),
        ] {
            let expected = if other == result { 1.0 } else { 0.0 };
            assert_eq!(
                figures.get(&format!("dialbridge_rest_updates_total{{result=\"{name}\"}}")),
                expected,
                "{result:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refused_requests_are_counted_by_why() {
    let harness = Harness::with_script("").settings(|settings| settings.set("MAX_CALLS", "1")).start();
    let form = [("CallSid", "CA1")];
    let typed = ("content-type", "application/x-www-form-urlencoded");
    let statuses = [
        post(&harness.pipes, "POST /twiml", &[typed], "CallSid=CA1").await,
        post(&harness.pipes, "POST /twiml", &[typed, ("x-twilio-signature", "AAAA")], "CallSid=CA1").await,
        post(&harness.pipes, "POST /twiml", &[("content-type", "application/json")], "{}").await,
        signed_post(&harness.pipes, "/twiml?agent=nobody", &form).await,
        signed_post(&harness.pipes, "/connect-ended?s=made.up", &form).await,
        post(&harness.pipes, "GET /media/made.up", &[], "").await,
    ];
    assert_eq!(statuses.map(|answer: HttpAnswer| answer.status.as_u16()), [403, 403, 415, 404, 403, 403]);
    let (media, _) = voice_url(&harness.pipes, "CA1").await;
    let mut socket = RawSocket::open(&harness.pipes, &media).await.unwrap();
    socket.text(&start("CA1")).await;
    socket.next().await;
    signed_post(&harness.pipes, "/twiml", &[("CallSid", "CA2")]).await;
    let figures = Figures::of(&harness).await;
    let all = figures.moved("dialbridge_refused_requests_total");
    let kinds: Vec<String> = all.iter().map(|(name, n)| format!("{} {n}", name.split('"').nth(1).unwrap())).collect();
    assert_eq!(kinds, ["agent 1", "busy 1", "form 1", "signature 1", "state 1", "ticket 1", "unsigned 1"]);
}

#[tokio::test(start_paused = true)]
async fn in_public_the_figures_are_for_those_who_have_the_token() {
    let asked = async |token: Option<&str>, header: Option<&str>| {
        let harness = Harness::with_script("")
            .settings(|settings| settings.set("ADMIN_TOKEN", token.unwrap_or_default()))
            .config(|config| config.platform = Platform::CloudRun)
            .start();
        let headers: Vec<(&str, &str)> = header.map(|value| ("authorization", value)).into_iter().collect();
        let answer = post(&harness.pipes, "GET /metrics", &headers, "").await;
        assert_eq!(answer.body.contains("dialbridge_"), answer.status == 200);
        answer.status.as_u16()
    };
    let token = Some("the-tests-admin-token");
    assert_eq!(asked(None, None).await, 404);
    assert_eq!(asked(None, Some("Bearer ")).await, 404);
    assert_eq!(asked(token, None).await, 401);
    assert_eq!(asked(token, Some("Bearer the-tests-admin-tokem")).await, 401);
    assert_eq!(asked(token, Some("Basic the-tests-admin-token")).await, 401);
    assert_eq!(asked(token, Some("Bearer the-tests-admin-token")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn no_label_shows_what_a_caller_said_pressed_or_was_called() {
    let script = "[start]\ntone = { hz = 400, ms = 300 }\n[[utterance]]\nheard = \"planted words\"\nsay = \"planted answer\"\n\
                  tone = { hz = 400, ms = 300 }\nparameters = { planted = \"value\" }\n[other_digits]\ntone = { hz = 400, ms = 300 }";
    let harness = Harness::with_script(script).start();
    let steps = vec![
        say(When::AgentSilent(300), numbered_speech(0, 700)),
        press(When::AgentSilent(300), "4711#"),
        hang_up(When::AgentSilent(300)),
    ];
    harness.call(steps).await;
    let text = harness.service.metrics_text();
    for secret in ["planted", "4711", "5550", dialbridge_tests::TOKEN] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(text.contains("input=\"digits\"} 1"), "{text}");
}
