//! Which agent takes a call, in which language, and what it is told.

use std::collections::{BTreeMap, BTreeSet};

use dialbridge_lab::twilio::{CallPlan, CallRecord, When};
use dialbridge_tests::{
    Came, Edition, Harness, HarnessBuilder, RawSocket, numbered_speech, paths, pause, say, signed_post, start,
};
use http::StatusCode;

const CALL: &str = "CA00000000000000000000000000000001";

const SCRIPT: &str = r#"
    [start]
    tone = { hz = 400, ms = 300 }
    [[utterance]]
    tone = { hz = 500, ms = 300 }
    end = true
"#;

const FILE: &str = r#"
    [parameters]
    brand = "corner"
    shop = "all"
    [agents.sales]
    dialogflow_agent = "projects/lab/locations/global/agents/sales"
    numbers = ["+15550100", "+1555*"]
    language = "de-DE"
    parameters = { shop = "north", open = true, floor = 2 }
    [agents.support]
    dialogflow_agent = "projects/lab/agent/environments/live/users/u"
    numbers = ["+15550177", "+49*"]
    dialogflow_language = "fr-FR"
    overflow_url = "https://example.com/support-is-busy"
    dial_failed_event = "NOBODY"
"#;

fn harness() -> HarnessBuilder {
    Harness::with_script(SCRIPT).file(FILE).agent("sales", SCRIPT).agent("support", SCRIPT)
}

async fn call(harness: &Harness, to: &str, query: &str) -> CallRecord {
    let mut plan: CallPlan = harness.plan(vec![say(When::AgentSilent(200), numbered_speech(0, 600))]);
    plan.voice_url += query;
    plan.to = to.to_owned();
    harness.twilio.call(plan).await
}

/// Which agents got requests in that call.
fn answered_by(harness: &Harness, call: &CallRecord) -> Vec<&'static str> {
    let mut who = Vec::new();
    for name in ["sales", "support"] {
        if !harness.turns_of(name, call).is_empty() {
            who.push(name);
        }
    }
    if !harness.turns(call).is_empty() {
        who.push("default");
    }
    who
}

#[tokio::test(start_paused = true)]
async fn the_voice_url_the_called_number_or_its_beginning_says_which_agent_has_the_call() {
    let harness = harness().start();
    for (to, query, agent) in [
        ("+15550100", "", "sales"),
        ("+15559", "", "sales"),
        ("+15550177", "", "support"),
        ("+4930123", "", "support"),
        ("+33123", "", "default"),
        ("anonymous", "?agent=", "default"),
        ("+15550100", "?agent=support", "support"),
        ("+4930123", "?agent=default", "default"),
        ("+33123", "?x=1&agent=sales", "sales"),
    ] {
        let call = call(&harness, to, query).await;
        assert_eq!(answered_by(&harness, &call), [agent], "{to} {query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_of_the_share_gets_the_other_agent_each_time_and_a_withheld_number_is_picked_by_its_call() {
    let file = FILE.replace("language = \"de-DE\"", "language = \"de-DE\"\nshare = { support = 50 }");
    let harness = Harness::with_script(SCRIPT).file(&file).agent("sales", SCRIPT).agent("support", SCRIPT).start();
    let picked = async |from: &str| {
        let mut plan: CallPlan = harness.plan(vec![say(When::AgentSilent(200), numbered_speech(0, 600))]);
        (plan.from, plan.to) = (from.to_owned(), "+15550100".to_owned());
        let call = harness.twilio.call(plan).await;
        answered_by(&harness, &call)
    };
    let mut counts = BTreeMap::new();
    for n in 0..8 {
        let caller = format!("+1555000{n:04}");
        let (first, again) = (picked(&caller).await, picked(&caller).await);
        assert_eq!(first, again, "{caller}");
        *counts.entry(first).or_insert(0) += 1;
    }
    assert!(counts.len() == 2 && counts.contains_key(&vec!["sales"]), "{counts:?}");
    let mut withheld = BTreeSet::new();
    for _ in 0..12 {
        withheld.insert(picked("anonymous").await);
    }
    assert_eq!(withheld.len(), 2, "each call of a withheld number is picked by itself");
}

#[tokio::test(start_paused = true)]
async fn without_one_in_the_environment_the_first_agent_of_the_file_has_all_other_calls() {
    let harness = harness().settings(|settings| settings.set("DIALOGFLOW_AGENT", "")).start();
    let call = call(&harness, "+33123", "").await;
    assert_eq!(answered_by(&harness, &call), ["sales"]);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_not_there_is_told_and_a_language_costs_no_call() {
    let harness = harness().start();
    let form = [("CallSid", CALL)];
    for (path, status) in [
        ("/twiml?agent=nobody", StatusCode::NOT_FOUND),
        ("/twiml?agent=Sales", StatusCode::NOT_FOUND),
        ("/twiml?language=de_DE", StatusCode::OK),
        ("/twiml?language=German%20please", StatusCode::OK),
        ("/twiml?language=&agent=", StatusCode::OK),
        ("/twiml?agent=sales&language=sr-Latn-RS", StatusCode::OK),
    ] {
        assert_eq!(signed_post(&harness.pipes, path, &form).await.status, status, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_voice_urls_language_goes_before_the_agents() {
    let harness = harness().start();
    for (agent, query, language) in [
        ("sales", "?agent=sales", "de-DE"),
        ("support", "?agent=support", "fr-FR"),
        ("sales", "?agent=sales&language=it-IT", "it-IT"),
        ("support", "?language=nl&agent=support", "nl"),
    ] {
        let call = call(&harness, "+33123", query).await;
        let turns = harness.turns_of(agent, &call);
        assert!(turns.len() >= 2);
        assert!(turns.iter().all(|turn| turn.language == language), "{query}: {:?}", turns[0].language);
    }
    let call = call(&harness, "+33123", "").await;
    assert_eq!(harness.turns(&call)[0].language, "en-US");
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_told_its_fixed_parameters_the_calls_own_go_before_them() {
    let harness = harness().start();
    for (query, shop) in [("", "north"), ("?param.shop=south", "south")] {
        let call = call(&harness, "+15550100", query).await;
        let told = &harness.turns_of("sales", &call)[0].parameters;
        assert_eq!((&told["brand"], &told["shop"]), (&"corner".into(), &shop.into()));
        assert_eq!((&told["open"], &told["floor"]), (&true.into(), &2.0.into()));
        assert_eq!((&told["To"], &told["CallSid"]), (&"+15550100".into(), &call.call_sid.as_str().into()));
    }
    let call = call(&harness, "+4930", "").await;
    let told = &harness.turns_of("support", &call)[0].parameters;
    assert_eq!((&told["brand"], &told["shop"]), (&"corner".into(), &"all".into()));
}

#[tokio::test(start_paused = true)]
async fn a_resumed_call_keeps_its_agent_and_its_language() {
    let harness = harness().start();
    let mut form = vec![("CallSid", CALL), ("CallStatus", "in-progress")];
    let first = signed_post(&harness.pipes, "/twiml?agent=support&language=nl", &form).await;
    let (_, action) = paths(&first.body);
    let resumed = signed_post(&harness.pipes, &action, &form).await;
    listen(&harness, &paths(&resumed.body).0).await;
    form.push(("DialCallStatus", "no-answer"));
    let dialled = action.replace("/connect-ended", "/dial-ended");
    tokio::time::advance(std::time::Duration::from_millis(20)).await;
    let back = signed_post(&harness.pipes, &dialled, &form).await;
    listen(&harness, &paths(&back.body).0).await;

    let turns = harness.agents["support"].record().turns(CALL);
    let inputs: Vec<(&str, &str)> = turns.iter().map(|turn| (turn.input, turn.text.as_str())).collect();
    assert_eq!(inputs[..2], [("audio", ""), ("event", "NOBODY")], "resumed, and back from a transfer");
    assert!(turns.iter().all(|turn| turn.language == "nl"));
    assert!(harness.agent.record().turns(CALL).is_empty() && harness.agents["sales"].record().turns(CALL).is_empty());
}

async fn listen(harness: &Harness, media: &str) {
    let mut socket = RawSocket::open(&harness.pipes, media).await.unwrap();
    socket.text(&start(CALL)).await;
    while let Came::Text(_) = socket.next().await {}
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_agent_is_not_configured_any_more_goes_where_failed_calls_go() {
    let form = [("CallSid", CALL), ("CallStatus", "in-progress")];
    let earlier = harness().start();
    let twiml = signed_post(&earlier.pipes, "/twiml?agent=support", &form).await;
    let (media, action) = paths(&twiml.body);
    // Another instance with another configuration and the same keys.
    let later = Harness::with_script(SCRIPT).start();
    assert!(RawSocket::open(&later.pipes, &media).await.is_err());
    let known = signed_post(&earlier.pipes, "/twiml?agent=default", &form).await;
    assert!(RawSocket::open(&later.pipes, &paths(&known.body).0).await.is_ok(), "an agent that both have");
    for path in [action.clone(), action.replace("/connect-ended", "/dial-ended")] {
        let answer = signed_post(&later.pipes, &path, &form).await;
        assert!(answer.body.contains("VirtualAgentStatus=failed"), "{path}: {}", answer.body);
    }
    assert!(later.agent.record().turns(CALL).is_empty());
}

#[tokio::test(start_paused = true)]
async fn it_is_ready_when_every_agent_was_reached_or_waited_for() {
    let nowhere = dialbridge_runner::settings::Endpoint { url: "http://nowhere.test".to_owned(), is_plaintext: true };
    let all = harness().start();
    all.service.clone().warm_up().await;
    assert!(all.service.is_ready());
    let but_one = harness().config(|config| config.agents.get_mut("support").unwrap().endpoint = Some(nowhere)).start();
    let warm_up = tokio::spawn(but_one.service.clone().warm_up());
    tokio::time::sleep(std::time::Duration::from_millis(4_900)).await;
    assert!(!but_one.service.is_ready());
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(but_one.service.is_ready());
    warm_up.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_too_many_go_where_their_agent_says() {
    let harness = harness().settings(|settings| settings.set("MAX_CALLS", "1")).start();
    let form = |call| [("CallSid", call)];
    let first = signed_post(&harness.pipes, "/twiml?agent=sales", &form(CALL)).await;
    let mut socket = RawSocket::open(&harness.pipes, &paths(&first.body).0).await.unwrap();
    socket.text(&start(CALL)).await;
    assert!(matches!(socket.next().await, Came::Text(_)), "the call has started");
    for (agent, expected) in
        [("support", "https://example.com/support-is-busy"), ("sales", "<Say language=\"de-DE\">Zurzeit sind")]
    {
        let path = format!("/twiml?agent={agent}");
        let answer = signed_post(&harness.pipes, &path, &form("CA00000000000000000000000000000002")).await;
        assert!(answer.body.contains(expected), "{}", answer.body);
    }
}

each_edition!(what_is_set_of_speech_and_for_the_webhook_reaches_an_agent_of_any_edition, ALL);
async fn what_is_set_of_speech_and_for_the_webhook_reaches_an_agent_of_any_edition(edition: Edition) {
    let harness = Harness::with_script(SCRIPT)
        .edition(edition)
        .settings(|settings| {
            settings.set("VOICE_NAME", "en-US-Neural2-F");
            settings.set("VOICE_GENDER", "female");
            settings.set("SPEAKING_RATE", "1.25");
            settings.set("PITCH", "-2");
            settings.set("VOLUME_GAIN_DB", "3.5");
            settings.set("EFFECTS_PROFILE", "telephony-class-application");
            settings.set("SPEECH_MODEL", "telephony");
            settings.set("SPEECH_MODEL_VARIANT", "enhanced");
            settings.set("PHRASE_HINTS", "rye bread, sourdough");
            settings.set("SENTIMENT", "true");
            settings.set("TIME_ZONE", "Europe/Berlin");
            settings.set("WEBHOOK_HEADERS", "X-Tenant: north, X-Shop: 7");
        })
        .start();
    let steps = vec![say(When::AgentSilent(200), numbered_speech(0, 600)), pause(100)];
    let call = harness.call(steps).await;
    let turns = harness.turns(&call);
    for turn in &turns {
        let asked = &turn.requested;
        assert_eq!((asked.voice.as_str(), asked.gender.as_str()), ("en-US-Neural2-F", "SSML_VOICE_GENDER_FEMALE"));
        assert_eq!((asked.speaking_rate, asked.pitch, asked.volume_gain_db), (1.25, -2.0, 3.5));
        assert_eq!(asked.effects, ["telephony-class-application"]);
        assert_eq!((asked.time_zone.as_str(), asked.sentiment), ("Europe/Berlin", true));
        let headers: Vec<(&str, &str)> =
            asked.webhook_headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(headers, [("X-Shop", "7"), ("X-Tenant", "north")]);
    }
    let listening = turns.iter().find(|turn| turn.input == "audio").unwrap();
    let asked = &listening.requested;
    assert_eq!((asked.model.as_str(), asked.model_variant.as_str()), ("telephony", "USE_ENHANCED"));
    assert_eq!(asked.phrase_hints, ["rye bread", "sourdough"]);
}

#[tokio::test(start_paused = true)]
async fn an_agents_own_voice_is_its_own() {
    let file = r#"
        speaking_rate = 0.9
        [agents.sales]
        dialogflow_agent = "projects/lab/locations/global/agents/sales"
        voice_name = "de-DE-Neural2-B"
        flow_versions = ["projects/lab/locations/global/agents/sales/flows/f/versions/3"]
        [agents.support]
        dialogflow_agent = "projects/lab/agent"
        speaking_rate = 1.5
    "#;
    let harness = Harness::with_script(SCRIPT).file(file).agent("sales", SCRIPT).agent("support", SCRIPT).start();
    let version = "projects/lab/locations/global/agents/sales/flows/f/versions/3".to_owned();
    for (agent, voice, rate, versions) in
        [("sales", "de-DE-Neural2-B", 0.9, vec![version]), ("support", "", 1.5, Vec::new())]
    {
        let call = call(&harness, "+33123", &format!("?agent={agent}")).await;
        let asked = harness.turns_of(agent, &call)[0].requested.clone();
        assert_eq!(
            (asked.voice.as_str(), asked.speaking_rate, asked.flow_versions),
            (voice, rate, versions),
            "{agent}"
        );
    }
}
