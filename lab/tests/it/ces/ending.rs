//! Ends of sessions, and streams that nobody ends.

use serde_json::{Value, json};

use super::client::{BOTH, Say, Transport, World, pause};
use super::got::{Ended, Got};

async fn metadata(reply: &str) -> Value {
    let world = World::new(&format!("[start]\nsay = \"bye\"\n{reply}"));
    let mut client = world.greeted(Transport::WebSocket, 300).await;
    match client.got().pop() {
        Some(Got::End(metadata)) => metadata,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_says_what_a_script_of_any_edition_means() {
    assert_eq!(metadata("end = true").await, Value::Null);
    let transfer = json!({ "params": { "PHONE_GATEWAY_TRANSFER": { "phoneNumber": "+15550123" } } });
    assert_eq!(metadata("transfer = \"+15550123\"").await, transfer);
    let escalated = json!({ "reason": "angry", "session_escalated": true, "params": { "order": 7 } });
    let given = "end_session = { reason = \"angry\", session_escalated = true, params = { order = 7 } }";
    assert_eq!(metadata(given).await, escalated);
}

#[tokio::test(start_paused = true)]
async fn after_the_end_nothing_is_heard_and_what_is_left_is_sent() {
    let script = r#"
        end_of_utterance_ms = 300
        [ces]
        end_order = "before-audio"
        [start]
        tone = { hz = 400, ms = 4000 }
        end = true
        [[utterance]]
        say = "never"
    "#;
    for transport in BOTH {
        let world = World::new(script);
        let mut client = world.greeted(transport, 100).await;
        client.speak(500).await;
        client.say(Say::Digits("1#")).await;
        client.say(Say::Text("hi")).await;
        client.silence(1_000).await;
        let got = client.got();
        assert_eq!(got[0], Got::End(Value::Null));
        let audio = got.iter().map(|got| if let Got::Audio(_, audio) = got { audio.len() } else { 0 });
        assert_eq!(audio.sum::<usize>(), 32_000);
        assert!(
            !got.iter().any(|got| matches!(got, Got::Interrupted(_) | Got::Text(..) | Got::Transcript(_))),
            "{got:?}"
        );
        assert_eq!(world.stream().ignored_audio, 16 * 800);
        assert_eq!(client.ended(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_whose_audio_does_not_come_before_the_end_is_sent_alone() {
    for (answer, end) in [
        ("say = \"bye\"\ntone = { hz = 400, ms = 400 }\nend = true", Got::End(Value::Null)),
        ("say = \"bye\"\nbreaks = 1011", Got::Text(1, "bye".to_owned())),
    ] {
        let switches = "[ces]\noutputs = \"together\"\nend_order = \"before-audio\"";
        let world = World::new(&format!("{switches}\n[start]\n{answer}"));
        let mut client = world.greeted(Transport::WebSocket, 1_000).await;
        let got = client.got();
        let at = |wanted: &Got| got.iter().position(|got| got == wanted);
        assert_eq!(at(&Got::Text(1, "bye".to_owned())), Some(0), "{got:?}");
        assert!(at(&end).is_some(), "{got:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_may_come_long_after_the_last_audio() {
    let world = World::new("[ces]\nend_delay_ms = 3000\n[start]\ntone = { hz = 400, ms = 400 }\nend = true");
    let mut client = world.greeted(Transport::Grpc, 4_000).await;
    let times: Vec<u64> = client.timed().into_iter().map(|(at_ms, _)| at_ms).collect();
    let [.., audio, completed, end] = times[..] else { panic!() };
    assert_eq!((completed - audio, end), (3_050, completed));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_leave_after_the_end_is_left() {
    for transport in BOTH {
        let world = World::new("[start]\nsay = \"bye\"\nend = true");
        let mut client = world.greeted(transport, 29_000).await;
        assert_eq!(client.ended(), None);
        client.silence(2_000).await;
        assert!(client.ended().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_input_is_closed() {
    for transport in BOTH {
        for (idle, grpc, close) in [
            ("close", tonic::Code::Ok, 1000),
            ("FAILED_PRECONDITION", tonic::Code::FailedPrecondition, 1008),
            ("reset", tonic::Code::Internal, 1006),
        ] {
            let world = World::new(&format!("[ces]\nidle_ms = 20000\nidle = \"{idle}\"\n[start]\nsay = \"hello\""));
            let mut client = world.open(transport).await;
            client.say(Say::Event("session_start")).await;
            pause(19_900).await;
            assert_eq!(client.ended(), None);
            client.silence(100).await;
            pause(19_800).await;
            assert_eq!(client.ended(), None, "any input counts");
            pause(200).await;
            match (transport, client.ended().unwrap()) {
                (Transport::Grpc, Ended::Grpc(code, told)) => assert_eq!(code, grpc, "{told}"),
                (Transport::WebSocket, Ended::Closed(code, _)) => assert_eq!(code, close),
                other => panic!("{other:?}"),
            }
            assert!(world.stream().gaps.len() == 2 && !world.stream().end_session);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_at_all_is_left_too() {
    for transport in BOTH {
        let world = World::new("");
        let client = world.connect(transport, "us", &[]).await;
        pause(29_000).await;
        assert_eq!(client.ended(), None);
        pause(2_000).await;
        assert!(client.ended().is_some());
    }
}
