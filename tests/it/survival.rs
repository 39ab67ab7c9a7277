//! What must not end a call, and how a call goes on that something has ended.

use dialbridge_core::Report;
use dialbridge_lab::agent::Script;
use dialbridge_lab::twilio::{What, When};
use dialbridge_tests::{World, bakery, numbered_speech, say};

const ECHO: &str =
    "[start]\ntone = { hz = 400, ms = 600 }\n[[utterance]]\nsay = \"yes\"\ntone = { hz = 500, ms = 300 }";

#[tokio::test(start_paused = true)]
async fn a_panic_ends_one_call_which_gets_its_fallback_and_no_other_call_notices() {
    let panics = std::sync::atomic::AtomicBool::new(true);
    let world = World::with(Script::bakery().unwrap())
        .watched_by(move |observed| {
            let is_answer = matches!(observed.report, Report::Answered { turn, .. } if turn.0 == 2);
            assert!(!is_answer || !panics.swap(false, std::sync::atomic::Ordering::Relaxed), "a fault of ours");
        })
        .start();
    let (one, other) = tokio::join!(world.call(bakery()), world.call(bakery()));
    let redirected = |call: &dialbridge_lab::twilio::CallRecord| {
        call.find(|what| if let What::Redirected { url } = what { Some(url.clone()) } else { None }).unwrap_or_default()
    };
    let mut urls = [redirected(&one), redirected(&other)];
    urls.sort_by_key(|url| url.contains("failed"));
    assert!(urls[0].contains("VirtualAgentStatus=live-agent-handoff"), "{urls:?}");
    assert!(urls[1].contains("VirtualAgentStatus=failed"), "{urls:?}");
    assert_eq!(world.service.calls().live(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_ends_gives_its_calls_away_in_a_gap_and_answers_until_nobody_asks() {
    let world = World::with_script(ECHO).start();
    let steps = vec![say(When::AgentSilent(300), numbered_speech(0, 800))];
    let service = world.service.clone();
    let ending = async {
        tokio::time::sleep(std::time::Duration::from_millis(1_000)).await;
        service.end().await
    };
    let (call, _) = tokio::join!(world.call(steps), ending);
    // The lab has this one instance only: it takes no more sockets, and the call gets its fallback in the end.
    let closed = call.find(|what| if let What::SocketClosed { code } = what { Some(*code) } else { None });
    assert_eq!(closed, Some(Some(1000)));
    let turns = world.turns(&call);
    assert!(turns[1].answered, "the caller's words were answered before: {turns:?}");
    assert!(!world.service.is_ready());
}
