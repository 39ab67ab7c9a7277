//! `compare --metrics`: two agents of a running service, one of which gets a share of the other one's callers.
#![cfg(feature = "lab")]

use std::fs;

use dialbridge_lab::net::Net;
use dialbridge_lab::twilio::{Account, CallPlan, SimulatedTwilio, When};
use dialbridge_tests::{hang_up, numbered_speech, say};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::program::{PLANTED_TOKEN, Run, Service, folder, free_port, program, run};

const ADMIN_TOKEN: &str = "planted-admin-token-0123456789";

/// Half of the callers get the agent that understands nothing.
const AGENTS: &str = r#"
[agents.sales]
dialogflow_agent = "lab:sales.toml"
share = { new-sales = 50 }

[agents.new-sales]
dialogflow_agent = "lab:new-sales.toml"
"#;

const SCRIPT: &str = r#"
end_of_utterance_ms = 300
think_ms = 20
[start]
tone = { hz = 400, ms = 200 }
[[utterance]]
tone = { hz = 500, ms = 200 }
"#;

/// Enough that each agent has some.
const CALLS: u32 = 24;

async fn compare(arguments: &[&str], token: Option<&str>) -> Run {
    let mut command = program(&folder("compare-run"));
    command.arg("compare").args(arguments).envs(token.map(|token| ("ADMIN_TOKEN", token)));
    run(command, "").await
}

/// A service with the two agents, after some calls.
async fn called_service() -> Service {
    let folder = folder("compare");
    fs::write(folder.join("agents.toml"), AGENTS).unwrap();
    fs::write(folder.join("sales.toml"), SCRIPT).unwrap();
    fs::write(folder.join("new-sales.toml"), format!("{SCRIPT}no_match = true\n")).unwrap();
    let twilio = SimulatedTwilio::new(Account::new(Some(PLANTED_TOKEN)), Net::Tcp);
    let rest = twilio.serve_rest_on_loopback().await.unwrap();
    let mut command = program(&folder);
    command.arg("serve").env("PORT", "0").env("DIALBRIDGE_CONFIG", "agents.toml").env("ADMIN_TOKEN", ADMIN_TOKEN);
    command.env("TWILIO_ACCOUNT_SID", &twilio.account().sid).env("TWILIO_AUTH_TOKEN", PLANTED_TOKEN);
    command.env("TWILIO_API_URL", rest.url());
    let service = Service::with_agents(2, &mut command);
    let mut calls = JoinSet::new();
    for n in 0..CALLS {
        let steps = vec![say(When::AgentSilent(200), numbered_speech(0, 600)), hang_up(When::AgentSilent(600))];
        let mut plan = CallPlan::new(format!("{}/twiml", service.url()), steps);
        plan.from = format!("+1555000{n:04}");
        let twilio = twilio.clone();
        calls.spawn(async move { twilio.call(plan).await });
    }
    calls.join_all().await;
    service
}

#[tokio::test]
async fn two_agents_behind_a_share_stand_side_by_side() {
    let service = called_service().await;
    let told = compare(&["--metrics", &service.url()], Some(ADMIN_TOKEN)).await;
    assert_eq!(told.code, 0, "{}", told.errors);
    let line = |name: &str| told.output.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(told.output.lines().next().unwrap().contains("new-sales"), "{}", told.output);
    assert!(line("no-match").contains("with new-sales than with sales"), "{}", told.output);
    assert!(line("failed").contains("too few calls to tell"), "{}", told.output);
    assert!(line("length, mean").contains(" s"), "{}", told.output);

    let json = compare(&["--json", "--metrics", &service.url()], Some(ADMIN_TOKEN)).await;
    let json: Value = serde_json::from_str(&json.output).unwrap();
    let counts = json["rows"][0]["cells"].as_array().unwrap();
    let counts: Vec<u64> = counts.iter().map(|cell| cell["count"].as_u64().unwrap()).collect();
    assert!(counts.len() == 2 && counts.iter().sum::<u64>() == u64::from(CALLS) && counts[1] > 0, "{counts:?}");

    // The same instance twice has all calls twice.
    let url = service.url();
    let twice = compare(&["--json", "--metrics", &url, "--metrics", &url], Some(ADMIN_TOKEN)).await;
    let twice: Value = serde_json::from_str(&twice.output).unwrap();
    assert_eq!(twice["rows"][0]["cells"][0]["count"], counts[0] * 2);
}

#[tokio::test]
async fn what_went_wrong_is_told_with_what_to_do() {
    let mut command = program(&folder("compare-closed"));
    command.arg("serve").env("PORT", "0").env("ADMIN_TOKEN", ADMIN_TOKEN);
    let service = Service::start(&mut command);
    let url = service.url();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let health = format!("{url}/health?");
    for (given, token, words) in [
        (&url, None, "wants its ADMIN_TOKEN: set it"),
        (&url, Some("planted-wrong"), "does not accept this ADMIN_TOKEN"),
        (&url, Some(ADMIN_TOKEN), "no agent has had a call"),
        (&nobody, None, "look whether the service runs"),
        (&health, None, "HTTP status 404"),
        (&"https:/nowhere".to_owned(), None, "is no URL: write one such as https://SERVICE"),
        (&"http://example.com".to_owned(), Some(ADMIN_TOKEN), "unencrypted: use https in --metrics"),
    ] {
        let told = compare(&["--metrics", given], token).await;
        assert!(told.code == 69 && told.errors.contains(words), "{given}: {} {}", told.code, told.errors);
        assert!(!told.errors.contains("planted"), "{}", told.errors);
    }
    let told = compare(&["--metrics", &url, "a.json", "b.json"], None).await;
    assert_eq!(told.code, 64, "{}", told.errors);
}
