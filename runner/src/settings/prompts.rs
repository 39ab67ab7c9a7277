//! How we turn an agent's recordings and texts into audio.

use dialbridge_net::guarded::AllowedHosts;
use dialbridge_net::hosts::{HostList, NameRule};

use super::value::Quoted;

/// The item that stands for all public addresses.
const PUBLIC: &str = "public";

/// How we fetch audio.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PromptsConfig {
    /// The maximum size of a recording, in bytes.
    pub max_bytes: usize,
    /// Base URL of Cloud Storage's JSON API.
    pub storage_endpoint: String,
    /// Base URL of Cloud Text-to-Speech.
    pub text_to_speech_endpoint: String,
    /// The hosts from which recordings are fetched that an agent names.
    pub hosts: AllowedHosts,
}

/// Reads `PROMPT_HOSTS`: `public`, and hosts as a URL names them, `.suffix`, addresses and CIDR ranges.
pub(super) fn prompt_hosts(value: &str) -> Result<AllowedHosts, String> {
    let (public, named): (Vec<&str>, Vec<&str>) = HostList::items(value).partition(|item| *item == PUBLIC);
    let fault = |item: &str| {
        format!("has {}; each item is public, a host, .suffix, an address or a range such as 10.0.0.0/8", Quoted(item))
    };
    if let Some(all) = named.iter().find(|item| **item == "*") {
        return Err(fault(all));
    }
    let list = HostList::parse(&named.join(","), NameRule::Exact).map_err(|item| fault(&item))?;
    Ok(AllowedHosts { public: !public.is_empty(), named: list })
}
