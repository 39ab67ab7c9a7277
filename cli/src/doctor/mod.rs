//! `doctor`: checks the setup piece by piece, and says how to mend each fault.
//!
//! Each check is a function that sends the requests of a call, in the same way, and returns [`Finding`]s. Every request
//! has a deadline, and none changes anything anywhere. `number` and `dev` ask Twilio with the same client.

mod agent;
mod args;
mod clocks;
mod cloud_run;
mod credentials;
mod endpointing;
mod env_file;
mod files;
mod finding;
mod media;
pub(crate) mod numbers;
mod public_url;
mod single_checks;
mod speech;
mod subaccounts;
mod subject;
mod tape;
pub(crate) mod twilio;
mod twiml;
mod url;
mod voice_request;
mod web;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use dialbridge_net::dial::{Dial, Tcp};
use dialbridge_net::proxy::{Proxy, proxied};
use dialbridge_runner::settings::{Platform, Settings};
use dialbridge_runner::telemetry::clock::WallClock;

pub use args::{DoctorArgs, Options};
pub use finding::{Finding, Mark, summary};
pub(crate) use tape::findings as findings_of_tape;
pub(crate) use url::check_private;
#[cfg(feature = "lab")]
pub(crate) use url::is_loopback;

use cloud_run::CloudRunTarget;
use credentials::Credentials;
use subject::Subject;
use web::WebClient;

const SETTINGS: &str = "settings";
const PROXY: &str = "proxy";

/// How much of a foreign error message is shown, in characters.
const MAX_SHOWN_CHARS: usize = 400;

/// Looks up an environment variable.
pub type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the checks work with. A test may replace it.
#[derive(Clone)]
pub struct Tools {
    /// How connections are opened.
    pub dial: Arc<dyn Dial>,
    /// Which certificates we trust.
    pub tls: Arc<ClientConfig>,
    /// The current time.
    pub clock: WallClock,
    /// The environment variables.
    pub variable: Variables,
    /// Where `.env` is expected.
    pub env_file: PathBuf,
}

impl Tools {
    /// The real ones.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn real() -> Result<Self, rustls::Error> {
        Ok(Self {
            dial: Arc::new(Tcp),
            tls: Arc::new(dialbridge_net::tls::client_config()?),
            clock: WallClock::System,
            variable: Arc::new(|name| std::env::var(name).ok()),
            env_file: ".env".into(),
        })
    }
}

/// Runs the checks.
pub struct Doctor {
    tools: Tools,
    pub(crate) web: WebClient,
    /// What there is to say of the proxy; `None` if there is none.
    proxy: Option<Finding>,
    cloud_run_api_url: String,
}

impl Doctor {
    /// Creates a doctor with these tools. Must run inside tokio.
    #[must_use]
    pub fn new(mut tools: Tools, options: &Options) -> Self {
        let proxy = match Proxy::from_variables(|name| (tools.variable)(name)) {
            Ok(proxy) => {
                let found = proxy.as_ref().map(|proxy| {
                    let url = proxy.url();
                    Finding::ok(
                        PROXY,
                        format!("connections with TLS go through {url}, except to the hosts of NO_PROXY"),
                    )
                });
                tools.dial = proxied(tools.dial, proxy);
                found
            }
            Err(fault) => settings_faults(&fault.to_string()).pop().map(|fault| Finding { check: PROXY, ..fault }),
        };
        let deadline = Duration::from_secs(options.deadline);
        let web = WebClient::new(tools.dial.clone(), tools.tls.clone(), tools.clock, deadline);
        Self { tools, web, proxy, cloud_run_api_url: options.cloud_run_api_url.clone() }
    }

    /// Runs all checks. Reports each finding as soon as it is there; none of them contains a secret of the settings.
    pub async fn examine(&self, settings: &Settings, options: &Options, mut tell: impl FnMut(Finding)) {
        let subject = self.read(settings, options).await;
        let secrets = subject.as_ref().map_or_else(|_| subject::secrets(settings, None), |read| read.secrets.clone());
        let mut tell = |findings: Vec<Finding>| {
            findings.into_iter().for_each(|finding| tell(finding.without(&secrets)));
        };
        tell(vec![env_file::check(&self.tools.env_file)]);
        tell(self.proxy.iter().cloned().collect());
        let place = CloudRunTarget::new(options, |name| (self.tools.variable)(name));
        let subject = match subject {
            Ok(subject) => subject,
            Err(faults) => return self.examine_without(faults, &place, tell).await,
        };
        tell(vec![Finding::ok(SETTINGS, "all are valid")]);
        let is_api = matches!(place, CloudRunTarget::Api { .. }) && self.cloud_run_api_url.starts_with("https://");
        let (findings, credentials) = credentials::check(self, &subject, is_api).await;
        tell(findings);
        for agent in &subject.agents {
            let findings = agent::check(self, agent, credentials.of(agent)).await;
            tell(if subject.agents.len() > 1 { named(&agent.name, findings) } else { findings });
        }
        let set = settings.given("PUBLIC_URL").filter(|_| options.url.is_some());
        let findings = public_url::check(self, &subject, set).await;
        let is_up = public_url::is_up(&findings);
        tell(findings);
        let (findings, api) = twilio::check(self, &subject.twilio).await;
        tell(findings);
        tell(numbers::check(self, api.as_ref(), &subject, &options.numbers, is_up).await);
        tell(subaccounts::check(self, api.as_ref(), &subject).await);
        tell(cloud_run::check(self, &place, Some(&subject), credentials.first()).await);
        tell(vec![clocks::check(self, &subject).await]);
        tell(files::check(&subject));
    }

    /// What can be checked even when the settings are wrong.
    async fn examine_without(&self, faults: Vec<Finding>, place: &CloudRunTarget, mut tell: impl FnMut(Vec<Finding>)) {
        tell(faults);
        if let CloudRunTarget::File(_) = place {
            tell(cloud_run::check(self, place, None, &Credentials::default()).await);
        }
        tell(vec![Finding::skipped("all-others", "the settings must be right first")]);
    }

    /// Reads the settings as `serve` does.
    async fn read(&self, settings: &Settings, options: &Options) -> Result<Subject, Vec<Finding>> {
        let platform = Platform::detect(|name| (self.tools.variable)(name).is_some());
        let mut settings = settings.clone();
        if let Some(url) = &options.url {
            settings.set("PUBLIC_URL", url);
        }
        Subject::read(&settings, platform).await.map_err(|lines| settings_faults(&lines))
    }
}

/// The lines that `serve` would end with, each as a finding.
fn settings_faults(lines: &str) -> Vec<Finding> {
    let fault = |line: &str| {
        let (says, example) = line.split_once("; for example ").unwrap_or((line, ""));
        let mend = if example.is_empty() { "see docs/settings.md".to_owned() } else { format!("set {example}") };
        Finding::fault(SETTINGS, says, mend)
    };
    lines.lines().map(fault).collect()
}

/// The findings of one agent of several.
fn named(name: &str, findings: Vec<Finding>) -> Vec<Finding> {
    let named = |finding: Finding| Finding { says: format!("{name}: {}", finding.says), ..finding };
    findings.into_iter().map(named).collect()
}

/// Puts a foreign error message on one line and limits its length.
fn in_short(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
