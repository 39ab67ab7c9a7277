//! What Twilio says of a call: what the agent is told, which agent it is, and what leaves in the hand-off's URL.

use dialbridge_core::CloseReason;
use dialbridge_lab::agent::TurnRecord;
use dialbridge_lab::twilio::{
    Account, CallEventKind, CallFault, CallPlan, CallRecord, RestFault, TwilioBehaviour, When,
};
use dialbridge_tests::{
    Edition, Harness, HarnessBuilder, Log, close_reasons, hang_up, numbered_speech, pause, redirected, say, signed_post,
};

const CALLER: &str = "+15550100";
const CALLED: &str = "+15550199";

/// An agent that ends the call at once, with parameters of its own.
const GOODBYE: &str = r#"
    [start]
    event = "WELCOME"
    tone = { hz = 400, ms = 300 }
    parameters = { shop = "north", copy = "+1 555 0100", trip = { from = "Paris" } }
    end = true
"#;

/// Facts that Twilio says of some calls only.
fn facts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn call(harness: &Harness, query: &str, pairs: &[(&str, &str)]) -> CallRecord {
    let plan = harness.plan(Vec::new());
    let voice_url = plan.voice_url.clone() + query;
    harness.twilio.call(CallPlan { voice_url, facts: facts(pairs), ..plan }).await
}

#[tokio::test(start_paused = true)]
async fn no_number_of_the_call_leaves_in_the_url_whatever_the_case_of_the_names() {
    for case in ["as-set", "lower", "upper"] {
        let harness = Harness::with_script(&format!("parameter_names = \"{case}\"\n{GOODBYE}")).start();
        let url = redirected(&call(&harness, "?param.Line=%2B15550199&param.From2=x", &[]).await).unwrap();
        for number in [CALLER, CALLED, "5550100", "555 0100", "5550199"] {
            assert!(!url.contains(number), "{case}: {url}");
        }
        assert!(url.to_lowercase().contains(r#""shop":"north""#), "{case}: {url}");
        assert!(url.to_lowercase().contains(r#""from":"paris""#), "what the caller said of his trip stays: {url}");
    }
}

each_edition!(the_agent_is_told_the_facts_that_call_parameters_names, ANY);
async fn the_agent_is_told_the_facts_that_call_parameters_names(edition: Edition) {
    let chosen = "From=ani,Direction,StirVerstat=trust,SipHeader_X-Shop=shop,CallerName,AccountSid";
    let harness = Harness::with_script(GOODBYE)
        .edition(edition)
        .settings(|settings| {
            settings.set("DIALOGFLOW_STARTING_EVENT_NAME", "WELCOME");
            settings.set("CALL_PARAMETERS", chosen);
        })
        .start();
    let said =
        [("StirVerstat", "TN-Validation-Passed-A"), ("SipHeader_x-shop", "south"), ("ForwardedFrom", "+15550177")];
    let call = call(&harness, "", &said).await;
    let told = |name| harness.parameter(&call, name).first().cloned();
    assert_eq!((told("ani"), told("Direction")), (Some(CALLER.into()), Some("inbound".into())));
    assert_eq!((told("trust"), told("shop")), (Some("TN-Validation-Passed-A".into()), Some("south".into())));
    assert!(told("AccountSid").is_some_and(|sid| sid.as_str().unwrap().starts_with("AC")));
    for absent in ["From", "To", "CallSid", "CallerName", "ForwardedFrom"] {
        assert_eq!(told(absent), None, "{absent}");
    }
}

each_edition!(a_sip_header_is_known_to_every_agent_after_a_resume, [Cx, EsV2]);
async fn a_sip_header_is_known_to_every_agent_after_a_resume(edition: Edition) {
    for repeats_sip_headers in [false, true] {
        let harness = Harness::with_script("[start]\ntone = { hz = 400, ms = 300 }\n[[utterance]]\nsay = \"yes\"")
            .edition(edition)
            .settings(|settings| settings.set("CALL_PARAMETERS", "SipHeader_X-Shop=shop,SipHeader_X-Desk=desk"))
            .start();
        let steps =
            vec![pause(3_000), say(When::After(0), numbered_speech(0, 800)), pause(3_000), hang_up(When::After(0))];
        let said = [("SipHeader_X-Shop", "south"), ("SipHeader_X-Desk", "sip:+15550155@pbx.example.com")];
        let plan = CallPlan { facts: facts(&said), ..harness.plan(steps) };
        let behaviour = TwilioBehaviour { repeats_sip_headers, ..plan.behaviour };
        let faults = vec![CallFault::Breaks { at_ms: 1_500 }];
        let call = harness.twilio.call(CallPlan { behaviour, faults, ..plan }).await;
        let turns = harness.turns(&call);
        let told = |turn: &TurnRecord, name: &str| {
            turn.parameters.get(name).or(turn.payload.get(name)).is_some_and(|value| value.is_string())
        };
        let resumed = turns.iter().find(|turn| turn.input == "audio" && turn.answered && told(turn, "shop"));
        assert!(resumed.is_some(), "{turns:?}");
        assert!(turns.iter().any(|turn| told(turn, "desk")), "a telephone address is told at first");
        for document in &call.documents[1..] {
            assert!(!document.contains("5550155") || repeats_sip_headers, "{document}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_person_of_a_call_that_we_placed_is_who_was_called_and_our_own_number_names_the_agent() {
    let file = "[agents.sales]\nnumbers = [\"+15550199\"]\ndialogflow_agent = \"projects/lab/locations/global/agents/lab\"\n\
                [agents.default]\ndialogflow_agent = \"projects/lab/locations/global/agents/lab\"";
    for direction in ["outbound-api", "outbound-dial"] {
        let harness = Harness::with_script("").file(file).agent("sales", GOODBYE).start();
        let plan = harness.plan(Vec::new());
        let (from, to) = (CALLED.to_owned(), CALLER.to_owned());
        let call = harness.twilio.call(CallPlan { from, to, facts: facts(&[("Direction", direction)]), ..plan }).await;
        let turns = harness.turns_of("sales", &call);
        assert_eq!(turns[0].payload["telephony"]["caller_id"], CALLER, "{direction}");
        assert_eq!(turns[0].parameters["From"], CALLED, "{direction}: Twilio's names keep Twilio's meaning");
    }
}

#[tokio::test(start_paused = true)]
async fn parameters_of_the_voice_url_that_twilio_would_not_take_are_named_in_a_warning_and_counted() {
    let harness = Harness::with_script(GOODBYE).start();
    let log = Log::start();
    let asked =
        async |query: String| signed_post(&harness.pipes, &format!("/twiml?{query}"), &[("CallSid", "CA1")]).await.body;
    let many: String = (0..150).map(|n| format!("param.p{n}={n}&")).collect();
    let body = asked(many).await;
    assert_eq!((body.matches("<Parameter name=\"param.p").count(), log.text().matches("left out").count()), (150, 0));
    let body = asked(format!("param.note={}&param.shop=north", "secret".repeat(100))).await;
    assert!(body.contains("name=\"param.shop\"") && !body.contains("param.note"), "{body}");
    let lines = log.text();
    let line = lines.lines().find(|line| line.contains("parameters of the voice-url are left out")).unwrap();
    assert!(line.contains("WARNING") && line.contains("param.note") && !line.contains("secret"), "{line}");
    let metrics = harness.service.metrics_text();
    assert!(
        metrics
            .lines()
            .any(|line| line.contains("left_out_total") && line.contains("\"parameter\"") && line.ends_with(" 1"))
    );
}

each_edition!(what_the_action_url_has_no_room_for_is_told_of_an_es_agent_alone, [Cx, EsV2, CesGrpc]);
async fn what_the_action_url_has_no_room_for_is_told_of_an_es_agent_alone(edition: Edition) {
    let harness = Harness::with_script(GOODBYE).edition(edition).start();
    let log = Log::start();
    let long = "x".repeat(450);
    let query: String = (0..6).map(|n| format!("param.p{n}={long}&")).collect();
    signed_post(&harness.pipes, &format!("/twiml?{query}"), &[("CallSid", "CA1")]).await;
    assert_eq!(log.text().contains("the action URL has no room for it"), edition.is_es(), "{}", log.text());
}

/// A subaccount with a token of its own.
fn subaccount() -> Account {
    Account { sid: format!("AC{:032x}", 0x5AB), auth_token: Some("the-subaccounts-token".to_owned()) }
}

/// A call of a subaccount's number to a service with these settings.
async fn call_of_subaccount(set: &[(&str, &str)]) -> (CallRecord, Option<CloseReason>, String) {
    let log = Log::start();
    let mut harness = Harness::with_script(GOODBYE)
        .settings(|settings| set.iter().for_each(|(name, value)| settings.set(name, *value)))
        .start();
    let plan = CallPlan { subaccount: Some(subaccount()), ..harness.plan(Vec::new()) };
    let call = harness.twilio.call(plan).await;
    let ended = close_reasons(&harness.reports()).pop();
    (call, ended, log.text())
}

const BOTH_TOKENS: (&str, &str) = ("TWILIO_AUTH_TOKEN", "the-tests-auth-token,the-subaccounts-token");

#[tokio::test(start_paused = true)]
async fn a_subaccounts_call_is_updated_under_its_own_account_with_the_main_accounts_token() {
    let key = [("TWILIO_API_KEY_SID", "SK1"), ("TWILIO_API_KEY_SECRET", "secret")];
    for set in [vec![BOTH_TOKENS], [vec![BOTH_TOKENS], key.to_vec()].concat()] {
        let (call, ended, log) = call_of_subaccount(&set).await;
        assert!(call.count(|what| matches!(what, CallEventKind::Updated)) == 1, "{log}");
        assert!(redirected(&call).is_some());
        assert_eq!(ended, Some(CloseReason::Stop));
    }
}

#[tokio::test(start_paused = true)]
async fn a_subaccounts_request_is_refused_without_its_token_and_the_log_says_which_is_missing() {
    let (call, _, log) = call_of_subaccount(&[]).await;
    assert!(redirected(&call).is_none());
    assert!(log.contains("a subaccount signs with its own token") && log.contains(&subaccount().sid), "{log}");
    assert!(!log.contains("the-subaccounts-token"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_rest_does_not_find_is_live_and_goes_on_through_the_streams_action() {
    let log = Log::start();
    let mut harness = Harness::with_script(GOODBYE).start();
    harness.twilio.fail_rest([RestFault::NOT_FOUND]);
    let call = harness.call(Vec::new()).await;
    assert!(redirected(&call).is_some(), "{:?}", call.events);
    assert_eq!(close_reasons(&harness.reports()), [CloseReason::NotUpdated]);
    assert!(log.text().contains("does not find the call"), "{}", log.text());
}

/// An agent that transfers the call at once, and has an answer to a transfer that failed.
fn transferring(to: &str) -> String {
    format!(
        "[start]\nevent = \"WELCOME\"\ntone = {{ hz = 400, ms = 300 }}\ntransfer = \"{to}\"\n\
         [event.TRANSFER_FAILED]\nsay = \"that did not work\"\ntone = {{ hz = 900, ms = 700 }}\nend = true"
    )
}

fn with_transfer(edition: Edition, to: &str) -> HarnessBuilder {
    Harness::with_script(&transferring(to)).edition(edition).settings(|settings| {
        settings.set("DIALOGFLOW_STARTING_EVENT_NAME", "WELCOME");
        settings.set("DIAL_FAILED_EVENT", "TRANSFER_FAILED");
    })
}

fn dialled(call: &CallRecord) -> Option<(String, Option<String>)> {
    call.find(|what| match what {
        CallEventKind::Dialled { to, caller_id } => Some((to.clone(), caller_id.clone())),
        _ => None,
    })
}

#[tokio::test(start_paused = true)]
async fn a_transfer_shows_our_own_number_where_the_caller_has_none() {
    for (from, to, shown) in [
        ("client:alice", CALLED, Some(CALLED)),
        ("sip:bob@pbx.example.com", CALLED, Some(CALLED)),
        ("anonymous", CALLED, Some(CALLED)),
        (CALLER, CALLED, None),
    ] {
        let harness = with_transfer(Edition::Cx, "+1 (555) 010-0123").start();
        let plan = CallPlan { from: from.to_owned(), to: to.to_owned(), ..harness.plan(Vec::new()) };
        let call = harness.twilio.call(plan).await;
        assert_eq!(dialled(&call), Some(("+15550100123".to_owned(), shown.map(ToOwned::to_owned))), "{from}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_twilio_refuses_is_a_warning_with_twilios_code_and_the_agent_is_told() {
    let log = Log::start();
    let harness = with_transfer(Edition::Cx, "+15550123").start();
    let (from, to) = ("sip:bob@pbx.example.com".to_owned(), "sip:sales@example.sip.twilio.com".to_owned());
    let call = harness.twilio.call(CallPlan { from, to, ..harness.plan(Vec::new()) }).await;
    assert_eq!(harness.inputs(&call), ["WELCOME", "TRANSFER_FAILED"]);
    assert_eq!(harness.parameter(&call, "DialErrorCode"), ["13214"]);
    assert!(harness.parameter(&call, "DialErrorMessage")[0].as_str().unwrap().contains("callerId must be provided"));
    let text = log.text();
    let warning = |what: &str| text.lines().any(|line| line.contains("WARNING") && line.contains(what));
    assert!(warning("set DIAL_CALLER_ID") && warning("13214"), "{text}");
}

each_edition!(a_number_that_is_not_dialled_leaves_the_call_with_its_agent, [Cx, EsV2Beta1]);
async fn a_number_that_is_not_dialled_leaves_the_call_with_its_agent(edition: Edition) {
    for number in ["the desk", "+19005550123", "555 0100"] {
        let log = Log::start();
        let harness = with_transfer(edition, number).start();
        let call = harness.call(Vec::new()).await;
        assert_eq!(dialled(&call), None, "{number}");
        assert_eq!(harness.inputs(&call), ["WELCOME", "TRANSFER_FAILED"], "{number}");
        assert_eq!(harness.parameter(&call, "DialCallStatus"), ["failed"]);
        let text = log.text();
        let warned = text.lines().filter(|line| line.contains("WARNING") && line.contains("does not dial")).count();
        assert_eq!(warned, 1, "{text}");
        let is_private = |line: &str| line.contains("DEBUG") || !line.contains("19005550123");
        assert!(text.lines().all(is_private) && redirected(&call).is_some(), "{text}");
    }
}
