//! What the page shows, and what it never shows.

use std::time::Duration;

use dialbridge_lab::twilio::{CallerStep, When};
use dialbridge_tests::{Harness, bakery, hang_up, numbered_speech, post, say};
use serde_json::Value;

use super::{ORIGIN, call, get, harness, json};

#[tokio::test(start_paused = true)]
async fn it_tells_what_is_configured_and_no_secret() {
    let harness = harness()
        .settings(|settings| {
            settings.set("TICKET_KEY", "planted-key");
            settings.set("WEBHOOK_HEADERS", "Authorization: Bearer planted-header");
            settings.set("END_OF_INTERACTION_URL", "https://planted:planted@example.com/planted?planted");
            settings.set("BARGE_IN", "voice");
        })
        .start();
    let status = json(&harness, "/status.json").await;
    let agent = &status["agents"][0];
    assert_eq!(
        (&agent["name"], &agent["edition"], &agent["language"]),
        (&"default".into(), &"cx".into(), &"en-US".into())
    );
    assert_eq!((&agent["bargeIn"], &agent["endsAt"]), (&"voice".into(), &"example.com".into()));
    assert_eq!(status["publicUrl"], "http://service.test");
    let text = status.to_string();
    assert!(!text.contains("planted") && !text.contains(dialbridge_tests::TOKEN), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_phone_call_is_shown_live_and_afterwards_without_a_word_of_it() {
    let harness = harness().start();
    let looking = async {
        tokio::time::sleep(Duration::from_secs(12)).await;
        json(&harness, "/calls.json").await
    };
    let (_, live) = tokio::join!(harness.call(bakery()), looking);
    let row = &live["live"][0];
    assert_eq!((&live["liveCount"], &row["kind"], &row["agent"]), (&1.into(), &"phone".into(), &"default".into()));
    assert!(row["turns"].as_u64().unwrap() >= 2 && row["latenciesMs"][0].as_u64().unwrap() >= 250, "{row}");
    let calls = json(&harness, "/calls.json").await;
    let over = &calls["finished"][0];
    assert_eq!((&calls["liveCount"], &over["status"]), (&0.into(), &"live-agent-handoff".into()));
    assert!(over["tookMs"].as_u64().unwrap() > 20_000, "{over}");
    let call = json(&harness, &format!("/calls/{}.json", over["id"])).await;
    let whats: Vec<&str> =
        call["lines"].as_array().unwrap().iter().map(|line| line["what"].as_str().unwrap()).collect();
    for what in ["started", "turn", "answered", "stages", "barge-in", "played", "handed-off", "ended"] {
        assert!(whats.contains(&what), "{what} in {whats:?}");
    }
    let text = call.to_string();
    for personal in ["+15550100", "+15550199", "s of speech", "loaves", "rye", "Bakery", "cakes"] {
        assert!(!text.contains(personal), "{personal} in {text}");
    }
    assert!(text.contains("order.bread"), "an intent is nobody's word");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_asks_for_a_person_and_is_hung_up_on_is_told_from_one_that_goes_on() {
    for (url, outcome) in [("", "person-missed"), ("https://example.com/next", "person")] {
        let harness = harness().settings(|settings| settings.set("END_OF_INTERACTION_URL", url)).start();
        harness.call(bakery()).await;
        let calls = json(&harness, "/calls.json").await;
        assert_eq!(calls["finished"][0]["outcome"], outcome, "{url}");
        let hour = &calls["lastHour"];
        assert_eq!((&hour["calls"], &hour["failed"], &hour["callsByMinute"][59]), (&1.into(), &0.into(), &1.into()));
        assert!(
            hour["medianMs"].as_u64().unwrap() >= 250 && hour["p95Ms"].as_u64() >= hour["medianMs"].as_u64(),
            "{hour}"
        );
        assert!(!json(&harness, "/calls/1.json").await.to_string().contains("example.com"), "the TwiML is not shown");
    }
}

#[tokio::test(start_paused = true)]
async fn words_of_phone_calls_are_shown_where_they_are_allowed() {
    let harness = harness().settings(|settings| settings.set("PAGE_TRANSCRIPTS", "true")).start();
    harness.call(bakery()).await;
    let text = json(&harness, "/calls/1.json").await.to_string();
    assert!(text.contains("s of speech") && text.contains("Two loaves of rye bread"), "{text}");
    assert!(!text.contains("+15550100"), "the number is no word of the call");
}

#[tokio::test(start_paused = true)]
async fn digits_are_shown_nowhere() {
    for form in [None, Some("text"), Some("event:TYPED")] {
        let script = "[start]\ntone = { hz = 400, ms = 300 }\n[digits.4711]\nsay = \"thanks\"\nintent = \"typed\"";
        let harness = Harness::with_script(script)
            .settings(|settings| {
                settings.set("PAGE_TRANSCRIPTS", "true");
                settings.set("DTMF_AS", form.unwrap_or_default());
            })
            .start();
        let steps = vec![
            CallerStep::Press { when: When::AgentSilent(500), digits: "4711#".to_owned() },
            hang_up(When::After(3_000)),
        ];
        let call = harness.call(steps).await;
        assert!(
            harness.turns(&call).iter().any(|turn| turn.input != "audio" && turn.text != "hi"),
            "the agent got them"
        );
        let shown = json(&harness, "/calls/1.json").await.to_string();
        assert!(shown.contains(r#""what":"digits""#) && shown.contains(r#""count":4"#), "{shown}");
        assert!(!shown.contains("4711"), "{form:?}: {shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_list_is_told_when_it_changes_until_the_instance_ends() {
    let harness = harness().start();
    let follow = get(&harness, "/calls/events", &[]);
    let acts = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        harness.call(vec![say(When::AgentSilent(400), numbered_speech(0, 800)), hang_up(When::After(1_000))]).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        harness.service.end().await
    };
    let (told, _) = tokio::join!(follow, acts);
    assert_eq!(told.headers["content-type"], "text/event-stream");
    let events: Vec<&str> = told.body.split("\n\n").filter(|event| !event.is_empty()).collect();
    let lists: Vec<Value> = events
        .iter()
        .filter_map(|event| event.strip_prefix("event: calls\ndata: "))
        .map(|list| serde_json::from_str(list).unwrap())
        .collect();
    assert_eq!((&lists[0]["liveCount"], lists[0]["finished"].as_array().unwrap().len()), (&0.into(), 0));
    assert!(lists.iter().any(|list| list["live"][0]["state"] == "agent speaks"), "{lists:?}");
    assert_eq!(lists.last().unwrap()["finished"][0]["reason"], "stop");
    assert!(events.contains(&":"), "nothing happened for a while, which was told");
    assert_eq!(events.last().unwrap(), &"event: draining\ndata: {}");
}

#[tokio::test(start_paused = true)]
async fn viewers_are_limited_and_one_that_leaves_makes_room() {
    let harness = harness().start();
    let follow = |n: u64| {
        let pipes = harness.pipes.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(n)).await;
            post(&pipes, "GET /calls/events", &[], "").await.status.as_u16()
        })
    };
    let followers: Vec<_> = (0..64).map(follow).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(get(&harness, "/calls/events", &[]).await.status, 503);
    let (_socket, events, _) = call(&harness, "").await;
    assert_eq!(get(&harness, &events, &[]).await.status, 503);
    followers[0].abort();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(follow(0).await.unwrap(), 200, "and that one ends by itself");
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_asked_by_a_real_turn_once_a_minute_whoever_asks() {
    let harness = harness().start();
    let ask = || post(&harness.pipes, "POST /agents/default/check", &[ORIGIN], "");
    let (first, second) = tokio::join!(ask(), ask());
    assert_eq!(first.body, second.body);
    let result: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!((&result["answers"], &result["by"]), (&true.into(), &"text".into()));
    assert!(result["tookMs"].as_u64().unwrap() >= 250, "it thinks for so long: {result}");
    assert_eq!(ask().await.body, first.body);
    let sessions = harness.agent.record().sessions();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert!(sessions[0].starts_with("check-"), "{sessions:?}");
    assert_eq!(harness.agent.record().turns(&sessions[0])[0].text, "hi");
    assert_eq!(json(&harness, "/calls.json").await["finished"].as_array().unwrap().len(), 0, "it is no call");
    tokio::time::advance(Duration::from_secs(61)).await;
    ask().await;
    assert_eq!(harness.agent.record().sessions().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_answer_is_told_so_and_why() {
    let down = "[agents.down]\ndialogflow_agent = \"projects/p/locations/global/agents/a\"\n[agents.fails]\n\
                dialogflow_agent = \"projects/p/locations/global/agents/b\"\n[agents.listens]\n\
                dialogflow_agent = \"projects/p/locations/global/agents/c\"\ndialogflow_starting_text = \"\"\n\
                [agents.unknown]\ndialogflow_project_id = \"p\"\n";
    let script = |start: &str| format!("[start]\n{start}\n[[utterance]]\nsay = \"yes\"");
    let harness = harness()
        .settings(|settings| settings.set("DIALOGFLOW_AGENT", ""))
        .file(down)
        .agent("fails", &script("fault = \"PERMISSION_DENIED\""))
        .agent("listens", &script("say = \"unused\""))
        .agent("unknown", &script("event = \"OTHER\"\nsay = \"unused\""))
        .config(|config| {
            let nobody =
                dialbridge_runner::settings::Endpoint { url: "http://nobody.test".to_owned(), is_plaintext: true };
            config.agents.get_mut("down").unwrap().endpoint = Some(nobody);
        })
        .start();
    let mut results = Vec::new();
    for name in ["down", "fails", "listens", "unknown"] {
        let answer = post(&harness.pipes, &format!("POST /agents/{name}/check"), &[ORIGIN], "").await;
        let result: Value = serde_json::from_str(&answer.body).unwrap();
        results.push((result["answers"].as_bool().unwrap(), result["by"].clone(), result["fault"].clone()));
    }
    let [down, fails, listens, unknown] = &results[..] else { panic!() };
    assert!(!down.0 && down.2.as_str().unwrap().starts_with("UNAVAILABLE"), "{down:?}");
    assert!(!fails.0 && fails.2.as_str().unwrap().starts_with("PERMISSION_DENIED"), "{fails:?}");
    assert!(listens.0 && listens.1 == "audio", "{listens:?}");
    assert!(!unknown.0 && unknown.2 == "it leaves the starting event unanswered", "{unknown:?}");
}
