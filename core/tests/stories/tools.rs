//! Tools that an agent wants run.

use dialbridge_core::agent::{AgentFault, Answer, AnswerPart, ToolCall, ToolOutcome, ToolResult, TurnInput};
use dialbridge_core::config::Clip;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Input, Output, Report, ToolsId};
use serde_json::{Map, Value};

use crate::failures::fault;
use crate::session_stream::{config, end_session};
use crate::test_call::{TestCall, answer, answered, digits, numbers, starting_text};

pub(crate) fn call(tool: &str) -> ToolCall {
    ToolCall { id: format!("call of {tool}"), tool: tool.to_owned(), ..ToolCall::default() }
}

pub(crate) fn wants(tools: &[&str]) -> AgentEvent {
    let tool_calls = tools.iter().map(|tool| call(tool)).collect();
    AgentEvent::Answer(Box::new(Answer { tool_calls, ..Answer::default() }))
}

/// The tool results that the agent got, in order.
fn tool_results(test: &TestCall) -> Vec<Vec<ToolResult>> {
    let results = test.commands(test.last_stream()).into_iter().filter_map(|command| match command {
        AgentCommand::Send(TurnInput::ToolResults(results)) => Some(results),
        _ => None,
    });
    results.collect()
}

pub(crate) fn has_tools() -> CallConfig {
    CallConfig { has_tools: true, ..config() }
}

#[test]
fn tools_are_run_where_that_can_be_done_and_the_agent_is_told_of_all_of_them_at_once() {
    let mut test = TestCall::started(has_tools());
    test.agent(1, wants(&["tools/1", "tools/2"]));
    let asked = |test: &TestCall| {
        test.count(|output| matches!(output, Output::RunTools(ToolsId(1), calls) if calls.len() == 2))
    };
    assert_eq!((asked(&test), tool_results(&test).len()), (1, 0));
    test.speak(400);
    let result = Map::from_iter([("stock".to_owned(), Value::from(7))]);
    let run = Input::ToolsRun(ToolsId(1), vec![Ok(result.clone()), Err("the shop is closed".to_owned())]);
    test.feed(&run).unwrap();
    let [told] = &tool_results(&test)[..] else { panic!() };
    let outcomes: Vec<_> = told.iter().map(|result| (result.call.id.as_str(), result.outcome.clone())).collect();
    let failed = ToolOutcome::Failed("the shop is closed".to_owned());
    assert_eq!(outcomes, [("call of tools/1", ToolOutcome::Done(result)), ("call of tools/2", failed)]);
    test.feed(&run).unwrap();
    assert_eq!(tool_results(&test).len(), 1, "once");
    let faults = test.reports().filter(|report| matches!(report, Report::ToolRun { fault: Some(_), .. })).count();
    assert_eq!(faults, 1);
}

#[test]
fn what_came_of_a_tool_is_told_to_the_stream_that_has_taken_over() {
    let mut test = TestCall::started(has_tools());
    test.agent(1, wants(&["tools/1"]));
    test.agent(1, AgentEvent::GoAway);
    test.hush(2_020);
    test.tools_ran(1);
    test.agent(1, AgentEvent::Ended);
    test.wait(250);
    let told = tool_results(&test);
    assert_eq!(test.last_stream(), 2);
    assert!(matches!(&told[0][0].outcome, ToolOutcome::Failed(why) if why.contains("no result")), "{told:?}");
}

/// A call whose agent has said something, waits for a tool and has got its results.
fn told(before: impl Fn(&mut TestCall)) -> TestCall {
    let mut test = TestCall::started(has_tools());
    test.hush(1_000);
    test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Open, ..answer(400) })));
    test.agent(1, wants(&["tools/1"]));
    before(&mut test);
    test.tools_ran(1);
    assert_eq!(tool_results(&test).len(), 1);
    test
}

#[test]
fn results_that_a_stream_got_and_did_not_answer_are_told_to_the_next_one() {
    let go_away = |test: &mut TestCall| test.agent(1, AgentEvent::GoAway);
    let goes_away = [told(go_away), {
        let mut test = told(|_| {});
        go_away(&mut test);
        test
    }];
    for mut test in goes_away {
        test.hush(2_020);
        assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose));
        test.agent(1, AgentEvent::Ended);
        test.wait(250);
        assert_eq!((test.last_stream(), tool_results(&test).len()), (2, 1));
    }
}

#[test]
fn results_that_two_streams_fail_of_are_told_to_no_third_one() {
    let failures = [
        AgentEvent::Ended,
        fault("INTERNAL", true),
        fault("INVALID_ARGUMENT", false),
        fault("PERMISSION_DENIED", false),
    ];
    for failure in failures {
        let mut test = told(|_| {});
        test.agent(1, fault("UNAVAILABLE", true));
        test.wait(250);
        assert_eq!((test.last_stream(), tool_results(&test).len()), (2, 1));
        assert_eq!(test.start_of(2).past_turns.len(), 1);
        test.agent(2, failure.clone());
        test.wait(250);
        assert_eq!((test.last_stream(), tool_results(&test).len()), (3, 0), "{failure:?}");
        assert_eq!(test.start_of(3).past_turns.len(), 1, "{failure:?}: what was said is not what was refused");
        test.agent(3, fault("INVALID_ARGUMENT", false));
        test.wait(250);
        assert_eq!((test.last_stream(), test.start_of(4).past_turns.len()), (4, 0), "until it is");
    }
}

#[test]
fn results_go_before_what_the_caller_has_sent_meanwhile() {
    let mut test = TestCall::started(has_tools());
    test.hush(1_000);
    test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Open, ..answer(400) })));
    test.agent(1, wants(&["tools/1"]));
    test.text("and a cake");
    test.tools_ran(1);
    test.agent(1, fault("UNAVAILABLE", true));
    test.wait(250);
    let sent = test.commands(2).into_iter().filter_map(|command| match command {
        AgentCommand::Open(start) => Some(start.input.kind()),
        AgentCommand::Send(input) => Some(input.kind()),
        _ => None,
    });
    let sent: Vec<_> = sent.collect();
    assert_eq!(sent, ["audio", "tool result", "text"]);
}

#[test]
fn results_that_the_agent_has_answered_are_told_once() {
    for part in
        [Answer { part: AnswerPart::Open, ..answer(400) }, Answer { part: AnswerPart::Final, ..Answer::default() }]
    {
        let mut test = told(|_| {});
        test.hush(400);
        test.agent(1, AgentEvent::Answer(Box::new(part)));
        test.agent(1, fault("UNAVAILABLE", true));
        test.wait(250);
        assert_eq!((test.last_stream(), tool_results(&test).len()), (2, 0));
    }
}

#[test]
fn a_stream_that_refuses_what_came_of_another_ones_tool_is_followed_by_one_that_is_told_nothing_of_it() {
    let mut test = TestCall::started(has_tools());
    test.agent(1, wants(&["tools/1"]));
    test.agent(1, AgentEvent::GoAway);
    test.hush(2_020);
    test.agent(1, AgentEvent::Ended);
    test.wait(250);
    test.tools_ran(1);
    assert_eq!((test.last_stream(), tool_results(&test).len()), (2, 1));
    let refusal = || {
        AgentEvent::Failed(AgentFault {
            code: "INVALID_ARGUMENT".to_owned(),
            message: "no such tool call".to_owned(),
            transient: false,
        })
    };
    test.agent(2, refusal());
    test.wait(250);
    assert_eq!((test.last_stream(), tool_results(&test).len()), (3, 0));
    assert_eq!(test.count(|output| matches!(output, Output::Update { .. })), 0, "the call goes on");
    test.hush(1_000);
    test.agent(3, refusal());
    assert_eq!(test.count(|output| matches!(output, Output::Update { .. })), 1, "what refuses all is of no use");
}

#[test]
fn an_agent_that_asks_for_tools_without_end_fills_no_memory() {
    let mut test = TestCall::started(has_tools());
    for _ in 0..100 {
        test.agent(1, wants(&["tools/1"]));
    }
    assert_eq!(test.count(|output| matches!(output, Output::RunTools(..))), 16);
    assert_eq!(tool_results(&test).len(), 84, "the agent hears that the others are refused");
    test.agent(1, end_session());
    test.tools_ran(3);
    assert_eq!(tool_results(&test).len(), 84, "an agent that is done is told nothing");
}

#[test]
fn an_agent_that_hears_turn_by_turn_gets_its_results_before_anything_else() {
    let mut test = TestCall::started(CallConfig { has_tools: true, ..starting_text() });
    let AgentEvent::Answer(mut wants) = wants(&["tools/1"]) else { panic!() };
    wants.part = AnswerPart::Final;
    test.agent(1, AgentEvent::Answer(wants));
    test.speak(400);
    test.press("7#");
    test.hush(600);
    assert_eq!(test.last_stream(), 1, "no turn opens while the tool runs");
    let result = Map::from_iter([("stock".to_owned(), Value::from(7))]);
    test.feed(&Input::ToolsRun(ToolsId(1), vec![Ok(result.clone())])).unwrap();
    let TurnInput::ToolResults(results) = test.opened_with(2) else { panic!() };
    assert_eq!(results[0].outcome, ToolOutcome::Done(result));
    test.agent(2, answered(300));
    test.hush(20);
    assert_eq!(numbers(&test.written(3)), (0..51).collect::<Vec<u16>>(), "what he has said before the keys");
    test.agent(3, answered(300));
    assert_eq!(test.opened_with(4), digits("7", Some('#')));
}

#[test]
fn a_caller_who_waits_for_a_tool_hears_the_filler() {
    let mut config = CallConfig { has_tools: true, ..starting_text() };
    config.fillers.thinking = Some(Clip(vec![0x33; 8_000].into()));
    config.fillers.thinking_after_ms = 1_000;
    let mut test = TestCall::started(config);
    let AgentEvent::Answer(mut wants) = wants(&["tools/1"]) else { panic!() };
    wants.part = AnswerPart::Final;
    test.agent(1, AgentEvent::Answer(wants));
    test.hush(900);
    assert_eq!(test.played_ms(), 0);
    test.hush(200);
    assert!(test.is_playing());
}
