//! The call reports each part that has no room or that it does not understand.

use dialbridge_core::agent::{AgentEnd, Answer};
use dialbridge_core::{AgentEvent, CallConfig, Report, TurnId};
use serde_json::{Value, json};

use crate::test_call::{TestCall, answer, starting_text, with};
use crate::tools::call;

fn config() -> CallConfig {
    with(starting_text(), |config| {
        config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned());
    })
}

/// A call whose first answer is this.
fn answered(answer: Answer) -> TestCall {
    let mut test = TestCall::started(config());
    test.agent(1, AgentEvent::Answer(Box::new(answer)));
    test.agent(1, AgentEvent::Ended);
    test.wait(1_000);
    test
}

fn refused(test: &TestCall) -> Vec<&str> {
    test.reports()
        .filter_map(|report| if let Report::PayloadRefused { why, .. } = report { Some(why.as_str()) } else { None })
        .collect()
}

#[test]
fn a_hand_off_that_has_no_room_for_everything_says_what_is_missing() {
    let metadata = json!({ "department": "bread", "notes": "x".repeat(6_000) });
    let test = answered(Answer { end: Some(AgentEnd::LiveAgentHandoff { metadata }), ..answer(100) });
    let shortened = Report::HandoffShortened {
        left_out: "liveAgentHandoff".to_owned(),
        shortened: "AgentHandoffParameters.notes".to_owned(),
    };
    assert_eq!(test.reports().filter(|report| **report == shortened).count(), 1);
    let whole = AgentEnd::LiveAgentHandoff { metadata: json!({ "department": "bread" }) };
    let test = answered(Answer { end: Some(whole), ..answer(100) });
    assert!(!test.reports().any(|report| matches!(report, Report::HandoffShortened { .. })));
}

#[test]
fn names_without_end_fill_no_report() {
    let many: serde_json::Map<String, Value> = (0..5_000).map(|n| (format!("parameter{n}"), n.into())).collect();
    let test = answered(Answer { parameters: many, end: Some(AgentEnd::EndInteraction), ..answer(100) });
    let left_out = test.reports().find_map(|report| match report {
        Report::HandoffShortened { left_out, .. } => Some(left_out.chars().count()),
        _ => None,
    });
    assert_eq!(left_out, Some(301));
}

#[test]
fn results_of_tools_beyond_sixteen_that_wait_are_reported_once() {
    for (tools, dropped) in [(16, 0), (17, 1), (40, 1)] {
        let tool_calls = (0..tools).map(|n| call(&format!("tools/{n}"))).collect();
        let test = answered(Answer { tool_calls, ..answer(0) });
        let reports = test.reports().filter(|report| **report == Report::ToolResultsDropped { turn: TurnId(1) });
        assert_eq!(reports.count(), dropped, "{tools}");
    }
}

#[test]
fn a_part_for_this_service_that_is_in_no_custom_payload_is_told() {
    let ours = json!({ "dialbridge": { "end": true } });
    let nested = answered(Answer { payloads: vec![json!({ "payload": ours })], ..answer(100) });
    assert!(refused(&nested)[0].contains("below \"payload\""), "{:?}", refused(&nested));
    let metadata = answered(Answer { end: Some(AgentEnd::LiveAgentHandoff { metadata: ours }), ..answer(100) });
    assert!(refused(&metadata)[0].contains("the metadata of a live-agent hand-off"), "{:?}", refused(&metadata));
    let webhook = answered(Answer { misplaced: vec!["the payload of a webhook's response".to_owned()], ..answer(100) });
    assert!(refused(&webhook)[0].contains("belongs into a custom payload"), "{:?}", refused(&webhook));
    let others = answered(Answer { payloads: vec![json!({ "richContent": [] })], ..answer(100) });
    assert_eq!(refused(&others), Vec::<&str>::new());
}
