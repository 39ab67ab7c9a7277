//! What the page shows of the service and its agents: the same as `serve` prints at its start. It contains no secret.

use http::Uri;
use serde_json::{Value, json};

use crate::comparison::Comparison;
use crate::service::page::Page;
use crate::settings::{AgentConfig, Config, Platform};

/// The calls, and the name of this instance.
pub(super) fn calls(page: &Page) -> Value {
    let mut calls = page.history.summary(page.admission.clock.now_ms());
    calls["instance"] = page.instance.as_str().into();
    calls
}

/// Everything but the calls.
pub(super) fn status(page: &Page) -> Value {
    let Page { admission, .. } = page;
    let config = &admission.config;
    let notices: Vec<&str> = config.notices.iter().map(String::as_str).chain(config.warnings()).collect();
    let agents: Vec<Value> =
        config.agents.iter().map(|(name, agent)| of_agent(config, name, agent, admission.is_down(name))).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "instance": page.instance,
        "startedMs": page.started_ms,
        "nowMs": admission.clock.now_ms(),
        "platform": platform(config.platform),
        "publicUrl": config.public_url.as_ref().map(|url| url.http("")),
        "isReady": admission.is_ready(),
        "isDraining": admission.drain.is_draining(),
        "live": admission.calls.live(),
        "maxCalls": config.limits.max_calls,
        "isSigned": config.twilio.checks_signatures(),
        "hasRest": page.has_rest,
        "hasLogin": config.admin_token.is_some(),
        "showsPhoneTranscripts": config.page_transcripts,
        "notices": notices,
        "agents": agents,
    })
}

/// The agents of this instance side by side. Empty until one has had a call.
pub(super) fn compared(page: &Page) -> Value {
    let metrics = page.admission.telemetry.counted_text();
    Comparison::of(&[metrics]).map_or(Value::Null, |comparison| comparison.json())
}

fn of_agent(config: &Config, name: &str, agent: &AgentConfig, is_down: bool) -> Value {
    let (is_lab, script) = lab_script(agent);
    let greeting = &agent.call.starting_input;
    json!({
        "name": name,
        "isDefault": *name == config.default_agent,
        "isLab": is_lab,
        "isDown": is_down,
        "script": script,
        "address": agent.address.name(),
        "edition": agent.address.edition(),
        "language": agent.language,
        "numbers": agent.numbers,
        "event": greeting.event,
        "text": greeting.text,
        "bargeIn": agent.call.barge_in.mode,
        "endsAt": agent.call.handoff.end_of_interaction_url.as_deref().and_then(host),
        "writesTapes": agent.record_dir.is_some(),
        "notices": agent.notices,
    })
}

/// Whether the agent is a lab agent, and its script's file unless the script is the embedded one.
#[cfg(feature = "lab")]
fn lab_script(agent: &AgentConfig) -> (bool, Option<String>) {
    let file = agent.lab.as_ref().and_then(|lab| lab.file.as_ref());
    (agent.lab.is_some(), file.map(|file| file.display().to_string()))
}

#[cfg(not(feature = "lab"))]
fn lab_script(_: &AgentConfig) -> (bool, Option<String>) {
    (false, None)
}

/// The host of a URL. The path, the query and the user may contain a secret.
fn host(url: &str) -> Option<String> {
    url.parse::<Uri>().ok()?.host().map(ToOwned::to_owned)
}

fn platform(platform: Platform) -> &'static str {
    match platform {
        Platform::CloudRun => "Cloud Run",
        Platform::AppEngine => "App Engine",
        Platform::Elsewhere => "",
    }
}
