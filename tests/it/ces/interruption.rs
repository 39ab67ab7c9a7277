//! The agent's prompt stops when the agent says so.

use dialbridge_core::Report;
use dialbridge_core::report::BargeInBy;
use dialbridge_lab::twilio::{CallEventKind, CallRecord, When};
use dialbridge_tests::{
    Edition, Harness, all_at, barge_ins, count, first_at, hang_up, heard_between, is_silence, numbered_speech, pause,
    press, say, sounding_ms, spoke,
};

use super::assert_well_served;

/// A long prompt, and an answer to what the caller says into it.
const PROMPT: &str = r#"
    think_ms = 200
    [start]
    tone = { hz = 400, ms = 6000 }
    [[utterance]]
    tone = { hz = 900, ms = 600 }
    [other_digits]
    tone = { hz = 900, ms = 600 }
"#;

fn assert_nothing_of_the_old_answer_is_heard(call: &CallRecord) {
    let cut_at = first_at(call, |what| matches!(what, CallEventKind::AgentSpoke { cut: true, .. }));
    let answer_at = all_at(call, |what| matches!(what, CallEventKind::AgentSpeaks))[1];
    assert!(is_silence(heard_between(call, cut_at, answer_at)));
}

each_edition!(a_caller_who_speaks_into_a_prompt_stops_it_when_the_agent_says_so, CES);
async fn a_caller_who_speaks_into_a_prompt_stops_it_when_the_agent_says_so(edition: Edition) {
    for into_ms in [500, 2_000, 5_000] {
        let mut harness = Harness::with_script(PROMPT).edition(edition).start();
        let steps = vec![say(When::AgentSpeaking(into_ms), numbered_speech(0, 1_600)), pause(4_000)];
        let call = harness.call(steps).await;
        let [(by, played_ms, cut_ms)] = barge_ins(&harness.reports())[..] else { panic!("{into_ms}") };
        assert_eq!(by, BargeInBy::Agent);
        // The agent had sent that much by then, four times faster than it plays.
        assert!(played_ms + cut_ms <= 6_000 && cut_ms > 0, "{played_ms}, {cut_ms}");
        let [(first_ms, true), (600, false)] = spoke(&call)[..] else { panic!("{:?}", spoke(&call)) };
        assert!((into_ms..into_ms + 600).contains(&first_ms), "{into_ms}: {first_ms}");
        assert_nothing_of_the_old_answer_is_heard(&call);
        let streams = harness.streams(&call);
        assert_well_served(&streams);
        assert_eq!((streams.len(), streams[0].interruptions.as_slice()), (1, &[true][..]));
    }
}

each_edition!(a_newer_answer_replaces_one_that_still_plays, CES);
async fn a_newer_answer_replaces_one_that_still_plays(edition: Edition) {
    // While the long answer plays, digits start another one. This also works with `off`, because the agent does it.
    for mode in ["speech", "off"] {
        let mut harness = Harness::with_script(PROMPT)
            .edition(edition)
            .settings(|settings| settings.set("BARGE_IN", mode))
            .each_call(|call| call.dtmf.max_digits = 0)
            .start();
        let steps = vec![press(When::AgentSpeaking(1_000), "12"), pause(9_000), hang_up(When::After(0))];
        let call = harness.call(steps).await;
        let streams = harness.streams(&call);
        assert_eq!(streams[0].digits(), "12");
        let heard = spoke(&call);
        assert_eq!((heard[0].1, heard.last().copied()), (true, Some((600, false))), "{mode}: {heard:?}");
        assert_eq!(barge_ins(&harness.reports())[0].0, BargeInBy::Dtmf, "a key is sooner than the agent");
    }
}

each_edition!(the_agents_own_prompt_for_silence_replaces_nothing_and_is_played, CES);
async fn the_agents_own_prompt_for_silence_replaces_nothing_and_is_played(edition: Edition) {
    let script = r#"
        no_speech_ms = 3000
        [start]
        tone = { hz = 400, ms = 1000 }
        [no_input]
        say = "are you there?"
        tone = { hz = 900, ms = 500 }
    "#;
    let mut harness = Harness::with_script(script).edition(edition).start();
    let call = harness.call(vec![pause(6_000), hang_up(When::After(0))]).await;
    assert_eq!(spoke(&call)[..2], [(1_000, false), (500, false)]);
    assert_eq!(count(&harness.reports(), |report| matches!(report, Report::TurnFailed { .. })), 0);
}

each_edition!(where_barge_in_is_off_or_the_answer_may_not_be_interrupted_the_caller_cuts_nothing, CES);
async fn where_barge_in_is_off_or_the_answer_may_not_be_interrupted_the_caller_cuts_nothing(edition: Edition) {
    let protected =
        PROMPT.replace("tone = { hz = 400, ms = 6000 }", "tone = { hz = 400, ms = 6000 }\nprotected = true");
    let by_payload = PROMPT.replace(
        "tone = { hz = 400, ms = 6000 }",
        "tone = { hz = 400, ms = 6000 }\npayload = { dialbridge = { bargeIn = false } }",
    );
    for (script, mode) in [(PROMPT, "off"), (&protected, "speech"), (&by_payload, "speech")] {
        let mut harness =
            Harness::with_script(script).edition(edition).settings(|settings| settings.set("BARGE_IN", mode)).start();
        let steps =
            vec![say(When::AgentSpeaking(2_000), numbered_speech(0, 1_000)), pause(9_000), hang_up(When::After(0))];
        let call = harness.call(steps).await;
        assert!(spoke(&call).iter().all(|(_, cut)| !cut), "{mode}: {:?}", spoke(&call));
        assert!(sounding_ms(&call) >= 6_000, "{mode}");
        assert_eq!(barge_ins(&harness.reports()), [], "{mode}");
    }
}

each_edition!(what_was_heard_of_a_prompt_is_told_to_the_agent_where_that_is_set, CES);
async fn what_was_heard_of_a_prompt_is_told_to_the_agent_where_that_is_set(edition: Edition) {
    let harness = Harness::with_script(PROMPT)
        .edition(edition)
        .settings(|settings| settings.set("HEARD_PARAMETER", "heard"))
        .start();
    let call = harness.call(vec![say(When::AgentSpeaking(2_000), numbered_speech(0, 1_600)), pause(4_000)]).await;
    let stream = &harness.streams(&call)[0];
    let told = &stream.variables.last().unwrap()["heard"];
    let (heard, cut) = (told["heardMs"].as_f64().unwrap(), told["cutMs"].as_f64().unwrap());
    assert!((2_000.0..2_600.0).contains(&heard) && (heard + cut - 6_000.0).abs() < 1.0, "{told}");
}
