//! Orders of events in which something was lost, came twice or overtook something else, or in which the caller heard
//! nothing for ever. A reader who tried to break both machines found them.

use dialbridge_core::agent::{AgentEnd, Answer, AnswerPart, Prompt, Transfer, TurnInput};
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::carried::StandIn;
use dialbridge_core::config::{Clip, NoInput, StreamShape};
use dialbridge_core::edition::Edition;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Output, Report};
use serde_json::{Map, Value};

use crate::failures::fault;
use crate::fillers::fetches;
use crate::session_stream::{config, end_session, greeted, says, words};
use crate::test_call::{TestCall, answer, answered, empty, goodbye, interim, numbers, starting_text, with};
use crate::tools::{has_tools, wants};

const END: AgentEvent = AgentEvent::EndOfUtterance { end_ms: None };

/// A part that sets variables and says nothing.
pub(crate) fn variables(part: AnswerPart) -> AgentEvent {
    let parameters = Map::from_iter([("loaves".to_owned(), Value::from(2))]);
    AgentEvent::Answer(Box::new(Answer { part, parameters, ..Answer::default() }))
}

pub(crate) fn sent(test: &TestCall, stream: u32) -> Vec<TurnInput> {
    let sent = test.commands(stream).into_iter().filter_map(|command| match command {
        AgentCommand::Send(input) => Some(input),
        _ => None,
    });
    sent.collect()
}

pub(crate) fn fillers(test: &TestCall) -> Vec<&'static str> {
    let filler = |report: &Report| if let Report::Filler { which } = report { Some(*which) } else { None };
    test.reports().filter_map(filler).collect()
}

pub(crate) fn clip() -> Option<Clip> {
    Some(Clip(vec![0x33; 4_000].into()))
}

#[test]
fn a_kick_start_after_which_a_variable_was_set_and_the_stream_went_away_goes_to_the_next_one() {
    for ends in [true, false] {
        let mut test = TestCall::started(config());
        test.hush(500);
        test.agent(1, variables(AnswerPart::Open));
        test.agent(1, AgentEvent::GoAway);
        test.hush(600);
        if ends {
            test.agent(1, AgentEvent::Ended);
        }
        test.hush(2_500);
        assert_eq!(test.opened_with(2), TurnInput::Event("session_start".to_owned()), "ended: {ends}");
    }
}

#[test]
fn a_starting_text_is_not_sent_behind_a_starting_event_that_is_sent_again() {
    let mut test = TestCall::started(with(config(), |config| config.starting_input.text = Some("hello".to_owned())));
    test.hush(8_100);
    assert_eq!(sent(&test, 1), [TurnInput::Text("hello".to_owned())]);
    test.agent(1, variables(AnswerPart::Open));
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(300);
    assert_eq!(test.opened_with(2), TurnInput::Event("session_start".to_owned()));
    assert_eq!(sent(&test, 2), []);
}

#[test]
fn an_agent_that_sets_a_variable_and_then_stalls_has_a_deadline() {
    let mut test = greeted();
    test.say(1, "two loaves");
    test.hush(500);
    test.agent(1, variables(AnswerPart::Open));
    test.hush(60_000);
    assert_eq!(test.last_stream(), 2, "a minute of dead air");
}

#[test]
fn a_caller_hears_the_filler_though_the_agent_has_set_a_variable() {
    let mut config = config();
    config.fillers.thinking = clip();
    config.fillers.thinking_after_ms = 1_000;
    let mut test = TestCall::started(config);
    test.agent_answers(1, 400);
    test.hush(500);
    test.say(1, "two loaves");
    test.hush(500);
    test.agent(1, variables(AnswerPart::Open));
    test.hush(5_000);
    assert_eq!(fillers(&test), ["thinking"]);
}

#[test]
fn a_call_does_not_migrate_before_words_that_waited_for_a_stream_are_understood() {
    let mut test = TestCall::started(starting_text());
    test.migrate();
    test.speak(600);
    test.hush(3_000);
    test.agent(1, answered(100));
    test.hush(400);
    assert_eq!(test.closed(), None, "what was said is with the agent, who has not said yet what it is");
}

#[test]
fn a_call_does_not_migrate_before_words_that_are_sent_again_are_understood() {
    for shape in [StreamShape::PerTurn, StreamShape::PerSession] {
        let mut test = TestCall::started(CallConfig { shape, ..CallConfig::default() });
        test.speak(600);
        test.agent(1, interim("two loaves"));
        test.hush(600);
        test.agent(1, END);
        test.hush(2_500);
        test.migrate();
        assert_eq!(test.closed(), None);
        test.agent(1, fault("UNAVAILABLE", true));
        test.hush(300);
        assert_eq!(test.last_stream(), 2);
        assert_eq!(test.closed(), None, "{shape:?}: the question is with the new stream");
    }
}

#[test]
fn results_of_tools_whose_turn_failed_go_before_words_and_digits() {
    let mut test = TestCall::started(CallConfig { has_tools: true, ..starting_text() });
    let AgentEvent::Answer(mut wants) = wants(&["tools/1"]) else { panic!() };
    wants.part = AnswerPart::Final;
    test.agent(1, AgentEvent::Answer(wants));
    test.tools_ran(1);
    assert!(matches!(test.opened_with(2), TurnInput::ToolResults(_)));
    test.speak(600);
    test.hush(400);
    test.agent(2, fault("UNAVAILABLE", true));
    test.press("7#");
    test.hush(300);
    assert!(matches!(test.opened_with(3), TurnInput::ToolResults(_)), "{:?}", test.opened_with(3));
}

#[test]
fn a_starting_text_that_failed_goes_before_words_and_digits() {
    let mut test = TestCall::started(starting_text());
    test.speak(600);
    test.hush(400);
    test.agent(1, fault("UNAVAILABLE", true));
    test.press("7#");
    test.hush(300);
    assert_eq!(test.opened_with(2), TurnInput::Text("hi".to_owned()));
}

#[test]
fn a_word_at_the_end_of_the_patience_is_no_silence_and_is_not_lost() {
    let no_input = NoInput { event: Some("SILENCE".to_owned()), after_ms: 5_000 };
    let mut test = TestCall::started(CallConfig { no_input, ..starting_text() });
    test.agent(1, answered(400));
    test.hush(5_000);
    let first = test.written(2).len() / 160;
    test.speak(320);
    test.hush(600);
    // Its transcript is on its way.
    let opened = test.last_stream();
    let heard_again =
        opened > 2 && (3..=opened).any(|stream| numbers(&test.written(stream)).contains(&(first as u16 + 5)));
    assert!(opened == 2 || heard_again, "the word was thrown away: {:?}", test.opened_with(3));
}

#[test]
fn a_session_is_not_told_of_silence_right_after_a_word() {
    let no_input = NoInput { event: Some("SILENCE".to_owned()), after_ms: 5_000 };
    let mut test = TestCall::started(CallConfig { no_input, ..config() });
    test.agent_answers(1, 400);
    test.hush(5_000);
    test.speak(320);
    test.hush(600);
    assert_eq!(sent(&test, 1), []);
}

#[test]
fn words_without_audio_of_a_half_closed_stream_that_does_not_end_are_spoken() {
    let mut test = greeted();
    test.say(1, "two loaves");
    test.agent(1, AgentEvent::GoAway);
    test.hush(300);
    test.agent(1, words("Two loaves, with pleasure."));
    test.hush(3_000);
    assert_eq!(fetches(&test).len(), 1, "the caller has not heard the answer");
}

#[test]
fn words_go_before_digits_to_a_backup_of_another_edition() {
    for failure in [fault("UNAVAILABLE", true), fault("PERMISSION_DENIED", false)] {
        let config = with(Edition::Ces.config(), |config| {
            config.retry.budget_ms = 1;
            config.backup = Some(Box::new(with(Edition::Cx.config(), |config| {
                config.stands_in = Some(StandIn { agent: "old".to_owned(), backup_of: "new".to_owned() });
            })));
        });
        let mut test = TestCall::started(config);
        test.agent_answers(1, 400);
        test.hush(500);
        test.speak(400);
        test.hush(500);
        test.agent(1, interim("my number is"));
        test.press("12#");
        test.agent(1, failure);
        test.hush(300);
        assert_eq!(test.count(|output| matches!(output, Output::UseBackup)), 1);
        assert_eq!(test.opened_with(2), TurnInput::Audio);
    }
}

#[test]
fn no_thinking_filler_plays_while_the_call_is_handed_off() {
    let mut config = CallConfig { has_tools: true, ..starting_text() };
    config.fillers.thinking = clip();
    config.fillers.thinking_after_ms = 1_000;
    let mut test = TestCall::started(config);
    let AgentEvent::Answer(mut bye) = goodbye(200) else { panic!() };
    let AgentEvent::Answer(wants) = wants(&["tools/1"]) else { panic!() };
    bye.tool_calls = wants.tool_calls;
    test.agent(1, AgentEvent::Answer(bye));
    test.hush(3_000);
    assert!(test.update().is_some());
    assert_eq!(fillers(&test), Vec::<&str>::new());
}

#[test]
fn a_card_number_that_is_typed_while_the_session_is_away_arrives_whole() {
    let mut test = TestCall::started(Edition::Ces.config());
    test.agent_answers(1, 400);
    test.hush(500);
    test.agent(1, fault("UNAVAILABLE", true));
    test.press("4242424242424242#");
    test.hush(300);
    let keys: String = sent(&test, 2)
        .into_iter()
        .filter_map(|input| match input {
            TurnInput::Digits(digits, _) => Some(digits.digits),
            _ => None,
        })
        .collect();
    assert_eq!(keys, "4242424242424242#");
}

#[test]
fn a_caller_who_waits_for_a_tool_is_not_silent() {
    let no_input = NoInput { event: Some("SILENCE".to_owned()), after_ms: 4_000 };
    let mut test = TestCall::started(CallConfig { no_input, has_tools: true, ..config() });
    test.agent_answers(1, 400);
    test.hush(500);
    test.say(1, "two loaves");
    test.hush(500);
    test.agent(1, wants(&["tools/1"]));
    test.agent(1, empty());
    test.hush(9_000);
    assert_eq!(sent(&test, 1), [], "the agent waits for its tool, and so does the caller");
}

#[test]
fn an_interruption_takes_no_goodbye_that_is_not_spoken_yet() {
    for barge_in in [true, false] {
        let mut test = greeted();
        test.agent(1, words("Your order is placed. Goodbye."));
        test.agent(1, end_session());
        test.agent(1, AgentEvent::Interrupted { barge_in });
        test.wait(1_100);
        assert_eq!(fetches(&test).len(), 1, "{barge_in}");
    }
}

#[test]
fn words_after_a_starting_event_that_nobody_answered_are_asked_again() {
    let mut test = TestCall::started(config());
    test.hush(8_200);
    test.say(1, "two loaves");
    test.hush(600);
    test.agent(1, empty());
    assert_eq!(sent(&test, 1), [TurnInput::Text("two loaves".to_owned())]);
}

#[test]
fn words_into_an_answer_have_a_deadline_though_the_rest_of_the_answer_comes_after_them() {
    let mut test = greeted();
    test.agent(1, says(2_000));
    test.hush(500);
    test.speak(600);
    test.agent(1, interim("no three loaves"));
    test.agent(1, AgentEvent::Interrupted { barge_in: true });
    test.agent(1, empty());
    test.hush(60_000);
    assert_eq!(test.last_stream(), 2, "a minute of dead air");
}

#[test]
fn words_into_an_answer_are_sent_again_if_the_stream_breaks_after_its_end() {
    let mut test = greeted();
    test.agent(1, says(6_000));
    test.hush(500);
    test.speak(600);
    let first = (test.written(1).len() / 160 - 30) as u16;
    test.agent(1, interim("no three loaves"));
    test.agent(1, AgentEvent::Interrupted { barge_in: true });
    test.hush(200);
    test.agent(1, empty());
    test.hush(4_000);
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(400);
    let again = numbers(&test.written(2));
    assert!(again.contains(&(first + 2)), "{first} {:?}", again.first());
}

#[test]
fn an_agent_that_has_not_heard_of_its_refused_transfer_is_told_by_the_next_stream() {
    let mut test = TestCall::started(with(config(), |config| {
        config.handoff.dial.failed_event = Some("dial_failed".to_owned());
    }));
    test.agent_answers(1, 400);
    test.hush(500);
    let end = Some(AgentEnd::Transfer(Transfer::to("nobody at all")));
    test.agent(1, AgentEvent::Answer(Box::new(Answer { end, ..answer(400) })));
    test.hush(500);
    assert_eq!(sent(&test, 1), [TurnInput::Event("dial_failed".to_owned())]);
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(500);
    let told = test.opened_with(2) == TurnInput::Event("dial_failed".to_owned())
        || sent(&test, 2).contains(&TurnInput::Event("dial_failed".to_owned()));
    assert!(told, "{:?} {:?}", test.opened_with(2), sent(&test, 2));
}

#[test]
fn an_agent_whose_streams_are_to_go_away_and_stall_has_failed_in_the_end() {
    let mut test = TestCall::started(config());
    let mut gone = 0;
    for _ in 0..3_000 {
        let stream = test.last_stream();
        if stream > gone {
            test.agent(stream, AgentEvent::GoAway);
            gone = stream;
        }
        test.hush(100);
    }
    assert!(test.update().is_some(), "{} streams in {}", test.last_stream(), test.now);
}

#[test]
fn an_agent_that_says_nothing_before_it_fails_has_failed_in_the_end() {
    for (shape, part) in [(StreamShape::PerTurn, AnswerPart::Partial), (StreamShape::PerSession, AnswerPart::Open)] {
        let mut test = TestCall::started(CallConfig { shape, ..starting_text() });
        let mut gone = 0;
        for _ in 0..1_200 {
            let stream = test.last_stream();
            if stream > gone {
                test.agent(stream, variables(part));
                test.agent(stream, fault("UNAVAILABLE", true));
                gone = stream;
            }
            test.hush(100);
        }
        assert!(test.update().is_some(), "{shape:?}: {} streams in {}", test.last_stream(), test.now);
    }
}

#[test]
fn a_caller_hears_the_filler_though_the_words_that_were_sent_again_were_not_understood() {
    let mut config = CallConfig::default();
    config.fillers.retrying = clip();
    let mut test = TestCall::started(config);
    test.say(1, "two loaves");
    test.agent(1, END);
    test.agent(1, empty());
    test.hush(500);
    assert_eq!(test.last_stream(), 2);
    test.agent(2, END);
    test.agent(2, empty());
    test.hush(500);
    assert_eq!(fillers(&test), ["unanswered"]);
}

#[test]
fn results_of_tools_keep_their_order_from_stream_to_stream() {
    let mut test = TestCall::started(has_tools());
    for tool in ["first", "second"] {
        test.agent(1, wants(&[tool]));
    }
    test.tools_ran(1);
    test.agent(1, AgentEvent::GoAway);
    test.hush(2_020);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose));
    test.tools_ran(2);
    test.agent(1, AgentEvent::Ended);
    test.hush(300);
    let tools: Vec<_> = sent(&test, 2)
        .into_iter()
        .filter_map(|input| match input {
            TurnInput::ToolResults(results) => Some(results[0].call.tool.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(tools, ["first", "second"]);
}

#[test]
fn a_session_whose_tool_is_slow_plays_the_filler() {
    let mut config = has_tools();
    config.fillers.thinking = clip();
    config.fillers.thinking_after_ms = 1_000;
    let mut test = TestCall::started(config);
    test.agent_answers(1, 400);
    test.hush(500);
    test.say(1, "two loaves");
    test.hush(500);
    test.agent(1, wants(&["tools/1"]));
    test.hush(5_000);
    let while_it_runs = fillers(&test).len();
    test.tools_ran(1);
    test.hush(10_000);
    assert_eq!((while_it_runs, fillers(&test).len() - while_it_runs), (1, 1), "while it runs, and afterwards");
}

#[test]
fn a_short_word_that_was_answered_is_not_said_again_when_the_stream_goes_away() {
    let ends: [&[AgentEvent]; 3] = [
        &[AgentEvent::GoAway, AgentEvent::Ended],
        &[AgentEvent::GoAway, empty(), AgentEvent::Ended],
        &[fault("UNAVAILABLE", true)],
    ];
    for after_ms in [200, 500] {
        for ends in ends {
            let mut test = greeted();
            test.speak(400);
            test.hush(400);
            test.agent(1, interim("two loaves"));
            test.hush(200);
            test.agent_answers(1, 300);
            test.hush(2_000);
            let first = (test.written(1).len() / 160) as u16;
            test.speak(400);
            test.hush(after_ms);
            test.agent(1, interim("yes"));
            test.hush(400);
            test.agent(1, says(4_000));
            test.hush(1_000);
            ends.iter().for_each(|event| test.agent(1, event.clone()));
            test.hush(400);
            let again = numbers(&test.written(2));
            assert!(!again.contains(&(first + 5)), "{after_ms} {ends:?}: {first} {:?}", again.first());
        }
    }
}

#[test]
fn the_filler_plays_after_a_short_lead_too() {
    let mut config = config();
    config.fillers.thinking = clip();
    config.fillers.thinking_after_ms = 1_000;
    let mut test = TestCall::started(config);
    test.agent_answers(1, 400);
    test.hush(500);
    test.say(1, "two loaves");
    test.hush(500);
    let quiet = Prompt::new(AudioFormat::TELEPHONE, vec![0xFE; 20 * 8]);
    test.agent(1, AgentEvent::Answer(Box::new(Answer { prompts: vec![quiet], ..Answer::default() })));
    test.hush(10_000);
    assert_eq!(fillers(&test), ["thinking"]);
}

#[test]
fn a_session_does_not_migrate_before_words_that_are_sent_again_are_understood() {
    let mut test = greeted();
    test.speak(600);
    test.agent(1, interim("two loaves"));
    test.agent(1, AgentEvent::GoAway);
    test.migrate();
    test.hush(2_900);
    assert_eq!((test.last_stream(), test.closed()), (2, None), "the question is with the new stream");
}

#[test]
fn an_empty_answer_that_is_complete_makes_the_next_failure_a_first_one() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(200);
    test.agent(2, variables(AnswerPart::Open));
    test.agent(2, AgentEvent::Ended);
    test.hush(30_000);
    test.agent(3, fault("UNAVAILABLE", true));
    test.hush(200);
    assert_eq!((test.last_stream(), test.update()), (4, None));
}

#[test]
fn noise_that_never_ends_holds_the_no_input_event_up_by_two_seconds_at_most() {
    let no_input = NoInput { event: Some("SILENCE".to_owned()), after_ms: 5_000 };
    let mut test = TestCall::started(CallConfig { no_input, ..config() });
    test.agent_answers(1, 400);
    for _ in 0..11 {
        test.speak(200);
        test.hush(500);
    }
    assert_eq!(sent(&test, 1), [TurnInput::Event("SILENCE".to_owned())]);
}
