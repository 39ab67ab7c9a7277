//! Answers of any length: the caller hears them to their end, may cut them at any time, and other calls do not notice.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use dialbridge_agents::{Agent, Endpoint, Link, MessageRoom, Product, SessionContext};
use dialbridge_core::agent::{TurnInput, TurnStart};
use dialbridge_core::{AgentEvent, Report, StreamId};
use dialbridge_lab::agent::{LabAgent, Script};
use dialbridge_lab::twilio::{CallFault, CallPlan, CallRecord, CallerStep, When};
use dialbridge_net::dial::Tcp;
use dialbridge_tests::{Edition, Harness, barge_ins, hang_up, numbered_speech, say, sounding_ms, spoke};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// More than the 204.8 s that 1,024 queued messages hold.
const LONG_MS: u64 = 220_000;

/// An agent that greets with so much audio, and says goodbye to what the caller says.
fn script(greeting_ms: u64) -> String {
    format!(
        "[start]\ntone = {{ hz = 400, ms = {greeting_ms} }}\n[[utterance]]\nheard = \"stop it\"\n\
         tone = {{ hz = 500, ms = 600 }}\nend = true\n"
    )
}

/// The caller listens to the end, and hangs up.
fn listens() -> Vec<CallerStep> {
    vec![hang_up(When::AgentSilent(1_000))]
}

async fn call(harness: &Harness, steps: Vec<CallerStep>, faults: Vec<CallFault>) -> CallRecord {
    let plan = harness.plan(steps);
    harness.twilio.call(CallPlan { faults, limit: Duration::from_secs(900), ..plan }).await
}

each_edition!(an_answer_of_minutes_in_one_message_is_heard_to_its_end, ANY);
async fn an_answer_of_minutes_in_one_message_is_heard_to_its_end(edition: Edition) {
    let harness = Harness::with_script(&script(LONG_MS)).edition(edition).start();
    let call = call(&harness, listens(), Vec::new()).await;
    assert_eq!(sounding_ms(&call), LONG_MS);
    assert_eq!(spoke(&call), [(LONG_MS, false)], "without a gap");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_ten_minutes_in_linear16_is_heard_to_its_end() {
    let toml = format!("output = {{ encoding = \"linear16\", sample_rate = 24000 }}\n{}", script(600_000));
    let mut harness = Harness::with_script(&toml).start();
    let call = call(&harness, listens(), Vec::new()).await;
    assert_eq!(spoke(&call), [(600_000, false)]);
    assert!(!harness.reports().iter().any(|report| matches!(report, Report::PromptRefused { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_in_several_messages_is_heard_to_its_end() {
    let toml = format!("audio_messages = \"split\"\n{}", script(LONG_MS));
    let harness = Harness::with_script(&toml).edition(Edition::EsV2).start();
    let call = call(&harness, listens(), Vec::new()).await;
    assert_eq!(spoke(&call), [(LONG_MS, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_is_heard_without_a_gap_when_no_mark_comes_back() {
    let harness = Harness::with_script(&script(LONG_MS)).start();
    let call = call(&harness, listens(), vec![CallFault::NoMarks]).await;
    assert_eq!(spoke(&call), [(LONG_MS, false)]);
}

each_edition!(a_caller_cuts_a_long_answer_at_once, ANY);
async fn a_caller_cuts_a_long_answer_at_once(edition: Edition) {
    let mut harness = Harness::with_script(&script(LONG_MS)).edition(edition).start();
    let steps = vec![say(When::AgentSpeaking(30_000), numbered_speech(0, 1_600)), hang_up(When::AgentSilent(3_000))];
    let call = call(&harness, steps, Vec::new()).await;
    let [(_, played_ms, cut_ms)] = barge_ins(&harness.reports())[..] else { panic!("one barge-in") };
    // CES sends its audio only somewhat faster than it plays.
    assert!(edition.is_ces() || played_ms + cut_ms == LONG_MS, "what waits here counts: {played_ms} and {cut_ms}");
    let (heard_ms, is_cut) = spoke(&call)[0];
    assert!(is_cut && (30_000..32_000).contains(&heard_ms), "{heard_ms}");
    assert_eq!(spoke(&call)[1], (600, false), "the answer follows, and nothing of the old one");
}

#[tokio::test(start_paused = true)]
async fn what_is_longer_than_the_limit_is_cut_and_reported() {
    let change = |settings: &mut dialbridge_runner::settings::Settings| settings.set("MAX_ANSWER_SECONDS", "60");
    let script = Harness::with_script(&script(LONG_MS));
    let mut harness = script.settings(change).start();
    let call = call(&harness, listens(), Vec::new()).await;
    assert_eq!(spoke(&call), [(60_000, false)]);
    let reports = harness.reports();
    let is_cut = |report: &&Report| matches!(report, Report::PromptRefused { why } if why.contains("the rest is cut"));
    assert_eq!(reports.iter().filter(is_cut).count(), 1, "{reports:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_waits_for_the_end_of_a_long_goodbye() {
    let toml = format!("[start]\ntone = {{ hz = 400, ms = {LONG_MS} }}\nend = true\n");
    let harness = Harness::with_script(&toml).start();
    let call = call(&harness, Vec::new(), Vec::new()).await;
    assert_eq!(spoke(&call), [(LONG_MS, false)]);
}

/// Over a real gRPC stream: an answer of five minutes takes room from its arrival until its audio is dropped.
#[tokio::test]
async fn a_long_answer_holds_its_room_until_its_audio_is_used() {
    let toml = format!("output = {{ encoding = \"linear16\", sample_rate = 24000 }}\n{}", script(300_000));
    let lab = LabAgent::new(Script::parse(&toml, "test", &|name| Err(io::Error::other(name))).unwrap());
    let served = lab.serve_on_loopback().await.unwrap();
    let endpoint = Endpoint { url: served.endpoint(), is_plaintext: true };
    let room = MessageRoom::default();
    let whole = room.free_mib();
    let agent = Agent::new(&endpoint, Link::Grpc, None, Arc::new(Tcp), 80, room.clone()).unwrap();
    let context = SessionContext {
        session: "projects/p/locations/l/agents/a/sessions/CA1".to_owned(),
        product: Product::Cx,
        language: "en-US".to_owned(),
        speech: Arc::default(),
        ces: Arc::default(),
    };
    let (events, mut arrived) = mpsc::channel(8);
    let mut tasks: JoinSet<()> = JoinSet::new();
    let start = TurnStart::new(TurnInput::Text("hi".to_owned()));
    let stream = agent.open(&context, StreamId(1), &start, events, &mut tasks);
    stream.half_close();
    let mut answer = None;
    while let Some((_, event)) = arrived.recv().await {
        if matches!(&event, AgentEvent::Answer(part) if !part.prompts.is_empty()) {
            answer = Some(event);
        }
    }
    // 14,400,000 bytes and the rest of the message.
    assert_eq!(whole - room.free_mib(), 14, "the audio holds it, though the stream has ended");
    drop(answer);
    assert_eq!(room.free_mib(), whole);
}
