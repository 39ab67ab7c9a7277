//! Calls from the browser: like a phone call, except that Twilio does not know of them.

use std::time::Duration;

use dialbridge_tests::{Came, Harness, HarnessBuilder, RawSocket, post, signed_post};
use serde_json::Value;

use super::{FORM, ORIGIN, call, get, harness, json, ticket};

/// The agent says something and ends the call.
fn brief() -> HarnessBuilder {
    Harness::with_script(
        "[start]\nsay = \"good bye\"\nintent = \"farewell\"\ntone = { hz = 400, ms = 300 }\nparameters = { a = 1 }\nend = true",
    )
}

/// Plays what comes, like a browser, until the socket ends. Returns how it ended.
async fn play(socket: &mut RawSocket, stops: bool) -> Came {
    loop {
        match socket.next().await {
            Came::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["event"] == "mark" {
                    let name = &message["mark"]["name"];
                    socket.text(&format!(r#"{{"event":"mark","streamSid":"MZ1","mark":{{"name":{name}}}}}"#)).await;
                }
            }
            Came::Nothing if stops => {
                socket.text(r#"{"event":"stop","streamSid":"MZ1"}"#).await;
            }
            Came::Nothing => {}
            end => return end,
        }
    }
}

fn lines(events: &str) -> Vec<Value> {
    let lines = events.split("\n\n").filter_map(|event| event.strip_prefix("event: line\ndata: "));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_to_its_hand_off_which_is_shown_and_made_nowhere() {
    let harness = brief().start();
    // From here on this test stands in Twilio's place, so it sees any request.
    let mut rest = harness.pipes.listen("api.twilio.test:80");
    let (mut socket, events, call_sid) = call(&harness, "").await;
    assert!(call_sid.starts_with("browser-") && call_sid.len() == 32, "{call_sid}");
    let following = get(&harness, &events, &[]);
    let (end, told) = tokio::join!(play(&mut socket, false), following);
    assert_eq!(end, Came::Close(1000), "nobody stops the stream: it is closed");
    let lines = lines(&told.body);
    let find =
        |what: &str| lines.iter().find(|line| line["what"] == what).unwrap_or_else(|| panic!("{what}: {lines:?}"));
    let answered = find("answered");
    assert_eq!((&answered["text"], &answered["intent"]), (&"good bye".into(), &"farewell".into()));
    assert_eq!(answered["parameters"]["a"], 1);
    assert!(find("stages")["latencyMs"].as_u64().is_some());
    assert!(find("twiml")["twiml"].as_str().unwrap().contains("VirtualAgentStatus=completed"));
    assert!(told.body.contains("event: over\ndata: "), "{}", told.body);
    assert!(rest.try_recv().is_err(), "REST was asked");
    let form = [("CallSid", &*call_sid), ("CallStatus", "in-progress")];
    assert_eq!(signed_post(&harness.pipes, "/connect-ended", &form).await.status, 403, "and no state was given out");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_stops_the_stream_ends_the_call_at_once() {
    let harness = brief().start();
    let (mut socket, ..) = call(&harness, "").await;
    assert_eq!(play(&mut socket, true).await, Came::Close(1000));
    // The service waits for the answer to its close frame, which does not come.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let calls = json(&harness, "/calls.json").await;
    assert_eq!((&calls["finished"][0]["reason"], &calls["finished"][0]["kind"]), (&"stop".into(), &"browser".into()));
}

#[tokio::test(start_paused = true)]
async fn a_transfer_shows_no_state_that_could_be_used() {
    let script = "[start]\ntone = { hz = 400, ms = 300 }\ntransfer = \"+15550123\"";
    let harness = Harness::with_script(script).start();
    let mut rest = harness.pipes.listen("api.twilio.test:80");
    let (mut socket, events, _) = call(&harness, "").await;
    let (_, told) = tokio::join!(play(&mut socket, false), get(&harness, &events, &[]));
    let twiml = lines(&told.body).into_iter().find(|line| line["what"] == "twiml").unwrap()["twiml"].clone();
    assert!(twiml.as_str().unwrap().contains(r#"action="http://service.test/dial-ended?s=STATE""#), "{twiml}");
    assert!(rest.try_recv().is_err(), "REST was asked");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_cannot_be_had_is_told_and_the_call_gets_what_a_phone_call_would() {
    let harness = Harness::with_script("[start]\nfault = \"PERMISSION_DENIED\"").start();
    let mut rest = harness.pipes.listen("api.twilio.test:80");
    let (mut socket, events, _) = call(&harness, "").await;
    let (_, told) = tokio::join!(play(&mut socket, false), get(&harness, &events, &[]));
    let lines = lines(&told.body);
    let failed = lines.iter().find(|line| line["what"] == "failed").unwrap();
    assert!(failed["fault"].as_str().unwrap().starts_with("PERMISSION_DENIED"), "{failed}");
    assert_eq!(failed["retryInMs"], Value::Null);
    assert!(
        lines.iter().any(|line| line["twiml"].as_str().is_some_and(|twiml| twiml.contains("=failed"))),
        "{lines:?}"
    );
    assert!(rest.try_recv().is_err(), "REST was asked");
}

#[tokio::test(start_paused = true)]
async fn a_tab_that_is_closed_leaves_nothing_behind() {
    let harness = harness().start();
    for stops in [true, false] {
        let (mut socket, ..) = call(&harness, "").await;
        assert!(matches!(socket.next().await, Came::Text(_)), "the agent speaks");
        assert_eq!(
            (harness.service.calls().live(), json(&harness, "/calls.json").await["liveCount"].as_u64()),
            (1, Some(1))
        );
        if stops {
            socket.text(r#"{"event":"stop","streamSid":"MZ1"}"#).await;
        }
        drop(socket);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let calls = json(&harness, "/calls.json").await;
        assert_eq!((harness.service.calls().live(), &calls["liveCount"]), (0, &0.into()));
        assert_eq!(calls["finished"][0]["reason"], if stops { "stop" } else { "media stream closed" });
        assert_eq!(harness.agent.record().open(), 0, "and no stream to the agent");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_has_gone_to_sleep_is_not_waited_for() {
    let harness = harness().start();
    let (_socket, ..) = call(&harness, "").await;
    tokio::time::sleep(Duration::from_secs(45)).await;
    assert_eq!(harness.service.calls().live(), 0);
    assert_eq!(json(&harness, "/calls.json").await["finished"][0]["reason"], "no frames");
    let (media, ..) = ticket(&harness, "").await;
    let _silent = RawSocket::open_with(&harness.pipes, &media, &[ORIGIN]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(harness.service.calls().live(), 0, "nor for a start that does not come");
}

#[tokio::test(start_paused = true)]
async fn agent_and_language_are_those_that_were_chosen() {
    let file = "[agents.one]\ndialogflow_agent = \"projects/p/locations/global/agents/a\"\n[agents.two]\n\
                dialogflow_agent = \"projects/p/locations/global/agents/b\"\n";
    let harness = harness()
        .settings(|settings| settings.set("DIALOGFLOW_AGENT", ""))
        .file(file)
        .agent("two", "[start]\nsay = \"two\"\ntone = { hz = 400, ms = 300 }")
        .start();
    let (_socket, _, call_sid) = call(&harness, "agent=two&language=de-DE").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let turns = harness.agents["two"].record().turns(&call_sid);
    assert_eq!((turns[0].input, turns[0].language.as_str()), ("text", "de-DE"));
    assert_eq!(json(&harness, "/calls.json").await["live"][0]["agent"], "two");
    for (form, status, sentence) in [
        ("agent=nobody", 404, "Reload the page"),
        ("language=klingon", 400, "write one such as de-DE"),
        ("agent=../x", 404, "Reload the page"),
    ] {
        let answer = post(&harness.pipes, "POST /softphone", &[ORIGIN, FORM], form).await;
        assert_eq!(answer.status.as_u16(), status, "{form}");
        assert!(answer.body.contains(sentence), "{}", answer.body);
    }
}

#[tokio::test(start_paused = true)]
async fn no_call_is_begun_where_there_is_no_room_or_the_instance_ends() {
    let harness = brief().settings(|settings| settings.set("MAX_CALLS", "1")).start();
    let asked = || post(&harness.pipes, "POST /softphone", &[ORIGIN, FORM], "");
    let (mut socket, events, call_sid) = call(&harness, "").await;
    socket.next().await;
    let answer = asked().await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("All lines are busy"), "{}", answer.body);
    let ending = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        harness.service.end().await;
        asked().await
    };
    let (_, told, answer) = tokio::join!(play(&mut socket, false), get(&harness, &events, &[]), ending);
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("This instance is ending"), "{}", answer.body);
    assert!(told.body.contains(&call_sid), "{}", told.body);
}

#[tokio::test(start_paused = true)]
async fn another_instances_call_is_not_waited_for_for_long() {
    let harness = harness().start();
    for path in ["/softphone/events/browser-000000000000000000000000", "/softphone/events/..", "/softphone/events/"] {
        assert_eq!(get(&harness, path, &[]).await.status, 404, "{path}");
    }
    let (media, events, _) = ticket(&harness, "").await;
    let early = get(&harness, &events, &[]);
    let late = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut socket = RawSocket::open_with(&harness.pipes, &media, &[ORIGIN]).await.unwrap();
        socket.frame(dialbridge_net::websocket::Frame::close(1000, "")).await;
    };
    let (told, ()) = tokio::join!(early, late);
    assert_eq!(told.status, 200, "whoever looks on may come first");
}

#[tokio::test(start_paused = true)]
async fn a_call_from_the_browser_is_in_the_log_without_its_ticket_or_a_word() {
    let log = dialbridge_tests::Log::start();
    let harness = harness().start();
    let (mut socket, events, _) = call(&harness, "").await;
    socket.next().await;
    drop(socket);
    let told = get(&harness, &events, &[]).await;
    assert!(told.body.contains("Corner Bakery"), "the page has the words");
    let (media, ..) = ticket(&harness, "").await;
    let refused = RawSocket::open_with(&harness.pipes, &format!("{media}A"), &[ORIGIN]).await;
    assert!(refused.is_err());
    let text = log.text();
    assert!(text.contains("a media socket was refused"), "{text}");
    assert!(!text.contains(media.rsplit('/').next().unwrap()), "{text}");
    let above_debug: Vec<&str> = text.lines().filter(|line| !line.contains(r#""severity":"DEBUG""#)).collect();
    assert!(above_debug.iter().all(|line| !line.contains("Corner Bakery")), "{above_debug:?}");
}
