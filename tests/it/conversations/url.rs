//! Conversation files at a running service.

use std::sync::Arc;

use dialbridge::conversations::{Mode, Run, RunningService, TestResult, Verdict};
use dialbridge_lab::agent::Script;
use dialbridge_net::dial::{Dial, Dialled};
use dialbridge_runner::settings::Settings;
use dialbridge_tests::{Harness, SERVICE_URL, TOKEN};

use super::{Folder, only, passes, results, told};

const ADMIN: &str = "the-tests-admin-token-0123456789";

fn harness() -> Harness {
    harness_with("true")
}

fn harness_with(page_transcripts: &str) -> Harness {
    Harness::with(Script::bakery().unwrap())
        .settings(|settings| {
            settings.set("ADMIN_TOKEN", ADMIN);
            settings.set("PAGE_TRANSCRIPTS", page_transcripts);
        })
        .start()
}

async fn at(harness: &Harness, admin_token: Option<&str>, folder: &Folder) -> TestResult {
    let service = RunningService {
        voice_url: format!("{SERVICE_URL}/twiml"),
        auth_token: Some(TOKEN.to_owned()),
        admin_token: admin_token.map(ToOwned::to_owned),
        dial: Arc::new(harness.pipes.clone()),
    };
    let run = Run { mode: Mode::Url(service), settings: Settings::default(), changes: Vec::new(), jobs: 1, retries: 0 };
    only(&run, &folder.0.join("order.toml")).await
}

#[tokio::test(start_paused = true)]
async fn with_its_admin_token_a_test_sees_what_the_service_saw() {
    let folder = Folder::with_bakery("cx").with_doc("order.toml");
    passes(&at(&harness(), Some(ADMIN), &folder).await);
}

#[tokio::test(start_paused = true)]
async fn without_it_what_a_caller_cannot_see_is_refused_before_the_call() {
    let folder = Folder::with_bakery("cx").with_doc("order.toml");
    let harness = harness();
    let result = at(&harness, None, &folder).await;
    let told = told(&result);
    assert!(matches!(result.verdict, Verdict::Broken(_)), "{told}");
    assert!(told.contains("line 7: reply cannot be seen by a caller: set ADMIN_TOKEN"), "{told}");
    assert!(told.contains("params.loaves cannot be seen") && told.contains("turns cannot be seen"), "{told}");
    assert!(!told.contains("within_s cannot") && !told.contains("status cannot"), "{told}");
    assert_eq!(harness.agent.record().turns("").len(), 0);
    // What he can see is checked.
    let hidden = ["reply", "intent", "params.", "turns", "warnings"];
    let text: String = folder
        .read("order.toml")
        .lines()
        .filter(|line| !hidden.iter().any(|key| line.trim_start().trim_start_matches("expect.").starts_with(key)))
        .map(|line| format!("{line}\n"))
        .collect();
    folder.write("order.toml", &text);
    passes(&at(&harness, None, &folder).await);
    folder.write("order.toml", text.replace("\"cakes\"", "\"bread\"").replace("<1.5", "<0.1"));
    let told = super::told(&at(&harness, None, &folder).await);
    assert!(told.contains("handoff.department: expected \"bread\", found \"cakes\""), "{told}");
    assert!(told.contains("within_s: expected less than 0.1, found 0.9"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_the_page_does_not_show_is_refused_before_the_call() {
    let folder = Folder::with_bakery("cx").with_doc("order.toml");
    let harness = harness_with("false");
    let result = at(&harness, Some(ADMIN), &folder).await;
    let told = told(&result);
    assert!(matches!(result.verdict, Verdict::Broken(_)), "{told}");
    assert!(told.contains("line 7: reply cannot be seen: ") && told.contains("PAGE_TRANSCRIPTS=true"), "{told}");
    assert!(told.contains("params.loaves cannot be seen") && !told.contains("intent cannot"), "{told}");
    assert_eq!(harness.agent.record().turns("").len(), 0);
    let of_words = ["reply", "expect.reply", "params."];
    let text: String = folder
        .read("order.toml")
        .lines()
        .filter(|line| !of_words.iter().any(|key| line.trim_start().starts_with(key)))
        .map(|line| format!("{line}\n"))
        .collect();
    folder.write("order.toml", text);
    passes(&at(&harness, Some(ADMIN), &folder).await);
}

/// Panics when it is asked to connect.
#[derive(Debug)]
struct Panics;

impl Dial for Panics {
    fn dial(&self, _: &str, _: u16) -> Dialled {
        panic!("this connection panics, as it should")
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_panics_is_told_and_all_others_run() {
    let folder = Folder::with_bakery("cx").with_doc("order.toml");
    folder.write("later.toml", "[[step]]\nwait_s = 1\n");
    folder.write("wrong.toml", "[[stpe]]\n");
    let service = RunningService {
        voice_url: format!("{SERVICE_URL}/twiml"),
        auth_token: None,
        admin_token: None,
        dial: Arc::new(Panics),
    };
    let run = Run { mode: Mode::Url(service), settings: Settings::default(), changes: Vec::new(), jobs: 1, retries: 2 };
    let paths = ["later.toml", "order.toml", "wrong.toml"].map(|name| folder.0.join(name));
    let all = results(&run, &paths).await;
    let told: Vec<String> = all.iter().map(super::told).collect();
    assert!(all.len() == 3 && all.iter().all(|result| matches!(result.verdict, Verdict::Broken(_))), "{told:?}");
    let broken_off = told.iter().filter(|told| told.contains("the run has broken off by a fault of this program"));
    assert_eq!(broken_off.count(), 1, "{told:?}");
    assert!(told.iter().any(|told| told.contains("later.toml") && told.contains("as it should")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_there_or_refuses_the_token_is_told() {
    let folder = Folder::with_bakery("cx").with_doc("order.toml");
    let told = told(&at(&harness(), Some("not-the-token"), &folder).await);
    assert!(told.contains("does not accept this ADMIN_TOKEN"), "{told}");
    let service = RunningService {
        voice_url: "http://nowhere.test/twiml".to_owned(),
        auth_token: None,
        admin_token: Some(ADMIN.to_owned()),
        dial: Arc::new(harness().pipes.clone()),
    };
    folder.write("order.toml", "[[step]]\nhang_up = true\n");
    let run = Run { mode: Mode::Url(service), settings: Settings::default(), changes: Vec::new(), jobs: 1, retries: 2 };
    let result = only(&run, &folder.0.join("order.toml")).await;
    let told = super::told(&result);
    assert!(told.contains("the call never reached an agent: "), "{told}");
    assert_eq!(result.tries, 1, "a call that cannot be placed is not placed again");
}
