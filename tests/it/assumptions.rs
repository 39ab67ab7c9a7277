//! Plays what Google's and Twilio's pages leave open, both ways. `docs/assumptions.md` lists it.

use dialbridge_lab::agent::Script;
use dialbridge_lab::twilio::{CallEventKind, CallPlan, CallRecord, TwilioBehaviour};
use dialbridge_tests::{Edition, Harness, bakery, redirected};

use crate::twilio_faults::{ECHO, four_sentences, heard_numbers};

fn is_handed_off(call: &CallRecord) -> bool {
    let url = redirected(call);
    url.is_some_and(|url| url.contains("VirtualAgentStatus=live-agent-handoff"))
}

each_edition!(whatever_twilio_does_a_call_goes_as_its_script_says, [Cx, EsV2]);
async fn whatever_twilio_does_a_call_goes_as_its_script_says(edition: Edition) {
    for (name, behaviour) in TwilioBehaviour::variants() {
        let harness = Harness::with(Script::bakery().unwrap()).edition(edition).start();
        let call = harness.twilio.call(CallPlan { behaviour, ..harness.plan(bakery()) }).await;
        assert!(is_handed_off(&call), "{name}: {:?}", call.events);
        assert_eq!(call.count(|what| matches!(what, CallEventKind::Warning { .. })), 0, "{name}");
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
        assert_eq!(harness.service.calls().live(), 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_twilio_does_no_frame_is_lost_and_a_hang_up_ends_everything() {
    for (name, behaviour) in TwilioBehaviour::variants() {
        let harness = Harness::with_script(ECHO).start();
        let call = harness.twilio.call(CallPlan { behaviour, ..harness.plan(four_sentences()) }).await;
        assert_eq!(heard_numbers(&harness, &call), (0..180).collect::<Vec<u32>>(), "{name}");
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        assert_eq!((harness.service.calls().live(), harness.agent.record().open()), (0, 0), "{name}");
    }
}

each_edition!(the_audio_of_an_es_answer_may_be_in_its_result_or_after_it_in_one_message_or_several, [EsV2, EsV2Beta1]);
async fn the_audio_of_an_es_answer_may_be_in_its_result_or_after_it_in_one_message_or_several(edition: Edition) {
    for audio_messages in ["with-result", "after", "split"] {
        for output in ["", "output = { encoding = \"linear16\", sample_rate = 24000 }\n"] {
            let script = format!(
                "audio_messages = \"{audio_messages}\"\n{output}[start]\ntone = {{ hz = 400, ms = 900 }}\nend = true"
            );
            let harness = Harness::with_script(&script).edition(edition).start();
            let call = harness.call(Vec::new()).await;
            let heard = call.find(|what| match what {
                CallEventKind::AgentSpoke { played_ms, cut: false } => Some(*played_ms),
                _ => None,
            });
            assert_eq!(heard, Some(900), "{audio_messages}, {output}");
        }
    }
}
