//! An agent that is down for all calls: new calls get their fallback at once, and only one call at a time tries it.

use std::time::Duration;

use dialbridge_lab::twilio::CallRecord;
use dialbridge_tests::{Edition, Harness, Log, post, redirected};
use serde_json::Value;

/// An agent that fails so many times at the beginning of each session.
fn script(code: &str, times: &str) -> String {
    format!("[start]\nfault = \"{code}\"\n{times}\ntone = {{ hz = 400, ms = 400 }}\n")
}

async fn call(harness: &Harness) -> CallRecord {
    harness.call(Vec::new()).await
}

fn is_answered_by_agent(call: &CallRecord) -> bool {
    call.documents[0].contains("<Connect")
}

/// How many streams of a call reached the agent.
fn tries(harness: &Harness, call: &CallRecord) -> usize {
    harness.turns(call).len() + harness.streams(call).len()
}

fn is_down(harness: &Harness) -> bool {
    harness
        .service
        .metrics_text()
        .lines()
        .any(|line| line.starts_with("dialbridge_agent_down{") && line.ends_with(" 1"))
}

/// Whether the page says it.
async fn is_shown_as_down(harness: &Harness) -> bool {
    let answer = post(&harness.pipes, "GET /status.json", &[], "").await;
    let status: Value = serde_json::from_str(&answer.body).unwrap();
    status["agents"][0]["isDown"].as_bool().unwrap()
}

each_edition!(while_an_agent_is_down_new_calls_get_their_fallback_at_once, ANY);
async fn while_an_agent_is_down_new_calls_get_their_fallback_at_once(edition: Edition) {
    let log = Log::start();
    let harness = Harness::with_script(&script("RESOURCE_EXHAUSTED", "fault_times = 1000")).edition(edition).start();
    assert!(!is_shown_as_down(&harness).await);
    let first = call(&harness).await;
    assert!(is_answered_by_agent(&first) && redirected(&first).unwrap().contains("failed"));
    assert!(is_down(&harness) && tries(&harness, &first) > 0);
    assert!(is_shown_as_down(&harness).await);
    let second = call(&harness).await;
    assert!(!is_answered_by_agent(&second), "{:?}", second.documents);
    assert!(redirected(&second).unwrap().contains("failed"));
    assert_eq!(tries(&harness, &second), 0, "the agent is not asked");
    let lines = log.text().lines().filter(|line| line.contains("fails for all calls")).count();
    assert_eq!(lines, 1);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_down_is_not_tried_fifteen_times_by_each_call() {
    let harness = Harness::with_script(&script("UNAVAILABLE", "fault_times = 1000")).start();
    let first = call(&harness).await;
    let tries = tries(&harness, &first);
    assert!((6..=11).contains(&tries), "{tries}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_answers_again_gets_the_next_call() {
    let harness = Harness::with_script(&script("UNAVAILABLE", "fault_times = 7")).start();
    let turned_away = async {
        // The first call has failed for three seconds by then, and has not been answered.
        tokio::time::sleep(Duration::from_millis(4_000)).await;
        assert!(is_down(&harness));
        call(&harness).await
    };
    let (first, second) = tokio::join!(call(&harness), turned_away);
    assert!(is_answered_by_agent(&first) && redirected(&first).is_none(), "the first call goes on");
    assert!(!is_answered_by_agent(&second));
    assert!(!is_down(&harness));
    assert!(is_answered_by_agent(&call(&harness).await));
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_one_call_turns_no_other_away() {
    let harness = Harness::with_script(&script("UNAVAILABLE", "fault_times = 3")).start();
    for _ in 0..3 {
        assert!(is_answered_by_agent(&call(&harness).await));
        assert!(!is_down(&harness));
    }
}
