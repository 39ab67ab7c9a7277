//! A telephone returns the agent's words, and the recogniser understands them. A listener says "mhm".

use dialbridge_core::Report;
use dialbridge_core::config::BargeInMode;
use dialbridge_core::report::GuardedFrom;
use dialbridge_lab::twilio::{CallPlan, CallRecord, CallerStep, Echo, When};
use dialbridge_tests::{Edition, Harness, barge_ins, hang_up, numbered_speech, pause, say, spoke};

/// A prompt of six seconds, and the answer to what the caller says into it.
const SCRIPT: &str = r#"
    understands_itself = true
    think_ms = 100
    [ces]
    speed = 100
    [start]
    say = "Our opening hours are Monday to Friday from nine to five and on Saturday from ten to one"
    tone = { hz = 400, ms = 6000 }
    [[utterance]]
    heard = "no thanks"
    say = "Good bye then"
    tone = { hz = 900, ms = 600 }
"#;

const ECHOES: [(BargeInMode, Echo); 2] = [
    (BargeInMode::Speech, Echo { delay_ms: 120, softer_db: 12 }),
    (BargeInMode::Voice, Echo { delay_ms: 480, softer_db: 20 }),
];

async fn call(harness: &Harness, echo: Echo, steps: Vec<CallerStep>) -> CallRecord {
    harness.twilio.call(CallPlan { echo: Some(echo), ..harness.plan(steps) }).await
}

fn guarded(harness: &mut Harness) -> Vec<GuardedFrom> {
    let from = |report: &Report| match report {
        Report::PromptGuarded { from, .. } => Some(*from),
        _ => None,
    };
    harness.reports().iter().filter_map(from).collect()
}

each_edition!(the_agent_does_not_interrupt_itself, ANY);
async fn the_agent_does_not_interrupt_itself(edition: Edition) {
    for (mode, echo) in ECHOES {
        let mut harness =
            Harness::with_script(SCRIPT).edition(edition).each_call(move |call| call.barge_in.mode = mode).start();
        let call = call(&harness, echo, vec![hang_up(When::AgentSilent(1_500))]).await;
        assert!(barge_ins(&harness.reports()).is_empty(), "{mode:?} {echo:?}");
        assert!(spoke(&call).iter().all(|(_, cut)| !cut), "{mode:?} {echo:?}");
        assert!(spoke(&call)[0].0 >= 6_000, "{mode:?} {echo:?}: {:?}", spoke(&call));
        if !edition.is_ces() {
            let asked = harness.turns(&call).iter().filter(|turn| turn.input == "audio" && turn.answered).count();
            assert_eq!(asked, 0, "{mode:?} {echo:?}: echo is no question to the agent");
        }
    }
}

each_edition!(a_caller_interrupts_in_the_midst_of_echo, ANY);
async fn a_caller_interrupts_in_the_midst_of_echo(edition: Edition) {
    for (mode, echo) in ECHOES {
        let mut harness =
            Harness::with_script(SCRIPT).edition(edition).each_call(move |call| call.barge_in.mode = mode).start();
        let steps = vec![say(When::AgentSpeaking(2_600), numbered_speech(0, 1_200)), pause(4_000)];
        let call = call(&harness, echo, steps).await;
        assert_eq!(barge_ins(&harness.reports()).len(), 1, "{mode:?} {echo:?}");
        let (played_ms, cut) = spoke(&call)[0];
        // A word takes the recogniser 400 ms.
        let latest = if mode == BargeInMode::Voice { 2_900 } else { 3_500 };
        assert!(cut && (2_600..latest).contains(&played_ms), "{mode:?} {echo:?}: {played_ms}");
    }
}

each_edition!(without_the_guard_the_agent_interrupts_itself, ANY);
async fn without_the_guard_the_agent_interrupts_itself(edition: Edition) {
    let mut harness =
        Harness::with_script(SCRIPT).edition(edition).settings(|settings| settings.set("ECHO_GUARD", "off")).start();
    call(&harness, ECHOES[0].1, vec![hang_up(When::After(3_000))]).await;
    assert!(!barge_ins(&harness.reports()).is_empty());
}

/// The same prompt, and a caller who says no more than that he listens.
fn listener(words: &str) -> String {
    SCRIPT.replace("understands_itself = true", "").replace("no thanks", words)
}

each_edition!(a_listeners_word_does_not_cut_a_prompt, ALL);
async fn a_listeners_word_does_not_cut_a_prompt(edition: Edition) {
    for (language, words) in [("en-US", "mhm okay"), ("de-DE", "ja genau"), ("pt-BR", "tá bom")] {
        let mut harness = Harness::with_script(&listener(words))
            .edition(edition)
            .settings(|settings| settings.set("DIALOGFLOW_LANGUAGE", language))
            .start();
        let steps = vec![say(When::AgentSpeaking(2_000), numbered_speech(0, 800)), hang_up(When::AgentSilent(1_500))];
        let call = harness.call(steps).await;
        assert_eq!(spoke(&call), [(6_000, false)], "{language}: nor is it answered");
        assert_eq!(guarded(&mut harness), [GuardedFrom::Backchannel], "{language}");
    }
}

each_edition!(a_listeners_word_after_the_prompt_is_the_answer, ALL);
async fn a_listeners_word_after_the_prompt_is_the_answer(edition: Edition) {
    let mut harness = Harness::with_script(&listener("okay")).edition(edition).start();
    let steps = vec![say(When::AgentSilent(400), numbered_speech(0, 500)), hang_up(When::AgentSilent(1_500))];
    let call = harness.call(steps).await;
    assert_eq!(spoke(&call), [(6_000, false), (600, false)]);
    assert_eq!(guarded(&mut harness), []);
}

each_edition!(words_of_the_settings_do_not_interrupt, ALL);
async fn words_of_the_settings_do_not_interrupt(edition: Edition) {
    for (ignored, cuts) in [("well now", 0), ("", 1), ("mhm", 1)] {
        let mut harness = Harness::with_script(&listener("well now"))
            .edition(edition)
            .settings(|settings| settings.set("BARGE_IN_IGNORE", ignored))
            .start();
        let steps = vec![say(When::AgentSpeaking(2_000), numbered_speech(0, 800)), hang_up(When::AgentSilent(1_500))];
        harness.call(steps).await;
        assert_eq!(barge_ins(&harness.reports()).len(), cuts, "{ignored:?}");
    }
}
