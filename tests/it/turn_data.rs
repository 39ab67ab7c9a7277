//! What a turn brings to the agent besides its parameters: the page at which the session goes on, and what is known of the
//! caller.

use dialbridge_core::Report;
use dialbridge_lab::twilio::{CallFault, CallPlan, CallRecord, When};
use dialbridge_tests::{Edition, Harness, Log, count, ended_by, faults, hang_up, numbered_speech, pause, say};
use serde_json::json;

const AGENT: &str = r#"
    think_ms = 200
    pages = ["flows/F/pages/ORDER", "flows/F/pages/PAY"]
    [start]
    tone = { hz = 400, ms = 400 }
    parameters = { shop = "north" }
    [[utterance]]
    tone = { hz = 500, ms = 400 }
    parameters = { loaves = 2 }
    payload = { dialbridge = { page = "flows/F/pages/PAY", endUserMetadata = { mood = "hurried" } } }
    [[utterance]]
    tone = { hz = 600, ms = 400 }
"#;

const QUERY: &str = "?page=flows%2FF%2Fpages%2FORDER&user.plan=gold";

/// Two utterances, with these faults of Twilio.
async fn call(harness: &Harness, query: &str, faults: Vec<CallFault>) -> CallRecord {
    let steps = (0..2).map(|n| say(When::AgentSilent(400), numbered_speech(n * 40, 800)));
    let mut plan = harness.plan(steps.chain([hang_up(When::AgentSilent(2_000))]).collect());
    plan.voice_url += query;
    harness.twilio.call(CallPlan { faults, ..plan }).await
}

#[tokio::test(start_paused = true)]
async fn a_cx_call_begins_at_the_page_of_the_voice_url_and_goes_on_at_that_of_a_payload() {
    let mut harness = Harness::with_script(AGENT).start();
    let call = call(&harness, QUERY, Vec::new()).await;
    let turns = harness.turns(&call);
    let agent = "projects/lab/locations/global/agents/lab/flows/F/pages";
    let pages: Vec<_> = turns.iter().map(|turn| turn.requested.page.replace(agent, "")).collect();
    assert_eq!(pages[..3], ["/ORDER", "", "/PAY"], "each page is told once");
    assert!(pages[3..].iter().all(String::is_empty), "{pages:?}");
    let told = &turns[2].parameters;
    assert_eq!((&told["shop"], &told["loaves"], &told["From"]), (&"north".into(), &2.0.into(), &"+15550100".into()));
    let known: Vec<_> = turns.iter().map(|turn| json!(turn.requested.end_user)).collect();
    assert_eq!(
        known[..3],
        [json!({ "plan": "gold" }), json!({ "plan": "gold" }), json!({ "plan": "gold", "mood": "hurried" })]
    );
    let refused = |report: &Report| matches!(report, Report::PayloadRefused { .. });
    assert_eq!((faults(&harness.reports()).len(), count(&harness.reports(), refused)), (0, 0));
    assert_eq!(ended_by(&call), "caller");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_the_agent_does_not_have_is_left_and_the_call_goes_on() {
    let mut harness = Harness::with_script(AGENT).start();
    let call = call(&harness, "?page=flows%2FF%2Fpages%2FNONE", Vec::new()).await;
    assert_eq!(faults(&harness.reports()), ["NOT_FOUND"]);
    let turns = harness.turns(&call);
    assert!(turns[0].requested.page.ends_with("/NONE") && turns[1].requested.page.is_empty());
    assert_eq!((turns[1].input, &*ended_by(&call)), ("text", "caller"), "the starting text is sent again");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_comes_back_goes_on_where_it_was_and_the_caller_is_known() {
    let harness = Harness::with_script(AGENT).start();
    let steps = vec![pause(3_000), say(When::After(0), numbered_speech(0, 800)), pause(3_000), hang_up(When::After(0))];
    let mut plan = harness.plan(steps);
    plan.voice_url += QUERY;
    let call = harness.twilio.call(CallPlan { faults: vec![CallFault::Breaks { at_ms: 1_500 }], ..plan }).await;
    let turns = harness.turns(&call);
    assert_eq!(turns.iter().filter(|turn| turn.requested.page.ends_with("/ORDER")).count(), 1);
    assert!(turns.len() > 2 && turns.iter().all(|turn| turn.requested.end_user["plan"] == "gold"));
}

each_edition!(an_agent_that_takes_no_page_is_not_told_and_the_log_says_so, [EsV2, EsV2Beta1, CesGrpc, CesWebSocket]);
async fn an_agent_that_takes_no_page_is_not_told_and_the_log_says_so(edition: Edition) {
    let mut harness = Harness::with_script(AGENT).edition(edition).start();
    let log = Log::start();
    let call = call(&harness, QUERY, Vec::new()).await;
    let lines = log.text();
    assert!(lines.contains("only an agent of Dialogflow CX has pages") && !lines.contains("gold"), "{lines}");
    assert_eq!(lines.contains("is not told of the caller"), edition.is_es(), "{lines}");
    let reports = harness.reports();
    let refused =
        |report: &Report| matches!(report, Report::PayloadRefused { why, .. } if why.contains("Dialogflow CX"));
    assert_eq!(count(&reports, refused), 2, "the payload's page and what it says of the caller");
    assert!(harness.streams(&call).iter().all(|stream| stream.end_user["plan"] == "gold"));
    for name in ["page", "user.plan", "plan"] {
        assert_eq!(harness.parameter(&call, name), [""; 0], "{name}");
    }
    assert_eq!(ended_by(&call), "caller");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_none_is_told_in_a_warning() {
    let harness = Harness::with_script(AGENT).start();
    let log = Log::start();
    let call = call(&harness, "?page=Order", Vec::new()).await;
    assert!(log.text().contains("a page is named flows/F/pages/P"), "{}", log.text());
    assert!(harness.turns(&call).first().is_some_and(|turn| turn.requested.page.is_empty()));
}
