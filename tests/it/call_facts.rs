//! What Twilio says of a call: what the agent is told, which agent it is, and what leaves in the hand-off's URL.

use dialbridge_lab::twilio::{CallPlan, CallRecord};
use dialbridge_tests::{Edition, Harness, Log, redirected, signed_post};

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
    assert_eq!(log.text().contains("what the call brings back is full"), edition.is_es(), "{}", log.text());
}
