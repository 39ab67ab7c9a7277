use super::*;

// The documents alone; what was lost has tests of its own.
fn ended(config: &HandoffConfig, end: &AgentEnd, outcome: &Outcome) -> String {
    super::ended(config, end, outcome).twiml
}

fn failed(config: &HandoffConfig, words: &OwnWords, outcome: &Outcome) -> String {
    super::failed(config, words, outcome).twiml
}

fn limit_reached(config: &HandoffConfig, limit: CallLimit, words: &OwnWords, outcome: &Outcome) -> String {
    super::limit_reached(config, limit, words, outcome).twiml
}

fn config(url: &str) -> HandoffConfig {
    HandoffConfig { end_of_interaction_url: Some(url.to_owned()), ..HandoffConfig::default() }
}

fn outcome() -> Outcome {
    Outcome {
        call_sid: "CA1".to_owned(),
        session: "projects/p/sessions/CA1".to_owned(),
        intent: Intent { name: "intents/7".to_owned(), display_name: "order & pay".to_owned() },
        parameters: json!({ "loaves": 2 }).as_object().cloned().unwrap(),
        query_text: "two loaves".to_owned(),
        action: String::new(),
        ..Outcome::default()
    }
}

/// The query parameters of the document's only `<Redirect>`.
fn parameters(twiml: &str) -> Vec<(String, String)> {
    let url = twiml.split_once("POST\">").unwrap().1.split_once("</Redirect>").unwrap().0.replace("&amp;", "&");
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), decode(value)));
    url.split_once('?').unwrap().1.split('&').filter_map(pair).collect()
}

#[test]
fn the_end_of_an_interaction_redirects_with_what_the_agent_found() {
    let twiml = ended(&config("https://example.com/next?a=1"), &AgentEnd::EndInteraction, &outcome());
    let expected = [
        ("a", "1"),
        (
            "dialogflowJSON",
            r#"{"intent":{"displayName":"order & pay","name":"intents/7"},"parameters":{"loaves":2},"queryText":"two loaves"}"#,
        ),
        ("VirtualAgentStatus", "completed"),
        ("VirtualAgentProviderData", r#"{"ConversationId":"CA1","EndUserId":"CA1"}"#),
    ];
    assert_eq!(parameters(&twiml), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn a_live_agent_handoff_carries_its_metadata_in_both_places() {
    let end = AgentEnd::LiveAgentHandoff { metadata: json!({ "queue": "bread" }) };
    let parameters = parameters(&ended(&config("https://example.com/next"), &end, &outcome()));
    assert!(parameters[0].1.contains(r#""liveAgentHandoff":{"queue":"bread"}"#));
    assert_eq!(parameters[1].1, "live-agent-handoff");
    assert!(parameters[2].1.contains(r#""AgentHandoffParameters":{"queue":"bread"}"#));
}

#[test]
fn only_allowed_fields_leave() {
    let config = HandoffConfig { fields: vec![HandoffField::Intent], ..config("https://example.com/next") };
    let end = AgentEnd::LiveAgentHandoff { metadata: json!({ "secret": "x" }) };
    let twiml = ended(&config, &end, &outcome());
    assert_eq!(parameters(&twiml)[0].1, r#"{"intent":{"displayName":"order & pay","name":"intents/7"}}"#);
    assert!(!twiml.contains("secret") && !twiml.contains("loaves"));
}

#[test]
fn what_does_not_fit_is_left_out_largest_first() {
    let mut outcome = outcome();
    outcome.parameters.insert("story".to_owned(), Value::from("é".repeat(900)));
    outcome.parameters.insert("note".to_owned(), Value::from("x".repeat(700)));
    outcome.query_text = "y".repeat(2_400);
    let twiml = ended(&config("https://example.com/next"), &AgentEnd::EndInteraction, &outcome);
    assert!(twiml.chars().count() < MAX_TWIML_CHARS);
    let json: Value = serde_json::from_str(&parameters(&twiml)[0].1).unwrap();
    assert_eq!(json["truncated"], true);
    assert_eq!(json["parameters"]["loaves"], 2);
    assert_eq!(json["parameters"]["note"], "x".repeat(700));
    assert!(json["parameters"].get("story").is_none(), "5,400 characters once encoded");
    assert_eq!(json["queryText"], "y".repeat(2_400));
}

#[test]
fn a_handoff_of_any_size_stays_under_the_limit() {
    let mut outcome = outcome();
    outcome.intent.display_name = "i".repeat(5_000);
    outcome.query_text = "q".repeat(5_000);
    let end = AgentEnd::LiveAgentHandoff { metadata: Value::from("m".repeat(5_000)) };
    let twiml = ended(&config("https://example.com/next"), &end, &outcome);
    assert_eq!(parameters(&twiml)[0].1, r#"{"parameters":{"loaves":2},"truncated":true}"#);
    assert_eq!(parameters(&twiml)[1].1, "live-agent-handoff");
}

#[test]
fn without_a_url_the_call_is_hung_up() {
    let twiml = ended(&HandoffConfig::default(), &AgentEnd::EndInteraction, &outcome());
    assert!(twiml.ends_with("<Response><Hangup/></Response>"));
}

#[test]
fn a_transfer_dials() {
    let end = AgentEnd::Transfer(Transfer::to("+15550199"));
    let twiml = ended(&config("https://example.com/next"), &end, &outcome());
    let body = r#"<Dial action="dialbridge:dial-ended" method="POST" timeout="30" answerOnBridge="true"><Number>+15550199</Number></Dial>"#;
    assert!(twiml.ends_with(&format!("<Response>{body}</Response>")), "{twiml}");
}

#[test]
fn a_task_is_queued_and_the_longest_texts_of_one_too_large_are_shortened() {
    let queue = |attributes| {
        let enqueue = Enqueue { workflow_sid: Some("WW1".to_owned()), attributes, ..Enqueue::default() };
        ended(&config("https://example.com/next"), &AgentEnd::Enqueue(enqueue), &outcome())
    };
    assert!(queue(json!({ "skill": "cakes" })).contains(r#"<Task>{&quot;skill&quot;:&quot;cakes&quot;}</Task>"#));
    let long = queue(json!({ "story": "x".repeat(4_000), "skill": "cakes" }));
    assert!(long.contains("&quot;skill&quot;:&quot;cakes&quot;") && long.contains("&quot;truncated&quot;:true}"));
    assert!(long.contains("xx…&quot;") && (3_990..4_000).contains(&long.chars().count()), "{}", long.chars().count());
    assert!(queue(json!({ "ids": vec![7; 4_000] })).contains("<Task>{&quot;truncated&quot;:true}</Task>"));
}

#[test]
fn a_pause_says_what_for() {
    let end = AgentEnd::Pause { parameters: json!({ "reason": "pay" }) };
    let parameters = parameters(&ended(&config("https://example.com/next"), &end, &outcome()));
    assert_eq!(parameters[1].1, "paused");
    assert!(parameters[2].1.contains(r#""PauseParameters":{"reason":"pay"}"#));
}

fn words() -> OwnWords {
    OwnWords { goodbye: Some("Good bye.".to_owned()), ..OwnWords::default() }
}

#[test]
fn a_limit_gives_its_reason_after_a_goodbye() {
    let next = config("https://example.com/next");
    let twiml = limit_reached(&next, CallLimit::Silence, &words(), &outcome());
    assert!(twiml.contains(r#"<Response><Say language="en-US">Good bye.</Say><Redirect"#));
    assert_eq!(parameters(&twiml)[1].1, "hangup");
    assert!(parameters(&twiml)[0].1.ends_with(r#","reason":"silence"}"#), "{twiml}");
    let failed = limit_reached(&next, CallLimit::FailedTurns, &words(), &outcome());
    assert!(failed.contains(r#"<Response><Say language="en-US">Good bye.</Say><Redirect"#), "{failed}");
    assert_eq!(parameters(&failed)[1].1, "failed");
    assert!(parameters(&failed)[0].1.ends_with(r#","reason":"failed-turns"}"#), "{failed}");
}

#[test]
fn a_goodbye_that_nobody_has_set_is_said_where_the_call_is_hung_up_and_nowhere_else() {
    let german = OwnWords::default().in_language("de-DE");
    let nowhere = limit_reached(&HandoffConfig::default(), CallLimit::Call, &german, &outcome());
    assert!(
        nowhere.ends_with(
            r#"<Say language="de-DE">Vielen Dank für Ihren Anruf. Auf Wiederhören.</Say><Hangup/></Response>"#
        )
    );
    let next = limit_reached(&config("https://example.com/next"), CallLimit::Call, &german, &outcome());
    assert!(next.contains("<Response><Redirect"), "{next}");
}

#[test]
fn too_many_failed_turns_end_with_the_goodbye_that_is_set_or_with_the_sentence_of_a_failed_agent() {
    let said = |words: &OwnWords| limit_reached(&HandoffConfig::default(), CallLimit::FailedTurns, words, &outcome());
    assert!(said(&words()).contains(">Good bye.</Say><Hangup/>"));
    let default = OwnWords::default();
    assert_eq!(said(&default), failed(&HandoffConfig::default(), &default, &outcome()));
}

#[test]
fn a_failed_agent_gives_the_fallback_or_a_redirect_or_a_sentence() {
    let words = OwnWords::default();
    let twiml = failed(&config("https://example.com/next"), &words, &outcome());
    assert!(parameters(&twiml)[0].1.starts_with(r#"{"intent":{"displayName":"","name":""},"#));
    assert_eq!(parameters(&twiml)[1].1, "failed");
    let fixed = HandoffConfig { fallback_twiml: Some("<Response/>".to_owned()), ..config("https://example.com") };
    assert_eq!(failed(&fixed, &words, &outcome()), "<Response/>");
    let french = failed(&HandoffConfig::default(), &words.in_language("fr-CA"), &outcome());
    assert!(french.contains(r#"<Say language="fr-CA">Nous sommes"#) && french.contains("</Say><Hangup/>"), "{french}");
}

#[test]
fn parameters_come_after_the_urls_own_query_and_before_its_fragment() {
    let added = [("x", "ä b".to_owned())];
    for (url, whole) in [
        ("https://e.com/", "https://e.com/?x=%C3%A4%20b"),
        ("https://e.com/?", "https://e.com/?x=%C3%A4%20b"),
        ("https://e.com/?a=1&", "https://e.com/?a=1&x=%C3%A4%20b"),
        ("https://e.com/?a=1#ct=2000", "https://e.com/?a=1&x=%C3%A4%20b#ct=2000"),
    ] {
        assert_eq!(with_query(url, &added), whole);
    }
}

/// The two objects of a hand-off with that metadata.
fn both(outcome: &Outcome, metadata: &Value) -> (Value, Value, Loss) {
    let end = AgentEnd::LiveAgentHandoff { metadata: metadata.clone() };
    let LastTwiml { twiml, loss } = super::ended(&config("https://example.com/next"), &end, outcome);
    assert!(is_short(&twiml), "{}", twiml.chars().count());
    let read = |n: usize| serde_json::from_str(&parameters(&twiml)[n].1).unwrap();
    (read(0), read(2), loss)
}

#[test]
fn long_metadata_stands_in_agent_handoff_parameters_alone_and_then_its_longest_texts_are_shortened() {
    let notes = |text: &str| json!({ "department": "billing", "urgent": true, "summary": text });
    for (text, is_whole) in [("x".repeat(2_500), true), ("x".repeat(5_000), false), ("あ".repeat(430), false)] {
        let (result, provider, loss) = both(&outcome(), &notes(&text));
        assert!(result.get("liveAgentHandoff").is_none() && result["truncated"] == true, "{result}");
        assert_eq!((&result["parameters"]["loaves"], &result["queryText"]), (&2.into(), &"two loaves".into()));
        let given = &provider["AgentHandoffParameters"];
        assert_eq!((&given["department"], &given["urgent"]), (&"billing".into(), &true.into()));
        let summary = given["summary"].as_str().unwrap();
        assert_eq!(summary == text, is_whole);
        assert!(is_whole || (summary.ends_with('…') && summary.chars().count() > text.chars().count() / 2));
        let shortened: &[&str] = if is_whole { &[] } else { &["AgentHandoffParameters.summary"] };
        assert_eq!(loss.left_out, ["liveAgentHandoff"]);
        assert_eq!(loss.shortened, shortened);
    }
}

#[test]
fn metadata_that_fits_twice_stands_in_both_objects_and_nothing_is_lost() {
    let (result, provider, loss) = both(&outcome(), &json!({ "summary": "x".repeat(600) }));
    assert_eq!(result["liveAgentHandoff"], provider["AgentHandoffParameters"]);
    assert!(result.get("truncated").is_none() && loss.is_nothing());
}

#[test]
fn a_field_that_is_longer_than_the_longest_text_of_the_metadata_goes_first() {
    let mut outcome = outcome();
    outcome.parameters.insert("story".to_owned(), "s".repeat(3_000).into());
    let summary = "x".repeat(2_000);
    let (result, provider, loss) = both(&outcome, &json!({ "summary": summary }));
    assert_eq!(provider["AgentHandoffParameters"]["summary"], summary);
    assert_eq!(result["parameters"], json!({ "loaves": 2 }));
    assert_eq!(loss.left_out, ["liveAgentHandoff", "parameters.story"]);
}

#[test]
fn metadata_of_numbers_without_end_loses_its_largest_entries_and_a_pause_is_shortened_too() {
    let (_, provider, loss) = both(&outcome(), &json!({ "ids": vec![1_234_567; 2_000], "department": "billing" }));
    assert_eq!(provider["AgentHandoffParameters"], json!({ "department": "billing" }));
    assert!(loss.left_out.contains(&"AgentHandoffParameters.ids".to_owned()), "{loss:?}");
    let end = AgentEnd::Pause { parameters: json!({ "why": "p".repeat(6_000), "amount": 12 }) };
    let pause = super::ended(&config("https://example.com/next"), &end, &outcome());
    assert!(is_short(&pause.twiml) && parameters(&pause.twiml)[2].1.contains(r#""amount":12"#));
    assert_eq!(pause.loss.shortened, ["PauseParameters.why"]);
}

#[test]
fn megabytes_of_parameters_and_metadata_are_left_out_without_delay() {
    let many = |n: usize| Value::Object((0..n).map(|n| (format!("name{n}"), n.to_string().into())).collect());
    let outcome = Outcome { parameters: many(20_000).as_object().cloned().unwrap(), ..outcome() };
    let (result, provider, loss) = both(&outcome, &many(20_000));
    assert!(!result["parameters"].as_object().unwrap().is_empty() || provider["AgentHandoffParameters"].is_object());
    assert!(loss.left_out.len() > 38_000, "{}", loss.left_out.len());
}

#[test]
fn a_long_text_beside_many_short_parameters_takes_few_and_short_documents() {
    let parameters = (0..1_000).map(|n| (format!("p{n}"), n.to_string().into())).collect();
    let outcome = Outcome { parameters, ..outcome() };
    let metadata = json!({ "story": "s".repeat(1 << 20), "department": "billing" });
    let mut content = Content::new(&HandoffConfig::default().fields, &outcome, Some(metadata));
    let written = std::cell::RefCell::new(Vec::new());
    content.make_fit(|content| {
        let url = with_query("https://example.com/next", &content.query(VirtualAgentStatus::Completed, &outcome));
        written.borrow_mut().push(url.len());
        url.len() < MAX_TWIML_CHARS
    });
    let written = written.into_inner();
    // The first document is the whole one.
    assert!(written[0] > 2 << 20 && written[1..].iter().all(|len| *len < 4 * MAX_TWIML_CHARS), "{written:?}");
    assert!(written.len() < 1_000, "{} documents", written.len());
    let story = content.query(VirtualAgentStatus::Completed, &outcome)[2].1.clone();
    assert!(story.contains("sss…") && story.contains("billing"), "{story}");
    assert!(
        content.loss.shortened.contains(&"AgentHandoffParameters.story".to_owned()),
        "{:?}",
        content.loss.shortened
    );
}
