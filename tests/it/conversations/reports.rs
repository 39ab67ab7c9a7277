//! What is told of a run: each kind of expectation when it does not hold, JUnit, JSON.

use std::time::Duration;

use dialbridge::conversations::{Summary, TestResult, Verdict};

use super::{Folder, offline, recorded, told};

/// The menu's call with other expectations.
const WRONG: &str = r#"
name = "All wrong <&>"
settings = { DTMF_INTERDIGIT_MS = 1500 }

[[step]]
[step.expect]
reply = "Good morning"
flow = "Checkout"
page = { any = ["Confirm", "Cart"] }
within_s = ">5"

[[step]]
dtmf = "1"
[step.expect]
intent = { regex = "^order" }
params.opens = 9
params.days = ["sun"]
params.shop = "north"
prompt_cut = true
prompt_cut_s = "1..2"

[[step]]
dtmf = "9#"
barge_in_at_s = 0.3
[step.expect]
prompt_cut = false
prompt_cut_s = "1..2"

[[step]]
text = "what did you say"
expect.understood = { all = ["two", "loaves"] }

[[step]]
dtmf = "2#"
expect.within_s = 9

[end.expect]
status = "completed"
reason = "migrated"
twiml = "<Enqueue"
handoff.department = "cakes"
turns = 9
warnings = ">0"
seconds = "<1"
"#;

async fn all_wrong() -> TestResult {
    let folder = Folder::new().with_doc("menu/agent.toml").with_doc("menu/menu.toml");
    recorded(&folder, "menu.toml").await;
    folder.write("menu.toml", WRONG);
    offline(&folder, "menu.toml", &[]).await
}

#[tokio::test(start_paused = true)]
async fn each_expectation_that_does_not_hold_says_what_it_is_and_what_was_found() {
    let result = all_wrong().await;
    let Verdict::Failed(differences) = &result.verdict else { panic!("{}", told(&result)) };
    let differences: Vec<String> = differences
        .iter()
        .map(|one| format!("{:?} {}: expected {}, found {}", one.step, one.key, one.expected, one.found))
        .collect();
    for wanted in [
        "Some(1) reply: expected \"Good morning\", found \"Press one for the opening hours, or two for a person.\"",
        "Some(1) flow: expected \"Checkout\", found \"Default Start Flow\"",
        "Some(1) page: expected \"Confirm\" or \"Cart\", found \"Menu\"",
        "Some(1) within_s: expected more than 5, found 0.2",
        "Some(2) intent: expected a text that matches /^order/, found \"hours\"",
        "Some(2) params.opens: expected 9, found 7",
        "Some(2) params.days: expected [\"sun\"], found [\"mon\",\"sat\"]",
        "Some(2) params.shop: expected \"north\", found there is none of that name",
        "Some(2) prompt_cut: expected true, found no prompt was cut",
        "Some(2) prompt_cut_s: expected 1 to 2, found no prompt was cut",
        "Some(3) prompt_cut: expected false, found a prompt was cut after 0.3",
        "Some(3) prompt_cut_s: expected 1 to 2, found 0.3",
        "Some(4) understood: expected \"two\" and \"loaves\", found \"what did you say\"",
        "Some(5) within_s: expected 9, found 0.",
        "None status: expected \"completed\", found \"live-agent-handoff\"",
        "None reason: expected \"migrated\", found \"stop\"",
        "None twiml: expected \"<Enqueue\", found \"<?xml",
        "None handoff.department: expected \"cakes\", found there is no dialogflowJSON",
        "None turns: expected 9, found 5",
        "None warnings: expected more than 0, found 0",
        "None seconds: expected less than 1, found ",
    ] {
        assert!(differences.iter().any(|told| told.starts_with(wanted)), "{wanted}\n{differences:#?}");
    }
    assert_eq!(differences.len(), 21, "{differences:#?}");
    let lines = told(&result);
    assert!(lines.starts_with("FAILED") && lines.contains("line 7, step 1, reply: expected"), "{lines}");
    assert!(lines.contains("… and 13 more"), "{lines}");
}

#[tokio::test(start_paused = true)]
async fn machines_read_the_same_as_json_and_junit() {
    let wrong = all_wrong().await;
    let mut broken = TestResult::broken("calls/a.toml".as_ref(), vec!["line 3: stpe is no key".to_owned()]);
    broken.name = "broken\u{1}".to_owned();
    let flaky = TestResult { verdict: Verdict::Passed, tries: 2, seen: wrong.seen.clone(), ..wrong.clone() };
    let took = Duration::from_millis(1_234);
    let summary = Summary { results: vec![wrong, broken, flaky], took, others: 2, ..Summary::default() };
    let lines = summary.lines();
    assert!(
        lines.starts_with("1 of 3 passed, 1 failed, 1 could not be run, 1 flaky, 2 other TOML files, in 1.23 s"),
        "{lines}"
    );
    assert!(lines.contains("slow: 1.68 s, step 2 of "), "{lines}");
    let json = summary.json();
    assert_eq!((&json["failed"], &json["broken"], &json["flaky"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!(json["results"][0]["differences"][0]["key"], "reply");
    assert_eq!(json["results"][0]["steps"][1]["intent"], "hours");
    assert_eq!(json["results"][1]["faults"][0], "line 3: stpe is no key");
    let junit = summary.junit();
    let xml = roxmltree::Document::parse(&junit).unwrap();
    let cases: Vec<_> = xml.descendants().filter(|node| node.has_tag_name("testcase")).collect();
    assert_eq!((cases.len(), cases[0].attribute("name")), (3, Some("All wrong <&>")));
    let child = |n: usize| cases[n].children().find(roxmltree::Node::is_element).unwrap().tag_name().name().to_owned();
    assert_eq!([child(0), child(1), child(2)], ["failure", "error", "system-out"]);
    let suite = xml.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
    assert_eq!((suite.attribute("failures"), suite.attribute("errors")), (Some("1"), Some("1")));
}
