//! Agents side by side, from the figures of real calls.

use dialbridge_lab::twilio::When;
use dialbridge_runner::comparison::Comparison;
use dialbridge_tests::{Edition, Harness, hang_up, numbered_speech, say};
use serde_json::Value;

/// It greets, and answers each utterance with a tone.
const GOOD: &str = "[start]\ntone = { hz = 400, ms = 400 }\n[[utterance]]\ntone = { hz = 500, ms = 400 }\n\
                    [[utterance]]\ntone = { hz = 500, ms = 400 }\n[[utterance]]\ntone = { hz = 500, ms = 400 }";

/// It refuses every session.
const REFUSING: &str = "[start]\nfault = \"PERMISSION_DENIED\"\nfault_times = 1000\ntone = { hz = 400, ms = 200 }";

fn comparison(harness: &Harness) -> Value {
    Comparison::of(&[harness.service.metrics_text()]).unwrap().json()
}

/// The cells of a row, a count or a rate's counts.
fn counts(comparison: &Value, figure: &str) -> Vec<(Option<u64>, Option<u64>)> {
    let row = comparison["rows"].as_array().unwrap().iter().find(|row| row["figure"] == figure).unwrap();
    row["cells"].as_array().unwrap().iter().map(|cell| (cell["count"].as_u64(), cell["of"].as_u64())).collect()
}

each_edition!(a_turn_is_one_that_the_caller_speaks_in_in_each_edition, ANY);
async fn a_turn_is_one_that_the_caller_speaks_in_in_each_edition(edition: Edition) {
    let harness = Harness::with_script(GOOD).edition(edition).start();
    let mut steps: Vec<_> =
        [0, 40, 80].into_iter().map(|first| say(When::AgentSilent(300), numbered_speech(first, 700))).collect();
    steps.push(hang_up(When::AgentSilent(500)));
    harness.call(steps).await;
    let comparison = comparison(&harness);
    assert_eq!(counts(&comparison, "turns"), [(Some(3), None)]);
    assert_eq!(counts(&comparison, "barge-ins"), [(Some(0), Some(3))]);
    let no_match = match edition {
        Edition::CesWebSocket | Edition::CesGrpc => (None, None),
        Edition::Cx | Edition::EsV2 | Edition::EsV2Beta1 => (Some(0), Some(3)),
    };
    assert_eq!(counts(&comparison, "no-match"), [no_match]);
}

fn with_backup(first: &str) -> Harness {
    let file = "[agents.first]\ndialogflow_agent = \"projects/p/locations/global/agents/a\"\nbackup = \"second\"\n\
                [agents.second]\ndialogflow_agent = \"projects/p/locations/us/apps/a\"";
    let harness = Harness::with_script(GOOD).file(file).agent("first", first).agent("second", GOOD);
    harness.settings(|settings| settings.set("DIALOGFLOW_AGENT", "")).start()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_its_backup_took_over_is_one_of_both_and_the_first_agent_left_it() {
    let harness = with_backup(REFUSING);
    let steps = vec![say(When::AgentSilent(300), numbered_speech(0, 700)), hang_up(When::AgentSilent(500))];
    harness.twilio.call(harness.plan(steps)).await;
    let comparison = comparison(&harness);
    assert_eq!(comparison["agents"], serde_json::json!(["first", "second"]));
    assert_eq!(counts(&comparison, "calls"), [(Some(1), None), (Some(1), None)]);
    assert_eq!(counts(&comparison, "left for the backup"), [(Some(1), Some(1)), (Some(0), Some(1))]);
    assert_eq!(counts(&comparison, "turns"), [(Some(0), None), (Some(1), None)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_gets_the_backup_at_once_is_one_that_the_first_agent_left() {
    let harness = with_backup(&REFUSING.replace("PERMISSION_DENIED", "UNAVAILABLE"));
    let call = || harness.twilio.call(harness.plan(vec![hang_up(When::After(6_000))]));
    let later = async {
        // The first call has found the agent down by then.
        tokio::time::sleep(std::time::Duration::from_millis(3_500)).await;
        call().await
    };
    tokio::join!(call(), later);
    let comparison = comparison(&harness);
    assert_eq!(counts(&comparison, "calls"), [(Some(2), None), (Some(2), None)]);
    assert_eq!(counts(&comparison, "left for the backup"), [(Some(2), Some(2)), (Some(0), Some(2))]);
}
