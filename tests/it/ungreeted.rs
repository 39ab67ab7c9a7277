//! Calls that resume before the agent has greeted. If the service knows that, the agent greets them then, and once.

use std::time::Duration;

use dialbridge_tests::{Came, Edition, Harness, RawSocket, paths, signed_post, start, voice_url};
use tokio::time::sleep;

const CALL: &str = "CA00000000000000000000000000000001";

const AGENT: &str = r#"
    think_ms = 800
    [start]
    event = "WELCOME"
    tone = { hz = 400, ms = 600 }
    [[utterance]]
    tone = { hz = 500, ms = 300 }
"#;

fn harness(edition: Edition) -> Harness {
    Harness::with_script(AGENT)
        .edition(edition)
        .settings(|settings| settings.set("DIALOGFLOW_STARTING_EVENT_NAME", "WELCOME"))
        .start()
}

/// The path of the next stream, from this instance's answer to the action.
async fn back(harness: &Harness, action: &str) -> (String, String) {
    let form = [("CallSid", CALL), ("CallStatus", "in-progress")];
    paths(&signed_post(&harness.pipes, action, &form).await.body)
}

async fn started(harness: &Harness, media: &str) -> RawSocket {
    let mut socket = RawSocket::open(&harness.pipes, media).await.unwrap();
    socket.text(&start(CALL)).await;
    socket
}

/// Whether the agent greets over that stream.
async fn greets(harness: &Harness, media: &str) -> bool {
    matches!(started(harness, media).await.next().await, Came::Text(_))
}

each_edition!(a_call_whose_socket_an_ending_instance_refused_is_greeted_where_it_goes, ANY);
async fn a_call_whose_socket_an_ending_instance_refused_is_greeted_where_it_goes(edition: Edition) {
    let (ending, other) = (harness(edition), harness(edition));
    let (media, action) = voice_url(&ending.pipes, CALL).await;
    let service = ending.service.clone();
    let end = tokio::spawn(async move { service.end().await });
    sleep(Duration::from_millis(50)).await;
    assert!(RawSocket::open(&ending.pipes, &media).await.is_err_and(|error| error.contains("503")));
    let (known, again) = back(&ending, &action).await;
    assert!(RawSocket::open(&ending.pipes, &known).await.is_err_and(|error| error.contains("503")));
    let (known_again, _) = back(&ending, &again).await;
    assert!(greets(&other, &known_again).await, "refused twice, and not greeted yet");
    end.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn another_instance_cannot_know_that_nobody_was_greeted() {
    let (ending, other) = (harness(Edition::Cx), harness(Edition::Cx));
    let (_, action) = voice_url(&ending.pipes, CALL).await;
    assert!(!greets(&other, &back(&other, &action).await.0).await, "the caller may have been");
    let turns = other.agent.record().turns(CALL);
    assert_eq!(turns.iter().map(|turn| turn.input).collect::<Vec<_>>(), ["audio"], "the agent listens");
}

each_edition!(a_call_whose_socket_breaks_before_the_agent_has_greeted_is_greeted_once, ANY);
async fn a_call_whose_socket_breaks_before_the_agent_has_greeted_is_greeted_once(edition: Edition) {
    for begins in [false, true] {
        let harness = harness(edition);
        let (media, action) = voice_url(&harness.pipes, CALL).await;
        let socket = if begins {
            started(&harness, &media).await
        } else {
            RawSocket::open(&harness.pipes, &media).await.unwrap()
        };
        sleep(Duration::from_millis(300)).await;
        // Twilio may ask before we see that the broken stream is gone.
        let (next, action) = if begins { back(&harness, &action).await } else { (String::new(), action) };
        drop(socket);
        sleep(Duration::from_millis(20)).await;
        let (next, action) = if begins { (next, action) } else { back(&harness, &action).await };
        assert!(greets(&harness, &next).await, "its stream has begun: {begins}");
        sleep(Duration::from_millis(1_000)).await;
        let (last, _) = back(&harness, &action).await;
        assert!(!greets(&harness, &last).await, "the caller was greeted");
    }
}
