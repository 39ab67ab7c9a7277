//! `serve`: the service, until it is told to end.

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::CONFIG;
use crate::log::{self, tell_and_leave};
use crate::service::{Parts, Service};
use crate::settings::{AgentAddress, Config, Endpoint, Platform, Settings};

/// Runs `serve`.
pub async fn run(settings: &Settings) -> ExitCode {
    let platform = Platform::detect(|name| env::var_os(name).is_some());
    let config = match settings.check(platform) {
        Ok(config) => config,
        Err(error) => return tell_and_leave(&error.to_string(), CONFIG),
    };
    log::start(config.log_level, std::io::stdout);
    let Agent { endpoint, _lab } = match find_agent(&config).await {
        Ok(agent) => agent,
        Err(why) => return tell_and_leave(&why, CONFIG),
    };
    let listener = match TcpListener::bind(("0.0.0.0", config.port)).await {
        Ok(listener) => listener,
        Err(error) => return tell_and_leave(&format!("PORT {} cannot be listened on: {error}", config.port), 1),
    };
    let service = match Service::new(config, endpoint, Parts::default()) {
        Ok(service) => service,
        Err(error) => return tell_and_leave(&error.to_string(), CONFIG),
    };
    tell_what_is_served(&service, &listener);
    let until_told = end_of_service();
    tokio::select! {
        () = service.serve(listener) => {}
        () = until_told => tracing::info!("the service was told to end"),
    }
    ExitCode::SUCCESS
}

/// Where the agent is, and the lab's server where it is the lab's.
struct Agent {
    endpoint: Endpoint,
    #[cfg(feature = "lab")]
    _lab: Option<dialbridge_lab::agent::ServedAgent>,
    #[cfg(not(feature = "lab"))]
    _lab: (),
}

#[cfg(feature = "lab")]
async fn find_agent(config: &Config) -> Result<Agent, String> {
    use dialbridge_lab::agent::{LabAgent, Script};
    let AgentAddress::Lab(file) = &config.agent else {
        return Ok(Agent { endpoint: endpoint(config)?, _lab: None });
    };
    let script = match file {
        Some(file) => Script::read(file),
        None => Script::bakery(),
    };
    let script = script.map_err(|error| format!("DIALOGFLOW_AGENT lab: {error}"))?;
    let served = LabAgent::new(script).serve_on_loopback().await;
    let served = served.map_err(|error| format!("the lab agent cannot be served: {error}"))?;
    Ok(Agent { endpoint: Endpoint { url: served.endpoint(), is_plaintext: true }, _lab: Some(served) })
}

#[cfg(not(feature = "lab"))]
#[expect(clippy::unused_async, reason = "with the lab it waits")]
async fn find_agent(config: &Config) -> Result<Agent, String> {
    Ok(Agent { endpoint: endpoint(config)?, _lab: () })
}

fn endpoint(config: &Config) -> Result<Endpoint, String> {
    let endpoint = config.endpoint.clone().or_else(|| config.agent.endpoint());
    endpoint.ok_or_else(|| "DIALOGFLOW_AGENT names the lab's agent, which this build does not have".to_owned())
}

fn tell_what_is_served(service: &Arc<Service>, listener: &TcpListener) {
    let config = service.config();
    let port = listener.local_addr().map_or(config.port, |address| address.port());
    match &config.agent {
        AgentAddress::Lab(None) => {
            tracing::info!(port, "serving the embedded lab agent; set DIALOGFLOW_AGENT to serve yours");
        }
        AgentAddress::Lab(Some(file)) => tracing::info!(port, script = %file.display(), "serving a lab agent"),
        AgentAddress::Cx { name, .. } => tracing::info!(port, agent = name, "serving a Dialogflow CX agent"),
    }
    if config.twilio.auth_tokens.is_empty() {
        tracing::warn!("TWILIO_AUTH_TOKEN is not set: anyone can use this service, and no call is updated over REST");
    } else if config.twilio.account_sid.is_none() {
        tracing::warn!("TWILIO_ACCOUNT_SID is not set: no call is updated over REST");
    }
}

/// Returns when the process is told to end, by SIGTERM or from the keyboard.
async fn end_of_service() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        interrupted = tokio::signal::ctrl_c() => {
            if interrupted.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
