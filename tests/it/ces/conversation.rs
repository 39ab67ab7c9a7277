//! A conversation from its starting event to its end.

use dialbridge_core::Report;
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::report::AudioAccount;
use dialbridge_lab::agent::Script;
use dialbridge_lab::twilio::{CallEventKind, When};
use dialbridge_tests::Stretch::{Quiet, Speech};
use dialbridge_tests::{
    Edition, Harness, Numbered, account, answers, bakery, count, ended_by, hang_up, numbered_speech, redirected, say,
    sounding_ms, spoke, tone, tone_ms,
};

use super::{assert_well_served, heard};

each_edition!(the_bakery_takes_an_order_is_interrupted_and_puts_the_caller_through, CES);
async fn the_bakery_takes_an_order_is_interrupted_and_puts_the_caller_through(edition: Edition) {
    let mut harness = Harness::with(Script::bakery().unwrap()).edition(edition).start();
    let call = harness.call(bakery()).await;
    let reports = harness.reports();
    let said = answers(&reports);
    assert_eq!(said.len(), 4, "{said:?}");
    for (text, begins) in said.iter().zip(["Corner Bakery", "Two loaves", "Nine o'clock", "Of course"]) {
        assert!(text.starts_with(begins), "{text}");
    }
    assert_eq!(call.count(|what| matches!(what, CallEventKind::AgentSpoke { cut: true, .. })), 1);
    let url = redirected(&call).unwrap();
    assert!(url.contains("VirtualAgentStatus=live-agent-handoff"), "{url}");
    assert_eq!(ended_by(&call), "twiml");
    assert_eq!(call.count(|what| matches!(what, CallEventKind::Warning { .. })), 0);
    let streams = harness.streams(&call);
    assert_well_served(&streams);
    let [stream] = &streams[..] else { panic!("{} streams", streams.len()) };
    assert_eq!((stream.kick_starts(), stream.inputs[0].text.as_str()), (1, "session_start"));
    assert_eq!((stream.interruptions.as_slice(), stream.end_session), (&[true][..], true));
    assert_eq!(stream.variables[0]["From"], "+15550100");
}

each_edition!(every_frame_reaches_the_agent_once_and_in_order_in_messages_of_sixty_milliseconds, CES);
async fn every_frame_reaches_the_agent_once_and_in_order_in_messages_of_sixty_milliseconds(edition: Edition) {
    let script = r#"
        think_ms = 700
        [start]
        tone = { hz = 400, ms = 900 }
        [[utterance]]
        tone = { hz = 500, ms = 500 }
    "#;
    let mut harness = Harness::with_script(script).edition(edition).start();
    let mut caller = Numbered::default();
    // Speaks into the greeting, over the ends of utterances, into the think time and into answers.
    let pairs = [(900, 640), (300, 400), (1_200, 700), (200, 900), (2_000, 620), (100, 3_040)];
    let steps = caller.steps(When::After(0), &pairs.map(|(speech, quiet)| [Speech(speech), Quiet(quiet)]).concat());
    let call = harness.call(steps).await;
    let streams = harness.streams(&call);
    assert_well_served(&streams);
    let [stream] = &streams[..] else { panic!("{} streams", streams.len()) };
    // Less than a full message may be on its way when the caller hangs up.
    let whole = caller.count() / 3 * 3;
    assert_eq!(heard(&streams), (0..whole).collect::<Vec<u32>>());
    assert!(stream.messages.iter().all(|bytes| *bytes == 480), "{:?}", stream.messages);
    assert!(stream.turns_completed >= 5, "{}", stream.turns_completed);
    let received = u64::from(caller.count()) * 160;
    let expected = AudioAccount { received, written: received, ..AudioAccount::default() };
    assert_eq!(harness.account(), expected);
}

each_edition!(whatever_the_coding_both_hear_the_same, CES);
async fn whatever_the_coding_both_hear_the_same(edition: Edition) {
    let script = "[start]\ntone = { hz = 1000, ms = 1000 }\n[[utterance]]\ntone = { hz = 1000, ms = 1000 }\nend = true";
    for riff in [false, true] {
        for (input, output) in [
            ("mulaw", "mulaw"),
            ("linear16-8000", "linear16-8000"),
            ("linear16-16000", "linear16-16000"),
            ("linear16-24000", "linear16-24000"),
            ("mulaw", "linear16-48000"),
            ("linear16-16000", "mulaw"),
        ] {
            let harness = Harness::with_script(&format!("{script}\n[ces]\nriff = {riff}\npiece_ms = 90"))
                .edition(edition)
                .settings(|settings| {
                    settings.set("CES_INPUT_AUDIO", input);
                    settings.set("CES_OUTPUT_AUDIO", output);
                })
                .start();
            let call = harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 800))]).await;
            assert_eq!(spoke(&call), [(1_000, false), (1_000, false)], "{input} {output} {riff}");
            let heard = tone_ms(&call.heard, 1_000.0);
            assert!((1_900.0..2_010.0).contains(&heard), "{output}: {heard}");
            assert_eq!(ended_by(&call), "twiml");
            let streams = harness.streams(&call);
            assert_well_served(&streams);
            let rate: usize = input.rsplit('-').next().unwrap().parse().unwrap_or(8_000);
            let bytes = if input == "mulaw" { 1 } else { 2 };
            let sent_ms = streams[0].audio.len() * 1_000 / (rate * bytes);
            let said_ms = call.said.len() / 8;
            assert!(sent_ms <= said_ms && said_ms - sent_ms < 1_400, "{input}: {sent_ms} of {said_ms} ms");
        }
    }
}

each_edition!(the_goodbye_is_heard_to_its_end_wherever_the_end_of_the_session_stands, CES);
async fn the_goodbye_is_heard_to_its_end_wherever_the_end_of_the_session_stands(edition: Edition) {
    for place in ["top-level", "in-output", "both"] {
        for order in ["after-audio", "before-audio"] {
            for (delay, speed, completed) in [(0, 4, "apart"), (900, 4, "with-audio"), (0, 1, "apart")] {
                let script = format!(
                    "[start]\nsay = \"bye\"\ntone = {{ hz = 400, ms = 2300 }}\nend = true\n[ces]\n\
                     end_session = \"{place}\"\nend_order = \"{order}\"\nend_delay_ms = {delay}\nspeed = {speed}\n\
                     turn_completed = \"{completed}\""
                );
                let mut harness = Harness::with_script(&script).edition(edition).start();
                let call = harness.call(Vec::new()).await;
                let what = format!("{place} {order} {delay} {speed} {completed}");
                assert_eq!(sounding_ms(&call), 2_300, "{what}");
                assert!(spoke(&call).iter().all(|(_, cut)| !cut), "{what}");
                assert_eq!(ended_by(&call), "twiml", "{what}");
                assert!(redirected(&call).unwrap().contains("VirtualAgentStatus=completed"));
                let reports = harness.reports();
                assert_eq!(count(&reports, |report| matches!(report, Report::HandedOff { .. })), 1, "{what}");
                assert_eq!(count(&reports, |report| matches!(report, Report::TurnFailed { .. })), 0, "{what}");
                let streams = harness.streams(&call);
                assert_well_served(&streams);
                assert_eq!(streams.len(), 1, "{what}");
                assert_eq!(streams[0].ignored_audio, 0, "{what}: an agent that is done is sent nothing");
                let received = account(&reports);
                assert_eq!(received.received, received.written + received.after_end + received.left);
            }
        }
    }
}

each_edition!(a_recording_that_a_payload_names_is_played_where_it_stands_in_the_answer, CES);
async fn a_recording_that_a_payload_names_is_played_where_it_stands_in_the_answer(edition: Edition) {
    let script = r#"
        [start]
        tone = { hz = 400, ms = 500 }
        payload = { dialbridge = { play = "gs://music/jingle.wav", bargeIn = false } }
    "#;
    let mut harness = Harness::with_script(script).edition(edition).start();
    let jingle = write_wav(1, AudioFormat::TELEPHONE, &tone(600.0, 2_000));
    harness.storage.put("music/jingle.wav", jingle);
    let steps = vec![say(When::AgentSpeaking(800), numbered_speech(0, 700)), hang_up(When::After(4_000))];
    let call = harness.call(steps).await;
    assert_eq!(spoke(&call)[0], (2_500, false), "neither part may be interrupted");
    for (hz, ms) in [(400.0, 500.0), (600.0, 2_000.0)] {
        let heard = tone_ms(&call.heard, hz);
        assert!((ms - 30.0..ms + 30.0).contains(&heard), "{hz} Hz, {heard}");
    }
    assert_eq!(count(&harness.reports(), |report| matches!(report, Report::Payload { .. })), 1);
}

each_edition!(who_waits_for_an_answer_hears_something_until_it_comes, CES);
async fn who_waits_for_an_answer_hears_something_until_it_comes(edition: Edition) {
    let script =
        "think_ms = 4000\n[start]\ntone = { hz = 400, ms = 500 }\n[[utterance]]\ntone = { hz = 500, ms = 600 }";
    let clip = dialbridge_core::config::Clip(tone(650.0, 20_000).into());
    let mut harness = Harness::with_script(script)
        .edition(edition)
        .each_call(|call| {
            call.fillers.thinking = Some(clip);
            call.fillers.thinking_after_ms = 1_500;
        })
        .start();
    let call =
        harness.call(vec![say(When::AgentSilent(300), numbered_speech(0, 700)), hang_up(When::After(9_000))]).await;
    let filler = tone_ms(&call.heard, 650.0);
    assert!(filler > 4_000.0, "in the greeting's think time and in the answer's, {filler}");
    assert_eq!(spoke(&call).last(), Some(&(600, false)), "the answer is whole");
    let reports = harness.reports();
    assert_eq!(count(&reports, |report| matches!(report, Report::Filler { .. })), 2);
    assert_eq!(count(&reports, |report| matches!(report, Report::Cancelled { .. })), 2);
    assert_eq!(count(&reports, |report| matches!(report, Report::BargeIn { .. })), 0);
}
