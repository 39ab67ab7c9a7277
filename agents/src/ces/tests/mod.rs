//! CES's messages, their pace, and its WebSocket.

mod messages;
mod outgoing;
mod requests;
mod user_project;
mod websocket;

use std::sync::Arc;

use dialbridge_core::agent::{TurnInput, TurnStart};
use serde_json::{Map, Value};

use super::CesConfig;
use crate::address::{CesTransport, Product};
use crate::session::SessionContext;
use crate::speech::SpeechConfig;

const APP: &str = "projects/my-project/locations/eu/apps/a";

fn context(ces: CesConfig) -> SessionContext {
    SessionContext {
        session: format!("{APP}/sessions/CA123"),
        product: Product::Ces(CesTransport::WebSocket),
        language: "en-US".to_owned(),
        speech: Arc::new(SpeechConfig::default()),
        ces: Arc::new(ces),
    }
}

/// A configuration whose kick-start does not wait.
fn at_once() -> CesConfig {
    CesConfig { variables: std::time::Duration::ZERO, ..CesConfig::default() }
}

fn start(input: TurnInput) -> TurnStart {
    TurnStart::new(input)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other}"),
    }
}
