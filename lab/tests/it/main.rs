//! The lab's agents, called by clients as Google's own are.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod ces;
mod cx_strict;
mod es_strict;

use dialbridge_lab::agent::{LabAgent, Script, ServedAgent};

/// A second of loud and of silent mu-law, and a minute of silence.
static SPEECH: [u8; 8_000] = [0x12; 8_000];
static SILENCE: [u8; 8_000] = [0xFF; 8_000];
static MINUTE: [u8; 480_000] = [0xFF; 480_000];

async fn agent(script: &str) -> ServedAgent {
    let none = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    LabAgent::new(Script::parse(script, "test", &none).unwrap()).serve_on_loopback().await.unwrap()
}
