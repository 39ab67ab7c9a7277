//! The page at `/` and what belongs to it: who gets in, what is shown and what never is, and calls from the browser.

mod browser_calls;
mod door;
mod shown;

use dialbridge_lab::agent::Script;
use dialbridge_tests::{HttpAnswer, RawSocket, World, WorldBuilder, post};
use serde_json::Value;

/// The world's own page.
const ORIGIN: (&str, &str) = ("origin", "http://service.test");

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

const TOKEN: &str = "the-tests-admin-token";

fn world() -> WorldBuilder {
    World::with(Script::bakery().unwrap())
}

fn locked() -> WorldBuilder {
    world().settings(|settings| settings.set("ADMIN_TOKEN", TOKEN))
}

async fn get(world: &World, path: &str, headers: &[(&str, &str)]) -> HttpAnswer {
    post(&world.pipes, &format!("GET {path}"), headers, "").await
}

async fn json(world: &World, path: &str) -> Value {
    let answer = get(world, path, &[]).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// A ticket of the page's: the paths of its socket and of its events, and its call.
async fn ticket(world: &World, form: &str) -> (String, String, String) {
    let answer = post(&world.pipes, "POST /softphone", &[ORIGIN, FORM], form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let ticket: Value = serde_json::from_str(&answer.body).unwrap();
    let field = |name: &str| ticket[name].as_str().unwrap().to_owned();
    (field("media"), field("events"), field("callSid"))
}

/// A socket of the page's whose stream has started.
async fn call(world: &World, form: &str) -> (RawSocket, String, String) {
    let (media, events, call_sid) = ticket(world, form).await;
    let mut socket = RawSocket::open_with(&world.pipes, &media, &[ORIGIN]).await.unwrap();
    socket.text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#).await;
    let start = format!(r#"{{"event":"start","streamSid":"MZ1","start":{{"callSid":"{call_sid}"}}}}"#);
    socket.text(&start).await;
    (socket, events, call_sid)
}
