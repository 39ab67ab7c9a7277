//! The `.env` and the hand-off handler of Twilio's sample (media-streams, node/dialogflow-integration) work unchanged.
#![cfg(feature = "lab")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::program::Service;

use dialbridge_lab::agent::{LabAgent, Script};
use dialbridge_lab::net::Net;
use dialbridge_lab::twilio::{Account, CallEventKind, CallPlan, CallerStep, SimulatedTwilio, When};

/// The sample's `.env.example`, filled in, with its comments and its spelling of the event.
const ENV: &str = "\
# Your Twilio Account SID. Copy and paste this value from https://twilio.com/console
TWILIO_ACCOUNT_SID=AC0000000000000000000000000000d1a1
# Your Twilio Auth Token. Copy and paste this value from https://twilio.com/console
TWILIO_AUTH_TOKEN=the-samples-auth-token
# Enter your Dialogflow project id
DIALOGFLOW_PROJECT_ID=my-project
# The name of your starting Dialogflow event
DIALOGFLOW_STARTING_EVENT_NAME=Welcome
# We will redirect your call to this a Webhook that should return TwiML.
END_OF_INTERACTION_URL={url}/handoff?flow=7
# Location of your Google credential file.
GOOGLE_APPLICATION_CREDENTIALS=./google_creds.json
";

const AGENT: &str = r#"
    [start]
    event = "Welcome"
    say = "hello"
    tone = { hz = 400, ms = 300 }
    [[utterance]]
    say = "one moment"
    intent = "speak-to-an-agent"
    parameters = { department = "cakes", loaves = 2 }
    tone = { hz = 500, ms = 300 }
    end = true
"#;

/// A folder as users of the sample have it.
fn folder(handlers: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("twilios-sample");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".env"), ENV.replace("{url}", handlers)).unwrap();
    fs::write(folder.join("google_creds.json"), "{}").unwrap();
    folder
}

/// The program, with only that `.env` and the addresses of the lab's agent and REST API.
fn serve(agent: &str, rest: &str) -> Service {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialbridge"));
    command.arg("serve").current_dir(folder(rest)).env_clear().env("PORT", "0");
    Service::start(command.env("DIALOGFLOW_ENDPOINT", agent).env("TWILIO_API_URL", rest))
}

/// What the sample's handler does with the parameters of its webhook.
fn handler(url: &str) -> &'static str {
    let (_, query) = url.split_once('?').unwrap();
    let parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    assert_eq!(parameters[0], ("flow".to_owned(), "7".to_owned()), "the URL's own query comes first");
    let (_, json) = parameters.iter().find(|(name, _)| name == "dialogflowJSON").unwrap();
    let dialogflow: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(dialogflow["parameters"]["department"], "cakes");
    match dialogflow["intent"]["displayName"].as_str().unwrap() {
        "speak-to-an-agent" => "dials",
        _ => "hangs up",
    }
}

#[tokio::test]
async fn the_env_of_twilios_sample_and_its_handler_serve_unchanged() {
    let script = Script::parse(AGENT, "agent.toml", &|_| Err(std::io::ErrorKind::NotFound.into())).unwrap();
    let lab = LabAgent::recording(script);
    let agent = lab.serve_on_loopback().await.unwrap();
    let twilio = SimulatedTwilio::new(Account::new(Some("the-samples-auth-token")), Net::Tcp);
    let rest = twilio.serve_rest_on_loopback().await.unwrap();
    let service = serve(&agent.endpoint(), &rest.url());
    let told = &service.first_lines[0];
    assert_eq!((&told["agent"], &told["edition"]), (&"projects/my-project/agent".into(), &"es".into()));

    let speech: Vec<u8> = (0..4_800).map(|n| if n % 16 < 8 { 0x12 } else { 0x92 }).collect();
    let step = CallerStep::Say { when: When::AgentSilent(200), label: "speech".to_owned(), audio: speech.into() };
    let plan = CallPlan::new(format!("{}/twiml", service.url()), vec![step]);
    let call = twilio.call(plan).await;
    let url =
        call.find(|what| if let CallEventKind::Redirected { url } = what { Some(url.clone()) } else { None }).unwrap();
    assert!(url.starts_with(&format!("{}/handoff?flow=7&dialogflowJSON=", rest.url())), "{url}");
    assert_eq!(handler(&url), "dials");
    let turns = lab.record().turns(&call.call_sid);
    assert_eq!((turns[0].input, turns[0].text.as_str()), ("event", "Welcome"));
}
