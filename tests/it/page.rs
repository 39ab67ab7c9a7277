//! The page at `/` and its parts: who may open it, what it shows and what it never shows, and calls from the browser.

mod access;
mod browser_calls;
mod shown;
mod tapes;

use dialbridge_lab::agent::Script;
use dialbridge_tests::{Harness, HarnessBuilder, HttpAnswer, RawSocket, post};
use serde_json::Value;

/// The harness's own page.
const ORIGIN: (&str, &str) = ("origin", "http://service.test");

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

const TOKEN: &str = "the-tests-admin-token";

fn harness() -> HarnessBuilder {
    Harness::with(Script::bakery().unwrap())
}

fn locked() -> HarnessBuilder {
    harness().settings(|settings| settings.set("ADMIN_TOKEN", TOKEN))
}

async fn get(harness: &Harness, path: &str, headers: &[(&str, &str)]) -> HttpAnswer {
    post(&harness.pipes, &format!("GET {path}"), headers, "").await
}

async fn json(harness: &Harness, path: &str) -> Value {
    let answer = get(harness, path, &[]).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// A ticket of the page: the paths of its media stream and of its events, and its call.
async fn ticket(harness: &Harness, form: &str) -> (String, String, String) {
    let answer = post(&harness.pipes, "POST /softphone", &[ORIGIN, FORM], form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let ticket: Value = serde_json::from_str(&answer.body).unwrap();
    let field = |name: &str| ticket[name].as_str().unwrap().to_owned();
    (field("media"), field("events"), field("callSid"))
}

/// A media stream of the page that has started.
async fn call(harness: &Harness, form: &str) -> (RawSocket, String, String) {
    let (media, events, call_sid) = ticket(harness, form).await;
    let mut socket = RawSocket::open_with(&harness.pipes, &media, &[ORIGIN]).await.unwrap();
    socket.text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#).await;
    let start = format!(r#"{{"event":"start","streamSid":"MZ1","start":{{"callSid":"{call_sid}"}}}}"#);
    socket.text(&start).await;
    (socket, events, call_sid)
}
