//! The lab's agents, called by clients as Google's own are.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod ces;
mod cx_strict;
mod es_strict;

use dialbridge_lab::agent::{LabAgent, Script, ServedAgent};

async fn agent(script: &str) -> ServedAgent {
    let none = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    LabAgent::new(Script::parse(script, "test", &none).unwrap()).serve_on_loopback().await.unwrap()
}
