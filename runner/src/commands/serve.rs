//! `serve`: the service, until it is told to end.

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::CONFIG;
use crate::drain::Drained;
use crate::log::{self, tell_and_leave};
use crate::service::{Parts, Service};
use crate::settings::{Config, Endpoint, Platform, Settings};

/// Runs `serve`.
pub async fn run(settings: &Settings) -> ExitCode {
    let platform = Platform::detect(|name| env::var_os(name).is_some());
    let config = match settings.check(platform) {
        Ok(config) => config,
        Err(error) => return tell_and_leave(&error.to_string(), CONFIG),
    };
    log::start(config.log_level, std::io::stdout);
    let Agent { config, endpoint, _lab } = match find_agent(settings, config, platform).await {
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
    tell_what_is_served(settings, &service, &listener);
    let ending = async {
        end_of_service().await;
        tracing::info!(calls = service.calls().live(), "the service was told to end: its calls go over to others");
        service.end().await
    };
    tokio::select! {
        () = service.clone().serve(listener) => {}
        drained = ending => match drained {
            Drained::Quiet => tracing::info!("the service has ended"),
            Drained::Overdue => tracing::warn!(calls = service.calls().live(), "the service ends, and calls with it"),
        },
    }
    ExitCode::SUCCESS
}

/// Where the agent is, and the lab's server where it is the lab's.
struct Agent {
    config: Config,
    endpoint: Endpoint,
    #[cfg(feature = "lab")]
    _lab: Option<dialbridge_lab::agent::ServedAgent>,
    #[cfg(not(feature = "lab"))]
    _lab: (),
}

#[cfg(feature = "lab")]
async fn find_agent(settings: &Settings, config: Config, platform: Platform) -> Result<Agent, String> {
    use dialbridge_lab::agent::{LabAgent, Script};
    let Some(file) = settings.lab_script() else {
        return Ok(Agent { endpoint: endpoint(&config), config, _lab: None });
    };
    let script = match &file {
        Some(file) => Script::read(file),
        None => Script::bakery(),
    };
    let script = script.map_err(|error| format!("DIALOGFLOW_AGENT lab: {error}"))?;
    // The lab's agent is one like any other, at an endpoint of its own.
    let settings = Settings { dialogflow_agent: Some(script.edition.agent_name().to_owned()), ..settings.clone() };
    let served = LabAgent::new(script).serve_on_loopback().await;
    let served = served.map_err(|error| format!("the lab agent cannot be served: {error}"))?;
    let config = settings.check(platform).map_err(|error| error.to_string())?;
    let endpoint = Endpoint { url: served.endpoint(), is_plaintext: true };
    Ok(Agent { config, endpoint, _lab: Some(served) })
}

#[cfg(not(feature = "lab"))]
#[expect(clippy::unused_async, reason = "with the lab it waits")]
async fn find_agent(_: &Settings, config: Config, _: Platform) -> Result<Agent, String> {
    Ok(Agent { endpoint: endpoint(&config), config, _lab: () })
}

fn endpoint(config: &Config) -> Endpoint {
    config.endpoint.clone().unwrap_or_else(|| config.agent.endpoint())
}

fn tell_what_is_served(settings: &Settings, service: &Arc<Service>, listener: &TcpListener) {
    let config = service.config();
    let port = listener.local_addr().map_or(config.port, |address| address.port());
    match settings.lab_script() {
        Some(None) => tracing::info!(port, "serving the embedded lab agent; set DIALOGFLOW_AGENT to serve yours"),
        Some(Some(file)) => tracing::info!(port, script = %file.display(), "serving a lab agent"),
        None => {
            let (agent, edition) = (config.agent.name(), config.agent.edition());
            tracing::info!(port, agent, edition, "serving a Dialogflow agent");
        }
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
