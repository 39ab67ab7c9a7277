//! Sessions that outlive their streams.

use super::client::{BOTH, Say, Transport, World, pause};
use super::got::{Ended, Got};

const BEHAVIOUR: &str = "end_of_utterance_ms = 500\ninterim = false\n";

const ANSWERS: &str = r#"
    [start]
    say = "hello"
    [[utterance]]
    say = "first"
    [[utterance]]
    say = "second"
"#;

fn texts(got: Vec<Got>) -> Vec<(i64, String)> {
    got.into_iter().filter_map(|got| if let Got::Text(turn, text) = got { Some((turn, text)) } else { None }).collect()
}

fn text(turn: i64, text: &str) -> (i64, String) {
    (turn, text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_told_to_go_away_is_closed_after_a_while_and_another_goes_on() {
    let script = format!("{BEHAVIOUR}[ces]\ngo_away_ms = 5000\ngo_away_lead_ms = 2000\n{ANSWERS}");
    for transport in BOTH {
        let world = World::new(&script);
        let mut client = world.open(transport).await;
        client.say(Say::Event("session_start")).await;
        client.speak(500).await;
        client.silence(4_400).await;
        assert!(!client.got().contains(&Got::GoAway));
        client.silence(300).await;
        assert_eq!(client.got(), [Got::GoAway]);
        client.silence(1_500).await;
        assert_eq!(client.ended(), None);
        client.silence(500).await;
        let expected = match transport {
            Transport::Grpc => Ended::Grpc(tonic::Code::Ok, String::new()),
            Transport::WebSocket => Ended::Closed(1000, String::new()),
        };
        assert_eq!(client.ended(), Some(expected));
        assert_eq!(client.ended_ms() / 100, 70);

        let mut next = world.open(transport).await;
        next.speak(500).await;
        next.silence(800).await;
        assert_eq!(texts(next.got()), [text(3, "second")], "it does not greet, and goes on where it was");
        let streams = world.streams();
        let told: Vec<(bool, usize)> = streams.iter().map(|stream| (stream.go_away, stream.kick_starts())).collect();
        assert_eq!(told, [(true, 1), (false, 0)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_when_it_is_told_gets_what_is_left() {
    let world = World::new("[start]\nsay = \"hello\"\ntone = { hz = 400, ms = 2000 }\ngo_away = true");
    let mut client = world.greeted(Transport::Grpc, 300).await;
    client.finish().await;
    pause(1_000).await;
    let got = client.got();
    assert_eq!(got.last(), Some(&Got::GoAway), "{got:?}");
    let audio = got.iter().map(|got| if let Got::Audio(_, audio) = got { audio.len() } else { 0 });
    assert_eq!(audio.sum::<usize>(), 16_000);
    assert_eq!(client.ended(), Some(Ended::Grpc(tonic::Code::Ok, String::new())));
    assert!(world.stream().half_closed);
}

#[tokio::test(start_paused = true)]
async fn a_second_kick_start_greets_once_more() {
    let world = World::new(&format!("{BEHAVIOUR}{ANSWERS}"));
    for turn in 1..=2 {
        let mut client = world.greeted(Transport::WebSocket, 200).await;
        assert_eq!(texts(client.got()), [text(turn, "hello")]);
        client.break_off().await;
        let stream = world.stream();
        assert_eq!((stream.broke_off, stream.closed, stream.kick_starts()), (true, None, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn turns_are_counted_over_the_session_or_over_the_stream() {
    for (switch, expected) in [("session", 2), ("stream", 1)] {
        let world = World::new(&format!(
            "[ces]\nturn_index = \"{switch}\"\n[start]\nsay = \"hello\"\n[[utterance]]\nsay = \"first\""
        ));
        let mut client = world.open(Transport::Grpc).await;
        client.say(Say::Text("hi")).await;
        client.silence(100).await;
        client.finish().await;
        let mut client = world.open(Transport::Grpc).await;
        client.say(Say::Text("and")).await;
        client.silence(100).await;
        assert_eq!(texts(client.got()), [text(expected, "first")]);
    }
}

#[tokio::test(start_paused = true)]
async fn unfinished_speech_is_answered_at_the_half_close_or_forgotten() {
    for (switch, expected) in [("answers", vec![text(1, "first")]), ("drops", vec![])] {
        let world =
            World::new(&format!("interim = false\n[ces]\nhalf_close = \"{switch}\"\n[[utterance]]\nsay = \"first\"\n"));
        let mut client = world.open(Transport::Grpc).await;
        client.speak(500).await;
        client.finish().await;
        pause(1_000).await;
        assert_eq!(texts(client.got()), expected);
        assert_eq!(client.ended(), Some(Ended::Grpc(tonic::Code::Ok, String::new())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_ended_goes_on_with_a_new_stream_or_does_not() {
    for (switch, is_refused) in [("continues", false), ("refused", true)] {
        let world = World::new(&format!(
            "[ces]\nafter_end = \"{switch}\"\n[start]\nsay = \"bye\"\nend = true\n[[utterance]]\nsay = \"again\""
        ));
        let mut client = world.open(Transport::WebSocket).await;
        client.say(Say::Text("hi")).await;
        client.silence(100).await;
        client.finish().await;
        let mut client = world.open(Transport::WebSocket).await;
        client.say(Say::Text("hi")).await;
        client.silence(100).await;
        let expected = if is_refused { vec![] } else { vec![text(2, "again")] };
        assert_eq!(texts(client.got()), expected);
        assert_eq!(matches!(client.ended(), Some(Ended::Closed(1008, _))), is_refused);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_can_be_answered_on_the_next_stream() {
    let world = World::new("[start]\ntool_call = { tool = \"tools/t\" }\n[[utterance]]\nsay = \"well\"");
    let mut client = world.greeted(Transport::Grpc, 100).await;
    let [Got::Tool(id, tool, _)] = &client.got()[..] else { panic!() };
    client.break_off().await;
    let mut client = world.open(Transport::WebSocket).await;
    client.say(Say::Tool(id.clone(), tool.clone(), serde_json::json!({ "error": "no tools" }))).await;
    client.silence(100).await;
    assert_eq!(texts(client.got()), [text(1, "well")]);
}
