//! DTMF digits: they are collected, sent in the form that the agent accepts, and never logged.

use dialbridge_core::agent::DigitsForm;
use dialbridge_core::replay::replay;
use dialbridge_core::report::BargeInBy;
use dialbridge_core::tape::Tape;
use dialbridge_core::{CallConfig, Report};
use dialbridge_lab::twilio::{CallEventKind, CallRecord, When};
use dialbridge_tests::{
    Edition, Harness, HarnessBuilder, Log, Numbered, Tapes, all_at, answers, first_at, hang_up, numbers, pause, press,
    redirected, say, sounding_ms, spoke,
};

const AGENT: &str = r#"
    think_ms = 100
    [start]
    tone = { hz = 400, ms = 500 }
    [[utterance]]
    say = "words"
    tone = { hz = 500, ms = 300 }
    [digits.12]
    say = "twelve"
    tone = { hz = 600, ms = 300 }
    [other_digits]
    say = "others"
    tone = { hz = 700, ms = 300 }
"#;

/// Every form in which the edition accepts digits.
fn forms(edition: Edition) -> Vec<DigitsForm> {
    let mut forms = vec![DigitsForm::Text, DigitsForm::Event("KEYS".to_owned())];
    if edition != Edition::EsV2 {
        forms.push(DigitsForm::Dtmf);
    }
    forms
}

fn harness(edition: Edition, change: impl FnOnce(&mut CallConfig) + 'static) -> Harness {
    Harness::with_script(AGENT).edition(edition).each_call(change).start()
}

/// The digits that reached the agent, one text for each input.
fn entries(harness: &Harness, call: &CallRecord) -> Vec<String> {
    let is_entry = |turn: &&_| is_dtmf(turn);
    harness.turns(call).iter().filter(is_entry).map(|turn| turn.text.clone()).collect()
}

fn is_dtmf(turn: &dialbridge_lab::agent::TurnRecord) -> bool {
    matches!(turn.input, "dtmf" | "text") && turn.text.starts_with(|key: char| key.is_ascii_digit() || key == '#')
}

/// The texts of the agent, one for each answer that has any.
fn said(reports: &[Report]) -> Vec<&str> {
    answers(reports).into_iter().filter(|text| !text.is_empty()).collect()
}

each_edition!(digits_reach_the_agent_in_whatever_form_it_takes_them, ALL);
async fn digits_reach_the_agent_in_whatever_form_it_takes_them(edition: Edition) {
    for form in forms(edition) {
        let told = form.clone();
        let mut harness = harness(edition, move |call| call.dtmf.form = told);
        let call = harness.call(vec![press(When::AgentSilent(300), "12#"), hang_up(When::AgentSilent(500))]).await;
        let turns = harness.turns(&call);
        let turn = turns.iter().rev().find(|turn| turn.input != "audio").unwrap();
        match (&form, edition) {
            (DigitsForm::Dtmf, Edition::Cx) => {
                assert_eq!((turn.input, turn.text.as_str(), turn.finish.as_str()), ("dtmf", "12", "#"));
            }
            (DigitsForm::Dtmf, _) => assert_eq!((turn.input, turn.text.as_str()), ("dtmf", "12#")),
            (DigitsForm::Text, _) => assert_eq!((turn.input, turn.text.as_str()), ("text", "12")),
            (DigitsForm::Event(name), _) => {
                assert_eq!((turn.input, &turn.text, &turn.parameters["digits"]), ("event", name, &"12".into()));
            }
        }
        assert_eq!(said(&harness.reports()), ["twelve"], "{form:?}");
    }
}

each_edition!(the_finish_digit_completes_an_entry_at_once_and_without_it_a_pause_does, ALL);
async fn the_finish_digit_completes_an_entry_at_once_and_without_it_a_pause_does(edition: Edition) {
    for (keys, after_ms) in [("12#", 0), ("12", 3_000)] {
        let mut harness = harness(edition, |_| {});
        let call = harness.call(vec![press(When::AgentSilent(300), keys), hang_up(When::AgentSilent(500))]).await;
        let last_key = *all_at(&call, |what| matches!(what, CallEventKind::Digit { .. })).last().unwrap();
        let answer = *all_at(&call, |what| matches!(what, CallEventKind::AgentSpeaks)).last().unwrap();
        let expected = last_key + after_ms + 100;
        assert!((expected..expected + 50).contains(&answer), "{keys}: {answer}, {expected}");
        assert_eq!(said(&harness.reports()), ["twelve"], "{keys}");
    }
}

each_edition!(a_number_of_digits_is_an_entry_and_what_follows_is_the_next_one, ALL);
async fn a_number_of_digits_is_an_entry_and_what_follows_is_the_next_one(edition: Edition) {
    let mut harness = harness(edition, |call| call.dtmf.max_digits = 2);
    let call = harness.call(vec![press(When::AgentSilent(300), "12345"), hang_up(When::After(6_000))]).await;
    assert_eq!(entries(&harness, &call), ["12", "34", "5"]);
    let reports = harness.reports();
    let counts = reports.iter().filter_map(|report| match report {
        Report::DigitsComplete { count } => Some(*count),
        _ => None,
    });
    assert_eq!(counts.collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(said(&reports), ["twelve", "others", "others"]);
}

#[tokio::test(start_paused = true)]
async fn the_agents_own_rules_hold_until_its_next_answer() {
    let script =
        AGENT.replace("[start]", "[start]\ndtmf = { finish_digit = \"*\", max_digits = 3, interdigit_ms = 1500 }");
    let endpointing = script.replace("interdigit_ms = 1500", "interdigit_ms = 1500, endpointing_ms = 700");
    for (script, keys, entry, after_ms) in [
        (&script, "12*", "12", 0),
        (&script, "123", "123", 0),
        (&script, "1", "1", 1_500),
        (&endpointing, "1", "1", 700),
    ] {
        let harness = Harness::with_script(script).start();
        let steps = vec![
            press(When::AgentSilent(300), keys),
            // The answer to these has no rules, so the settings apply again.
            press(When::AgentSilent(300), "12345#"),
            hang_up(When::AgentSilent(500)),
        ];
        let call = harness.call(steps).await;
        assert_eq!(entries(&harness, &call), [entry, "12345"], "{keys}");
        let pressed = all_at(&call, |what| matches!(what, CallEventKind::Digit { .. }));
        let answers = all_at(&call, |what| matches!(what, CallEventKind::AgentSpeaks));
        let expected = pressed[keys.len() - 1] + after_ms + 100;
        assert!((expected..expected + 50).contains(&answers[1]), "{keys}: {answers:?}, {expected}");
    }
}

each_edition!(digits_that_are_pressed_ahead_are_kept_and_cut_nothing, ANY);
async fn digits_that_are_pressed_ahead_are_kept_and_cut_nothing(edition: Edition) {
    let script = AGENT.replace("think_ms = 100", "think_ms = 1500");
    // During the greeting, before the agent has said a word.
    let mut harness = Harness::with_script(&script).edition(edition).start();
    let call = harness.call(vec![press(When::After(200), "12#"), hang_up(When::After(6_000))]).await;
    assert_eq!(said(&harness.reports()), ["twelve"]);
    assert_eq!(sounding_ms(&call), 800, "the welcome is heard, then the answer");
    assert!(spoke(&call).iter().all(|(_, cut)| !cut));

    // While the agent thinks.
    let mut harness = Harness::with_script(&script).edition(edition).start();
    let mut caller = Numbered::default();
    let steps = vec![
        say(When::AgentSilent(200), caller.speech(600)),
        press(When::After(1_000), "12#"),
        hang_up(When::After(6_000)),
    ];
    let call = harness.call(steps).await;
    assert_eq!(said(&harness.reports()), ["words", "twelve"]);
    assert!(spoke(&call).iter().all(|(_, cut)| !cut));
}

each_edition!(digits_in_mid_utterance_come_after_the_words, ALL);
async fn digits_in_mid_utterance_come_after_the_words(edition: Edition) {
    let mut harness = harness(edition, |_| {});
    let mut caller = Numbered::default();
    let steps = vec![
        say(When::AgentSilent(200), caller.speech(1_200)),
        press(When::After(0), "12#"),
        say(When::After(0), caller.speech(1_000)),
        say(When::After(0), caller.quiet(4_000)),
        hang_up(When::After(0)),
    ];
    let call = harness.call(steps).await;
    assert_eq!(said(&harness.reports()), ["words", "twelve", "words"]);
    let turns = harness.turns(&call);
    let heard: Vec<u32> = turns.iter().flat_map(|turn| numbers(&turn.audio)).collect();
    assert_eq!(heard, (0..caller.count()).collect::<Vec<u32>>(), "no word is lost for the keys");
}

each_edition!(a_digit_stops_a_prompt, ANY);
async fn a_digit_stops_a_prompt(edition: Edition) {
    let script =
        AGENT.replace("[start]\n    tone = { hz = 400, ms = 500 }", "[start]\n    tone = { hz = 400, ms = 6000 }");
    let mut harness = Harness::with_script(&script).edition(edition).start();
    let call = harness.call(vec![press(When::AgentSpeaking(2_000), "12#"), hang_up(When::AgentSilent(500))]).await;
    let cut_at = first_at(&call, |what| matches!(what, CallEventKind::AgentSpoke { cut: true, .. }));
    let key_at = first_at(&call, |what| matches!(what, CallEventKind::Digit { .. }));
    assert!(cut_at - key_at < 20, "at the first key");
    let by_key = |report: &Report| matches!(report, Report::BargeIn { by: BargeInBy::Dtmf, turn: None, .. });
    let reports = harness.reports();
    assert_eq!(reports.iter().filter(|report| by_key(report)).count(), 1);
    assert_eq!(spoke(&call).last(), Some(&(300, false)), "the answer to the keys");
    assert_eq!(said(&reports), ["twelve"]);
}

/// Digits that are the caller's secret.
const SECRET: &str = "90210";

/// An agent that takes the digits, keeps them as a parameter if it is CX, and hands the call off.
const SECRETIVE: &str = r#"
    think_ms = 100
    [start]
    say = "your number, please"
    tone = { hz = 400, ms = 300 }
    [[utterance]]
    say = "thank you"
    intent = "words"
    tone = { hz = 500, ms = 300 }
    [digits.90210]
    say = "thank you"
    intent = "number"
    tone = { hz = 600, ms = 300 }
    [[utterance]]
    say = "good bye"
    end = true
    tone = { hz = 600, ms = 300 }
"#;

fn secretive(edition: Edition, form: DigitsForm, tapes: &Tapes) -> HarnessBuilder {
    let folder = tapes.folder();
    Harness::with_script(SECRETIVE)
        .edition(edition)
        .settings(|settings| settings.set("RECORD_DIR", folder))
        .each_call(move |call| call.dtmf.form = form)
}

each_edition!(digits_are_in_no_log_line_no_report_and_on_no_tape, ALL);
async fn digits_are_in_no_log_line_no_report_and_on_no_tape(edition: Edition) {
    for (number, form) in forms(edition).into_iter().enumerate() {
        let log = Log::start();
        let tapes = Tapes::new(&format!("secret-{edition:?}-{number}"));
        let mut harness = secretive(edition, form.clone(), &tapes).start();
        let mut caller = Numbered::default();
        let steps = vec![
            press(When::AgentSilent(300), &format!("{SECRET}#")),
            say(When::AgentSilent(300), caller.speech(600)),
            say(When::AgentSilent(300), caller.speech(600)),
            pause(2_000),
        ];
        let call = harness.call(steps).await;
        assert_eq!(entries_of_any_form(&harness, &call), [SECRET], "{form:?}: it is what the agent gets");
        let url = redirected(&call).unwrap();
        assert!(url.contains("VirtualAgentStatus=completed"), "{url}");
        assert!(!url.contains(SECRET), "{form:?}: {url}");
        let reports = format!("{:?}", harness.reports());
        assert!(reports.contains("DigitsComplete") && !reports.contains(SECRET), "{form:?}");
        let lines = log.text();
        assert!(lines.contains("the digits are complete"), "the log is looked at from its lowest level on");
        for line in lines.lines() {
            assert!(!line.contains(SECRET), "{form:?}: {line}");
        }
        drop(harness);
        let tape = tapes.tape();
        assert!(tape.contains("dtmf") && !tape.contains(SECRET), "{form:?}");
        let tape = Tape::parse(&tape).unwrap();
        let replayed: Vec<String> = replay(&tape).tape_lines().collect();
        assert_eq!(replayed, tape.outputs, "{form:?}: a masked tape replays to its own outputs");
    }
}

/// Like [`entries`], plus the parameter of an event. Leaves out the digit that ended an entry.
fn entries_of_any_form(harness: &Harness, call: &CallRecord) -> Vec<String> {
    let keys = |turn: &dialbridge_lab::agent::TurnRecord| match turn.parameters.get("digits") {
        Some(digits) if turn.input == "event" => digits.as_str().map(ToOwned::to_owned),
        _ => is_dtmf(turn).then(|| turn.text.trim_end_matches('#').to_owned()),
    };
    harness.turns(call).iter().filter_map(keys).collect()
}
