//! When the caller gets his answer, with recognisers of each kind and each rule for the end of an utterance.

use dialbridge_core::Report;
use dialbridge_core::audio::MULAW_SILENCE;
use dialbridge_core::config::EndOfUtterance;
use dialbridge_core::report::EndFoundBy;
use dialbridge_lab::twilio::{CallerStep, When};
use dialbridge_tests::{Edition, Harness, hang_up, numbered_speech, say};

const ANSWERS: &str = "[start]\ntone = { hz = 400, ms = 600 }\n[[utterance]]\ntone = { hz = 500, ms = 700 }\n";

/// Three utterances, each after the answer to the one before.
fn three_utterances() -> Vec<CallerStep> {
    let mut steps: Vec<CallerStep> =
        (0..3).map(|n| say(When::AgentSilent(300), numbered_speech(n * 40, 800))).collect();
    steps.push(hang_up(When::AgentSilent(500)));
    steps
}

/// Who found the end of each utterance, and how long after the voice, in milliseconds.
fn ends(harness: &mut Harness) -> Vec<(EndFoundBy, u64)> {
    let ends = harness.reports().into_iter().filter_map(|report| match report {
        Report::EndOfUtterance { spoken: true, found_by, silence_ms, .. } => Some((found_by, silence_ms.unwrap())),
        _ => None,
    });
    ends.collect()
}

each_edition!(a_recogniser_of_each_kind_lets_the_caller_have_his_answers, ALL);
async fn a_recogniser_of_each_kind_lets_the_caller_have_his_answers(edition: Edition) {
    let kinds = [
        ("transcripts = \"before-end\"", EndFoundBy::Agent),
        ("transcripts = \"after-end\"", EndFoundBy::Agent),
        ("interim = false", EndFoundBy::Agent),
        ("transcripts = \"without-end\"", EndFoundBy::Final),
        ("transcripts = \"without-end\"\ninterim = false", EndFoundBy::Final),
        ("transcripts = \"interim-only\"", EndFoundBy::Silence),
    ];
    for (kind, found_by) in kinds {
        for late in ["", "recogniser_lag_ms = 300\nrecogniser_jitter_ms = 200\n"] {
            let mut harness = Harness::with_script(&format!("{kind}\n{late}{ANSWERS}")).edition(edition).start();
            let call = harness.call(three_utterances()).await;
            let answered = harness.turns(&call).iter().filter(|turn| turn.input == "audio" && turn.answered).count();
            assert_eq!(answered, 3, "{kind} {late}");
            let found: Vec<EndFoundBy> = ends(&mut harness).into_iter().map(|(found_by, _)| found_by).collect();
            assert_eq!(found, [found_by; 3], "{kind} {late}");
        }
    }
}

each_edition!(quick_ends_an_utterance_before_the_agent_does, ALL);
async fn quick_ends_an_utterance_before_the_agent_does(edition: Edition) {
    for words in ["word_times = true", "word_times = false"] {
        let script = format!("recogniser_lag_ms = 200\nend_of_utterance_ms = 900\n{words}\n{ANSWERS}");
        let builder = Harness::with_script(&script).edition(edition);
        let mut harness = builder.each_call(|call| call.end_of_utterance = EndOfUtterance::Quick).start();
        let call = harness.call(three_utterances()).await;
        let turns = harness.turns(&call);
        let answered = turns.iter().filter(|turn| turn.input == "audio" && turn.answered).count();
        assert_eq!(answered, 3, "the recogniser gets what it needs, {words}");
        for (found_by, silence_ms) in ends(&mut harness) {
            assert!(found_by == EndFoundBy::Quick && silence_ms <= 450, "{found_by:?} after {silence_ms} ms, {words}");
        }
    }
}

each_edition!(a_caller_who_dictates_a_number_with_long_pauses_is_answered_once, ALL);
async fn a_caller_who_dictates_a_number_with_long_pauses_is_answered_once(edition: Edition) {
    let mut number = Vec::new();
    for part in 0..3 {
        number.extend(numbered_speech(part * 40, 800));
        number.extend(vec![MULAW_SILENCE; 1_500 * 8]);
    }
    for (rule, answers) in [(EndOfUtterance::After(2_500), 1), (EndOfUtterance::Agent, 3)] {
        let harness = Harness::with_script(ANSWERS).edition(edition);
        let harness = harness.each_call(move |call| call.end_of_utterance = rule).start();
        let call =
            harness.call(vec![say(When::AgentSilent(300), number.clone()), hang_up(When::AgentSilent(2_000))]).await;
        let turns = harness.turns(&call);
        let answered = turns.iter().filter(|turn| turn.input == "audio" && turn.answered).count();
        assert_eq!(answered, answers, "{rule:?}");
    }
}
