//! The agents of the configuration that are scripts of the lab.

use crate::settings::Config;

/// Serves the agents that are lab scripts, each at an endpoint of its own, for as long as what it gives lives.
///
/// # Errors
/// Why one of them cannot be served.
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

/// There are none in a build without the lab.
///
/// # Errors
/// None.
#[cfg(not(feature = "lab"))]
#[expect(clippy::unused_async, reason = "with the lab it waits")]
pub async fn serve(_: &mut Config) -> Result<Vec<()>, String> {
    Ok(Vec::new())
}
