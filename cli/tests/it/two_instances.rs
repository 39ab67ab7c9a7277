//! Two instances of the program behind a front end: one of them ends, and its calls continue at the other.
#![cfg(feature = "lab")]

use std::process::Command;
use std::time::Duration;

use crate::program::Service;

use dialbridge_lab::agent::{Edition, LabAgent, Script};
use dialbridge_lab::balancer::Balancer;
use dialbridge_lab::net::Net;
use dialbridge_lab::twilio::{
    AbnormalClose, Account, CallEvent, CallEventKind, CallPlan, CallRecord, CallerStep, Hold, SimulatedTwilio,
    TwilioBehaviour, When,
};
use dialbridge_tests::{numbered_speech, numbers, say};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

const TOKEN: &str = "the-instances-auth-token";

/// How many calls are live when an instance ends.
const CALLS: u32 = 20;

/// The first frame that the caller says after the instance has ended.
const LATER: u32 = 1_000;

const SCRIPT: &str = r#"
end_of_utterance_ms = 500
think_ms = 50
[start]
tone = { hz = 400, ms = 400 }
[[utterance]]
tone = { hz = 500, ms = 300 }
[digits.0]
tone = { hz = 600, ms = 200 }
handoff = { queue = "all" }
"#;

/// Starts an instance of the program.
fn instance(edition: Edition, agent: &str, rest: &str, account: &Account) -> Service {
    Service::start(
        Command::new(env!("CARGO_BIN_EXE_dialbridge"))
            .arg("serve")
            .env_clear()
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .env("PORT", "0")
            .env("DIALOGFLOW_AGENT", edition.agent_name())
            .env("DIALOGFLOW_ENDPOINT", agent)
            .env("TWILIO_ACCOUNT_SID", &account.sid)
            .env("TWILIO_AUTH_TOKEN", TOKEN)
            .env("TWILIO_API_URL", rest)
            .env("END_OF_INTERACTION_URL", format!("{rest}/handoff")),
    )
}

/// Waits until it has ended, and lets others run meanwhile.
async fn exit_code(service: Service) -> Option<i32> {
    tokio::task::spawn_blocking(move || service.exit_code()).await.unwrap()
}

/// Two instances with one agent and one Twilio.
struct Pair {
    agent: LabAgent,
    calls: JoinSet<CallRecord>,
    /// The events of each call.
    events: Vec<mpsc::Receiver<CallEvent>>,
    /// Lets the callers say the later sentence.
    go_on: watch::Sender<bool>,
    one: Service,
    other: Service,
    balancer: Balancer,
    _serving: (dialbridge_lab::agent::ServedAgent, dialbridge_lab::served::Served),
}

impl Pair {
    /// Starts all of it, and places the calls.
    async fn start(edition: Edition, behaviour: TwilioBehaviour) -> Self {
        let no_file = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let agent = LabAgent::recording(Script::parse(SCRIPT, "the test's script", &no_file).unwrap());
        let served = agent.serve_on_loopback().await.unwrap();
        let twilio = SimulatedTwilio::new(Account::new(Some(TOKEN)), Net::Tcp);
        let rest = twilio.serve_rest_on_loopback().await.unwrap();
        let instance = || instance(edition, &served.endpoint(), &rest.url(), twilio.account());
        let (one, other) = (instance(), instance());
        let balancer = Balancer::before(vec![one.address, other.address]).await.unwrap();
        let (mut calls, mut events) = (JoinSet::new(), Vec::new());
        let (go_on, may_go_on) = watch::channel(false);
        for _ in 0..CALLS {
            let (sender, receiver) = mpsc::channel(EVENTS);
            events.push(receiver);
            let voice_url = format!("{}/twiml", balancer.url());
            let fallback_url = Some(voice_url.clone());
            let hold = Some(Hold { after_steps: 2, may_go_on: may_go_on.clone() });
            let plan =
                CallPlan { behaviour, fallback_url, hold, watch: Some(sender), ..CallPlan::new(voice_url, steps()) };
            let twilio = twilio.clone();
            calls.spawn(async move { twilio.call(plan).await });
        }
        Self { agent, calls, events, go_on, one, other, balancer, _serving: (served, rest) }
    }

    /// Waits until all callers say their second sentence.
    async fn in_mid_turn(&mut self) {
        for events in &mut self.events {
            let (mut sentences, mut before) = (0, Vec::new());
            while sentences < 2 {
                let event = events.recv().await.unwrap_or_else(|| panic!("a call ended before its time: {before:#?}"));
                sentences += u32::from(matches!(event.kind, CallEventKind::CallerSpeaks { .. }));
                before.push(event);
            }
        }
        tokio::time::sleep(INTO_SENTENCE).await;
    }

    /// The numbers of the frames that the agent got, in order.
    fn heard(&self, call: &CallRecord) -> Vec<u32> {
        let record = self.agent.record();
        let of_turns = record.turns(&call.call_sid).into_iter().map(|turn| turn.audio);
        let of_streams = record.streams(&call.call_sid).into_iter().map(|stream| stream.audio);
        of_turns.chain(of_streams).flat_map(|audio| numbers(&audio)).collect()
    }

    /// Everything else that the agent got.
    fn inputs(&self, call: &CallRecord) -> Vec<String> {
        let record = self.agent.record();
        let of_turns = record.turns(&call.call_sid).into_iter().map(|turn| turn.text);
        let of_streams = record.streams(&call.call_sid).into_iter().flat_map(|stream| stream.inputs);
        of_turns.chain(of_streams.map(|input| input.text)).collect()
    }

    /// The calls go on to their end.
    async fn records(&mut self) -> Vec<CallRecord> {
        self.go_on.send_replace(true);
        let mut records = Vec::new();
        while let Some(record) = self.calls.join_next().await {
            records.push(record.unwrap());
        }
        records
    }
}

/// A sentence, a long one during which the instance ends, one that each caller says after that, and the key that asks
/// for a person. The agent does not speak to a caller who migrates to another media stream, so the caller speaks after a
/// time.
fn steps() -> Vec<CallerStep> {
    vec![
        say(When::AgentSilent(300), numbered_speech(0, 900)),
        say(When::AgentSilent(300), numbered_speech(100, 4_000)),
        say(When::After(3_000), numbered_speech(LATER, 900)),
        CallerStep::Press { when: When::After(3_000), digits: "0#".to_owned() },
    ]
}

/// How far into the second sentence the instance ends.
const INTO_SENTENCE: Duration = Duration::from_millis(1_000);

/// More events than a call has.
const EVENTS: usize = 1_000;

fn streams(call: &CallRecord) -> usize {
    call.count(|what| matches!(what, CallEventKind::StreamOpened))
}

fn is_handed_off(call: &CallRecord) -> bool {
    let url = call.find(|what| if let CallEventKind::Redirected { url } = what { Some(url.clone()) } else { None });
    url.is_some_and(|url| url.contains("VirtualAgentStatus=live-agent-handoff"))
}

/// The front end spreads requests, not calls, so we do not know how many calls each instance has.
fn assert_some_moved(records: &[CallRecord]) {
    let moved = records.iter().filter(|call| streams(call) == 2).count();
    let stayed = records.iter().filter(|call| streams(call) == 1).count();
    assert_eq!(moved + stayed, CALLS as usize);
    assert!(moved > 0 && stayed > 0, "{moved} {stayed}");
}

/// Checks each call that came through: the agent greeted it once, heard it later, and handed it off.
fn assert_carried_on(pair: &Pair, call: &CallRecord) {
    assert!(is_handed_off(call), "{:?}", call.events);
    let inputs = pair.inputs(call);
    let greetings = inputs.iter().filter(|text| matches!(text.as_str(), "hi" | "WELCOME" | "session_start")).count();
    assert_eq!(greetings, 1, "{inputs:?}");
    let later: Vec<u32> = pair.heard(call).into_iter().filter(|number| *number >= LATER).collect();
    assert_eq!(later, (LATER..LATER + 45).collect::<Vec<u32>>(), "each later word is heard once, in order");
}

async fn killed(edition: Edition) {
    let mut pair = Pair::start(edition, TwilioBehaviour::default()).await;
    pair.in_mid_turn().await;
    pair.one.signal("-KILL");
    let records = pair.records().await;
    assert_some_moved(&records);
    for call in &records {
        assert_carried_on(&pair, call);
    }
    pair.other.signal("-TERM");
    assert_eq!(exit_code(pair.other).await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_killed_in_mid_turn_and_all_its_calls_go_on_at_the_other() {
    killed(Edition::Cx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_with_es_calls_is_killed_and_they_go_on_at_the_other() {
    killed(Edition::Es).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_with_ces_calls_is_killed_and_they_go_on_at_the_other() {
    killed(Edition::Ces).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_twilio_ends_a_call_whose_socket_breaks_the_other_instances_calls_never_notice() {
    let behaviour = TwilioBehaviour { abnormal_close: AbnormalClose::EndsCall, ..TwilioBehaviour::default() };
    let mut pair = Pair::start(Edition::Cx, behaviour).await;
    pair.in_mid_turn().await;
    pair.one.signal("-KILL");
    let records = pair.records().await;
    let (ended, whole): (Vec<_>, Vec<_>) = records
        .iter()
        .partition(|call| call.count(|what| matches!(what, CallEventKind::StreamClosed { code: None })) > 0);
    assert!(!ended.is_empty() && !whole.is_empty(), "{} {}", ended.len(), whole.len());
    for call in whole {
        assert_carried_on(&pair, call);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_told_to_end_gives_its_calls_away_and_no_word_is_lost() {
    told_to_end(Edition::Cx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_with_ces_calls_that_is_told_to_end_gives_them_away_and_no_word_is_lost() {
    told_to_end(Edition::Ces).await;
}

async fn told_to_end(edition: Edition) {
    let mut pair = Pair::start(edition, TwilioBehaviour::default()).await;
    pair.in_mid_turn().await;
    pair.balancer.retire(pair.one.address);
    pair.one.signal("-TERM");
    // It ends when it has given all its calls away.
    let ended = tokio::task::block_in_place(|| pair.one.wait());
    let records = pair.records().await;
    assert_some_moved(&records);
    for call in &records {
        assert_carried_on(&pair, call);
        let said: Vec<u32> = (0..45).chain(100..300).chain(LATER..LATER + 45).collect();
        assert_eq!(pair.heard(call), said, "each word once, in order");
    }
    assert_eq!(ended, Some(0));
}
