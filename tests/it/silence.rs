//! What happens when nobody says anything, and how we end calls that would never end.

use dialbridge_core::config::CallLimits;
use dialbridge_core::ending::CallLimit;
use dialbridge_core::{CallConfig, Report};
use dialbridge_lab::twilio::{CallEventKind, CallFault, CallPlan, CallRecord, When};
use dialbridge_tests::{
    Edition, Harness, Log, Numbered, all_at, ended_by, first_at, hang_up, numbered_speech, pause, redirected, said,
    say, spoke,
};

fn no_inputs(reports: &[Report]) -> Vec<(u32, bool)> {
    let counted = |report: &Report| match report {
        Report::NoInput { in_a_row, by_event } => Some((*in_a_row, *by_event)),
        _ => None,
    };
    reports.iter().filter_map(counted).collect()
}

fn bounds(reports: &[Report]) -> Vec<CallLimit> {
    let reached = |report: &Report| match report {
        Report::LimitReached(bound) => Some(*bound),
        _ => None,
    };
    reports.iter().filter_map(reached).collect()
}

/// The times at which the caller heard the agent, from and until.
fn heard(call: &CallRecord) -> Vec<(u64, u64)> {
    let began = all_at(call, |what| matches!(what, CallEventKind::AgentSpeaks));
    began.into_iter().zip(spoke(call)).map(|(at_ms, (played_ms, _))| (at_ms, at_ms + played_ms)).collect()
}

each_edition!(the_agents_own_answer_to_no_input_is_played_as_it_is, ALL);
async fn the_agents_own_answer_to_no_input_is_played_as_it_is(edition: Edition) {
    let script = r#"
        no_speech_ms = 4000
        [start]
        tone = { hz = 400, ms = 1500 }
        [no_input]
        say = "are you still there?"
        tone = { hz = 600, ms = 700 }
    "#;
    let mut harness = Harness::with_script(script).edition(edition).start();
    let call = harness.call(vec![hang_up(When::After(14_000))]).await;
    let (turns, reports) = (harness.turns(&call), harness.reports());
    assert!(turns[1..].iter().all(|turn| turn.input == "audio"), "no event of ours");
    assert_eq!(no_inputs(&reports)[..2], [(1, false), (2, false)]);
    assert_eq!(spoke(&call)[..3], [(1_500, false), (700, false), (700, false)]);
    if edition != Edition::EsV2 {
        // The recogniser knows of the prompt, so silence counts from its end.
        let [(_, prompt), (asked, _), ..] = heard(&call)[..] else { panic!() };
        assert!((4_000..4_100).contains(&(asked - prompt)), "{}", asked - prompt);
    }
}

each_edition!(an_agent_without_an_answer_to_silence_gets_an_event, ANY);
async fn an_agent_without_an_answer_to_silence_gets_an_event(edition: Edition) {
    // The agent waits for ever, or it ends the turn and says nothing.
    for no_speech_ms in [0, 1_000] {
        let script = format!(
            r#"
            no_speech_ms = {no_speech_ms}
            [start]
            event = "WELCOME"
            tone = {{ hz = 400, ms = 1500 }}
            [event.NO_INPUT]
            tone = {{ hz = 600, ms = 700 }}
            "#
        );
        let mut harness = Harness::with_script(&script)
            .edition(edition)
            .settings(|settings| settings.set("DIALOGFLOW_STARTING_EVENT_NAME", "WELCOME"))
            .each_call(|call| {
                call.no_input.event = Some("NO_INPUT".to_owned());
                call.no_input.after_ms = 5_000;
            })
            .start();
        let call = harness.call(vec![hang_up(When::After(14_000))]).await;
        let events = harness.inputs(&call).iter().filter(|text| *text == "NO_INPUT").count();
        assert!(events >= 2, "{no_speech_ms}: {events}");
        let counted = no_inputs(&harness.reports());
        assert_eq!(counted[..2], [(1, true), (2, true)], "{no_speech_ms}");
        let [(_, prompt), (asked, heard_out), (again, _), ..] = heard(&call)[..] else { panic!() };
        for silence in [asked - prompt, again - heard_out] {
            // An agent with one stream ends no turn without speech.
            let expected = if no_speech_ms == 0 || edition.is_ces() { 5_000..5_050 } else { 900..2_100 };
            assert!(expected.contains(&silence), "{no_speech_ms}: {silence}");
        }
    }
}

each_edition!(a_caller_who_speaks_is_counted_anew, ALL);
async fn a_caller_who_speaks_is_counted_anew(edition: Edition) {
    let script = r#"
        no_speech_ms = 2000
        [start]
        tone = { hz = 400, ms = 500 }
        [[utterance]]
        tone = { hz = 500, ms = 300 }
        [no_input]
        tone = { hz = 600, ms = 300 }
    "#;
    let mut harness =
        Harness::with_script(script).edition(edition).each_call(|call| call.limits.no_input_turns = 2).start();
    let mut steps = Vec::new();
    for _ in 0..3 {
        // Two turns without input, then a word, three times: never three such turns in a row.
        steps.push(say(When::After(5_500), numbered_speech(0, 600)));
    }
    steps.push(hang_up(When::After(1_500)));
    let call = harness.call(steps).await;
    let reports = harness.reports();
    assert!(bounds(&reports).is_empty());
    assert!(no_inputs(&reports).len() >= 5, "{:?}", no_inputs(&reports));
    assert!(no_inputs(&reports).iter().all(|(in_a_row, _)| *in_a_row <= 2));
    assert_eq!(ended_by(&call), "caller");
}

/// An agent with an answer to everything the caller says, and to silence.
const PATIENT: &str = r#"
    no_speech_ms = 3000
    [start]
    tone = { hz = 400, ms = 500 }
    [[utterance]]
    tone = { hz = 500, ms = 400 }
    [no_input]
    tone = { hz = 600, ms = 400 }
"#;

/// An agent whose turns fail once. Each retry succeeds, so the budget is never used up.
const FAILING: &str = r#"
    [start]
    tone = { hz = 400, ms = 500 }
    [[utterance]]
    fault = "UNAVAILABLE"
    [[utterance]]
    tone = { hz = 500, ms = 400 }
"#;

/// A call with that limit, which ends with a goodbye.
fn limited(edition: Edition, script: &str, limit: impl FnOnce(&mut CallLimits) + 'static) -> Harness {
    let change = |call: &mut CallConfig| {
        limit(&mut call.limits);
        call.words.goodbye = Some("Good bye.".to_owned());
    };
    Harness::with_script(script).edition(edition).each_call(change).start()
}

/// Asserts that a limit ended the call, by the reports, the goodbye and the hand-off.
fn assert_ended(harness: &mut Harness, call: &CallRecord, bound: CallLimit, status: &str) {
    let reports = harness.reports();
    assert_eq!(bounds(&reports), [bound]);
    let has_status = |report: &Report| matches!(report, Report::HandedOff { status: told } if told.as_str() == status);
    assert!(reports.iter().any(has_status), "{bound:?}: the figures have the status of the hand-off");
    let said = said(call);
    assert_eq!(said.as_deref(), Some("Good bye."), "{bound:?}");
    let url = redirected(call).unwrap();
    assert!(url.contains(&format!("\"reason\":\"{}\"", bound.as_str())), "{bound:?}: {url}");
    assert!(url.contains(&format!("VirtualAgentStatus={status}")), "{bound:?}: {url}");
    assert!(spoke(call).iter().all(|(_, cut)| !cut), "{bound:?}: what plays is heard out");
}

each_edition!(a_caller_who_says_nothing_for_too_many_turns_is_sent_on_with_a_goodbye, ALL);
async fn a_caller_who_says_nothing_for_too_many_turns_is_sent_on_with_a_goodbye(edition: Edition) {
    let log = Log::start();
    let mut harness = limited(edition, PATIENT, |limits| limits.no_input_turns = 2);
    let call = harness.call(Vec::new()).await;
    assert_ended(&mut harness, &call, CallLimit::NoInputTurns, "hangup");
    assert!(log.text().contains("no-input"), "the log says why");
}

each_edition!(a_call_that_is_too_long_is_sent_on_with_a_goodbye, ANY);
async fn a_call_that_is_too_long_is_sent_on_with_a_goodbye(edition: Edition) {
    let mut harness = limited(edition, PATIENT, |limits| limits.call_ms = 20_000);
    let mut caller = Numbered::default();
    let steps = (0..20).map(|_| say(When::AgentSilent(300), caller.speech(700))).collect();
    let call = harness.call(steps).await;
    assert_ended(&mut harness, &call, CallLimit::Call, "hangup");
    let updated = first_at(&call, |what| matches!(what, CallEventKind::Updated));
    assert!((20_000..21_000).contains(&updated), "{updated}");
}

each_edition!(a_call_in_which_nobody_says_anything_is_sent_on_with_a_goodbye, ANY);
async fn a_call_in_which_nobody_says_anything_is_sent_on_with_a_goodbye(edition: Edition) {
    // The agent waits for ever, and so does the caller.
    let script = "[start]\ntone = { hz = 400, ms = 500 }";
    let mut harness = limited(edition, script, |limits| limits.silence_ms = 30_000);
    let mut plan = harness.plan(Vec::new());
    plan.hang_up_after = std::time::Duration::from_secs(100);
    let call = harness.twilio.call(plan).await;
    assert_ended(&mut harness, &call, CallLimit::Silence, "hangup");
    let [(_, heard_out)] = heard(&call)[..] else { panic!() };
    let updated = first_at(&call, |what| matches!(what, CallEventKind::Updated));
    assert!((30_000..30_100).contains(&(updated - heard_out)), "{}", updated - heard_out);
}

each_edition!(a_call_whose_turns_keep_failing_is_sent_on_with_a_goodbye, ANY);
async fn a_call_whose_turns_keep_failing_is_sent_on_with_a_goodbye(edition: Edition) {
    let mut harness = limited(edition, FAILING, |limits| limits.failed_turns = 2);
    let mut caller = Numbered::default();
    let steps = (0..6).map(|_| say(When::AgentSilent(300), caller.speech(700))).collect();
    let call = harness.call(steps).await;
    assert_ended(&mut harness, &call, CallLimit::FailedTurns, "failed");
}

each_edition!(turns_that_failed_before_the_socket_broke_count_after_it, ANY);
async fn turns_that_failed_before_the_socket_broke_count_after_it(edition: Edition) {
    let mut harness =
        Harness::with_script(FAILING).edition(edition).each_call(|call| call.limits.failed_turns = 3).start();
    let mut caller = Numbered::default();
    let steps = (0..12).flat_map(|_| [say(When::After(0), caller.speech(700)), pause(2_300)]).collect();
    let faults = vec![CallFault::Breaks { at_ms: 5_500 }];
    let call = harness.twilio.call(CallPlan { faults, ..harness.plan(steps) }).await;
    assert_eq!(call.count(|what| matches!(what, CallEventKind::StreamOpened)), 2, "{:?}", call.events);
    let reports = harness.reports();
    let failures = |reports: &[Report]| reports.iter().filter(|is| matches!(is, Report::TurnFailed { .. })).count();
    let broken = reports.iter().position(|report| matches!(report, Report::Ended { .. })).unwrap();
    let (before, all) = (failures(&reports[..broken]), failures(&reports));
    assert!((1..=2).contains(&before), "{before} before the socket broke");
    assert_eq!(all, 4, "the fourth ends the call, {before} of them before the socket broke");
    assert!(reports.iter().any(|report| matches!(report, Report::LimitReached(CallLimit::FailedTurns))));
}
