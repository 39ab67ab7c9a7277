//! `serve`: runs the service until it is told to end.

use std::env;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::CONFIG;
use dialbridge_net::dial::Tcp;
use dialbridge_net::proxy::{Proxy, proxied};
use dialbridge_runner::http;
use dialbridge_runner::media::coalescing;
use dialbridge_runner::service::drain::Drained;
use dialbridge_runner::service::{Dependencies, Service};
use dialbridge_runner::settings::{
    AgentConfig, CesTransport, Config, Platform, Product, SettingErrors, Settings, misspelt,
};
use dialbridge_runner::telemetry::log::{self, LineStyle, log_and_exit};

/// Runs `serve`.
pub async fn run(settings: &Settings) -> ExitCode {
    let platform = Platform::detect(|name| env::var_os(name).is_some());
    let (mut config, proxy) = match (settings.check(platform), Proxy::from_variables(|name| env::var(name).ok())) {
        (Ok(config), Ok(proxy)) => (config, proxy),
        (config, proxy) => {
            let mut lines: Vec<String> =
                config.err().iter().flat_map(SettingErrors::iter).map(ToString::to_string).collect();
            lines.extend(proxy.err().map(|fault| fault.to_string()));
            lines.extend(misspelt_variables());
            return log_and_exit(&lines.join("\ndialbridge: "), CONFIG);
        }
    };
    coalescing::set_sleep(coalescing_moment(&config));
    let style = LineStyle::of(config.log_format, &std::io::stdout(), env::var_os("NO_COLOR").as_deref());
    log::start(config.log_level, style, std::io::stdout);
    let _lab = match dialbridge_runner::service::lab_agents::serve(&mut config).await {
        Ok(served) => served,
        Err(why) => return log_and_exit(&why, 1),
    };
    let listener = match http::listen(config.host, config.port) {
        Ok(listener) => listener,
        Err(error) => {
            let host = config.host.map_or(String::new(), |host| format!("HOST {host}, "));
            return log_and_exit(&format!("{host}PORT {} cannot be listened on: {error}", config.port), 1);
        }
    };
    let proxy_url = proxy.as_ref().map(Proxy::url);
    let dependencies = Dependencies { dial: proxied(Arc::new(Tcp), proxy), ..Dependencies::default() };
    let service = match Service::new(config, dependencies) {
        Ok(service) => service,
        Err(error) => return log_and_exit(&error.to_string(), CONFIG),
    };
    log_agents(service.config(), &listener);
    if let Some(proxy) = proxy_url {
        tracing::info!(proxy, "connections with TLS go through a proxy, except to the hosts of NO_PROXY");
    }
    tracing::info!(settings = settings.shown().join(" "), "these settings were given as flags or in the environment");
    let ending = async {
        end_of_service().await;
        tracing::info!(calls = service.calls().live(), "the service was told to end: its calls go over to others");
        service.end().await
    };
    tokio::select! {
        () = http::serve(service.clone(), listener) => {}
        drained = ending => match drained {
            Drained::Quiet => tracing::info!("the service has ended"),
            Drained::DeadlinePassed => tracing::warn!(calls = service.calls().live(), "the service ends, and calls with it"),
        },
    }
    ExitCode::SUCCESS
}

/// How long frames are collected. Not at all if each call has its own connection to the agent: then no write carries
/// the frames of several calls.
fn coalescing_moment(config: &Config) -> Duration {
    let has_its_own = |agent: &AgentConfig| agent.address.product() == Product::Ces(CesTransport::WebSocket);
    if config.agents.values().all(has_its_own) { Duration::ZERO } else { config.limits.coalesce }
}

/// Prints one line for each agent, then warnings about settings.
fn log_agents(config: &Config, listener: &TcpListener) {
    let port = listener.local_addr().map_or(config.port, |address| address.port());
    for (name, agent) in &config.agents {
        let ((what, script), is_default) = (describe(agent), *name == config.default_agent);
        let (edition, numbers, agent) = (agent.address.edition(), agent.numbers, agent.address.name());
        tracing::info!(port, name, agent, edition, numbers, is_default, script, "{what}");
    }
    for notice in &config.notices {
        tracing::info!("{notice}");
    }
    for (name, agent) in &config.agents {
        for notice in &agent.notices {
            tracing::warn!(name, "{notice}");
        }
    }
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    for warning in misspelt_variables() {
        tracing::warn!("{warning}");
    }
    match (config.has_page(), &config.public_url) {
        (true, Some(url)) => tracing::info!(url = url.http("/"), "the page is there"),
        (true, None) => {
            let host = config.host.filter(|host| !host.is_unspecified()).map(|host| SocketAddr::new(host, port));
            let host = host.map_or_else(|| format!("localhost:{port}"), |host| host.to_string());
            tracing::info!(url = format!("http://{host}/"), "the page is there");
        }
        (false, _) => tracing::info!("the page at / is closed: ADMIN_TOKEN is not set"),
    }
}

/// The variables of the environment or `.env` that look like settings.
fn misspelt_variables() -> Vec<String> {
    misspelt(env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
}

/// A sentence, with the lab's script if it comes from a file.
#[cfg(feature = "lab")]
fn describe(agent: &AgentConfig) -> (&'static str, Option<String>) {
    match agent.lab.as_ref().map(|lab| &lab.file) {
        None => ("serving a Dialogflow agent", None),
        Some(None) => ("serving the embedded lab agent; set DIALOGFLOW_AGENT to serve yours", None),
        Some(Some(file)) => ("serving a lab agent", Some(file.display().to_string())),
    }
}

#[cfg(not(feature = "lab"))]
fn describe(_: &AgentConfig) -> (&'static str, Option<String>) {
    ("serving a Dialogflow agent", None)
}

/// Returns when SIGTERM or the keyboard tells the process to end.
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
