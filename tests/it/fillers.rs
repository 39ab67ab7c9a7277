//! Recordings of our own, so that the caller never hears dead air.

use dialbridge_core::config::Clip;
use dialbridge_core::{CallConfig, Report};
use dialbridge_lab::twilio::{CallEventKind, CallRecord, When};
use dialbridge_tests::{
    Edition, Harness, all_at, first_at, hang_up, heard_between, numbered_speech, say, spoke, tone, tone_ms,
};

/// An agent that thinks long about the first utterance, and not about the second.
const AGENT: &str = r#"
    [start]
    tone = { hz = 400, ms = 500 }
    [[utterance]]
    think_ms = 3000
    tone = { hz = 900, ms = 600 }
    [[utterance]]
    think_ms = 500
    tone = { hz = 900, ms = 600 }
"#;

/// A recording at 650 Hz.
fn clip(ms: usize) -> Clip {
    Clip(tone(650.0, ms).into())
}

fn thinking(ms: usize) -> impl Fn(&mut CallConfig) {
    move |call| {
        call.fillers.thinking = Some(clip(ms));
        call.fillers.thinking_after_ms = 800;
    }
}

fn told(reports: &[Report], wanted: &str) -> usize {
    reports.iter().filter(|report| matches!(report, Report::Filler { which } if *which == wanted)).count()
}

/// When the agent decided that the caller's first utterance was over.
fn utterance_over(call: &CallRecord) -> u64 {
    first_at(call, |what| matches!(what, CallEventKind::CallerSpoke { .. })) + 600
}

fn one_word() -> Vec<dialbridge_lab::twilio::CallerStep> {
    vec![say(When::AgentSilent(300), numbered_speech(0, 700)), hang_up(When::After(6_000))]
}

each_edition!(who_waits_for_an_answer_hears_something_after_a_while, ALL);
async fn who_waits_for_an_answer_hears_something_after_a_while(edition: Edition) {
    let mut harness = Harness::with_script(AGENT).edition(edition).each_call(thinking(1_000)).start();
    let call = harness.call(one_word()).await;
    let began = all_at(&call, |what| matches!(what, CallEventKind::AgentSpeaks))[1];
    let expected = utterance_over(&call) + 800;
    assert!(began.abs_diff(expected) <= 40, "{began}, {expected}");
    assert_eq!(spoke(&call)[1..], [(1_000, false), (600, false)], "the filler, then the answer");
    assert_eq!(told(&harness.reports(), "thinking"), 1, "once");
}

each_edition!(the_answer_stops_it, ALL);
async fn the_answer_stops_it(edition: Edition) {
    let mut harness = Harness::with_script(AGENT).edition(edition).each_call(thinking(20_000)).start();
    let call = harness.call(one_word()).await;
    let answered = utterance_over(&call) + 3_000;
    let filler = tone_ms(heard_between(&call, 0, u64::MAX / 16), 650.0);
    assert!((2_100.0..2_300.0).contains(&filler), "from 800 ms to 3,000 ms, {filler}");
    let after = heard_between(&call, answered + 60, u64::MAX / 16);
    assert!(tone_ms(after, 650.0) < 10.0, "nothing of it beside the answer");
    assert_eq!(spoke(&call).last(), Some(&(600, false)), "the answer is whole");
    let reports = harness.reports();
    let cut = reports.iter().any(|report| matches!(report, Report::Cancelled { cut_ms } if *cut_ms > 17_000));
    assert!(cut);
    let barge_ins = reports.iter().filter(|report| matches!(report, Report::BargeIn { .. })).count();
    assert_eq!(barge_ins, 0, "nobody interrupted anybody");
}

each_edition!(an_answer_that_comes_soon_needs_none, ALL);
async fn an_answer_that_comes_soon_needs_none(edition: Edition) {
    let script = AGENT.replace("think_ms = 3000", "think_ms = 700");
    let mut harness = Harness::with_script(&script).edition(edition).each_call(thinking(1_000)).start();
    let call = harness.call(one_word()).await;
    assert_eq!(spoke(&call), [(500, false), (600, false)]);
    assert_eq!(told(&harness.reports(), "thinking"), 0);
}

each_edition!(what_is_said_into_it_is_the_next_turn, ALL);
async fn what_is_said_into_it_is_the_next_turn(edition: Edition) {
    let harness = Harness::with_script(AGENT).edition(edition).each_call(thinking(20_000)).start();
    let steps = vec![
        say(When::AgentSilent(300), numbered_speech(0, 700)),
        say(When::AgentSpeaking(500), numbered_speech(35, 700)),
        hang_up(When::After(8_000)),
    ];
    let call = harness.call(steps).await;
    let heard: u64 = spoke(&call)[2..].iter().map(|(played_ms, _)| played_ms).sum();
    assert_eq!(heard, 1_200, "two answers");
}

each_edition!(a_turn_that_is_tried_again_is_told_once_until_the_agent_has_said_something, ANY);
async fn a_turn_that_is_tried_again_is_told_once_until_the_agent_has_said_something(edition: Edition) {
    let script = r#"
        [start]
        tone = { hz = 400, ms = 500 }
        [[utterance]]
        fault = "UNAVAILABLE"
        [[utterance]]
        fault = "UNAVAILABLE"
        [[utterance]]
        think_ms = 1500
        tone = { hz = 900, ms = 600 }
        [[utterance]]
        fault = "UNAVAILABLE"
        [[utterance]]
        think_ms = 1500
        tone = { hz = 900, ms = 600 }
    "#;
    let mut harness =
        Harness::with_script(script).edition(edition).each_call(|call| call.fillers.retrying = Some(clip(700))).start();
    let steps = vec![
        say(When::AgentSilent(300), numbered_speech(0, 700)),
        say(When::After(5_000), numbered_speech(35, 700)),
        hang_up(When::After(5_000)),
    ];
    let call = harness.call(steps).await;
    let reports = harness.reports();
    assert_eq!(told(&reports, "retrying"), 2, "twice failed is one row");
    assert_eq!(reports.iter().filter(|report| matches!(report, Report::TurnFailed { .. })).count(), 3);
    let expected = [(500, false), (700, false), (600, false), (700, false), (600, false)];
    assert_eq!(spoke(&call), expected);
}
