//! `compare --metrics URL`: the agents of a running service side by side, from what its `/metrics` counts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialbridge_net::dial::{Dial, Tcp};
use dialbridge_net::http_client::HttpClient;
use dialbridge_net::proxy::{Proxy, proxied};
use dialbridge_runner::comparison::Comparison;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{Request, Uri};
use http_body_util::Full;

use crate::doctor::check_private;

/// The longest answer that is read, in bytes: some hundred agents.
const MAX_BYTES: usize = 16 << 20;

/// How long an instance may take to answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Gets the metrics of these instances, and prints their agents side by side.
///
/// # Errors
/// A sentence: what is wrong, with which URL, and what to do.
pub(super) async fn compared(urls: &[String], admin_token: Option<&str>, is_json: bool) -> Result<String, String> {
    let proxy = Proxy::from_variables(|name| std::env::var(name).ok()).map_err(|fault| fault.to_string())?;
    let comparison = comparison(proxied(Arc::new(Tcp), proxy), urls, admin_token).await?;
    let all = urls.join(", ");
    match comparison.agents() {
        _ if is_json => Ok(format!("{:#}", comparison.json())),
        [] => Err(format!("{all}: no agent has had a call since the service has started")),
        [only] => {
            Ok(format!("{}\nOnly {only} has had calls: there is nothing to compare it with.", comparison.table()))
        }
        _ => Ok(comparison.table()),
    }
}

async fn comparison(dial: Arc<dyn Dial>, urls: &[String], admin_token: Option<&str>) -> Result<Comparison, String> {
    let client = HttpClient::new(dial).map_err(|error| error.to_string())?;
    let mut texts = Vec::new();
    for url in urls {
        texts.push(metrics(&client, url, admin_token).await?);
    }
    Comparison::of(&texts).map_err(|(n, why)| {
        let url = urls.get(n).map_or("", String::as_str);
        format!("{url}: {why}: name the URL of a dialbridge service in --metrics")
    })
}

/// What an instance answers at `/metrics`.
async fn metrics(client: &HttpClient, given: &str, admin_token: Option<&str>) -> Result<String, String> {
    let url = metrics_url(given)?;
    let mut request = Request::get(&url).header(ACCEPT, "application/openmetrics-text");
    if let Some(token) = admin_token {
        check_private("--metrics", given)?;
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Full::<Bytes>::default()).map_err(|error| format!("{given}: {error}"))?;
    let sent = tokio::time::timeout(TIMEOUT, client.send(request, MAX_BYTES)).await;
    let seconds = TIMEOUT.as_secs();
    let sent = sent.map_err(|_| format!("{url}: no answer within {seconds} s: look whether the service runs"))?;
    let response = sent.map_err(|error| format!("{url}: {error}: look whether the service runs, and at the URL"))?;
    match (response.status().as_u16(), admin_token) {
        (200, _) => String::from_utf8(response.body().to_vec()).map_err(|_| format!("{url}: the answer is no text")),
        (401 | 403, Some(_)) => {
            Err(format!("{url}: the service does not accept this ADMIN_TOKEN: use that of the service"))
        }
        (401 | 403, None) => Err(format!("{url}: the service wants its ADMIN_TOKEN: set it, or give --admin-token")),
        (404, _) => Err(format!(
            "{url}: HTTP status 404: the URL is not that of the service, or its metrics are closed because it has no ADMIN_TOKEN"
        )),
        (429, _) => {
            Err(format!("{url}: the service has seen too many wrong tokens: wait a minute, then use the right one"))
        }
        (status, _) => Err(format!("{url}: HTTP status {status}: look at the service's log")),
    }
}

/// The URL of `/metrics` of a service's URL.
fn metrics_url(given: &str) -> Result<String, String> {
    let uri: Uri =
        given.parse().map_err(|_| format!("--metrics {given} is no URL: write one such as https://SERVICE"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return Err(format!("--metrics {given} is no URL: write one such as https://SERVICE"));
    }
    let root = given.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    Ok(if root.ends_with("/metrics") { root.to_owned() } else { format!("{root}/metrics") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_that_of_the_service_or_of_its_metrics() {
        for given in ["https://a.example", "https://a.example/", "https://a.example/metrics", "https://a.example/?x=1"]
        {
            assert_eq!(metrics_url(given).unwrap(), "https://a.example/metrics", "{given}");
        }
        assert_eq!(metrics_url("http://127.0.0.1:8080/path").unwrap(), "http://127.0.0.1:8080/path/metrics");
        for given in ["a.example", "ftp://a.example", "", "https://"] {
            assert!(metrics_url(given).unwrap_err().contains("is no URL: write one such as"), "{given}");
        }
    }
}
