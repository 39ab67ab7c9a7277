//! What the test kit says when a test fails. Under WASI a panic ends the run, so these tests are native ones.
#![cfg(not(target_family = "wasm"))]

use std::panic::{AssertUnwindSafe, catch_unwind};

use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::audio::{AudioFormat, BYTES_PER_MS, MULAW_SILENCE};
use dialbridge_core::config::EndOfUtterance;
use dialbridge_core::edition::Edition;
use dialbridge_core::ending::VirtualAgentStatus;
use dialbridge_core::kit::Recording;
use dialbridge_core::report::EndFoundBy;
use dialbridge_core::tape::Tape;

use crate::kit::order;

/// The message of a panic.
#[track_caller]
fn message<T>(fails: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(fails)).err().expect("it must fail");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap()
}

#[test]
fn an_assertion_that_fails_shows_the_trace_around_the_moment() {
    let call = order(Edition::Cx).play();
    let told = message(|| call.turn(2).assert_intent("order.cake"));
    let mut lines = told.lines();
    assert_eq!(lines.next(), Some(r#"turn 2, intent: expected "order.cake", found "order.bread""#));
    assert!(lines.next().unwrap().starts_with("what the call did around "), "{told}");
    let trace: Vec<&str> = lines.collect();
    assert!((3..=6).contains(&trace.len()), "{told}");
    assert!(trace.iter().any(|line| line.contains("report  turn 2 answered after 250 ms")), "{told}");
    assert!(trace.iter().all(|line| line.trim_start().split_once('.').is_some_and(|(s, _)| s.parse::<u64>().is_ok())));
}

#[test]
fn the_failure_that_the_page_on_testing_shows_is_this_one() {
    let call = Tape::build()
        .agent_greets("What can I do for you?", Recording::ms(1_500))
        .caller_says(include_bytes!("../../../lab/agents/bakery/order.wav"))
        .agent_hears("two loaves of rye bread")
        .agent_answers("Two loaves. Good bye.", Recording::ms(1_200))
        .with_intent("order.bread")
        .ends_interaction()
        .play();
    let told = message(|| call.turn(2).assert_intent("order.cake"));
    assert!(include_str!("../../../docs/testing.md").contains(&told), "{told}");
}

#[test]
fn each_assertion_of_a_turn_holds_or_says_what_it_found() {
    let call = order(Edition::Cx).play();
    let turn = call.turn(2);
    turn.assert_transcript("two loaves")
        .assert_intent("order.bread")
        .assert_page("Number")
        .assert_flow("Order")
        .assert_parameter("loaves", 2)
        .assert_reply("Which number")
        .assert_wait_ms(900..=1_000)
        .assert_utterance_ended_by(EndFoundBy::Agent);
    let fails = [
        (message(|| turn.assert_transcript("three")), r#"transcript: expected "three", found "two loaves please""#),
        (message(|| turn.assert_intent("")), r#"intent: expected nothing, found "order.bread""#),
        (message(|| turn.assert_page("Pay")), r#"page: expected "Pay", found "Number""#),
        (message(|| turn.assert_flow("Pay")), r#"flow: expected "Pay", found "Order""#),
        (message(|| turn.assert_parameter("loaves", 3)), "parameter loaves: expected 3, found 2"),
        (message(|| turn.assert_parameter("cakes", 1)), "parameter cakes: expected 1, found none of that name"),
        (message(|| turn.assert_reply("Hello")), r#"reply: expected "Hello", found "Which number may I call?""#),
        (message(|| turn.assert_wait_ms(..500)), "wait: expected ..500 ms, found 930 ms"),
        (
            message(|| turn.assert_utterance_ended_by(EndFoundBy::Quick)),
            "end of utterance by: expected quick, found agent",
        ),
        (message(|| call.turn(3).assert_utterance_ended_by(EndFoundBy::Agent)), "expected agent, found nobody"),
    ];
    for (told, expected) in fails {
        let line = told.lines().next().unwrap_or_default();
        assert!(line.starts_with("turn ") && line.ends_with(expected), "{told}");
    }
}

#[test]
fn each_assertion_of_a_prompt_holds_or_says_what_it_found() {
    let call = order(Edition::Cx).play();
    let (cut, whole) = (call.turn(1).prompt(), call.turn(2).prompt());
    cut.assert_cut_at_ms(1_500..2_400);
    whole.assert_not_cut();
    let told = message(|| cut.assert_not_cut());
    assert!(told.starts_with("turn 1, prompt cut at: expected never, found "), "{told}");
    assert!(told.contains("barge-in by speech"), "{told}");
    let told = message(|| whole.assert_cut_at_ms(..500));
    assert!(told.starts_with("turn 2, prompt cut at: expected ..500 ms, found never\n"), "{told}");
    let told = message(|| cut.assert_cut_at_ms(..500));
    assert!(told.starts_with("turn 1, prompt cut at: expected ..500 ms, found 1"), "{told}");
}

#[test]
fn each_assertion_of_a_hand_off_holds_or_says_what_it_found() {
    let mut config = Edition::Cx.config();
    config.handoff.end_of_interaction_url = Some("https://shop.test/next?step=2".to_owned());
    let call = order(Edition::Cx).config(config).play();
    let handoff = call.handoff();
    handoff.assert_status(VirtualAgentStatus::LiveAgentHandoff).assert_twiml("<Redirect");
    assert_eq!(handoff.parameter("VirtualAgentStatus").as_deref(), Some("live-agent-handoff"));
    assert_eq!((handoff.parameter("step").as_deref(), handoff.parameter("none")), (Some("2"), None));
    assert!(handoff.parameter("dialogflowJSON").is_some_and(|json| json.contains(r#""queue":"orders""#)));
    assert!(handoff.at() > call.turn(3).began());
    let told = message(|| handoff.assert_status(VirtualAgentStatus::Completed));
    assert!(told.starts_with("hand-off, status: expected completed, found live-agent-handoff\n"), "{told}");
    let told = message(|| handoff.assert_twiml("<Dial"));
    assert!(told.starts_with(r#"hand-off, TwiML: expected "<Dial", found "<?xml"#), "{told}");
}

#[test]
fn what_a_call_has_not_is_told() {
    let call = Tape::build().agent_greets("We are closed.", Recording::ms(400)).caller_hangs_up().play();
    let told = message(|| call.turn(7));
    assert!(told.starts_with("the call has no turn 7: it ended after turn 2\n"), "{told}");
    assert!(message(|| call.turn(0)).starts_with("the call has no turn 0"));
    assert!(message(|| call.handoff()).starts_with("the call was not handed off: the agent's part did not end\n"));
    assert!(message(|| call.turn(2).prompt()).starts_with("turn 2: the caller heard no prompt\n"));
}

/// A voice of 1,000 ms, a pause of 400 ms and 160 ms more of the voice.
fn halting_voice() -> Vec<u8> {
    let voice = |ms: usize| [[0x21; 4], [0xA1; 4]].concat().repeat(ms);
    let pause = vec![MULAW_SILENCE; 400 * BYTES_PER_MS];
    write_wav(1, AudioFormat::TELEPHONE, &[voice(1_000), pause, voice(160)].concat())
}

#[test]
fn an_answer_that_begins_before_the_caller_has_finished_is_never_in_time() {
    let mut config = Edition::Cx.config();
    config.end_of_utterance = EndOfUtterance::After(200);
    let call = Tape::build()
        .config(config)
        .caller_says(halting_voice())
        .agent_hears("bread")
        .agent_answers("Bread.", Recording::ms(1_000))
        .after_ms(0)
        .play();
    let early_ms = call.turn(1).wait_ms().unwrap();
    assert!((-240..-100).contains(&early_ms), "{early_ms}");
    let told = message(|| call.turn(1).assert_wait_ms(..1_500));
    let found = format!("found an answer that began {} ms before he had finished", -early_ms);
    assert!(told.lines().next().is_some_and(|line| line.ends_with(&found)), "{told}");
}

#[test]
fn an_answer_that_nobody_hears_has_no_wait() {
    let call = Tape::build().agent_greets("Yes?", Recording::ms(400)).caller_presses("1#").agent_says_nothing().play();
    assert_eq!(call.turn(2).wait_ms(), None);
    let told = message(|| call.turn(2).assert_wait_ms(..500));
    assert!(told.starts_with("turn 2, wait: expected ..500 ms, found no answer that is heard\n"), "{told}");
}

#[test]
fn a_test_that_does_not_fit_its_call_fails() {
    let asked = || Tape::build().agent_greets("Yes?", Recording::ms(400)).caller_says(Recording::ms(900));
    let told = message(|| asked().play());
    assert_eq!(
        told,
        "step 1 of the caller has no answer: add agent_answers, or agent_says_nothing if the agent has none"
    );
    let told = message(|| {
        let over = asked().agent_answers("Bye.", Recording::ms(400)).ends_interaction();
        over.caller_presses("1#").agent_says_nothing().play()
    });
    assert!(told.starts_with("the caller never came to step 2: the call ended before its time\n"), "{told}");
    let told = message(|| asked().barge_in_at_ms(900).agent_says_nothing().play());
    assert!(told.starts_with("the caller never came to step 1: its time did not come in 20 s\n"), "{told}");
    let told = message(|| {
        let protected = Tape::build().agent_greets("Recorded.", Recording::ms(2_000)).without_barge_in();
        protected.caller_says(Recording::ms(900)).barge_in_at_ms(1_500).agent_says_nothing().play()
    });
    assert!(told.contains("s the caller begins step 1 in a prompt that must not be interrupted: "), "{told}");
    let mut config = Edition::Cx.config();
    config.no_input.event = Some("silence".to_owned());
    config.no_input.after_ms = 2_000;
    let told = message(|| {
        let greeted = Tape::build().config(config).agent_greets("Yes?", Recording::ms(400));
        drop(greeted.caller_stays_silent_ms(4_000).play());
    });
    assert!(told.starts_with("at 2."), "{told}");
    assert!(told.contains("the agent has to answer step 1 of the caller, and the test does not say what\n"), "{told}");
}

#[test]
fn a_method_that_cannot_be_where_it_is_says_where_it_belongs() {
    let built = Tape::build;
    let says = || built().caller_says(Recording::ms(900));
    let misplaced: [(&dyn Fn(), &str); 8] = [
        (&|| drop(built().agent_hears("two")), "agent_hears: it belongs after caller_says"),
        (
            &|| drop(built().agent_answers("Yes.", Recording::ms(9))),
            "agent_answers: it belongs after a step of the caller",
        ),
        (&|| drop(says().agent_greets("Yes?", Recording::ms(9))), "agent_greets: it belongs before the first step"),
        (&|| drop(says().with_intent("order")), "with_intent: it belongs after agent_greets or agent_answers"),
        (&|| drop(built().barge_in_at_ms(9)), "barge_in_at_ms: it belongs after caller_says and the like"),
        (&|| drop(built().caller_says(b"RIFF")), "caller_says: not a WAV"),
        (&|| drop(built().caller_says(Recording::ms(0))), "caller_says: nobody speaks in this recording"),
        (
            &|| drop(built().edition(Edition::Ces).config(Edition::Cx.config()).play()),
            "config: it is for another edition than ces",
        ),
    ];
    for (fails, expected) in misplaced {
        let told = message(fails);
        assert!(told.starts_with(expected), "{told}");
    }
    let silent = || built().agent_greets("Yes?", Recording::ms(400)).caller_stays_silent_ms(4_000);
    let told = message(|| silent().agent_answers("Hello?", Recording::ms(400)).play());
    assert!(
        told.starts_with("step 1 of the caller is a silence of 4000 ms, and the agent notices one after 5000 ms"),
        "{told}"
    );
    let told = message(|| silent().caller_hangs_up().agent_says_nothing().play());
    assert!(told.starts_with("step 2 of the caller ends the call"), "{told}");
}
