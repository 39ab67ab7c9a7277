//! Agents that are scripts of the lab.

use crate::settings::Config;

/// Serves the lab's agents, each at its own endpoint, for as long as the returned value lives.
///
/// # Errors
/// The reason why an agent cannot be served.
#[cfg(feature = "lab")]
pub async fn serve(config: &mut Config) -> Result<Vec<dialbridge_lab::agent::ServedAgent>, String> {
    let mut all = Vec::new();
    for agent in config.agents.values_mut() {
        let Some(lab) = &agent.lab else { continue };
        let served = dialbridge_lab::agent::LabAgent::new(lab.script.clone()).serve_on_loopback().await;
        let served = served.map_err(|error| format!("the lab agent cannot be served: {error}"))?;
        agent.endpoint = Some(crate::settings::Endpoint { url: served.endpoint(), is_plaintext: true });
        all.push(served);
    }
    Ok(all)
}

/// A build without the lab has no such agents.
///
/// # Errors
/// None.
#[cfg(not(feature = "lab"))]
#[expect(clippy::unused_async, reason = "with the lab it waits")]
pub async fn serve(_: &mut Config) -> Result<Vec<()>, String> {
    Ok(Vec::new())
}
