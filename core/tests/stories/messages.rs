//! Every kind of message that an agent can send.

use dialbridge_core::agent::{
    AgentEnd, Answer, AnswerPart, Enqueue, Prompt, ToolCall, ToolOutcome, ToolResult, Transfer, TurnInput,
};
use dialbridge_core::{AgentEvent, CallConfig, FetchId, Output, Report, UpdateResult};
use serde_json::json;

use crate::test_call::{TestCall, answer, answered, empty, prompt, starting_text, with};

fn answers(answer: Answer) -> AgentEvent {
    AgentEvent::Answer(Box::new(answer))
}

fn ended_with(end: AgentEnd) -> String {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answers(Answer { end: Some(end), ..answer(0) }));
    test.update().unwrap().1
}

#[test]
fn audio_at_an_address_is_fetched_and_played_in_its_place() {
    let mut test = TestCall::started(starting_text());
    let prompts = vec![prompt(200), Prompt::at("https://example.com/a.wav"), prompt(300)];
    test.agent(1, answers(Answer { prompts, ..answer(0) }));
    assert_eq!(test.played_ms(), 200);
    assert_eq!(
        test.count(|output| matches!(output, Output::Fetch(FetchId(1), uri) if uri == "https://example.com/a.wav")),
        1
    );
    test.hush(600);
    test.fetched(1, Ok(&[0x44; 4_000]));
    assert_eq!(test.played_ms(), 200 + 500 + 300);
}

#[test]
fn audio_that_does_not_come_is_not_waited_for_for_ever() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answers(Answer { prompts: vec![Prompt::at("gs://b/o"), prompt(300)], ..answer(0) }));
    test.hush(4_980);
    assert_eq!(test.played_ms(), 0);
    test.hush(40);
    assert_eq!(test.played_ms(), 300);
    assert!(test.reports().any(|report| matches!(report, Report::PromptRefused { .. })));
}

#[test]
fn the_last_words_are_waited_for_even_where_they_have_to_be_fetched() {
    let mut test = TestCall::started(starting_text());
    let prompts = vec![Prompt::at("https://example.com/bye.wav")];
    test.agent(1, answers(Answer { prompts, end: Some(AgentEnd::EndInteraction), ..answer(0) }));
    test.wait(1_000);
    assert_eq!(test.update(), None);
    test.fetched(1, Ok(&[0x44; 8_000]));
    test.wait(900);
    assert_eq!(test.update(), None);
    test.wait(200);
    assert!(test.update().is_some());
}

#[test]
fn music_while_the_agent_works_is_cut_by_its_answer() {
    let mut test = TestCall::started(CallConfig::default());
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    let music = Prompt { cancellable: true, interruptible: false, ..prompt(20_000) };
    test.agent(1, answers(Answer { part: AnswerPart::Partial, prompts: vec![music], ..answer(0) }));
    test.hush(3_000);
    assert!(test.played_ms() < 5_000, "it goes out a little ahead of its time");
    test.agent(1, answered(500));
    assert_eq!(test.clears(), 1);
    test.hush(600);
    assert!(!test.is_playing());
}

#[test]
fn a_final_response_that_repeats_the_partial_ones_is_not_played_twice() {
    for repeats in [false, true] {
        let mut test = TestCall::started(CallConfig::default());
        test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
        let audio =
            |parts: &[u8]| Prompt { audio: parts.iter().flat_map(|part| vec![*part; 1_600]).collect(), ..prompt(0) };
        for part in [1, 2] {
            test.agent(1, answers(Answer { part: AnswerPart::Partial, prompts: vec![audio(&[part])], ..answer(0) }));
        }
        let last = if repeats { audio(&[1, 2, 3]) } else { audio(&[3]) };
        test.agent(1, answers(Answer { prompts: vec![last], ..answer(0) }));
        assert_eq!(test.played_ms(), 600, "{repeats}");
    }
}

#[test]
fn a_tool_is_refused_at_once_so_that_the_agent_goes_on() {
    let mut test = TestCall::started(starting_text());
    let call = |tool: &str| ToolCall { tool: tool.to_owned(), ..ToolCall::default() };
    let tool_calls = vec![call("tools/1"), call("tools/2")];
    test.agent(1, answers(Answer { tool_calls, ..Answer { part: AnswerPart::Final, ..Answer::default() } }));
    let refused = |tool| TurnInput::ToolResults(vec![ToolResult { call: call(tool), outcome: ToolOutcome::Refused }]);
    assert_eq!(test.opened_with(2), refused("tools/1"), "one in a turn");
    test.agent(2, empty());
    assert_eq!(test.opened_with(3), refused("tools/2"));
    test.agent(3, answered(300));
    assert_eq!(test.opened_with(4), TurnInput::Audio);
}

#[test]
fn a_transfer_dials_and_says_where_the_call_comes_back_to() {
    let twiml = ended_with(AgentEnd::Transfer(Transfer::to("+15550123")));
    assert!(twiml.contains(r#"<Dial action="dialbridge:dial-ended""#) && twiml.contains("+15550123"), "{twiml}");
    let task = Enqueue { workflow_sid: Some("WW1".to_owned()), attributes: json!({ "a": 1 }), ..Enqueue::default() };
    assert!(ended_with(AgentEnd::Enqueue(task)).contains(r#"<Enqueue workflowSid="WW1"><Task>"#));
}

#[test]
fn a_custom_payload_transfers_plays_and_protects() {
    let mut test = TestCall::started(starting_text());
    let payloads = vec![
        json!({ "richContent": [] }),
        json!({ "dialbridge": { "play": "https://example.com/a.wav", "bargeIn": false } }),
        json!({ "dialbridge": { "transfer": { "to": "+15550123" } } }),
    ];
    test.agent(1, answers(Answer { payloads, ..answer(300) }));
    test.fetched(1, Ok(&[0x44; 1_600]));
    assert_eq!(test.played_ms(), 500);
    test.wait(600);
    assert!(test.update().unwrap().1.contains("+15550123"));
    assert_eq!(test.reports().filter(|report| matches!(report, Report::Payload { .. })).count(), 3);
}

#[test]
fn a_payload_that_is_wrong_is_reported_and_changes_nothing() {
    let mut test = TestCall::started(starting_text());
    let payloads = vec![json!({ "dialbridge": { "transfer": { "to": ["nowhere"] } } })];
    test.agent(1, answers(Answer { payloads, ..answer(300) }));
    assert_eq!((test.played_ms(), test.last_stream()), (300, 2));
    assert!(test.reports().any(|report| matches!(report, Report::PayloadRefused { .. })));
}

#[test]
fn a_transfer_to_what_is_not_dialled_is_refused_alike_in_a_payload_and_in_a_message() {
    for to in ["nowhere", "+19005550123", "15550123", ""] {
        let payload = Answer { payloads: vec![json!({ "dialbridge": { "transfer": { "to": to } } })], ..answer(300) };
        let message = Answer { end: Some(AgentEnd::Transfer(Transfer::to(to))), ..answer(300) };
        for said in [payload, message] {
            let event = Some("DIAL_FAILED".to_owned());
            let mut test = TestCall::started(with(starting_text(), |config| config.handoff.dial.failed_event = event));
            test.agent(1, answers(said));
            test.hush(400);
            let start = test.start_of(2);
            assert_eq!(start.input, TurnInput::Event("DIAL_FAILED".to_owned()), "{to}");
            assert_eq!(start.parameters["DialCallStatus"], "failed", "{to}");
            let refused = |report: &&Report| matches!(report, Report::TransferRefused { .. });
            assert_eq!(test.reports().filter(refused).count(), 1, "{to}");
        }
    }
}

#[test]
fn the_agents_own_hand_off_goes_before_a_payloads() {
    let mut test = TestCall::started(starting_text());
    let end = AgentEnd::Transfer(Transfer::to("+15550123"));
    let payloads = vec![json!({ "dialbridge": { "pause": {} } })];
    test.agent(1, answers(Answer { payloads, end: Some(end), ..answer(0) }));
    assert!(test.update().unwrap().1.contains("+15550123"));
}

#[test]
fn an_agent_that_pauses_is_left_with_the_status_paused() {
    let mut test = TestCall::started(with(starting_text(), |config| {
        config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned())
    }));
    let payloads = vec![json!({ "dialbridge": { "pause": { "reason": "pay" } } })];
    test.agent(1, answers(Answer { payloads, ..answer(0) }));
    let (_, twiml) = test.update().unwrap();
    assert!(twiml.contains("VirtualAgentStatus=paused") && twiml.contains("PauseParameters"), "{twiml}");
    test.updated(UpdateResult::Accepted);
}

#[test]
fn success_and_failed_webhooks_are_reported() {
    let mut test = TestCall::started(starting_text());
    let webhook_faults = vec!["code 14: down".to_owned()];
    test.agent(1, answers(Answer { succeeded: true, webhook_faults, ..answer(300) }));
    assert!(test.reports().any(|report| matches!(report, Report::Succeeded { .. })));
    assert!(test.reports().any(|report| matches!(report, Report::WebhookFailed { why, .. } if why == "code 14: down")));
    assert_eq!(test.last_stream(), 2, "neither ends the call");
}

#[test]
fn so_many_prompts_to_be_fetched_wait_for_the_rest_of_their_answer_and_no_more() {
    let fetches = |test: &TestCall| test.count(|output| matches!(output, Output::Fetch(..)));
    let open = |prompts| answers(Answer { prompts, ..Answer::default() });
    let mut test = TestCall::started(starting_text());
    test.agent(1, open(vec![Prompt::at(format!("https://example.com/{}", "x".repeat(9_000)))]));
    assert_eq!(fetches(&test), 1, "so long an address is not kept");
    test.agent(1, open((0..20).map(|n| Prompt::at(format!("https://example.com/{n}.wav"))).collect()));
    assert_eq!(fetches(&test), 1 + 4, "those beyond sixteen");
    test.agent(1, AgentEvent::Ended);
    assert_eq!(fetches(&test), 21);
}

#[test]
fn what_an_agent_wants_to_be_told_of_the_caller_does_not_grow_without_end() {
    let mut test = TestCall::started(starting_text());
    for turn in 1..=4_u32 {
        let stories = json!({ format!("story{turn}"): "x".repeat(100 << 10) });
        let payloads = vec![json!({ "dialbridge": { "endUserMetadata": stories } })];
        test.agent(2 * turn - 1, answers(Answer { payloads, ..answer(0) }));
        test.press("1#");
    }
    let told: Vec<String> = test.start_of(8).end_user.keys().cloned().collect();
    assert_eq!(told, ["story1", "story2"]);
    let refused = test.reports().filter(|report| matches!(report, Report::PayloadRefused { .. })).count();
    assert_eq!(refused, 2, "the log says so");
}
