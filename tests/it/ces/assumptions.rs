//! Facts that no documentation states. The service must work either way.

use dialbridge_core::Report;
use dialbridge_lab::twilio::When;
use dialbridge_tests::{
    Edition, Harness, answers, count, ended_by, faults, hang_up, numbered_speech, pause, say, sounding_ms, spoke,
};

use super::assert_well_served;

const AGENT: &str = r#"
    think_ms = 300
    [start]
    say = "hello"
    tone = { hz = 400, ms = 3000 }
    [[utterance]]
    say = "yes"
    tone = { hz = 500, ms = 500 }
"#;

#[tokio::test(start_paused = true)]
async fn the_servers_json_is_read_in_either_kind_of_frame_and_with_fields_that_nobody_knows() {
    for frames in ["binary", "text"] {
        for unpublished in [false, true] {
            let script = format!("{AGENT}\n[ces]\nframes = \"{frames}\"\nunpublished_fields = {unpublished}");
            let mut harness = Harness::with_script(&script).edition(Edition::CesWebSocket).start();
            let steps = vec![say(When::AgentSilent(400), numbered_speech(0, 800)), hang_up(When::AgentSilent(600))];
            let call = harness.call(steps).await;
            assert_eq!(spoke(&call), [(3_000, false), (500, false)], "{frames}, {unpublished}");
            assert_eq!(answers(&harness.reports()), ["hello", "yes"], "{frames}, {unpublished}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn words_and_audio_in_one_output_are_both_taken() {
    for outputs in ["apart", "together"] {
        let script = format!("{AGENT}\n[ces]\noutputs = \"{outputs}\"");
        let mut harness = Harness::with_script(&script).edition(Edition::CesWebSocket).start();
        let steps = vec![say(When::AgentSilent(400), numbered_speech(0, 800)), hang_up(When::AgentSilent(600))];
        let call = harness.call(steps).await;
        assert_eq!(spoke(&call), [(3_000, false), (500, false)], "{outputs}");
        assert_eq!(answers(&harness.reports()), ["hello", "yes"], "{outputs}");
    }
}

each_edition!(a_starting_event_that_the_app_does_not_know_is_ignored_or_refused, CES);
async fn a_starting_event_that_the_app_does_not_know_is_ignored_or_refused(edition: Edition) {
    let refused = "[ces]\nunknown_event = \"refused\"";
    let ignored = "[ces]\nunknown_event = \"ignored\"";
    for (unknown, streams) in [(ignored, 1), (refused, 2)] {
        let script = AGENT.replace("[start]", "[start]\nevent = \"WELCOME\"");
        let mut harness = Harness::with_script(&format!("{script}\n{unknown}"))
            .edition(edition)
            .settings(|settings| settings.set("DIALOGFLOW_STARTING_TEXT", "hi"))
            .each_call(|call| call.fillers.greeting_after_ms = 0)
            .start();
        let call = harness.call(vec![pause(16_000), hang_up(When::After(0))]).await;
        let reports = harness.reports();
        assert_eq!(harness.inputs(&call), ["session_start", "hi"], "{unknown}");
        assert_eq!(harness.streams(&call).len(), streams, "{unknown}");
        let unanswered = |report: &Report| matches!(report, Report::StartingEventUnanswered { .. });
        assert_eq!(count(&reports, unanswered), 1, "{unknown}");
        assert_eq!(sounding_ms(&call), 3_000, "{unknown}: the text is greeted");
        assert_eq!(ended_by(&call), "caller", "{unknown}");
    }
}

each_edition!(a_turn_that_the_caller_interrupts_is_completed_or_not, CES);
async fn a_turn_that_the_caller_interrupts_is_completed_or_not(edition: Edition) {
    for completes in [true, false] {
        let script = format!("{AGENT}\n[ces]\ncompletes_interrupted = {completes}");
        let mut harness = Harness::with_script(&script).edition(edition).start();
        let steps = vec![
            say(When::AgentSpeaking(1_000), numbered_speech(0, 1_200)),
            say(When::AgentSilent(400), numbered_speech(60, 700)),
            hang_up(When::AgentSilent(600)),
        ];
        let call = harness.call(steps).await;
        let [(_, true), (500, false), (500, false)] = spoke(&call)[..] else {
            panic!("{completes}: {:?}", spoke(&call))
        };
        let reports = harness.reports();
        assert_eq!(faults(&reports), [""; 0], "{completes}");
        assert_eq!(answers(&reports).last(), Some(&"yes"), "{completes}");
        assert_well_served(&harness.streams(&call));
    }
}

each_edition!(noise_while_nobody_speaks_does_not_hold_the_call_up, CES);
async fn noise_while_nobody_speaks_does_not_hold_the_call_up(edition: Edition) {
    for ambient in [false, true] {
        let script = format!("{AGENT}\nend = true\n[ces]\nambient = {ambient}");
        let mut harness = Harness::with_script(&script).edition(edition).start();
        let call = harness.call(vec![say(When::After(5_000), numbered_speech(0, 800)), pause(8_000)]).await;
        let reports = harness.reports();
        assert_eq!(count(&reports, |report| matches!(report, Report::HandedOff { .. })), 1, "{ambient}");
        assert_eq!(faults(&reports), [""; 0], "{ambient}");
        assert_eq!(ended_by(&call), "twiml", "{ambient}");
    }
}

each_edition!(turns_are_counted_over_the_session_or_over_the_stream, CES);
async fn turns_are_counted_over_the_session_or_over_the_stream(edition: Edition) {
    for over in ["session", "stream"] {
        let script = format!("{AGENT}\ngo_away = true\n[ces]\nturn_index = \"{over}\"");
        let mut harness = Harness::with_script(&script).edition(edition).start();
        let steps = (0..3).map(|n| say(When::AgentSilent(400), numbered_speech(n * 40, 800)));
        let call = harness.call(steps.chain([hang_up(When::AgentSilent(1_000))]).collect()).await;
        assert_eq!(sounding_ms(&call), 3_000 + 3 * 500, "{over}");
        assert_eq!(answers(&harness.reports()), ["hello", "yes", "yes", "yes"], "{over}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_stream_names_its_session_for_the_hosts_that_route_by_it() {
    for routing in ["named", "any"] {
        let mut harness =
            Harness::with_script(&format!("{AGENT}\n[ces]\nrouting = \"{routing}\"")).edition(Edition::CesGrpc).start();
        let call = harness.call(vec![hang_up(When::AgentSilent(400))]).await;
        assert_eq!((spoke(&call), faults(&harness.reports())), (vec![(3_000, false)], vec![]), "{routing}");
    }
}
