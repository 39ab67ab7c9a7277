//! What a listener says to show that he listens does not interrupt a prompt.

use dialbridge_core::report::GuardedFrom;
use dialbridge_core::{AgentCommand, AgentEvent};

use crate::echo::{HOURS, guarded, last, saying, session_saying};
use crate::test_call::interim;

#[test]
fn a_listeners_word_does_not_cut_a_prompt_and_is_no_turn_in_the_middle_of_it() {
    for (language, words) in [
        ("en-US", "mhm"),
        ("en-GB", "Okay, right."),
        ("de-DE", "ja genau"),
        ("es-ES", "Sí, vale"),
        ("fr-FR", "d’accord"),
        ("ja-JP", "はいはい。"),
        ("hi-IN", "ठीक है"),
    ] {
        let mut test = saying(HOURS, 8_000, |config| config.words.language = language.to_owned());
        test.hush(2_000);
        test.speak(400);
        test.agent(2, interim(words));
        test.hush(600);
        test.agent(2, last(words));
        test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
        assert_eq!((test.clears(), guarded(&test)), (0, vec![GuardedFrom::Backchannel]), "{words}");
        assert_eq!(test.commands(2).last(), Some(&AgentCommand::Cancel), "{words}");
        test.hush(6_000);
        assert_eq!(test.heard(), [8_000]);
    }
}

#[test]
fn a_listeners_word_with_others_interrupts() {
    let mut test = saying(HOURS, 8_000, |_| {});
    test.hush(2_000);
    test.speak(400);
    test.agent(2, interim("okay"));
    assert_eq!(test.clears(), 0);
    test.speak(400);
    test.agent(2, interim("okay but wait"));
    assert_eq!((test.clears(), guarded(&test)), (1, vec![]));
}

#[test]
fn the_same_word_after_the_question_or_at_its_end_is_the_answer() {
    for hush in [5_600, 4_200] {
        let mut test = saying("Is that okay for you?", 5_000, |_| {});
        test.hush(hush);
        test.speak(400);
        test.agent(2, interim("okay"));
        test.hush(300);
        test.agent(2, last("okay"));
        test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
        assert_eq!((test.clears(), test.commands(2).last()), (0, Some(&AgentCommand::HalfClose)), "{hush}");
    }
}

#[test]
fn the_settings_say_which_words_do_not_interrupt() {
    for (ignore, words, clears) in [
        (Some(vec![]), "mhm", 1),
        (Some(vec!["wait a moment".to_owned(), "so".to_owned()]), "So, wait a moment", 0),
        (Some(vec!["so".to_owned()]), "mhm", 1),
        (Some(vec!["so".to_owned(), "oh i see".to_owned()]), "so oh I", 0),
        (Some(vec!["oh i see".to_owned()]), "oh no", 1),
        (None, "mhm", 0),
        (None, "no", 1),
        (None, "stop", 1),
    ] {
        let mut test = saying(HOURS, 8_000, |config| config.barge_in.ignore = ignore.clone());
        test.hush(2_000);
        test.speak(400);
        test.agent(2, interim(words));
        assert_eq!(test.clears(), clears, "{ignore:?} {words}");
    }
}

#[test]
fn an_agent_that_stops_its_prompt_for_a_listeners_word_is_not_followed() {
    let mut test = session_saying("Our opening hours are long.");
    test.hush(1_500);
    test.speak(400);
    test.agent(1, interim("mhm"));
    test.agent(1, AgentEvent::Interrupted { barge_in: true });
    assert_eq!(test.clears(), 0);
    test.speak(400);
    test.agent(1, interim("mhm stop"));
    assert_eq!(test.clears(), 1);
}
