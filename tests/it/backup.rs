//! An agent that cannot be had: its backup, of any edition, goes on with the call in the same media stream.

use std::time::Duration;

use dialbridge_core::{CloseReason, Report};
use dialbridge_lab::agent::{LabAgent, Record, Script};
use dialbridge_lab::twilio::{CallPlan, CallRecord, OtherSide, When};
use dialbridge_runner::settings::{Config, Endpoint, Platform, Settings};
use dialbridge_tests::{Came, Edition, RawSocket, TcpHarness, TempFile};
use dialbridge_tests::{
    Harness, HarnessBuilder, Log, close_reasons, count, numbered_speech, numbers, paths, post, redirected, say,
    signed_post, spoke, start,
};
use serde_json::Value;

const CX: &str = "projects/p/locations/global/agents/a";
const ES: &str = "projects/p/agent";
const CES: &str = "projects/p/locations/us/apps/a";

/// What a handler is told where the backup had the call.
const BOTH: &str = r#""agent":"second","backupOf":"first""#;

const CALL: &str = "CA00000000000000000000000000000001";

/// It greets with 400 ms, answers the first utterance with 700 ms, and says goodbye to the second one.
const GOOD: &str = r#"
    [start]
    tone = { hz = 400, ms = 400 }
    parameters = { loaves = 2 }
    [[utterance]]
    say = "two loaves"
    tone = { hz = 500, ms = 700 }
    [[utterance]]
    say = "goodbye"
    tone = { hz = 600, ms = 300 }
    end = true
"#;

/// It greets, and refuses the first utterance as long as the test runs.
fn refusing_utterances() -> String {
    GOOD.replace("say = \"two loaves\"", "say = \"two loaves\"\nfault = \"PERMISSION_DENIED\"\nfault_times = 1000")
}

/// It refuses every session.
const REFUSING: &str = "[start]\nfault = \"PERMISSION_DENIED\"\nfault_times = 1000\ntone = { hz = 400, ms = 200 }";

fn harness(first: &str, of: &str, backup: &str) -> HarnessBuilder {
    let file = format!(
        "[agents.first]\ndialogflow_agent = \"{of}\"\nbackup = \"second\"\n\
         [agents.second]\ndialogflow_agent = \"{backup}\""
    );
    let harness = Harness::with_script(GOOD).file(&file).agent("first", first).agent("second", GOOD);
    harness.settings(|settings| settings.set("DIALOGFLOW_AGENT", ""))
}

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    [CX, ES, CES].into_iter().flat_map(|first| [CX, ES, CES].map(|backup| (first, backup)))
}

/// The caller speaks twice, each time when the agent has been silent for a while.
async fn call(harness: &Harness) -> CallRecord {
    let steps = [0, 40].map(|first| say(When::AgentSilent(300), numbered_speech(first, 800)));
    harness.twilio.call(harness.plan(steps.to_vec())).await
}

/// The caller's frames that an agent got in a call.
fn heard_by(harness: &Harness, agent: &str, call_sid: &str) -> Vec<u32> {
    frames(harness.agents[agent].record(), call_sid)
}

fn frames(record: &Record, call_sid: &str) -> Vec<u32> {
    let of_turns = record.turns(call_sid).into_iter().map(|turn| turn.audio);
    let of_streams = record.streams(call_sid).into_iter().map(|stream| stream.audio);
    of_turns.chain(of_streams).flat_map(|audio| numbers(&audio)).collect()
}

/// How many of these frames the agent got.
fn share(heard: &[u32], wanted: std::ops::Range<u32>) -> usize {
    wanted.filter(|frame| heard.contains(frame)).count()
}

#[tokio::test(start_paused = true)]
async fn a_backup_of_any_edition_greets_a_caller_whom_nobody_has_greeted() {
    for (first, backup) in pairs() {
        let mut harness = harness(REFUSING, first, backup).start();
        let call = call(&harness).await;
        let what = format!("{first} {backup}");
        assert_eq!(spoke(&call), [(400, false), (700, false), (300, false)], "{what}");
        assert!(redirected(&call).unwrap().contains(BOTH), "{what}");
        assert_eq!(close_reasons(&harness.reports()), [CloseReason::Stop], "{what}: one media stream");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_of_any_edition_hears_the_words_that_were_not_answered() {
    for (first, backup) in pairs() {
        let mut harness = harness(&refusing_utterances(), first, backup).start();
        let call = call(&harness).await;
        let what = format!("{first} {backup}");
        assert_eq!(spoke(&call), [(400, false), (700, false), (300, false)], "{what}: one greeting");
        let (by_first, by_backup) =
            (heard_by(&harness, "first", &call.call_sid), heard_by(&harness, "second", &call.call_sid));
        assert!(share(&by_first, 0..40) > 30, "{what}: {by_first:?}");
        assert_eq!(share(&by_backup, 0..40), 40, "{what}: {by_backup:?}");
        assert_eq!((share(&by_first, 40..80), share(&by_backup, 40..80)), (0, 40), "{what}");
        let took = |report: &Report| matches!(report, Report::BackupTookOver { .. });
        assert_eq!(count(&harness.reports(), took), 1, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_an_agent_is_down_new_calls_get_its_backup_at_once_and_live_calls_do_not_wait() {
    let down = REFUSING.replace("PERMISSION_DENIED", "UNAVAILABLE");
    let harness = harness(&down, CX, ES).start();
    let later = async {
        // The first call has failed for three seconds by then, and the next try comes later.
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        call(&harness).await
    };
    let (first, second) = tokio::join!(call(&harness), later);
    assert!(!harness.agents["first"].record().turns(&first.call_sid).is_empty(), "it was tried");
    for call in [&first, &second] {
        assert_eq!(spoke(call).last(), Some(&(300, false)), "after the filler");
        assert!(redirected(call).unwrap().contains(BOTH));
    }
    assert!(harness.agents["first"].record().turns(&second.call_sid).is_empty(), "the agent is not asked");
    let counted = harness.service.metrics_text();
    for line in [
        "dialbridge_backups_total{agent=\"first\",edition=\"cx\",during=\"stream\"} 1",
        "dialbridge_backups_total{agent=\"first\",edition=\"cx\",during=\"webhook\"} 1",
        "dialbridge_taken_over_total{agent=\"second\",edition=\"es\"} 1",
        "dialbridge_taken_over_total{agent=\"first\",edition=\"cx\"} 0",
    ] {
        assert!(counted.lines().any(|counted| counted == line), "{line}: {counted}");
    }
}

#[tokio::test(start_paused = true)]
async fn log_and_page_name_the_agent_that_has_the_call() {
    let log = Log::start();
    let file = format!(
        "[agents.first]\ndialogflow_agent = \"{CX}\"\nbackup = \"second\"\n\
         [agents.second]\ndialogflow_agent = \"{CES}\"\nlanguage = \"de-DE\""
    );
    let harness = harness(&refusing_utterances(), CX, CES).file(&file).start();
    let call = call(&harness).await;
    let lines: Vec<Value> = log.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_call: Vec<&Value> =
        lines.iter().filter(|line| line["call_sid"] == call.call_sid.as_str() && line["agent"].is_string()).collect();
    let took = of_call.iter().position(|line| line["backup"] == "second").unwrap();
    assert_eq!((&of_call[took]["severity"], &of_call[took]["agent"]), (&"WARNING".into(), &"first".into()));
    assert!(of_call[took + 1..].iter().all(|line| line["agent"] == "second" && line["edition"] == "ces"));
    assert!(of_call[..took].iter().all(|line| line["agent"] == "first"));
    let page: Value = serde_json::from_str(&post(&harness.pipes, "GET /calls.json", &[], "").await.body).unwrap();
    let finished = &page["finished"][0];
    assert_eq!((&finished["agent"], &finished["backupOf"]), (&"second".into(), &"first".into()));
    assert_eq!(finished["language"], "de-DE", "the backup's");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_comes_back_is_the_backups() {
    let harness = harness(REFUSING, CX, ES).start();
    let document = signed_post(&harness.pipes, "/twiml", &[("CallSid", CALL)]).await.body;
    let (media, action) = paths(&document);
    let mut socket = RawSocket::open(&harness.pipes, &media).await.unwrap();
    socket.text(&start(CALL)).await;
    assert!(matches!(socket.next().await, Came::Text(_)), "the backup greets");
    drop(socket);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let tried = harness.agents["first"].record().turns(CALL).len();
    let document = signed_post(&harness.pipes, &action, &[("CallSid", CALL)]).await.body;
    let mut socket = RawSocket::open(&harness.pipes, &paths(&document).0).await.unwrap();
    socket.text(&start(CALL)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let turns = harness.agents["second"].record().turns(CALL);
    assert_eq!(turns.last().map(|turn| turn.input), Some("audio"), "it listens");
    assert_eq!(harness.agents["first"].record().turns(CALL).len(), tried, "the first agent is not asked again");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_sent_back_within_a_minute_is_the_backups() {
    let harness = harness(REFUSING, CX, ES).start();
    let (media, _) = paths(&signed_post(&harness.pipes, "/twiml", &[("CallSid", CALL)]).await.body);
    let mut socket = RawSocket::open(&harness.pipes, &media).await.unwrap();
    socket.text(&start(CALL)).await;
    assert!(matches!(socket.next().await, Came::Text(_)), "the backup greets");
    drop(socket);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let tried = harness.agents["first"].record().turns(CALL).len();
    let (media, _) = paths(&signed_post(&harness.pipes, "/twiml?resume=1", &[("CallSid", CALL)]).await.body);
    let mut socket = RawSocket::open(&harness.pipes, &media).await.unwrap();
    socket.text(&start(CALL)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        harness.agents["second"].record().turns(CALL).last().map(|turn| turn.input),
        Some("audio"),
        "it listens"
    );
    assert_eq!(harness.agents["first"].record().turns(CALL).len(), tried);
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_told_the_facts_that_only_it_wants() {
    let file = format!(
        "[agents.first]\ndialogflow_agent = \"{ES}\"\nbackup = \"second\"\n\
         [agents.second]\ndialogflow_agent = \"{CX}\"\ncall_parameters = [\"From\", \"CallerName\"]"
    );
    let harness = Harness::with_script(GOOD).file(&file).agent("first", REFUSING).agent("second", GOOD);
    let harness = harness.settings(|settings| settings.set("DIALOGFLOW_AGENT", "")).start();
    let mut plan = harness.plan(vec![say(When::AgentSilent(300), numbered_speech(0, 800))]);
    plan.facts.push(("CallerName".to_owned(), "ANN".to_owned()));
    let call = harness.twilio.call(plan).await;
    let told = |agent: &str| {
        let turns = harness.agents[agent].record().turns(&call.call_sid);
        turns[0].parameters.get("CallerName").cloned()
    };
    assert_eq!((told("first"), told("second")), (None, Some("ANN".into())));
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_nobody_answers_comes_back_to_the_backup() {
    let transfers = GOOD.replace(
        "tone = { hz = 500, ms = 700 }",
        "tone = { hz = 500, ms = 700 }\npayload = { dialbridge = { transfer = { to = \"+15550123\" } } }",
    );
    let transfers = transfers + "[event.NOBODY]\nsay = \"nobody is there\"\ntone = { hz = 900, ms = 500 }";
    let harness = harness(REFUSING, CX, ES)
        .agent("second", &transfers)
        .config(|config| config.agents.get_mut("second").unwrap().dial_failed_event = Some("NOBODY".to_owned()))
        .start();
    let mut plan = harness.plan(vec![
        say(When::AgentSilent(300), numbered_speech(0, 800)),
        say(When::AgentSilent(300), numbered_speech(40, 800)),
    ]);
    plan.others = vec![OtherSide::NoAnswer];
    let call = harness.twilio.call(plan).await;
    assert_eq!(spoke(&call), [(400, false), (700, false), (500, false), (300, false)]);
    assert_eq!(share(&heard_by(&harness, "second", &call.call_sid), 40..80), 40);
    assert!(redirected(&call).unwrap().contains(BOTH));
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_cannot_be_had_either_leaves_the_fallback() {
    let harness = harness(REFUSING, CX, ES).agent("second", REFUSING).start();
    let call = call(&harness).await;
    assert!(redirected(&call).unwrap().contains("VirtualAgentStatus=failed"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_we_break_while_its_backup_has_it_gets_the_backups_fallback() {
    let harness = harness(REFUSING, CX, ES)
        .watched_by(|observed| assert!(!matches!(observed.report, Report::Answered { .. }), "a fault of ours"))
        .start();
    let call = call(&harness).await;
    let url = redirected(&call).unwrap();
    assert!(url.contains("VirtualAgentStatus=failed") && url.contains(BOTH), "{url}");
}

#[tokio::test(start_paused = true)]
async fn a_backups_call_whose_streams_do_not_last_gets_its_fallback() {
    let harness = harness(REFUSING, CX, ES).start();
    let mut document = signed_post(&harness.pipes, "/twiml", &[("CallSid", CALL)]).await.body;
    for _ in 0..3 {
        let (media, action) = paths(&document);
        let mut socket = RawSocket::open(&harness.pipes, &media).await.unwrap();
        socket.text(&start(CALL)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(socket);
        tokio::time::sleep(Duration::from_millis(100)).await;
        document = signed_post(&harness.pipes, &action, &[("CallSid", CALL)]).await.body;
    }
    let decoded = percent_encoding::percent_decode_str(&document).decode_utf8().unwrap();
    assert!(decoded.contains("VirtualAgentStatus=failed") && decoded.contains(BOTH), "{decoded}");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_go_on_with_the_backup_when_their_agent_dies() {
    let dies_at = Duration::from_millis(1_300);
    let brief = "[start]\ntone = { hz = 400, ms = 400 }\n[[utterance]]\nsay = \"yes\"\nend = true";
    let harness = harness(brief, CX, ES).agent("second", brief).start();
    let calls = async {
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..100 {
            let mut plan = harness.plan(vec![say(When::AgentSilent(300), numbered_speech(0, 800))]);
            plan.from = format!("+1555{n:07}");
            let twilio = harness.twilio.clone();
            // They are at different places when it dies: greeted, speaking, waiting.
            calls.spawn(async move {
                tokio::time::sleep(Duration::from_millis(10 * n)).await;
                twilio.call(plan).await
            });
        }
        calls.join_all().await
    };
    let death = async {
        tokio::time::sleep(dies_at).await;
        harness.agents["first"].die(Duration::from_hours(1));
    };
    let (calls, ()) = tokio::join!(calls, death);
    let mut taken_over = 0;
    for call in &calls {
        let (by_first, by_backup) =
            (heard_by(&harness, "first", &call.call_sid), heard_by(&harness, "second", &call.call_sid));
        assert_eq!(share(&by_backup, 0..40), 40, "{:?} {by_first:?} {by_backup:?}", call.events);
        assert!(redirected(call).unwrap().contains(BOTH));
        taken_over += usize::from(!by_first.is_empty());
    }
    assert!(taken_over > 50, "{taken_over} had begun to speak");
}

/// All pairs at once, with the real clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_real_sockets_each_pair_of_editions_loses_no_word() {
    let first = LabAgent::recording(Script::parse(&refusing_utterances(), "refusing", &|_| unreachable!()).unwrap());
    let served = first.serve_on_loopback().await.unwrap();
    let mut file = String::new();
    for (n, (of, backup)) in pairs().enumerate() {
        let tables = format!("[agents.first{n}]\ndialogflow_agent = \"{of}\"\nbackup = \"second{n}\"\n");
        file += &format!("{tables}[agents.second{n}]\ndialogflow_agent = \"{backup}\"\n");
    }
    let agents = agents_of(&file);
    let harness = TcpHarness::start(Edition::Cx, GOOD, |config| {
        let (url, end) = (config.default_agent_mut().endpoint.clone(), config.default_agent_mut().call.handoff.clone());
        for (name, mut agent) in agents.agents {
            let refusing = Some(Endpoint { url: served.endpoint(), is_plaintext: true });
            agent.endpoint = if name.starts_with("first") { refusing } else { url.clone() };
            agent.call.handoff = end.clone();
            config.agents.insert(name, agent);
        }
        config.backups = agents.backups;
    })
    .await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..pairs().count() {
        let steps = [0, 40].map(|from| say(When::AgentSilent(300), numbered_speech(from, 800))).to_vec();
        let plan = CallPlan::new(format!("{}?agent=first{n}", harness.voice_url), steps);
        let twilio = harness.twilio.clone();
        calls.spawn(async move { (n, twilio.call(plan).await) });
    }
    for (n, call) in calls.join_all().await {
        let told = format!(r#""agent":"second{n}","backupOf":"first{n}""#);
        assert!(redirected(&call).is_some_and(|url| url.contains(&told)), "{n}: {:?}", call.events);
        let heard = frames(harness.agent.record(), &call.call_sid);
        assert_eq!(share(&heard, 0..80), 80, "{n}: {heard:?}");
    }
}

/// The agents of such a file.
fn agents_of(file: &str) -> Config {
    let file = TempFile::write(file);
    Settings::of([("DIALBRIDGE_CONFIG", file.path())]).check(Platform::Elsewhere).unwrap()
}
