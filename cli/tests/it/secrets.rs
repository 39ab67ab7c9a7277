//! A run that triggers everything that is logged, with planted secrets. None of them may appear in any output.
#![cfg(feature = "lab")]

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use dialbridge_lab::agent::{LabAgent, Script};
use dialbridge_lab::net::Net;
use dialbridge_lab::twilio::{Account, CallFault, CallPlan, CallRecord, CallerStep, RestFault, SimulatedTwilio, When};
use dialbridge_tests::{numbered_speech, say};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TOKEN: &str = "planted-auth-token";

const ADMIN_TOKEN: &str = "planted-admin-token";

/// What a caller presses.
const DIGITS: &str = "86753092";

/// If one of these appears anywhere, it is a leak.
const PLANTED: [&str; 15] = [
    TOKEN,
    "planted-old-token",
    "planted-ticket-key",
    "planted-api-secret",
    "planted-header",
    "planted-event-secret",
    "plantedEventKey",
    "planted-trace-key",
    ADMIN_TOKEN,
    "planted words",
    "planted answer",
    "planted-parameter",
    DIGITS,
    "5550187654",
    "5550143210",
];

const SCRIPT: &str = r#"
end_of_utterance_ms = 400
[start]
say = "planted answer zero"
tone = { hz = 400, ms = 300 }
[[utterance]]
heard = "planted words one two"
say = "planted answer one"
tone = { hz = 500, ms = 300 }
parameters = { pin = "planted-parameter" }
payload = { note = "planted words in a payload" }
[[utterance]]
heard = "planted words three"
fault = "UNAVAILABLE"
[[utterance]]
heard = "planted words three"
fault = "INVALID_ARGUMENT"
[digits.86753092]
say = "planted answer two"
tone = { hz = 600, ms = 200 }
handoff = { note = "planted words for a person" }
"#;

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("secrets");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Reads an output to its end, so that the writer does not block.
fn read_on(mut output: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, whole) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = output.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    whole
}

fn serve(agent: &str, rest: &str, tapes: &PathBuf, port: u16, account: &Account) -> Child {
    Command::new(env!("CARGO_BIN_EXE_dialbridge"))
        .arg("serve")
        .env_clear()
        .current_dir(tapes)
        .env("PORT", port.to_string())
        .env("DIALOGFLOW_AGENT", "projects/lab/locations/global/agents/lab")
        .env("DIALOGFLOW_ENDPOINT", agent)
        .env("TWILIO_ACCOUNT_SID", &account.sid)
        .env("TWILIO_AUTH_TOKEN", format!("{TOKEN},planted-old-token"))
        .env("TICKET_KEY", "planted-ticket-key")
        .env("ADMIN_TOKEN", ADMIN_TOKEN)
        .env("TWILIO_API_URL", rest)
        .env("WEBHOOK_HEADERS", "X-Shop: planted-header")
        // Nobody listens there, so the service logs that it cannot deliver.
        .env("EVENT_WEBHOOK_URL", "http://127.0.0.1:9/events?key=planted-event-secret")
        .env("EVENT_WEBHOOK_SECRET", "whsec_plantedEventKeyplantedEventKey00")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=planted-trace-key")
        .env("END_OF_INTERACTION_URL", format!("{rest}/handoff"))
        .env("DIAL_CALLER_ID", "+15550143210")
        .env("RECORD_DIR", tapes)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The requests of the page, sent by somebody who has the token.
fn as_admin(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\r\n")
}

/// Requests that the service refuses, each with something private in it; and requests whose answers show what happened.
async fn knock(port: u16, ticket: &str) {
    let form = format!("CallSid=CA1&Digits={DIGITS}&From=%2B15550187654&SpeechResult=planted+words");
    let posted = |path: &str, more: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             {more}content-length: {}\r\n\r\n{form}",
            form.len()
        )
    };
    let got = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    for request in [
        posted("/twiml?param.pin=planted-parameter", ""),
        posted(&format!("/twiml?{DIGITS}"), "x-twilio-signature: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"),
        posted(&format!("/connect-ended?s={ticket}&d={DIGITS}"), ""),
        posted("/stream-status", ""),
        got(&format!("/media/{ticket}")),
        got(&format!("/media/{ticket}?pin={DIGITS}")),
        got(&format!("/nowhere/{DIGITS}?q=planted+words")),
        got(&format!("/calls/{DIGITS}.json")),
        got("/status.json").replace("host: x", "host: x\r\nauthorization: Bearer planted-admin-tokeX"),
        posted("/login", "origin: http://x\r\n"),
        posted("/login", &format!("origin: http://{DIGITS}\r\n")),
        as_admin("GET", "/"),
        as_admin("GET", "/status.json"),
        as_admin("GET", "/calls.json"),
        as_admin("GET", "/calls/1.json"),
        as_admin("GET", "/calls/2.json"),
        as_admin("GET", "/calls/3.json"),
        as_admin("POST", "/agents/default/check"),
        format!("NONSENSE {DIGITS} planted words\r\n\r\n"),
    ] {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        for planted in PLANTED {
            assert!(!answer.contains(planted), "{planted} in {answer}");
        }
    }
}

/// The tickets and states of a call.
fn digits_of(call: &CallRecord) -> Vec<String> {
    let all = call.documents.iter().flat_map(|document| {
        let parts = ["/media/", "?s=", ";s="].into_iter().flat_map(|mark| document.split(mark).skip(1));
        parts.map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
    });
    all.collect()
}

fn steps(asks_for_a_person: bool) -> Vec<CallerStep> {
    let mut steps = vec![say(When::AgentSilent(300), numbered_speech(0, 900))];
    if asks_for_a_person {
        // The agent does not speak on a resumed call until the caller has said something.
        steps.push(CallerStep::Press { when: When::After(2_500), digits: format!("{DIGITS}#") });
    } else {
        steps.push(say(When::AgentSilent(300), numbered_speech(100, 900)));
    }
    steps
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_run_leaves_behind_holds_a_secret() {
    let no_file = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let agent = LabAgent::new(Script::parse(SCRIPT, "the test's script", &no_file).unwrap());
    let agent = agent.serve_on_loopback().await.unwrap();
    let twilio = SimulatedTwilio::new(Account::new(Some(TOKEN)), Net::Tcp);
    let rest = twilio.serve_rest_on_loopback().await.unwrap();
    let tapes = folder();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut service = serve(&agent.endpoint(), &rest.url(), &tapes, port, twilio.account());
    let (log, errors) = (read_on(service.stdout.take().unwrap()), read_on(service.stderr.take().unwrap()));
    for _ in 0..100 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let voice_url = format!("http://127.0.0.1:{port}/twiml?param.pin=planted-parameter");
    let plan = |asks, faults| CallPlan {
        from: "+15550187654".to_owned(),
        to: "+15550143210".to_owned(),
        faults,
        ..CallPlan::new(voice_url.clone(), steps(asks))
    };
    twilio.fail_rest([RestFault::UNAVAILABLE, RestFault::UNAUTHORIZED]);
    let garbage = twilio.call(plan(true, vec![CallFault::Garbage]));
    let failing = twilio.call(plan(false, Vec::new()));
    let breaking = twilio.call(plan(true, vec![CallFault::Breaks { at_ms: 1_500 }]));
    let (garbage, failing, breaking) = tokio::join!(garbage, failing, breaking);
    let keys: Vec<String> = [&garbage, &failing, &breaking].into_iter().flat_map(digits_of).collect();
    assert!(keys.len() >= 8, "{keys:?}");
    knock(port, &keys[0]).await;

    let killed = Command::new("kill").arg("-TERM").arg(service.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert_eq!(service.wait().unwrap().code(), Some(0));
    let (log, errors) = (log.recv().unwrap(), errors.recv().unwrap());
    let log = String::from_utf8(log).unwrap() + &String::from_utf8(errors).unwrap();
    for happened in ["the agent's part is over", "was refused", "did not take", "a turn has failed"] {
        assert!(log.contains(happened), "{happened}: {log}");
    }
    for planted in PLANTED.iter().copied().chain(keys.iter().map(String::as_str)) {
        assert!(!log.contains(planted), "{planted} in {log}");
    }
    let mut found = 0;
    for tape in fs::read_dir(&tapes).unwrap() {
        let tape = fs::read_to_string(tape.unwrap().path()).unwrap();
        found += 1;
        // A tape holds what was said. It holds neither pressed digits nor the tickets and states of a call.
        for planted in PLANTED[..7].iter().copied().chain([DIGITS]).chain(keys.iter().map(String::as_str)) {
            assert!(!tape.contains(planted), "{planted} in a tape");
        }
    }
    assert!(found >= 3, "{found} tapes");
}
