//! Inputs other than speech: digits, tools, events and variables.

use serde_json::{Value, json};

use super::client::{APP, BOTH, Say, Transport, World, pause};
use super::got::{Ended, Got};

fn texts(got: &[Got]) -> Vec<(i64, &str)> {
    got.iter()
        .filter_map(|got| if let Got::Text(turn, text) = got { Some((*turn, text.as_str())) } else { None })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn digits_are_collected_by_the_agent() {
    let script = r#"
        [digits.12]
        say = "twelve"
        dtmf = { finish_digit = "*", max_digits = 3, interdigit_ms = 500 }
        [digits.123]
        say = "all three"
        [other_digits]
        say = "others"
    "#;
    for transport in BOTH {
        let world = World::new(script);
        let mut client = world.open(transport).await;
        for digit in ["1", "2"] {
            client.say(Say::Digits(digit)).await;
            client.silence(1_500).await;
        }
        assert_eq!(client.got(), []);
        client.silence(600).await;
        client.say(Say::Digits("12*")).await;
        client.silence(100).await;
        client.say(Say::Digits("123")).await;
        client.silence(100).await;
        client.say(Say::Digits("5")).await;
        client.silence(600).await;
        let got = client.got();
        // The second twelve ends with a star, because the first one's answer says so.
        assert_eq!(texts(&got), [(1, "twelve"), (2, "twelve"), (3, "all three")]);
        client.silence(1_500).await;
        assert_eq!(texts(&client.got()), [(4, "others")], "rules hold for one answer");
        assert_eq!(world.stream().digits(), "1212*1235");
    }
}

const TOOLS: &str = r#"
    [start]
    say = "one moment"
    tool_call = { tool = "tools/stock", action = "stock", args = { item = "rye" } }
    [[utterance]]
    say = "there is some"
"#;

fn asked(client: &mut super::client::Client) -> (String, String, Value) {
    let tools = client.got().into_iter().filter_map(|got| match got {
        Got::Tool(id, tool, args) => Some((id, tool, args)),
        _ => None,
    });
    let [of] = &tools.collect::<Vec<_>>()[..] else { panic!() };
    of.clone()
}

#[tokio::test(start_paused = true)]
async fn a_turn_waits_for_its_tool() {
    for transport in BOTH {
        let world = World::new(TOOLS);
        let mut client = world.greeted(transport, 200).await;
        let (id, tool, args) = asked(&mut client);
        assert_eq!((tool.as_str(), args), (&*format!("{APP}/tools/stock"), json!({ "item": "rye" })));
        client.silence(5_000).await;
        assert_eq!(client.got(), [], "the turn is not complete");
        client.say(Say::Tool(id, tool, json!({ "output": { "loaves": 3 } }))).await;
        client.silence(200).await;
        let got = client.got();
        assert_eq!(texts(&got), [(1, "there is some")]);
        assert!(matches!(got.last(), Some(Got::Completed(1, _))), "it is the same turn");
        let answer = &world.stream().tool_answers[0];
        assert_eq!(answer.response["output"]["loaves"], 3.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_waits_for_all_its_tools() {
    let script = "[start]\ntool_call = { tool = \"tools/a\" }\nmore_tool_calls = [{ tool = \"tools/b\" }]\n[[utterance]]\nsay = \"both\"";
    for transport in BOTH {
        let world = World::new(script);
        let mut client = world.greeted(transport, 100).await;
        let [Got::Tool(a, tool_a, _), Got::Tool(b, tool_b, _)] = &client.got()[..] else { panic!() };
        assert_ne!(a, b);
        client.say(Say::Tool(b.clone(), tool_b.clone(), json!({ "output": 2 }))).await;
        client.silence(1_000).await;
        assert_eq!(client.got(), []);
        client.say(Say::Tool(a.clone(), tool_a.clone(), json!({ "output": 1 }))).await;
        client.silence(100).await;
        assert_eq!(texts(&client.got()), [(1, "both")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_does_not_answer_has_failed() {
    let world = World::new(&format!("[ces]\ntool_timeout_ms = 3000\n{TOOLS}"));
    let mut client = world.greeted(Transport::Grpc, 2_500).await;
    assert_eq!(texts(&client.got()), [(1, "one moment")]);
    client.silence(1_000).await;
    assert_eq!(texts(&client.got()), [(1, "there is some")]);
}

#[tokio::test(start_paused = true)]
async fn only_a_call_that_was_asked_for_can_be_answered() {
    let answers: [fn(String, String) -> Say; 3] = [
        |_, tool| Say::Tool("call-99".to_owned(), tool, json!({ "output": 1 })),
        |id, tool| Say::Tool(id, format!("{tool}s"), json!({ "output": 1 })),
        |id, _| Say::Tool(id, String::new(), json!({ "error": "none here" })),
    ];
    for answer in answers {
        let world = World::new(TOOLS);
        let mut client = world.greeted(Transport::WebSocket, 200).await;
        let (id, tool, _) = asked(&mut client);
        client.say(answer(id, tool)).await;
        pause(100).await;
        assert!(matches!(client.ended(), Some(Ended::Closed(1007, _))), "{:?}", client.ended());
        assert!(world.stream().refused.unwrap().contains("tool_response"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_not_known_is_ignored_or_refused() {
    for (switch, is_refused) in [("ignored", false), ("refused", true)] {
        let world = World::new(&format!(
            "[ces]\nunknown_event = \"{switch}\"\n[start]\nevent = \"session_start\"\nsay = \"hello\""
        ));
        let mut client = world.open(Transport::Grpc).await;
        client.say(Say::Event("OTHER")).await;
        client.silence(200).await;
        assert_eq!((client.got(), client.ended().is_some()), (vec![], is_refused));
        if !is_refused {
            client.say(Say::Event("session_start")).await;
            client.silence(200).await;
            assert_eq!(texts(&client.got()), [(1, "hello")], "it was no turn");
        }
    }
}
