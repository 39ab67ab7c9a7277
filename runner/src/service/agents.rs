//! The service's agents, and what the calls of each one share. Agents with the same endpoint and credentials share
//! connections.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;

use crate::call::prompts::{FetchRoom, PromptClients, Prompts};
use crate::call::tools::Tools;
use crate::settings::{AgentConfig, PromptsConfig};
use dialbridge_agents::{Agent, AgentError, CesConfig, InvalidTarget, Link, MessageRoom, SpeechConfig};
use dialbridge_net::dial::Dial;
use dialbridge_net::guarded::Guarded;
use dialbridge_net::http_client::HttpClient;

/// What the calls to one agent share.
#[derive(Debug, Clone)]
pub(crate) struct AgentClient {
    /// Its connections.
    pub(crate) agent: Agent,
    /// Fetches the audio that the agent names by its address.
    pub(crate) prompts: Prompts,
    /// Settings of speech recognition and synthesis.
    pub(crate) speech: Arc<SpeechConfig>,
    /// Settings of the streams of an agent of the Customer Engagement Suite.
    pub(crate) ces: Arc<CesConfig>,
    /// Runs the tools that the agent calls.
    pub(crate) tools: Option<Tools>,
}

/// An endpoint's URL, its protocol, and a credentials file.
type Access = (String, Link, Option<PathBuf>);

/// All agents by their names.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    clients: BTreeMap<String, AgentClient>,
    connections: BTreeMap<Access, Agent>,
}

impl Agents {
    /// Sets up the agents' clients. Connects nothing yet. Must run inside tokio.
    ///
    /// # Errors
    /// [`AgentError`] for the first agent whose client cannot be set up.
    pub(crate) fn open(
        configs: &BTreeMap<String, AgentConfig>,
        dial: &Arc<dyn Dial>,
        client: &HttpClient,
        max_streams: usize,
    ) -> Result<Self, AgentError> {
        let (mut agents, room) = (Self::default(), MessageRoom::default());
        let (recordings, syntheses) = (Arc::new(FetchRoom::default()), Arc::new(FetchRoom::default()));
        // Agents with different credentials must not share fetched audio.
        let mut prompts: BTreeMap<(Access, PromptsConfig), Prompts> = BTreeMap::new();
        for (name, config) in configs {
            let endpoint = config.endpoint();
            let link = Link::to(config.address.product());
            let access = (endpoint.url.clone(), link, config.credentials.clone().filter(|_| !endpoint.is_plaintext));
            let agent = match agents.connections.get(&access) {
                Some(agent) => agent.clone(),
                None => {
                    Agent::new(&endpoint, link, config.credentials.as_deref(), dial.clone(), max_streams, room.clone())?
                }
            };
            agents.connections.insert(access.clone(), agent.clone());
            let prompts = match prompts.entry((access, config.prompts.clone())) {
                Entry::Occupied(shared) => shared.get().clone(),
                Entry::Vacant(place) => {
                    let guarded = Guarded::new(dial.clone(), config.prompts.hosts.clone());
                    let clients = PromptClients {
                        configured: client.clone(),
                        named: HttpClient::new(Arc::new(guarded))
                            .map_err(InvalidTarget::Tls)
                            .map_err(AgentError::Endpoint)?,
                        recordings: recordings.clone(),
                        syntheses: syntheses.clone(),
                    };
                    place.insert(Prompts::new(clients, agent.auth(), config.prompts.clone())).clone()
                }
            };
            let tools = config.tools.clone().map(|webhook| Tools::new(client.clone(), webhook));
            let (speech, ces) = (Arc::new(config.speech.clone()), Arc::new(config.ces.clone()));
            agents.clients.insert(name.clone(), AgentClient { agent, prompts, speech, ces, tools });
        }
        Ok(agents)
    }

    /// The agent of this name.
    pub(crate) fn client(&self, name: &str) -> Option<&AgentClient> {
        self.clients.get(name)
    }

    /// All connections, each once.
    pub(crate) fn connections(&self) -> impl Iterator<Item = &Agent> {
        self.connections.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Endpoint, Platform, Settings};
    use dialbridge_net::dial::Tcp;

    fn opened(endpoints: &[(&str, u32)]) -> Agents {
        let settings = Settings::of([("DIALOGFLOW_PROJECT_ID", "p")]);
        let config = settings.check(Platform::Elsewhere).unwrap().default_agent_mut().clone();
        let agents = endpoints.iter().map(|(name, port)| {
            let endpoint = Endpoint { url: format!("http://127.0.0.1:{port}"), is_plaintext: true };
            ((*name).to_owned(), AgentConfig { endpoint: Some(endpoint), ..config.clone() })
        });
        let dial: Arc<dyn Dial> = Arc::new(Tcp);
        Agents::open(&agents.collect(), &dial, &HttpClient::new(dial.clone()).unwrap(), 80).unwrap()
    }

    #[tokio::test]
    async fn agents_at_one_endpoint_share_its_connections() {
        let agents = opened(&[("a", 1), ("b", 2), ("c", 1)]);
        let endpoints: Vec<&str> = agents.connections().map(Agent::endpoint).collect();
        assert_eq!(endpoints, ["http://127.0.0.1:1", "http://127.0.0.1:2"]);
        let of = |name| agents.client(name).unwrap().agent.endpoint();
        assert_eq!([of("a"), of("b"), of("c")], [endpoints[0], endpoints[1], endpoints[0]]);
        assert!(agents.client("d").is_none());
    }
}
