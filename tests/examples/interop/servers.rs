//! Agents, services and a Twilio, over real sockets of the loopback address.

use std::time::Duration;

use dialbridge_lab::agent::script::bakery_caller;
use dialbridge_lab::agent::{LabAgent, Script, ServedAgent};
use dialbridge_lab::net::Net;
use dialbridge_lab::served::Served;
use dialbridge_lab::twilio::{Account, CallPlan, CallRecord, SimulatedTwilio, When};
use dialbridge_runner::service::{Dependencies, Service};
use dialbridge_runner::settings::{Endpoint, Platform, Settings};
use dialbridge_tests::say;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::task::{AgentOf, CallOf, ServiceOf};

/// How many agents and services can be asked for.
const MAX_SERVERS: usize = 64;

/// The longest call.
const CALL_LIMIT: Duration = Duration::from_secs(40);

/// All that was started.
#[derive(Default)]
pub(crate) struct Servers {
    agents: Vec<ServedAgent>,
    services: JoinSet<()>,
    twilio: Option<(SimulatedTwilio, Served)>,
}

impl Servers {
    /// Serves a lab agent.
    pub(crate) async fn serve_agent(&mut self, agent: &AgentOf) -> Result<Value, String> {
        self.check_room()?;
        let no_file = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let script = match &agent.script {
            Some(toml) => Script::parse(toml, "script", &no_file),
            None => Script::bakery(),
        };
        let script = script.map_err(told)?;
        let served = LabAgent::new(script).serve_on_loopback().await.map_err(told)?;
        let port = served.endpoint().rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        self.agents.push(served);
        Ok(json!({ "port": port }))
    }

    /// Starts a service.
    pub(crate) async fn serve(&mut self, of: ServiceOf) -> Result<Value, String> {
        self.check_room()?;
        let given = [
            ("DIALOGFLOW_AGENT", Some(of.agent)),
            ("DIALOGFLOW_ES_API", of.es_api),
            ("DIALOGFLOW_STARTING_EVENT_NAME", of.event),
            ("TWILIO_AUTH_TOKEN", Some(of.token)),
            ("PUBLIC_URL", of.public_url),
            ("TWILIO_ACCOUNT_SID", of.account_sid),
            ("TWILIO_API_URL", of.api_url),
            ("END_OF_INTERACTION_URL", of.end_url),
        ];
        let settings = Settings::of(given.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let mut config = settings.check(Platform::Elsewhere).map_err(told)?;
        let endpoint = Endpoint { url: format!("http://127.0.0.1:{}", of.agent_port), is_plaintext: true };
        config.default_agent_mut().endpoint = Some(endpoint);
        let service = Service::new(config, Dependencies::default()).map_err(told)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(told)?;
        let port = listener.local_addr().map_err(told)?.port();
        self.services.spawn(dialbridge_runner::http::serve(service, listener));
        Ok(json!({ "port": port }))
    }

    /// Makes a Twilio and serves its REST API.
    pub(crate) async fn serve_twilio(&mut self, token: &str) -> Result<Value, String> {
        let twilio = SimulatedTwilio::new(Account::new(Some(token)), Net::Tcp);
        let rest = twilio.serve_rest_on_loopback().await.map_err(told)?;
        let is = json!({ "restUrl": rest.url(), "accountSid": twilio.account().sid });
        self.twilio = Some((twilio, rest));
        Ok(is)
    }

    /// Plays a call to its end.
    pub(crate) async fn call(&self, of: CallOf) -> Result<Value, String> {
        let (twilio, _) = self.twilio.as_ref().ok_or("there is no Twilio yet")?;
        let mut steps = Vec::new();
        for name in of.say {
            let audio = bakery_caller(&name).map_err(told)?;
            steps.push(say(When::AgentSilent(400), audio.to_vec()));
        }
        let mut plan = CallPlan::new(of.voice_url, steps);
        plan.from = of.from.unwrap_or(plan.from);
        plan.hang_up_after = Duration::from_millis(of.patience_ms);
        plan.limit = CALL_LIMIT;
        Ok(record(&twilio.call(plan).await))
    }

    fn check_room(&self) -> Result<(), String> {
        let room = self.agents.len() + self.services.len() < MAX_SERVERS;
        if room { Ok(()) } else { Err(format!("{MAX_SERVERS} servers are running")) }
    }
}

fn record(call: &CallRecord) -> Value {
    let events: Vec<String> = call.events.iter().map(|event| format!("{:?}", event.kind)).collect();
    json!({
        "callSid": call.call_sid,
        "events": events,
        "documents": call.documents,
        "heardMs": call.heard.iter().filter(|&&code| code != 0xFF).count() / 8,
    })
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
