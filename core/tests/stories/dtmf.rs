//! DTMF digits: collected, kept, sent, and never lost because of speech.

use dialbridge_core::agent::{Answer, AnswerPart, DigitsForm, DtmfRules, TurnInput};
use dialbridge_core::config::EndOfUtterance;
use dialbridge_core::report::BargeInBy;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};
use serde_json::json;

use crate::test_call::{TestCall, answer, answered, digits, goodbye, interim, numbers, starting_text, with};

fn with_rules(rules: DtmfRules) -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { dtmf_rules: Some(rules), ..answer(200) }))
}

#[test]
fn the_finish_digit_sends_the_digits_as_a_turn_of_their_own() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(200);
    test.press("12");
    assert_eq!(test.last_stream(), 1);
    test.press("#");
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::Cancel), "nothing was said in it");
    assert_eq!(test.opened_with(2), digits("12", Some('#')));
    assert_eq!(test.commands(2).last(), Some(&AgentCommand::HalfClose));
    test.agent(2, answered(200));
    assert_eq!(test.opened_with(3), TurnInput::Audio);
}

#[test]
fn digits_without_a_finish_digit_are_complete_after_a_pause() {
    let mut test = TestCall::started(CallConfig::default());
    test.press("12");
    test.hush(2_980);
    test.press("3");
    test.hush(2_980);
    assert_eq!(test.last_stream(), 1);
    test.hush(40);
    assert_eq!(test.opened_with(2), digits("123", None));
}

#[test]
fn the_agents_own_rules_go_before_the_settings_until_its_next_result() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, with_rules(DtmfRules { finish_digit: Some('*'), max_digits: Some(4), interdigit_ms: Some(1_000) }));
    test.press("1234");
    assert_eq!(test.opened_with(3), digits("1234", None));
    test.agent(3, with_rules(DtmfRules { finish_digit: Some('*'), ..DtmfRules::default() }));
    test.press("9#*");
    assert_eq!(test.opened_with(5), digits("9#", Some('*')));
    test.agent(5, answered(200));
    test.press("7#");
    assert_eq!(test.opened_with(7), digits("7", Some('#')), "nothing is said about keys any more");
}

#[test]
fn two_digits_stop_a_prompt_once() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(5_000));
    test.hush(1_000);
    test.press("12");
    assert_eq!((test.clears(), test.is_playing()), (1, false));
    test.press("#");
    assert_eq!(test.opened_with(3), digits("12", Some('#')));
}

#[test]
fn a_digit_stops_the_prompt() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(5_000));
    test.hush(1_000);
    test.press("1");
    assert_eq!((test.clears(), test.is_playing()), (1, false));
    let by_key = |report: &Report| matches!(report, Report::BargeIn { by: BargeInBy::Dtmf, played_ms: 800, .. });
    assert!(test.reports().any(by_key));
}

#[test]
fn a_digit_does_not_stop_a_prompt_that_may_not_be_interrupted_and_is_kept() {
    let mut test = TestCall::started(starting_text());
    let mut fixed = answer(2_000);
    fixed.prompts[0].interruptible = false;
    test.agent(1, AgentEvent::Answer(Box::new(fixed)));
    test.hush(400);
    test.press("1#");
    assert_eq!((test.clears(), test.is_playing()), (0, true));
    assert_eq!(test.opened_with(3), digits("1", Some('#')));
}

#[test]
fn digits_pressed_before_the_agent_has_spoken_are_kept_for_it() {
    let mut test = TestCall::started(starting_text());
    test.press("12#34#");
    test.hush(500);
    assert_eq!(test.last_stream(), 1, "one turn at a time");
    test.agent(1, answered(300));
    assert_eq!(test.opened_with(2), digits("12", Some('#')));
    test.agent(2, answered(300));
    assert_eq!(test.opened_with(3), digits("34", Some('#')));
    test.agent(3, answered(300));
    assert_eq!(numbers(&test.written(4)), (0..25).collect::<Vec<u16>>(), "nothing that was said meanwhile is lost");
}

#[test]
fn a_digit_in_mid_sentence_comes_after_the_sentence() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(600);
    test.agent(1, interim("my number is"));
    test.press("42#");
    test.speak(200);
    assert_eq!(test.commands(1).len(), 1, "the digits do not cut the sentence short");
    test.hush(320);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose), "what was said is answered");
    test.agent(1, answered(200));
    assert_eq!(test.opened_with(2), digits("42", Some('#')));
    test.agent(2, answered(200));
    assert_eq!(numbers(&test.written(1)).len(), (600 + 200 + 320) / 20, "all of the sentence");
}

#[test]
fn a_pause_in_speech_does_not_cut_short_the_digits_that_are_pressed_meanwhile() {
    let mut test = TestCall::started(with(CallConfig::default(), |config| {
        config.end_of_utterance = EndOfUtterance::Quick;
    }));
    test.speak(600);
    test.agent(1, interim("my number is four"));
    test.press("42");
    test.hush(2_000);
    assert_eq!(test.commands(1).len(), 1, "the agent waits for all of the number");
    test.hush(1_500);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose));
    test.agent(1, answered(200));
    assert_eq!(test.opened_with(2), digits("42", None));
}

#[test]
fn a_sentence_that_is_not_understood_yet_is_heard_out_too() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(400);
    test.speak(400);
    test.press("42#");
    test.hush(320);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose));
}

#[test]
fn complete_digits_wait_for_a_voice_in_the_background_only_so_long() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(400);
    test.speak(400);
    test.press("42#");
    test.speak(7_980);
    assert_eq!(test.commands(1).len(), 1, "it may be the caller's");
    test.speak(20);
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::HalfClose));
    test.agent(1, answered(200));
    assert_eq!(test.opened_with(2), digits("42", Some('#')));
}

#[test]
fn the_tone_of_a_digit_is_no_speech() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(400);
    test.press("4");
    test.speak(200);
    test.press("2#");
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::Cancel));
}

#[test]
fn no_input_does_not_count_while_digits_are_pressed() {
    let mut test = TestCall::started(CallConfig::default());
    test.press("4");
    test.hush(1_000);
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!(test.commands(1).last(), Some(&AgentCommand::Cancel));
    test.press("2#");
    assert_eq!(test.opened_with(3), digits("42", Some('#')));
}

#[test]
fn what_the_agent_repeats_of_digits_is_no_query_text() {
    let mut test = TestCall::started(CallConfig::default());
    test.press("4711#");
    test.agent(2, AgentEvent::Answer(Box::new(Answer { query_text: "4711".to_owned(), ..answer(100) })));
    let told = format!("{:?}", test.reports().collect::<Vec<_>>());
    assert!(!told.contains("4711"), "{told}");
}

#[test]
fn the_form_of_the_digits_is_a_setting() {
    let mut test = TestCall::started(with(CallConfig::default(), |config| {
        config.dtmf.form = DigitsForm::Event("keys".to_owned())
    }));
    test.press("1#");
    assert!(matches!(test.opened_with(2), TurnInput::Digits(_, DigitsForm::Event(name)) if name == "keys"));
}

#[test]
fn digits_whose_turn_failed_are_sent_again() {
    let mut test = TestCall::started(CallConfig::default());
    test.press("12#");
    test.agent(2, crate::failures::fault("UNAVAILABLE", true));
    test.wait(200);
    assert_eq!(test.opened_with(3), digits("12", Some('#')));
}

#[test]
fn words_that_are_sent_again_go_before_the_digits_that_followed_them() {
    for lost in [crate::failures::fault("UNAVAILABLE", true), AgentEvent::Ended] {
        let mut test = TestCall::started(CallConfig::default());
        test.speak(600);
        test.agent(1, interim("my number is"));
        test.hush(320);
        test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
        test.press("42#");
        test.agent(1, lost);
        test.wait(200);
        assert_eq!(test.opened_with(2), TurnInput::Audio);
        assert!(numbers(&test.written(2)).starts_with(&(0..46).collect::<Vec<u16>>()));
        test.agent(2, interim("my number is"));
        test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
        test.agent(2, answered(200));
        assert_eq!(test.opened_with(3), digits("42", Some('#')));
    }
}

#[test]
fn words_that_wait_for_another_try_go_before_digits_that_are_pressed_meanwhile() {
    let mut test = TestCall::started(CallConfig::default());
    test.speak(600);
    test.agent(1, interim("my number is"));
    test.hush(320);
    test.agent(1, crate::failures::fault("UNAVAILABLE", true));
    test.press("4#2#");
    test.wait(200);
    assert_eq!(test.opened_with(2), TurnInput::Audio);
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    test.agent(2, answered(200));
    assert_eq!(test.opened_with(3), digits("4", Some('#')));
}

#[test]
fn the_tone_of_a_key_is_nothing_to_send_again_before_the_digits() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(400);
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    test.press("4");
    test.speak(100);
    test.press("2#");
    test.agent(1, crate::failures::fault("UNAVAILABLE", true));
    test.wait(200);
    assert_eq!(test.opened_with(2), digits("42", Some('#')));
}

#[test]
fn digits_whose_turn_failed_are_not_held_up_by_silence() {
    let mut test = TestCall::started(CallConfig::default());
    test.hush(400);
    test.agent(1, crate::failures::fault("UNAVAILABLE", true));
    test.press("42#");
    test.wait(200);
    assert_eq!(test.opened_with(2), digits("42", Some('#')));
}

#[test]
fn digits_after_the_agents_last_words_change_nothing() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, crate::test_call::goodbye(1_000));
    test.press("12#");
    assert_eq!((test.clears(), test.last_stream()), (0, 1));
    test.wait(1_100);
    assert!(test.update().is_some());
}

#[test]
fn queued_digits_are_limited() {
    let mut test = TestCall::started(starting_text());
    test.press(&"1#".repeat(200));
    assert!(test.reports().any(|report| *report == Report::DigitDropped));
    test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Final, ..answer(0) })));
    let mut turn = 2;
    while matches!(test.opened_with(turn), TurnInput::Digits(..)) {
        test.agent(turn, answered(0));
        turn += 1;
    }
    assert_eq!(turn - 2, 128);
}

#[test]
fn digits_that_went_as_a_parameter_and_come_back_as_one_go_nowhere_else() {
    let mut config = CallConfig::default();
    config.dtmf.form = DigitsForm::Event("KEYS".to_owned());
    config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned());
    let mut test = TestCall::started(config);
    test.press("4711#");
    assert!(matches!(test.opened_with(2), TurnInput::Digits(..)));
    let parameters = json!({ "digits": "4711", "shop": "north" }).as_object().cloned().unwrap();
    test.agent(2, AgentEvent::Answer(Box::new(Answer { parameters, ..answer(100) })));
    test.hush(200);
    test.agent(3, goodbye(0));
    test.hush(200);
    let (_, twiml) = test.update().unwrap();
    assert!(twiml.contains("north") && !twiml.contains("4711"), "{twiml}");
    let reports: Vec<&Report> = test.reports().collect();
    assert!(!format!("{reports:?}").contains("4711"));
}
