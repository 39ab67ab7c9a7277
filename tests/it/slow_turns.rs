//! The slow stage of a turn, as the log reports it.

use dialbridge_lab::twilio::{CallFault, CallPlan, CallerStep, When};
use dialbridge_tests::{Edition, Harness, Log, hang_up, numbered_speech, say};
use serde_json::Value;

/// A greeting, and one answer.
const USUAL: &str =
    "[start]\ntone = { hz = 400, ms = 600 }\n[[utterance]]\ntone = { hz = 500, ms = 900 }\nintent = \"loaves\"\n";

/// The caller speaks once, after the greeting.
fn once() -> Vec<CallerStep> {
    vec![say(When::AgentSilent(300), numbered_speech(0, 700)), hang_up(When::AgentSilent(500))]
}

/// The log lines of turns, in order.
fn turns(log: &Log) -> Vec<Value> {
    let lines = log.text();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["message"].as_str().is_some_and(|text| text.ends_with("turn and its stages"))).collect()
}

/// The slow stage of each turn.
fn slow_stages(log: &Log) -> Vec<Option<String>> {
    let named = |line: &Value| {
        let is_warning = line["severity"] == "WARNING";
        assert_eq!((&line["slow"], line.get("slow_stage").is_some()), (&is_warning.into(), is_warning), "{line}");
        line["slow_stage"].as_str().map(ToOwned::to_owned)
    };
    turns(log).iter().map(named).collect()
}

fn is(stage: &str) -> Option<String> {
    Some(stage.to_owned())
}

each_edition!(a_turn_tells_what_each_of_its_stages_took, ALL);
async fn a_turn_tells_what_each_of_its_stages_took(edition: Edition) {
    let log = Log::start();
    let harness = Harness::with_script(&format!("think_ms = 300\n{USUAL}")).edition(edition).start();
    let call = harness.call(once()).await;
    let turns = turns(&log);
    assert_eq!(turns.len(), 2);
    let turn = &turns[1];
    assert_eq!((&turn["call_sid"], &turn["turn"], &turn["input"]), (&call.call_sid.into(), &2.into(), &"audio".into()));
    let ms = |name: &str| turn[name].as_u64().unwrap_or_else(|| panic!("{name}: {turn}"));
    // The lab's voice detector ends an utterance 600 ms after its last loud 10 ms. Frames come every 20 ms.
    assert!(ms("recogniser_ms").abs_diff(600) <= 40, "{turn}");
    assert!(ms("agent_ms").abs_diff(300) <= 20, "{turn}");
    assert_eq!((ms("waiting_ms"), ms("first_audio_ms")), (0, 0), "{turn}");
    let parts = ["waiting_ms", "recogniser_ms", "agent_ms", "first_audio_ms", "playout_ms"];
    assert_eq!(parts.iter().map(|part| ms(part)).sum::<u64>(), ms("whole_ms"), "{turn}");
    assert_eq!(ms("speech_ended_at_ms") + ms("whole_ms"), ms("first_audio_heard_at_ms"), "{turn}");
    assert_eq!(slow_stages(&log), [None, None]);
}

each_edition!(an_agent_that_thinks_for_long_is_the_slow_stage, ALL);
async fn an_agent_that_thinks_for_long_is_the_slow_stage(edition: Edition) {
    let log = Log::start();
    let script = format!("{USUAL}think_ms = 2400\n");
    let harness = Harness::with_script(&script).edition(edition).start();
    harness.call(once()).await;
    assert_eq!(slow_stages(&log), [None, is("agent")]);
}

each_edition!(a_recogniser_that_does_not_notice_the_end_is_the_slow_stage, ALL);
async fn a_recogniser_that_does_not_notice_the_end_is_the_slow_stage(edition: Edition) {
    let log = Log::start();
    let harness = Harness::with_script(&format!("end_of_utterance_ms = 1900\n{USUAL}")).edition(edition).start();
    harness.call(once()).await;
    assert_eq!(slow_stages(&log), [None, is("recogniser")]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_audio_comes_late_has_a_late_first_audio() {
    let log = Log::start();
    let script = "[start]\ntone = { hz = 400, ms = 600 }\n[[utterance]]\nfirst = [{ say = \"One moment.\", think_ms = 1200 }]\n\
                  tone = { hz = 500, ms = 900 }\n";
    Harness::with_script(script).start().call(once()).await;
    let turns = turns(&log);
    assert_eq!(slow_stages(&log), [None, is("first-audio")], "{}", turns[1]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_twilio_holds_back_makes_playout_the_slow_stage() {
    let log = Log::start();
    let harness = Harness::with_script(&format!("think_ms = 300\n{USUAL}")).start();
    let plan = harness.plan(once());
    // The greeting ends after 0.6 s, the utterance after 1.7 s, and the answer goes out after 2.6 s.
    let faults = vec![CallFault::Late { at_ms: 2_500, for_ms: 1_500 }];
    harness.twilio.call(CallPlan { faults, ..plan }).await;
    let turns = turns(&log);
    assert_eq!(slow_stages(&log), [None, is("playout")], "{}", turns[1]);
}

#[tokio::test(start_paused = true)]
async fn words_that_wait_for_the_turn_before_make_waiting_the_slow_stage() {
    let log = Log::start();
    let script =
        "[start]\ntone = { hz = 400, ms = 600 }\nthink_ms = 3900\n[[utterance]]\ntone = { hz = 500, ms = 900 }";
    let harness = Harness::with_script(script).start();
    // While the agent thinks about its greeting.
    harness.call(vec![say(When::After(200), numbered_speech(0, 700)), hang_up(When::AgentSilent(900))]).await;
    assert_eq!(slow_stages(&log), [is("agent"), is("waiting")], "{:?}", turns(&log));
}

#[tokio::test(start_paused = true)]
async fn limits_are_settings_of_each_agent() {
    let log = Log::start();
    let harness = Harness::with_script(&format!("{USUAL}think_ms = 2450\n"))
        .settings(|settings| settings.set("SLOW_STAGES_MS", "agent=2500"))
        .start();
    harness.call(once()).await;
    // The stage is within its limit. The turn as a whole is not.
    assert_eq!(slow_stages(&log), [None, is("agent")]);

    let log = Log::start();
    let harness = Harness::with_script(&format!("{USUAL}think_ms = 2450\n"))
        .settings(|settings| {
            settings.set("SLOW_STAGES_MS", "agent=2500");
            settings.set("SLOW_TURN_MS", "0");
        })
        .start();
    harness.call(once()).await;
    assert_eq!(slow_stages(&log), [None, None]);
}

#[tokio::test(start_paused = true)]
async fn the_lines_of_a_call_stand_in_the_trace_of_its_webhook() {
    let log = Log::start();
    let harness =
        Harness::with_script(USUAL).settings(|settings| settings.set("GOOGLE_CLOUD_PROJECT", "my-project")).start();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let cloud = format!("{trace}/67667974448284343;o=1");
    let form =
        [("CallSid".to_owned(), "CA".to_owned() + &"1".repeat(32)), ("CallStatus".to_owned(), "ringing".to_owned())];
    let account = dialbridge_lab::twilio::Account::new(Some(dialbridge_tests::TOKEN));
    let signature = account.signature("http://service.test/twiml", &form).unwrap();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-twilio-signature", signature.as_str()),
        ("x-cloud-trace-context", cloud.as_str()),
    ];
    let body = form.each_ref().map(|(name, value)| format!("{name}={value}")).join("&");
    let answer = dialbridge_tests::post(&harness.pipes, "POST /twiml", &headers, &body).await;
    let (media, _) = dialbridge_tests::paths(&answer.body);
    let mut socket = dialbridge_tests::RawSocket::open(&harness.pipes, &media).await.unwrap();
    let start = format!(r#"{{"event":"start","streamSid":"MZ1","start":{{"callSid":"{}"}}}}"#, form[0].1);
    socket.text(&start).await;
    socket.next().await;
    socket.text(r#"{"event":"stop"}"#).await;
    socket.end().await;
    let lines: Vec<Value> = log.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_call: Vec<&Value> = lines.iter().filter(|line| line["call_sid"] == form[0].1.as_str()).collect();
    assert!(of_call.len() >= 3, "{lines:?}");
    for line in of_call {
        assert_eq!(line["logging.googleapis.com/trace"], format!("projects/my-project/traces/{trace}"), "{line}");
        assert_eq!(line["logging.googleapis.com/spanId"], "00f067aa0ba902b7", "{line}");
        assert_eq!(line["logging.googleapis.com/trace_sampled"], true, "{line}");
    }
}
