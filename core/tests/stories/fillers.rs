//! Our own recordings, so that the caller never hears dead air.

use dialbridge_core::carried::Opening;
use dialbridge_core::config::{Clip, Fillers};
use dialbridge_core::{AgentEvent, CallConfig, FetchId, Output, Report};

use crate::failures::fault;
use crate::test_call::{TestCall, answered, interim, starting_text, with};

fn config() -> CallConfig {
    let clip = |byte: u8| Some(Clip(vec![byte; 16_000].into()));
    let fillers =
        Fillers { thinking: clip(0x33), thinking_after_ms: 1_500, retrying: clip(0x44), greeting_after_ms: 0 };
    CallConfig { fillers, ..CallConfig::default() }
}

fn asked(config: CallConfig) -> TestCall {
    let mut test = TestCall::started(config);
    test.speak(400);
    test.agent(1, interim("hello"));
    test.agent(1, AgentEvent::EndOfUtterance { end_ms: None });
    test
}

#[test]
fn an_agent_that_thinks_for_long_is_filled_in_for_and_its_answer_cuts_the_filler() {
    let mut test = asked(config());
    test.hush(1_480);
    assert!(!test.is_playing());
    test.hush(820);
    assert!(test.is_playing());
    test.agent(1, answered(600));
    assert_eq!(test.clears(), 1);
    assert!(test.reports().any(|report| matches!(report, Report::Cancelled { cut_ms: 1_200.. })));
    test.hush(700);
    assert!(test.reports().any(|report| *report == Report::Played { played_ms: 600, by_mark: true }));
}

#[test]
fn an_answer_in_time_needs_no_filler() {
    let mut test = asked(config());
    test.hush(1_000);
    test.agent(1, answered(600));
    test.hush(2_000);
    let fillers = test.reports().filter(|report| matches!(report, Report::Filler { .. })).count();
    assert_eq!((test.heard(), test.clears(), fillers), (vec![600], 0, 0));
}

#[test]
fn a_caller_who_speaks_into_a_filler_does_not_cut_it_and_is_heard_in_the_next_turn() {
    let mut test = asked(config());
    test.hush(1_800);
    test.speak(400);
    assert_eq!((test.clears(), test.is_playing()), (0, true));
    test.agent(1, answered(600));
    assert_eq!(test.written(2).len(), 2_200 * 8);
}

#[test]
fn a_turn_that_is_tried_again_is_reported_once() {
    let mut test = asked(config());
    for _ in 0..3 {
        let turn = test.last_stream();
        test.agent(turn, fault("UNAVAILABLE", true));
        test.wait(500);
    }
    let told: Vec<_> = test.reports().filter(|report| matches!(report, Report::Filler { .. })).collect();
    assert_eq!(told, [&Report::Filler { which: "retrying" }]);
}

/// A call whose agent should greet, and which hears something after three seconds.
fn waiting(change: impl FnOnce(&mut CallConfig)) -> TestCall {
    let config = with(starting_text(), |config| {
        config.fillers.greeting_after_ms = 3_000;
        change(config);
    });
    TestCall::started(config)
}

fn greeting_fillers(test: &TestCall) -> usize {
    test.reports().filter(|report| **report == Report::Filler { which: "greeting" }).count()
}

pub(crate) fn fetches(test: &TestCall) -> Vec<(u32, &str)> {
    let fetch =
        |output| if let &Output::Fetch(FetchId(id), ref uri) = output { Some((id, uri.as_str())) } else { None };
    test.outputs.iter().filter_map(|(_, output)| fetch(output)).collect()
}

#[test]
fn a_caller_whose_agent_is_down_when_the_call_begins_hears_a_sentence_of_his_language_after_three_seconds() {
    let mut test = waiting(|config| {
        config.words.language = "de-DE".to_owned();
        config.retry.budget_ms = 15_000;
    });
    let mut at_ms = 0;
    while at_ms < 2_980 {
        let turn = test.last_stream();
        test.agent(turn, fault("UNAVAILABLE", true));
        test.hush(20);
        at_ms += 20;
    }
    assert_eq!(fetches(&test), [(1, "text:Einen Moment, bitte.")], "asked for before it is due");
    test.fetched(1, Ok(&[0x44; 12_000]));
    assert_eq!(test.played_ms(), 0, "not before its time");
    let turn = test.last_stream();
    test.agent(turn, fault("UNAVAILABLE", true));
    test.hush(100);
    assert_eq!((greeting_fillers(&test), test.is_playing()), (1, true));
    test.hush(4_300);
    assert_eq!((greeting_fillers(&test), test.update()), (1, None), "retries go on");
    test.hush(200);
    assert_eq!(greeting_fillers(&test), 2, "he hears it again after three more seconds of silence");
    let turn = test.last_stream();
    test.agent(turn, answered(600));
    assert_eq!(test.clears(), 1, "the greeting cuts it");
    test.hush(20_000);
    assert_eq!((greeting_fillers(&test), test.heard()), (2, vec![1_500, 600]));
    assert_eq!(fetches(&test).len(), 1);
}

#[test]
fn where_no_sentence_can_be_had_he_hears_a_tone() {
    for language in ["en-US", "sv-SE"] {
        for fails in [true, false] {
            let mut test = waiting(|config| config.words.language = language.to_owned());
            test.hush(2_000);
            let is_asked = language == "en-US";
            assert_eq!(fetches(&test).len(), usize::from(is_asked), "a language without words has no sentence");
            if fails && is_asked {
                test.fetched(1, Err("403"));
            }
            test.hush(2_100);
            assert_eq!((greeting_fillers(&test), test.heard()), (1, vec![1_000]), "{language}");
        }
    }
}

#[test]
fn a_recording_of_the_settings_goes_before_the_sentence() {
    let mut test = waiting(|config| config.fillers.retrying = Some(Clip(vec![0x33; 4_000].into())));
    test.hush(4_000);
    assert_eq!((fetches(&test).len(), greeting_fillers(&test), test.heard()), (0, 1, vec![500]));
}

#[test]
fn a_greeting_in_time_or_an_agent_that_listens_first_needs_no_filler() {
    let mut greeted = waiting(|_| {});
    greeted.hush(1_000);
    greeted.agent(1, answered(300));
    greeted.hush(8_000);
    let mut listens = waiting(|config| config.starting_input.text = None);
    listens.hush(8_000);
    let mut resumed = waiting(|config| config.carried.opening = Opening::Resume);
    resumed.hush(8_000);
    for test in [greeted, listens, resumed] {
        assert_eq!((fetches(&test).len(), greeting_fillers(&test)), (0, 0));
    }
}

#[test]
fn a_sentence_that_comes_when_nobody_waits_for_it_any_more_is_not_played() {
    let mut test = waiting(|_| {});
    test.hush(2_000);
    test.agent(1, answered(300));
    test.fetched(1, Ok(&[0x44; 8_000]));
    test.hush(8_000);
    assert_eq!((greeting_fillers(&test), test.heard()), (0, vec![300]));
}
