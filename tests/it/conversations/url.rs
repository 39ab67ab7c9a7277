//! Conversation files at a running service.

use std::sync::Arc;

use dialbridge::conversations::{Mode, Run, RunningService, TestResult, Verdict};
use dialbridge_lab::agent::Script;
use dialbridge_runner::settings::Settings;
use dialbridge_tests::{Harness, SERVICE_URL, TOKEN};

use super::{Folder, only, passes, told};

const ADMIN: &str = "the-tests-admin-token-0123456789";

fn harness() -> Harness {
    Harness::with(Script::bakery().unwrap())
        .settings(|settings| {
            settings.set("ADMIN_TOKEN", ADMIN);
            settings.set("PAGE_TRANSCRIPTS", "true");
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
    let run = Run { mode: Mode::Url(service), settings: Settings::default(), changes: Vec::new(), jobs: 1, retries: 0 };
    let told = super::told(&only(&run, &folder.0.join("order.toml")).await);
    assert!(told.contains("the call never reached an agent: "), "{told}");
}
