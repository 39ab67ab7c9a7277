//! What waits for an answer, how long, and what becomes of it when something else happens meanwhile.

use dialbridge_core::agent::{AgentEnd, Answer, AnswerPart, Prompt, TurnInput};
use dialbridge_core::config::{Clip, NoInput, StartingInput, StreamShape};
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Input, Output, Report, ToolsId};

use crate::session_stream::{config, end_session, greeted, says, words};
use crate::test_call::{TestCall, empty, interim, prompt, starting_text};
use crate::tools::{has_tools, wants};

fn part(part: AnswerPart, ms: usize) -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { part, prompts: vec![prompt(ms)], ..Answer::default() }))
}

#[test]
fn nothing_gives_a_half_closed_stream_more_than_two_seconds() {
    for late in [interim("two loaves"), part(AnswerPart::Partial, 100)] {
        let mut test = greeted();
        test.speak(400);
        test.agent(1, AgentEvent::GoAway);
        test.agent(1, late.clone());
        test.hush(2_100);
        assert_eq!(test.last_stream(), 2, "{late:?}");
    }
}

#[test]
fn a_call_does_not_migrate_while_something_waits_for_its_answer() {
    let tools = || TestCall::started(has_tools());
    let starting_event = TestCall::started(config());
    let mut digits = greeted();
    digits.press("42#");
    let mut tool = tools();
    tool.agent(1, wants(&["lookup"]));
    tool.agent(1, empty());
    let mut answer = greeted();
    answer.agent(1, words("Two "));
    for (what, mut test) in [("event", starting_event), ("digits", digits), ("tool", tool), ("answer", answer)] {
        test.migrate();
        assert_eq!(test.closed(), None, "{what}");
    }
}

#[test]
fn a_text_that_a_stream_begins_with_must_be_answered() {
    let starting_input = StartingInput { event: None, text: Some("hello".to_owned()) };
    let mut test = TestCall::started(CallConfig { starting_input, ..config() });
    test.hush(20_100);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::Cancel));
}

#[test]
fn a_limit_in_the_middle_of_an_answer_hands_off_when_the_prompt_is_over() {
    for shape in [StreamShape::PerTurn, StreamShape::PerSession] {
        let mut config = CallConfig { shape, audio_limit_ms: 0, ..starting_text() };
        config.limits.call_ms = 1_000;
        let mut test = TestCall::started(config);
        test.wait(900);
        test.agent(1, part(AnswerPart::Open, 300));
        test.wait(5_000);
        let at = test.update().unwrap().0.as_ms();
        assert!(at <= 1_300, "{shape:?}: the prompt was over at 1,200 ms, and the hand-off came at {at}");
    }
}

#[test]
fn an_answer_that_a_hang_up_cuts_off_is_reported() {
    let mut test = greeted();
    test.speak(300);
    test.agent(1, interim("two"));
    test.agent(1, words("Two loaves."));
    test.agent(1, says(3_000));
    test.hush(1_000);
    test.twilio(r#"{"event":"stop","stop":{}}"#).unwrap();
    let reported = |report: &&Report| matches!(report, Report::Answered { text, .. } if text == "Two loaves.");
    assert_eq!(test.reports().filter(reported).count(), 1);
}

#[test]
fn a_turn_that_is_over_needs_no_filler() {
    let mut config = config();
    config.fillers.thinking = Some(Clip(vec![0x33; 8_000].into()));
    config.fillers.thinking_after_ms = 1_500;
    let mut test = TestCall::started(config);
    test.agent_answers(1, 400);
    test.hush(500);
    test.speak(400);
    test.agent(1, interim("mhm"));
    test.hush(400);
    test.agent(1, empty());
    // It got the words again, and has nothing to say to them again.
    test.hush(400);
    test.agent(1, empty());
    test.hush(3_000);
    let thinking = |report: &&Report| matches!(report, Report::Filler { which: "thinking" });
    assert_eq!(test.reports().filter(thinking).count(), 0);
}

#[test]
fn a_later_fetch_gives_the_first_one_no_more_time() {
    let mut test = TestCall::started(starting_text());
    let prompts = vec![Prompt::at("https://example.com/a"), Prompt::at("https://example.com/b")];
    test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Final, prompts, ..Answer::default() })));
    test.wait(4_900);
    test.fetched(2, Err("404"));
    test.wait(200);
    assert_eq!(test.reports().filter(|report| matches!(report, Report::PromptRefused { .. })).count(), 2);
}

#[test]
fn tools_that_are_asked_for_after_the_end_are_not_run() {
    let mut test = TestCall::started(has_tools());
    test.agent(1, end_session());
    test.agent(1, wants(&["order_pizza"]));
    assert_eq!(test.count(|output| matches!(output, Output::RunTools(..))), 0);
}

#[test]
fn results_of_tools_go_before_digits_in_the_order_in_which_they_came() {
    let mut test = TestCall::started(has_tools());
    for tool in ["first", "second"] {
        test.agent(1, wants(&[tool]));
    }
    test.agent(1, empty());
    test.press("4#");
    test.agent(1, AgentEvent::GoAway);
    for id in [1, 2] {
        test.feed(&Input::ToolsRun(ToolsId(id), vec![])).unwrap();
    }
    test.agent(1, AgentEvent::Ended);
    test.wait(300);
    let sent = test.commands(2).into_iter().filter_map(|command| match command {
        AgentCommand::Send(TurnInput::ToolResults(results)) => Some(results[0].call.tool.clone()),
        AgentCommand::Send(_) => Some("digits".to_owned()),
        _ => None,
    });
    assert_eq!(sent.collect::<Vec<_>>(), ["first", "second", "digits"]);
}

#[test]
fn an_agent_that_has_nothing_to_say_to_silence_does_not_keep_the_call() {
    for shape in [StreamShape::PerTurn, StreamShape::PerSession] {
        let mut config = CallConfig { shape, ..CallConfig::default() };
        config.no_input = NoInput { event: Some("silence".to_owned()), after_ms: 3_000 };
        config.limits.silence_ms = 20_000;
        let mut test = TestCall::started(config);
        while test.update().is_none() && test.now.as_ms() < 60_000 {
            test.hush(500);
            let stream = test.last_stream();
            test.agent(stream, empty());
        }
        assert_eq!(test.update().map(|(at, _)| at.as_ms() <= 21_000), Some(true), "{shape:?}");
    }
}

#[test]
fn a_call_to_tools_is_no_greeting() {
    let mut test = TestCall::started(has_tools());
    test.agent(1, wants(&["lookup"]));
    assert!(test.call.progress().awaits_greeting);
    test.agent(1, words("Hello."));
    assert!(!test.call.progress().awaits_greeting);
}

#[test]
fn a_goodbye_without_end_does_not_keep_the_call() {
    for answer_part in [AnswerPart::Open, AnswerPart::Partial] {
        let mut test = TestCall::started(starting_text());
        let end = Some(AgentEnd::EndInteraction);
        test.agent(1, AgentEvent::Answer(Box::new(Answer { part: answer_part, end, ..Answer::default() })));
        while test.update().is_none() && test.now.as_ms() < 120_000 {
            test.agent(1, part(answer_part, 200));
            test.hush(200);
        }
        assert_eq!(test.update().map(|(at, _)| at.as_ms() <= 62_000), Some(true), "{answer_part:?}");
    }
}
