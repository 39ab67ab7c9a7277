//! Keys of the telephone: collected, kept, sent, and never lost for what is said meanwhile.

use dialbridge_core::agent::{Answer, AnswerPart, DigitsForm, KeyRules, TurnInput};
use dialbridge_core::report::InterruptedBy;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};
use serde_json::json;

use crate::line::{Line, answer, answered, digits, goodbye, greeting_text, interim, numbers};

fn with_rules(rules: KeyRules) -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { keys: Some(rules), ..answer(200) }))
}

#[test]
fn the_finish_key_sends_the_keys_as_a_turn_of_their_own() {
    let mut line = Line::started(CallConfig::default());
    line.hush(200);
    line.press("12");
    assert_eq!(line.last_turn(), 1);
    line.press("#");
    assert_eq!(line.commands(1).last(), Some(&AgentCommand::Cancel), "nothing was said in it");
    assert_eq!(line.opened_with(2), digits("12", Some('#')));
    assert_eq!(line.commands(2).last(), Some(&AgentCommand::FinishInput));
    line.agent(2, answered(200));
    assert_eq!(line.opened_with(3), TurnInput::Audio);
}

#[test]
fn keys_without_a_finish_key_are_complete_after_a_pause() {
    let mut line = Line::started(CallConfig::default());
    line.press("12");
    line.hush(2_980);
    line.press("3");
    line.hush(2_980);
    assert_eq!(line.last_turn(), 1);
    line.hush(40);
    assert_eq!(line.opened_with(2), digits("123", None));
}

#[test]
fn the_agents_own_rules_go_before_the_settings_until_its_next_result() {
    let mut line = Line::started(greeting_text());
    line.agent(1, with_rules(KeyRules { finish: Some('*'), most: Some(4), gap_ms: Some(1_000) }));
    line.press("1234");
    assert_eq!(line.opened_with(3), digits("1234", None));
    line.agent(3, with_rules(KeyRules { finish: Some('*'), ..KeyRules::default() }));
    line.press("9#*");
    assert_eq!(line.opened_with(5), digits("9#", Some('*')));
    line.agent(5, answered(200));
    line.press("7#");
    assert_eq!(line.opened_with(7), digits("7", Some('#')), "nothing is said about keys any more");
}

#[test]
fn two_keys_stop_a_prompt_once() {
    let mut line = Line::started(greeting_text());
    line.agent(1, answered(5_000));
    line.hush(1_000);
    line.press("12");
    assert_eq!((line.clears(), line.is_playing()), (1, false));
    line.press("#");
    assert_eq!(line.opened_with(3), digits("12", Some('#')));
}

#[test]
fn a_key_stops_the_prompt() {
    let mut line = Line::started(greeting_text());
    line.agent(1, answered(5_000));
    line.hush(1_000);
    line.press("1");
    assert_eq!((line.clears(), line.is_playing()), (1, false));
    let by_key = |report: &Report| matches!(report, Report::BargeIn { by: InterruptedBy::Key, heard_ms: 800, .. });
    assert!(line.reports().any(by_key));
}

#[test]
fn a_key_does_not_stop_a_prompt_that_may_not_be_interrupted_and_is_kept() {
    let mut line = Line::started(greeting_text());
    let mut fixed = answer(2_000);
    fixed.prompts[0].interruptible = false;
    line.agent(1, AgentEvent::Answer(Box::new(fixed)));
    line.hush(400);
    line.press("1#");
    assert_eq!((line.clears(), line.is_playing()), (0, true));
    assert_eq!(line.opened_with(3), digits("1", Some('#')));
}

#[test]
fn keys_pressed_before_the_agent_has_spoken_are_kept_for_it() {
    let mut line = Line::started(greeting_text());
    line.press("12#34#");
    line.hush(500);
    assert_eq!(line.last_turn(), 1, "one turn at a time");
    line.agent(1, answered(300));
    assert_eq!(line.opened_with(2), digits("12", Some('#')));
    line.agent(2, answered(300));
    assert_eq!(line.opened_with(3), digits("34", Some('#')));
    line.agent(3, answered(300));
    assert_eq!(numbers(&line.written(4)), (0..25).collect::<Vec<u16>>(), "nothing that was said meanwhile is lost");
}

#[test]
fn a_key_in_mid_sentence_comes_after_the_sentence() {
    let mut line = Line::started(CallConfig::default());
    line.speak(600);
    line.agent(1, interim("my number is"));
    line.press("42#");
    assert_eq!(line.commands(1).last(), Some(&AgentCommand::FinishInput), "what was said is answered");
    line.speak(200);
    line.agent(1, answered(200));
    assert_eq!(line.opened_with(2), digits("42", Some('#')));
    line.agent(2, answered(200));
    assert_eq!(numbers(&line.written(3)), (30..40).collect::<Vec<u16>>());
}

#[test]
fn a_sentence_that_is_not_understood_yet_is_heard_out_too() {
    let mut line = Line::started(CallConfig::default());
    line.hush(400);
    line.speak(400);
    line.press("42#");
    assert_eq!(line.commands(1).last(), Some(&AgentCommand::FinishInput));
}

#[test]
fn the_tone_of_a_key_is_no_speech() {
    let mut line = Line::started(CallConfig::default());
    line.hush(400);
    line.press("4");
    line.speak(200);
    line.press("2#");
    assert_eq!(line.commands(1).last(), Some(&AgentCommand::Cancel));
}

#[test]
fn silence_while_keys_are_pressed_is_no_no_input() {
    let mut line = Line::started(CallConfig::default());
    line.press("4");
    line.hush(1_000);
    line.agent(1, AgentEvent::EndOfUtterance);
    assert_eq!(line.commands(1).last(), Some(&AgentCommand::Cancel));
    line.press("2#");
    assert_eq!(line.opened_with(3), digits("42", Some('#')));
}

#[test]
fn what_the_agent_repeats_of_keys_is_no_query_text() {
    let mut line = Line::started(CallConfig::default());
    line.press("4711#");
    line.agent(2, AgentEvent::Answer(Box::new(Answer { query_text: "4711".to_owned(), ..answer(100) })));
    let told = format!("{:?}", line.reports().collect::<Vec<_>>());
    assert!(!told.contains("4711"), "{told}");
}

#[test]
fn the_form_of_the_keys_is_a_setting() {
    let mut config = CallConfig::default();
    config.keys.form = DigitsForm::Event("keys".to_owned());
    let mut line = Line::started(config);
    line.press("1#");
    assert!(matches!(line.opened_with(2), TurnInput::Digits(_, DigitsForm::Event(name)) if name == "keys"));
}

#[test]
fn keys_whose_turn_failed_are_sent_again() {
    let mut line = Line::started(CallConfig::default());
    line.press("12#");
    line.agent(2, crate::trouble::fault("UNAVAILABLE", true));
    line.wait(200);
    assert_eq!(line.opened_with(3), digits("12", Some('#')));
}

#[test]
fn keys_after_the_agents_last_words_change_nothing() {
    let mut line = Line::started(greeting_text());
    line.agent(1, crate::line::goodbye(1_000));
    line.press("12#");
    assert_eq!((line.clears(), line.last_turn()), (0, 1));
    line.wait(1_100);
    assert!(line.update().is_some());
}

#[test]
fn entries_without_end_are_bounded() {
    let mut line = Line::started(greeting_text());
    line.press(&"1#".repeat(100));
    assert!(line.reports().any(|report| *report == Report::DigitDropped));
    line.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Final, ..answer(0) })));
    let mut turn = 2;
    while matches!(line.opened_with(turn), TurnInput::Digits(..)) {
        line.agent(turn, answered(0));
        turn += 1;
    }
    assert_eq!(turn - 2, 16);
}

#[test]
fn keys_that_went_as_a_parameter_and_come_back_as_one_go_nowhere_else() {
    let mut config = CallConfig::default();
    config.keys.form = DigitsForm::Event("KEYS".to_owned());
    config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned());
    let mut line = Line::started(config);
    line.press("4711#");
    assert!(matches!(line.opened_with(2), TurnInput::Digits(..)));
    let parameters = json!({ "digits": "4711", "shop": "north" }).as_object().cloned().unwrap();
    line.agent(2, AgentEvent::Answer(Box::new(Answer { parameters, ..answer(100) })));
    line.hush(200);
    line.agent(3, goodbye(0));
    line.hush(200);
    let (_, twiml) = line.update().unwrap();
    assert!(twiml.contains("north") && !twiml.contains("4711"), "{twiml}");
    let reports: Vec<&Report> = line.reports().collect();
    assert!(!format!("{reports:?}").contains("4711"));
}
