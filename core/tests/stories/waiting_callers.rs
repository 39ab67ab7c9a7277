//! Orders of events after which the caller waited for an answer that nobody owed him, or the agent heard something
//! twice or in the wrong order. Readers who tried to break both machines found them.

use dialbridge_core::agent::{Answer, AnswerPart, Prompt, TurnInput};
use dialbridge_core::config::{BargeInMode, NoInput};
use dialbridge_core::report::GuardedFrom;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};

use crate::echo::{HOURS, guarded, saying};
use crate::event_orders::{clip, fillers, sent, variables};
use crate::failures::fault;
use crate::fillers::fetches;
use crate::session_stream::{config, greeted, says};
use crate::test_call::{TestCall, answer, answered, digits, empty, interim, numbers, starting_text, with};
use crate::tools::{has_tools, wants};

#[test]
fn a_caller_whose_digits_are_answered_with_nothing_hears_it_and_they_go_once() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(200);
    test.press("12#");
    test.agent(2, empty());
    test.hush(500);
    assert_eq!(fillers(&test), ["unanswered"]);
    assert_eq!(test.opened_with(3), TurnInput::Audio);
    test.press("34#5");
    test.agent(4, empty());
    assert_eq!(fillers(&test), ["unanswered"], "he types on");
}

#[test]
fn words_before_a_noise_that_goes_on_are_asked_again() {
    let mut test = greeted();
    test.say(1, "two loaves");
    test.speak(100);
    test.agent(1, empty());
    for _ in 0..3 {
        test.speak(900);
    }
    assert_eq!(sent(&test, 1), [TurnInput::Text("two loaves".to_owned())]);
    test.agent(1, empty());
    assert_eq!(fillers(&test), ["unanswered"], "the noise does not take it from him");
}

#[test]
fn words_before_others_are_not_asked_again() {
    let mut test = greeted();
    test.say(1, "two loaves");
    test.speak(100);
    test.agent(1, empty());
    test.speak(900);
    test.agent(1, interim("and a roll"));
    test.hush(1_500);
    test.agent_answers(1, 400);
    test.hush(2_000);
    assert_eq!(sent(&test, 1), []);
}

#[test]
fn a_call_does_not_migrate_before_its_words_are_asked_again() {
    let mut test = greeted();
    test.say(1, "two loaves");
    test.speak(100);
    test.agent(1, empty());
    test.migrate();
    test.hush(2_500);
    assert_eq!((test.closed(), sent(&test, 1).len()), (None, 1));
}

#[test]
fn words_before_a_key_go_before_the_digits_though_a_sound_follows_the_key() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(600);
    test.hush(500);
    test.press("1");
    test.hush(400);
    test.speak(300);
    test.hush(400);
    test.press("#");
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose), "the words are not understood yet");
}

#[test]
fn what_the_caller_says_behind_his_digits_is_heard_from_its_beginning() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(400);
    test.press("1");
    test.hush(2_400);
    test.speak(900);
    assert_eq!(test.opened_with(2), digits("1", None));
    test.agent(2, answered(200));
    test.hush(300);
    let first = numbers(&test.written(3))[0];
    assert!(first <= 140, "the word began with frame 140, not {first}");
}

#[test]
fn words_that_were_answered_while_the_stream_closed_are_not_said_again() {
    let mut test = greeted();
    test.say(1, "two loaves");
    test.hush(600);
    test.speak(400);
    test.agent_answers(1, 300);
    test.agent(1, interim("and a roll"));
    test.hush(600);
    test.agent(1, AgentEvent::GoAway);
    test.agent(1, says(300));
    test.agent(1, empty());
    test.agent(1, AgentEvent::Ended);
    test.hush(1_000);
    let again: Vec<_> = numbers(&test.written(2)).into_iter().filter(|number| *number < 125).collect();
    assert_eq!(again, Vec::<u16>::new(), "the second words end with frame 120");
}

#[test]
fn results_of_a_fast_tool_have_a_deadline_though_more_of_the_sentence_before_them_comes() {
    let mut test = TestCall::started(has_tools());
    test.agent(1, says(200));
    test.agent(1, wants(&["tools/1"]));
    test.tools_ran(1);
    test.agent(1, says(200));
    test.hush(20_000);
    assert!(test.last_stream() > 1, "the agent has stalled");
    assert!(matches!(sent(&test, 2).first(), Some(TurnInput::ToolResults(_))), "{:?}", sent(&test, 2));
}

#[test]
fn a_text_into_an_answer_has_a_deadline() {
    let mut test = greeted();
    test.agent(1, says(200));
    test.text("two loaves");
    test.agent(1, says(200));
    test.agent(1, empty());
    test.hush(23_000);
    assert_eq!(test.opened_with(2), TurnInput::Text("two loaves".to_owned()));
}

#[test]
fn words_before_others_that_are_not_answered_either_are_asked_with_them() {
    let mut test = greeted();
    test.say(1, "two loaves");
    test.speak(100);
    test.agent(1, empty());
    test.speak(300);
    test.agent(1, interim("and a roll"));
    test.hush(800);
    test.agent(1, empty());
    test.hush(3_000);
    assert_eq!(sent(&test, 1), [TurnInput::Text("two loaves and a roll".to_owned())]);
    assert_eq!(fillers(&test), Vec::<&str>::new(), "the agent is at work");
}

#[test]
fn a_caller_hears_it_if_a_session_has_nothing_to_say_to_the_results_of_its_tools() {
    let mut test = TestCall::started(has_tools());
    test.agent(1, wants(&["tools/1"]));
    test.agent(1, empty());
    test.tools_ran(1);
    test.hush(600);
    test.agent(1, empty());
    assert_eq!(fillers(&test), ["unanswered"]);
}

#[test]
fn words_into_a_prompt_that_goes_on_have_a_deadline() {
    let mut config = config();
    config.barge_in.mode = BargeInMode::Off;
    config.fillers.thinking = clip();
    let mut test = TestCall::started(config);
    test.agent_answers(1, 400);
    test.hush(500);
    test.agent(1, says(1_000));
    test.speak(400);
    test.agent(1, AgentEvent::Interrupted { barge_in: true });
    test.agent(1, interim("two loaves"));
    test.agent(1, empty());
    test.hush(23_000);
    assert_eq!(fillers(&test).first(), Some(&"thinking"));
    assert!(test.last_stream() > 1, "the agent has stalled");
}

#[test]
fn an_answers_recording_has_all_its_time_though_music_before_it_came_late() {
    let mut test = TestCall::started(starting_text());
    let music = Prompt { cancellable: true, ..Prompt::at("https://example.com/music.wav") };
    let part = |prompt, part| AgentEvent::Answer(Box::new(Answer { part, prompts: vec![prompt], ..Answer::default() }));
    test.agent(1, part(music, AnswerPart::Partial));
    test.hush(CallConfig::default().timeouts.fetch_ms - 200);
    test.agent(1, part(Prompt::at("https://example.com/answer.wav"), AnswerPart::Final));
    test.hush(400);
    let refused = test.reports().filter(|report| matches!(report, Report::PromptRefused { .. })).count();
    assert_eq!((refused, fetches(&test).len()), (0, 2));
}

#[test]
fn a_text_beside_the_starting_event_goes_to_the_next_stream_with_it() {
    let mut test = TestCall::started(config());
    test.text("two loaves");
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(1_000);
    assert_eq!(test.opened_with(2), TurnInput::Event("session_start".to_owned()));
    assert_eq!(sent(&test, 2), [TurnInput::Text("two loaves".to_owned())]);
}

#[test]
fn results_of_tools_outlast_an_agent_that_cannot_be_reached() {
    let mut test = TestCall::started(has_tools());
    test.agent(1, says(400));
    test.agent(1, wants(&["tools/1"]));
    test.tools_ran(1);
    for stream in 1..4 {
        test.agent(stream, fault("UNAVAILABLE", true));
        test.hush(1_000);
    }
    assert!(matches!(sent(&test, 4)[..], [TurnInput::ToolResults(_)]), "{:?}", sent(&test, 4));
}

#[test]
fn a_caller_hears_it_if_the_results_that_he_waits_for_are_dropped() {
    let mut test = TestCall::started(has_tools());
    test.agent(1, says(400));
    test.agent(1, wants(&["tools/1"]));
    test.tools_ran(1);
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(1_000);
    test.agent(2, fault("INVALID_ARGUMENT", false));
    let dropped = test.reports().filter(|report| matches!(report, Report::ToolResultsDropped { .. })).count();
    assert_eq!((dropped, fillers(&test)), (1, vec!["unanswered"]));
}

#[test]
fn words_into_an_answer_have_a_deadline_though_a_chunk_of_it_comes_before_the_interruption() {
    let mut test = greeted();
    test.agent(1, says(2_000));
    test.hush(500);
    test.speak(600);
    test.agent(1, interim("no three loaves"));
    test.hush(400);
    test.agent(1, says(200));
    test.agent(1, AgentEvent::Interrupted { barge_in: true });
    test.agent(1, empty());
    test.hush(23_000);
    assert!(test.last_stream() > 1, "the agent has stalled");
}

#[test]
fn a_text_that_was_answered_in_the_middle_of_an_answer_goes_once() {
    let mut test = greeted();
    test.agent(1, says(200));
    test.text("two loaves");
    test.hush(1_000);
    test.agent(1, says(2_000));
    test.agent(1, empty());
    test.hush(23_000);
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(1_000);
    assert_eq!((test.last_stream(), test.opened_with(2), sent(&test, 2)), (2, TurnInput::Audio, vec![]));
}

#[test]
fn words_that_were_answered_before_an_interruption_are_not_asked_again() {
    let mut test = greeted();
    test.say(1, "two loaves");
    test.hush(400);
    test.agent(1, says(2_000));
    test.agent(1, wants(&["tools/1"]));
    test.agent(1, AgentEvent::Interrupted { barge_in: true });
    test.agent(1, empty());
    test.agent(1, empty());
    assert!(!sent(&test, 1).iter().any(|input| matches!(input, TurnInput::Text(_))), "{:?}", sent(&test, 1));
}

#[test]
fn an_echo_that_the_agent_takes_for_an_interruption_has_no_deadline() {
    let mut test = TestCall::started(with(config(), |config| config.barge_in.mode = BargeInMode::Off));
    test.agent(1, AgentEvent::Answer(Box::new(Answer { text: HOURS.to_owned(), ..open(5_000) })));
    test.hush(200);
    test.echo(500, 1_900);
    test.agent(1, interim("hours"));
    test.agent(1, AgentEvent::Interrupted { barge_in: true });
    test.echo(1_500, 1_900);
    test.agent(1, interim("our opening hours are Monday"));
    assert_eq!(guarded(&test), [GuardedFrom::Echo]);
    test.agent(1, empty());
    test.hush(25_000);
    assert_eq!(test.last_stream(), 1, "nobody has asked anything");
}

fn open(ms: usize) -> Answer {
    Answer { part: AnswerPart::Open, ..answer(ms) }
}

#[test]
fn a_session_whose_tool_outlasts_its_turn_plays_the_filler() {
    let mut config = has_tools();
    config.fillers.thinking = clip();
    config.fillers.thinking_after_ms = 1_500;
    let mut test = TestCall::started(config);
    test.agent_answers(1, 400);
    test.hush(500);
    test.say(1, "two loaves");
    test.hush(400);
    test.agent(1, wants(&["tools/1"]));
    test.agent(1, says(200));
    test.agent(1, empty());
    test.hush(9_000);
    assert_eq!(fillers(&test).first(), Some(&"thinking"));
}

#[test]
fn streams_that_go_away_with_words_and_never_answer_them_have_failed_in_the_end() {
    let mut test = greeted();
    for _ in 0..60 {
        let stream = test.last_stream();
        test.say(stream, "two loaves");
        test.hush(700);
        test.agent(stream, AgentEvent::GoAway);
        test.agent(stream, AgentEvent::Ended);
        test.hush(20);
    }
    assert!(test.update().is_some(), "{} streams in {}", test.last_stream(), test.now);
}

#[test]
fn streams_that_go_away_at_once_now_and_then_do_not_add_up() {
    let mut test = greeted();
    for _ in 0..4 {
        let stream = test.last_stream();
        test.agent(stream, AgentEvent::GoAway);
        test.agent(stream, AgentEvent::Ended);
        test.hush(600);
        let stream = test.last_stream();
        test.agent(stream, AgentEvent::GoAway);
        test.agent(stream, AgentEvent::Ended);
        test.hush(30_000);
    }
    assert_eq!(test.update(), None);
}

#[test]
fn streams_that_fail_after_a_while_with_words_unanswered_have_failed_in_the_end() {
    let mut test = greeted();
    for _ in 0..6 {
        let stream = test.last_stream();
        test.say(stream, "two loaves");
        test.hush(15_700);
        test.agent(stream, fault("UNAVAILABLE", true));
        test.hush(400);
    }
    assert!(test.update().is_some(), "{} streams in {}", test.last_stream(), test.now);
}

#[test]
fn words_go_before_digits_though_the_agent_still_answers() {
    let mut test = TestCall::started(starting_text());
    test.speak(600);
    test.hush(400);
    test.press("7#");
    test.agent(1, answered(200));
    test.hush(20);
    assert_eq!((test.opened_with(2), numbers(&test.written(2))[0]), (TurnInput::Audio, 0));
    test.agent(2, answered(200));
    assert_eq!(test.opened_with(3), digits("7", Some('#')));
}

#[test]
fn an_event_of_silence_that_an_agent_fails_of_is_told_to_no_other_stream() {
    let no_input = NoInput { event: Some("SILENCE".to_owned()), after_ms: 4_000 };
    let mut test = TestCall::started(CallConfig { no_input, ..config() });
    test.agent_answers(1, 400);
    test.hush(6_000);
    assert_eq!(sent(&test, 1), [TurnInput::Event("SILENCE".to_owned())]);
    test.agent(1, fault("INTERNAL", true));
    test.hush(1_000);
    assert_eq!((test.opened_with(2), sent(&test, 2)), (TurnInput::Audio, vec![]));
}

#[test]
fn the_end_of_words_that_the_agent_answers_is_no_turn_before_the_digits() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(700);
    test.agent(1, interim("two loaves"));
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    test.speak(100);
    test.hush(400);
    test.press("7#");
    test.agent(1, answered(200));
    assert_eq!(test.opened_with(2), digits("7", Some('#')));
}

#[test]
fn a_cough_into_a_prompt_that_comes_back_is_no_turn_before_the_digits() {
    let mut test = saying(HOURS, 8_000, |_| {});
    test.hush(200);
    test.echo(1_500, 1_900);
    test.hush(500);
    test.speak(200);
    test.hush(500);
    test.echo(3_000, 1_900);
    test.press("1#");
    assert_eq!(test.opened_with(3), digits("1", Some('#')));
    assert_eq!(test.commands(2).last(), Some(&AgentCommand::Cancel));
}

#[test]
fn a_prompt_that_comes_back_is_not_sent_to_the_next_stream_when_a_key_cuts_it() {
    let mut test = saying(HOURS, 8_000, |config| config.dtmf.max_digits = 1);
    test.hush(200);
    test.echo(2_000, 1_900);
    test.press("1");
    test.agent(3, answered(200));
    test.hush(100);
    let first = numbers(&test.written(4))[0];
    assert!(first >= 110, "the key came after frame 110, and frame {first} goes out again");
}

#[test]
fn a_key_into_an_answer_goes_to_the_next_stream_though_more_of_the_answer_has_come() {
    let mut test = greeted();
    test.agent(1, says(200));
    test.press("1#");
    test.hush(600);
    test.agent(1, says(200));
    test.agent(1, empty());
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(1_000);
    assert_eq!(sent(&test, 2), [digits("1", Some('#'))]);
}

#[test]
fn two_streams_that_lasted_and_fail_are_no_lost_agent() {
    let mut test = greeted();
    test.agent(1, fault("UNAVAILABLE", true));
    test.hush(17_000);
    test.say(2, "two loaves");
    test.agent(2, fault("UNAVAILABLE", true));
    test.hush(1_000);
    assert_eq!((test.update(), test.last_stream()), (None, 3));
}

#[test]
fn a_caller_hears_it_though_the_empty_answer_to_his_words_came_in_two_parts() {
    let mut test = greeted();
    test.say(1, "two loaves");
    test.hush(600);
    test.agent(1, empty());
    assert_eq!(sent(&test, 1), [TurnInput::Text("two loaves".to_owned())]);
    test.agent(1, variables(AnswerPart::Open));
    test.agent(1, empty());
    assert_eq!(fillers(&test), ["unanswered"]);
}
