//! Everything that `doctor` checks, on real sockets: the lab's agent, Twilio and Google, and the service behind a proxy
//! with TLS. Everything is correct except what a test changes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dialbridge::commands::doctor;
use dialbridge::doctor::{DoctorArgs, Finding, Options, Tools};
use dialbridge_lab::agent::{LabAgent, Script};
use dialbridge_lab::google::{CloudRun, Identity};
use dialbridge_lab::net::Net;
use dialbridge_lab::served::Served;
use dialbridge_lab::twilio::{Account, AccountState, PhoneNumber, RestFault, SimulatedTwilio};
use dialbridge_net::dial::{Dial, Dialled, Tcp};
use dialbridge_runner::service::{Dependencies, Service};
use dialbridge_runner::settings::{Endpoint, Platform, Settings};
use dialbridge_runner::telemetry::clock::WallClock;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::front_end::{Authority, Proxy, front_end};

/// The service's public URL.
pub const PUBLIC_URL: &str = "https://calls.test";

/// The account's token. All values called `planted` are secrets.
pub const PLANTED_TOKEN: &str = "planted-auth-token-0123456789";

/// The login's refresh token.
pub const PLANTED_LOGIN: &str = "planted-refresh-token";

/// The service's resource name on Cloud Run.
const ON_CLOUD_RUN: &str = "projects/lab-project/locations/europe-west3/services/dialbridge";

/// The setup, which a test can change before everything starts.
pub struct DoctorPlan {
    /// The folder of this test.
    pub folder: PathBuf,
    /// The agent's script.
    pub script: String,
    /// The service's settings, apart from the agent's address.
    pub service: Settings,
    /// The settings of `doctor`.
    pub settings: Settings,
    /// The options of `doctor`.
    pub options: Options,
    /// How the proxy before the service treats TLS requests.
    pub proxy: Proxy,
    /// How it treats requests without TLS.
    pub clear: Proxy,
    /// What Twilio's account has.
    pub account_state: AccountState,
    /// Faults that the first requests to Twilio get.
    pub rest_faults: Vec<RestFault>,
    /// The token that Twilio knows.
    pub twilios_token: String,
    /// The service's settings on Cloud Run.
    pub on_cloud_run: Value,
    /// Who may invoke the service on Cloud Run, if `doctor` may read that.
    pub invokers: Option<Vec<&'static str>>,
    /// The error that Cloud Run answers with.
    pub cloud_run_refuses: Option<(u16, &'static str)>,
    /// How far the machine's clock is ahead, in milliseconds.
    pub ahead_ms: i64,
    /// Hosts where nobody listens.
    pub down: Vec<&'static str>,
}

/// The result of a run of `doctor`.
pub struct Examined {
    /// All findings.
    pub findings: Vec<Finding>,
    /// The printed lines.
    pub lines: String,
    /// The exit code.
    pub code: u8,
    /// How many requests with a token Cloud Run's API got.
    pub authorized: usize,
}

impl DoctorPlan {
    /// A correct setup, with its files in that folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        dialbridge_net::tls::install_crypto();
        fs::create_dir_all(&folder).unwrap();
        let (key_sid, key_secret) = ("SK00000000000000000000000000000001", "planted-api-key-secret");
        let settings = Settings::of([
            ("DIALOGFLOW_AGENT", "projects/lab-project/locations/europe-west3/agents/lab"),
            ("DIALOGFLOW_ENDPOINT", "http://agent.test"),
            ("PUBLIC_URL", PUBLIC_URL),
            ("TWILIO_ACCOUNT_SID", &Account::new(Some(PLANTED_TOKEN)).sid),
            ("TWILIO_AUTH_TOKEN", PLANTED_TOKEN),
            ("TWILIO_API_KEY_SID", key_sid),
            ("TWILIO_API_KEY_SECRET", key_secret),
            ("TWILIO_API_URL", "https://api.twilio.test"),
            ("GOOGLE_APPLICATION_CREDENTIALS", &folder.join("login.json").display().to_string()),
            ("RECORD_DIR", &folder.display().to_string()),
        ]);
        let options = Options {
            cloud_run_service: Some("dialbridge".to_owned()),
            region: Some("europe-west3".to_owned()),
            cloud_run_api_url: "https://run.test".to_owned(),
            ..Options::default()
        };
        let account_state = AccountState {
            api_key: Some((key_sid.to_owned(), key_secret.to_owned())),
            numbers: vec![
                PhoneNumber::leading_to(1, "+15550100", PUBLIC_URL),
                PhoneNumber::leading_to(2, "+15550101", "https://elsewhere.test"),
            ],
            ..AccountState::default()
        };
        Self {
            folder,
            script: "[start]\nsay = \"Hello.\"\ntone = { hz = 400, ms = 200 }\n".to_owned(),
            service: Settings::of([("TWILIO_AUTH_TOKEN", PLANTED_TOKEN)]),
            settings,
            options,
            proxy: Proxy::default(),
            clear: Proxy { answers: Some(("/", 308, "https://calls.test/", "")), ..Proxy::default() },
            account_state,
            rest_faults: Vec::new(),
            twilios_token: PLANTED_TOKEN.to_owned(),
            on_cloud_run: on_cloud_run(),
            invokers: None,
            cloud_run_refuses: None,
            ahead_ms: 0,
            down: Vec::new(),
        }
    }

    /// Writes a file into the test's folder.
    pub fn write(&self, name: &str, content: &str) {
        let path = self.folder.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Starts everything and runs `doctor`.
    pub async fn examine(self, json: bool) -> Examined {
        let no_file = |_: &str| Err(io::ErrorKind::NotFound.into());
        let script = Script::parse(&self.script, "the test's script", &no_file).unwrap();
        let agent = LabAgent::new(script).serve_on_loopback().await.unwrap();
        let twilio = SimulatedTwilio::new(Account::new(Some(&self.twilios_token)), Net::Tcp);
        *twilio.account_state() = self.account_state.clone();
        twilio.fail_rest(self.rest_faults.clone());
        let rest = twilio.serve_rest_on_loopback().await.unwrap();
        let identity = Identity::new(PLANTED_LOGIN, "lab-project");
        let google =
            Served::on_loopback(identity.clone(), |identity, stream| async move { identity.serve(stream).await });
        let google = google.await.unwrap();
        let (api, cloud_run) = (CloudRun::default(), self.on_cloud_run.clone());
        api.put(ON_CLOUD_RUN, cloud_run);
        if let Some(invokers) = &self.invokers {
            api.set_invokers(invokers);
        }
        if let Some((status, message)) = self.cloud_run_refuses {
            api.refuse(status, message);
        }
        let run = Served::on_loopback(api.clone(), |api, stream| async move { api.serve(stream).await });
        let run = run.await.unwrap();
        if !self.folder.join("login.json").exists() {
            let login = identity.login(&google.url());
            self.write("login.json", &login.to_string());
        }

        let (service, _serving) = serve(&self.service, &agent.endpoint()).await;
        let authority = Authority::for_names(&["calls.test", "api.twilio.test", "run.test"]);
        let front = front_end(service, Some(&authority), self.proxy.clone()).await;
        let clear = front_end(service, None, self.clear.clone()).await;
        let rest_front = front_end(rest.address(), Some(&authority), Proxy::default()).await;
        let run_front = front_end(run.address(), Some(&authority), Proxy::default()).await;
        let mut names = BTreeMap::from([
            ("agent.test:80", agent.endpoint().trim_start_matches("http://").parse().unwrap()),
            ("calls.test:443", front.address()),
            ("calls.test:80", clear.address()),
            ("misnamed.test:443", front.address()),
            ("api.twilio.test:443", rest_front.address()),
            ("run.test:443", run_front.address()),
        ]);
        names.retain(|name, _| !self.down.contains(name));

        let tools = Tools {
            dial: Arc::new(Names(names)),
            tls: authority.client(),
            clock: clock(self.ahead_ms),
            variable: Arc::new(|_| None),
            env_file: self.folder.join(".env"),
        };
        let args = DoctorArgs { options: self.options, tapes: Vec::new(), json, settings: self.settings };
        let mut output = Vec::new();
        let findings = doctor::report(&args, tools, &mut output).await;
        let (lines, code) = (String::from_utf8(output).unwrap(), doctor::exit_code(&findings));
        Examined { findings, lines, code, authorized: api.authorized() }
    }
}

/// Starts a service on a free port, ready for calls. It ends when the value returned beside its address is dropped.
async fn serve(settings: &Settings, agent: &str) -> (SocketAddr, JoinSet<()>) {
    let mut settings = settings.clone();
    settings.set("DIALOGFLOW_AGENT", "projects/lab-project/locations/europe-west3/agents/lab");
    let mut config = settings.check(Platform::Elsewhere).unwrap();
    let endpoint = Endpoint { url: agent.to_owned(), is_plaintext: true };
    config.default_agent_mut().endpoint = Some(endpoint);
    let service = Service::new(config, Dependencies::default()).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(dialbridge_runner::http::serve(service.clone(), listener));
    for _ in 0..600 {
        if service.is_ready() {
            return (address, serving);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the service does not get ready");
}

fn clock(ahead_ms: i64) -> WallClock {
    if ahead_ms == 0 {
        return WallClock::System;
    }
    WallClock::Since { began_ms: WallClock::System.now_ms().checked_add_signed(ahead_ms).unwrap(), at: Instant::now() }
}

/// A service on Cloud Run with everything that calls need.
fn on_cloud_run() -> Value {
    json!({
        "name": ON_CLOUD_RUN,
        "ingress": "INGRESS_TRAFFIC_ALL",
        "invokerIamDisabled": true,
        "template": {
            "timeout": "3600s", "maxInstanceRequestConcurrency": 200,
            "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
            "scaling": { "minInstanceCount": 1, "maxInstanceCount": 10 },
            "containers": [{
                "ports": [{ "name": "http1", "containerPort": 8080 }],
                "resources": { "limits": { "cpu": "1", "memory": "512Mi" }, "startupCpuBoost": true },
                "startupProbe": { "httpGet": { "path": "/ready" }, "periodSeconds": 1, "failureThreshold": 30 },
                "env": [{
                    "name": "TWILIO_AUTH_TOKEN",
                    "valueSource": { "secretKeyRef": { "secret": "twilio-auth-token", "version": "1" } },
                }],
            }],
        },
    })
}

/// Resolves these host names to loopback addresses. Other names fail, except loopback itself.
#[derive(Debug)]
struct Names(BTreeMap<&'static str, SocketAddr>);

impl Dial for Names {
    fn dial(&self, host: &str, port: u16) -> Dialled {
        match self.0.get(format!("{host}:{port}").as_str()) {
            Some(address) => Tcp.dial(&address.ip().to_string(), address.port()),
            None if host == "127.0.0.1" => Tcp.dial(host, port),
            None => Box::pin(std::future::ready(Err(io::Error::other("nobody listens there")))),
        }
    }
}
