//! What the service says in its own words is in the call's language.

use dialbridge_lab::twilio::{CallPlan, CallRecord, When};
use dialbridge_tests::{
    Came, Harness, HarnessBuilder, Log, RawSocket, numbered_speech, paths, say, signed_post, start,
};
use http::StatusCode;

const CALL: &str = "CA00000000000000000000000000000001";
const OTHER_CALL: &str = "CA00000000000000000000000000000002";

const SCRIPT: &str = "[start]\ntone = { hz = 400, ms = 300 }";

/// An agent for German callers that refuses every call.
fn failing() -> HarnessBuilder {
    german("[start]\nfault = \"PERMISSION_DENIED\"")
}

fn german(script: &str) -> HarnessBuilder {
    Harness::with_script(script).settings(|settings| {
        settings.set("DIALOGFLOW_LANGUAGE", "de-DE");
        settings.set("END_OF_INTERACTION_URL", "");
    })
}

async fn call(harness: &Harness, query: &str) -> CallRecord {
    let mut plan: CallPlan = harness.plan(vec![say(When::AgentSilent(2_000), numbered_speech(0, 600))]);
    plan.voice_url += query;
    harness.twilio.call(plan).await
}

/// The last `<Say>` of the call's documents, with its attributes.
fn last_said(call: &CallRecord) -> String {
    let document = call.documents.last().unwrap();
    let said = document.split("<Say").nth(1).unwrap_or_default();
    said.split("</Say>").next().unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_agent_cannot_be_had_is_told_in_the_language_of_the_call() {
    let harness = failing().start();
    for (query, expected) in [
        ("", " language=\"de-DE\">Es tut uns leid"),
        ("?language=fr", " language=\"fr-FR\">Nous sommes"),
        ("?language=es_419", " language=\"es-MX\">Lo sentimos"),
        ("?language=japanese", " language=\"ja-JP\">申し訳"),
        ("?language=ar", " language=\"arb\">نعتذر"),
        ("?language=sv-SE", " language=\"en-US\">We are sorry"),
    ] {
        let said = last_said(&call(&harness, query).await);
        assert!(said.starts_with(expected), "{query}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_sentence_can_be_set_for_all_agents_or_for_one() {
    let file = "text_failed = \"Für alle.\"\n[agents.one]\n[agents.two]\ntext_failed = \"Für einen.\"";
    let harness = failing().file(file).settings(|settings| settings.set("TEXT_LOST", "Weg & weg.")).start();
    for (agent, expected) in [("one", "Für alle."), ("two", "Für einen.")] {
        let call = call(&harness, &format!("?agent={agent}")).await;
        assert_eq!(last_said(&call), format!(" language=\"de-DE\">{expected}"));
        assert!(call.documents[0].contains("<Say language=\"de-DE\">Weg &amp; weg.</Say>"), "{}", call.documents[0]);
    }
    for (language, expected) in [("de-CH", " language=\"de-DE\">Für einen."), ("fr", " language=\"fr-FR\">Nous sommes")]
    {
        let said = last_said(&call(&harness, &format!("?agent=two&language={language}")).await);
        assert!(said.starts_with(expected), "{language}: a sentence that is set is in the agent's language: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_for_whom_there_is_no_room_is_told_in_the_language_of_the_call() {
    let harness = german(SCRIPT).settings(|settings| settings.set("MAX_CALLS", "1")).start();
    let first = signed_post(&harness.pipes, "/twiml", &[("CallSid", CALL)]).await;
    let lost = "<Say language=\"de-DE\">Es tut uns leid, die Verbindung wurde unterbrochen.";
    assert!(first.body.contains(lost), "{}", first.body);
    let mut socket = RawSocket::open(&harness.pipes, &paths(&first.body).0).await.unwrap();
    socket.text(&start(CALL)).await;
    assert!(matches!(socket.next().await, Came::Text(_)), "the call has started");
    for (query, expected) in
        [("", "<Say language=\"de-DE\">Zurzeit"), ("?language=it", "<Say language=\"it-IT\">Al momento")]
    {
        let answer = signed_post(&harness.pipes, &format!("/twiml{query}"), &[("CallSid", OTHER_CALL)]).await;
        assert!(answer.body.contains(expected), "{}", answer.body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_limit_ends_is_told_good_bye_in_its_language_even_where_nothing_is_set() {
    let harness = german(SCRIPT).settings(|settings| settings.set("MAX_CALL_SECONDS", "2")).start();
    for (query, expected) in [("", " language=\"de-DE\">Vielen Dank"), ("?language=nl", " language=\"nl-NL\">Bedankt")]
    {
        let said = last_said(&call(&harness, query).await);
        assert!(said.starts_with(expected), "{query}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cx_agent_gets_the_starting_text_of_the_calls_language_unless_one_is_set() {
    let cases =
        [(None, "", "hallo"), (None, "?language=fr-CA", "bonjour"), (Some("start"), "?language=fr-CA", "start")];
    for (set, query, expected) in cases {
        let harness = german(SCRIPT)
            .settings(|settings| {
                if let Some(text) = set {
                    settings.set("DIALOGFLOW_STARTING_TEXT", text);
                }
            })
            .start();
        let call = call(&harness, query).await;
        let first = &harness.turns(&call)[0];
        assert_eq!((first.input, first.text.as_str()), ("text", expected), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_language_is_understood_as_people_write_it_and_one_that_is_not_known_costs_no_call() {
    let log = Log::start();
    let harness = german(SCRIPT).start();
    for (query, language) in [
        ("?language=en_US", "en-US"),
        ("?language=EN-us", "en-US"),
        ("?language=german", "de"),
        ("?language=fr_FR.UTF-8", "fr-FR"),
        ("?language=klingon", "de-DE"),
        ("?language=German%20please", "de-DE"),
    ] {
        let call = call(&harness, query).await;
        assert_eq!(harness.turns(&call)[0].language, language, "{query}");
    }
    let warnings = log.text().matches("names a language that is not known").count();
    assert!(warnings >= 1, "it is told");
    assert!(!log.text().contains("klingon"), "a value of a query is not logged");
    let left_out = |what: &str| {
        let metrics = harness.service.metrics_text();
        let of_kind = |line: &&str| line.starts_with("dialbridge_left_out_total{") && line.contains(what);
        metrics.lines().find(of_kind).and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok())
    };
    call(&harness, "?resume=1&event=a%0Ab").await;
    assert_eq!((left_out("\"language\""), left_out("\"event\"")), (Some(2), Some(1)));
    let answer = signed_post(&harness.pipes, "/twiml?language=%00", &[("CallSid", CALL)]).await;
    assert_eq!(answer.status, StatusCode::OK);
}
