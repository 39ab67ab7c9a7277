//! `relay`: the bare relay, for `call --load` to measure.

use std::process::ExitCode;

use dialbridge_lab::relay::{Protocol, Relay};
use serde_json::json;
use tokio::net::TcpListener;

use super::timeline::say;
use crate::args::RelayArgs;
use dialbridge_runner::telemetry::log::log_and_exit;

/// Runs `relay` on the loopback address, because it accepts anyone.
pub async fn run(args: &RelayArgs) -> ExitCode {
    let relay = match Relay::new(protocol(args), &args.agent) {
        Ok(relay) => relay.with_message_ms(args.message_ms),
        Err(error) => return log_and_exit(&format!("--agent {}: {error}", args.agent), 1),
    };
    let served = async {
        let listener = TcpListener::bind(("127.0.0.1", args.port)).await?;
        say(&json!({ "port": listener.local_addr()?.port() }).to_string());
        relay.serve(listener).await
    };
    match served.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => log_and_exit(&format!("port {}: {error}", args.port), 1),
    }
}

fn protocol(args: &RelayArgs) -> Protocol {
    match (args.edition.as_str(), args.transport.as_str()) {
        ("ces", "grpc") => Protocol::CesGrpc,
        ("ces", _) => Protocol::CesWebSocket,
        _ => Protocol::Cx,
    }
}
