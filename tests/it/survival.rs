//! What must not end a call, and how a call goes on after its media stream has ended.

use std::time::Duration;

use dialbridge_core::{CloseReason, Report};
use dialbridge_lab::agent::Script;
use dialbridge_lab::twilio::{CallEventKind, When};
use dialbridge_runner::service::drain::Drained;
use dialbridge_tests::{
    Edition, Harness, all_at, bakery, close_reasons, first_at, numbered_speech, numbers, redirected, say, spoke,
};
use tokio::time::Instant;

const ECHO: &str =
    "[start]\ntone = { hz = 400, ms = 600 }\n[[utterance]]\nsay = \"yes\"\ntone = { hz = 500, ms = 300 }";

#[tokio::test(start_paused = true)]
async fn a_panic_ends_one_call_which_gets_its_fallback_and_no_other_call_notices() {
    let panics = std::sync::atomic::AtomicBool::new(true);
    let harness = Harness::with(Script::bakery().unwrap())
        .watched_by(move |observed| {
            let is_answer = matches!(observed.report, Report::Answered { turn, .. } if turn.0 == 2);
            assert!(!is_answer || !panics.swap(false, std::sync::atomic::Ordering::Relaxed), "a fault of ours");
        })
        .start();
    let (one, other) = tokio::join!(harness.call(bakery()), harness.call(bakery()));
    let mut urls = [&one, &other].map(|call| redirected(call).unwrap_or_default());
    urls.sort_by_key(|url| url.contains("failed"));
    assert!(urls[0].contains("VirtualAgentStatus=live-agent-handoff"), "{urls:?}");
    assert!(urls[1].contains("VirtualAgentStatus=failed"), "{urls:?}");
    assert_eq!(harness.service.calls().live(), 0);
}

each_edition!(an_instance_that_ends_gives_its_calls_away_in_a_gap_and_answers_until_nobody_asks, ANY);
async fn an_instance_that_ends_gives_its_calls_away_in_a_gap_and_answers_until_nobody_asks(edition: Edition) {
    let mut harness = Harness::with_script(ECHO).edition(edition).start();
    let service = harness.service.clone();
    // The greeting ends after 600 ms. The caller speaks from 900 ms on.
    let ending = async {
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        let (began, drained) = (Instant::now(), service.end().await);
        (drained, began.elapsed())
    };
    let steps = vec![say(When::AgentSilent(300), numbered_speech(0, 800))];
    let (call, (drained, took)) = tokio::join!(harness.call(steps), ending);

    assert_eq!(spoke(&call), [(600, false), (300, false)], "the answer is heard to its end");
    assert!(
        numbers(&harness.audio(&call)).starts_with(&(0..40).collect::<Vec<u32>>()),
        "nothing that was said is lost"
    );
    assert_eq!(close_reasons(&harness.reports()), [CloseReason::Migrated]);
    let answered_at = first_at(&call, |what| matches!(what, CallEventKind::AgentSpoke { played_ms: 300, .. }));
    let closed_at = first_at(&call, |what| *what == CallEventKind::StreamClosed { code: Some(1000) });
    assert!((answered_at..answered_at + 100).contains(&closed_at), "in the gap after it: {answered_at}, {closed_at}");
    // Twilio asks how the call goes on. This is the only instance, and it accepts no more streams. After some attempts
    // the call gets its fallback.
    let refused = all_at(&call, |what| matches!(what, CallEventKind::StreamRefused { why } if why.contains("503")));
    assert!(refused.len() > 1, "{:?}", call.events);
    assert!(redirected(&call).is_some_and(|url| url.contains("VirtualAgentStatus=failed")), "{:?}", call.events);
    // The instance stays until it has answered the last of these requests, and 500 ms more.
    let began_at = first_at(&call, |what| *what == CallEventKind::StreamOpened) + 1_000;
    let quiet_ms = began_at + u64::try_from(took.as_millis()).unwrap() - refused.last().unwrap();
    assert_eq!(drained, Drained::Quiet);
    assert!((500..700).contains(&quiet_ms), "{quiet_ms}");
    assert!(!harness.service.is_ready());
}
