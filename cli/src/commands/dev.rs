//! `dev`: the service on this machine behind a real number. The number is put back on exit.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::number::{doctor, exit_with, warn_of_local};
use super::timeline::say;
use super::{dev_calls, log_style};
use crate::dev::{DevArgs, Tunnel, TunnelError, check_reached, word};
use crate::doctor::numbers::Number;
use crate::doctor::{Finding, Mark};
use crate::numbers::{Account, IfChanged, KeptFile, NumberError, chosen, point, restore};
use dialbridge_lab::agent::ServedAgent;
use dialbridge_net::dial::Tcp;
use dialbridge_net::proxy::{Proxy, proxied};
use dialbridge_runner::call::watch::Watch;
use dialbridge_runner::http;
use dialbridge_runner::service::{Dependencies, Service, lab_agents};
use dialbridge_runner::settings::{Config, Platform, PublicUrl, Settings};
use dialbridge_runner::telemetry::log;

/// How many of the service's reports may wait to be printed.
const QUEUE: usize = 1_024;

/// How long a new tunnel's name may take to be known everywhere.
const TUNNEL_DEADLINE: Duration = Duration::from_secs(40);

/// How long a URL that somebody gave may take to lead here.
const URL_DEADLINE: Duration = Duration::from_secs(10);

/// How long the service may take to be ready. It gives up waiting for its agents before.
const READY_DEADLINE: Duration = Duration::from_secs(8);

/// Runs `dev`.
pub async fn run(args: &DevArgs) -> ExitCode {
    let mut end = match EndSignal::new() {
        Ok(end) => end,
        Err(error) => return exit_with(&NumberError::Failed(format!("signals cannot be received: {error}"))),
    };
    let prepared = tokio::select! {
        biased;
        () = end.told() => return ExitCode::SUCCESS,
        prepared = Dev::prepare(args) => prepared,
    };
    let done = match prepared {
        Ok(dev) => dev.serve(&mut end).await,
        Err(error) => Err(error),
    };
    done.map_or_else(|error| exit_with(&error), |()| ExitCode::SUCCESS)
}

/// Everything that runs, before the number is pointed here.
struct Dev {
    account: Account,
    number: Number,
    public: PublicUrl,
    tunnel: Option<Tunnel>,
    /// The service, and what prints its calls. None of them ends by itself.
    running: JoinSet<()>,
    service: Arc<Service>,
    _lab: Vec<ServedAgent>,
}

impl Dev {
    /// Starts everything and checks it from outside in. Changes nothing at Twilio.
    async fn prepare(args: &DevArgs) -> Result<Self, NumberError> {
        let mut settings = adjusted(&args.settings)?;
        let config = checked(&settings)?;
        log::start(config.log_level, log_style(), std::io::stderr);
        let account = Account::open(doctor()?, &config.twilio).await?;
        if !config.twilio.checks_signatures() {
            say("TWILIO_AUTH_TOKEN is not set: whoever knows the URL can talk to the agent, at your cost.");
        }
        let number = chosen(&account, args.number.as_deref()).await?;
        let (listener, port) = listen(args, &config)?;
        let (tunnel, url) = match &args.url {
            Some(url) => (None, url.clone()),
            None => tunnel(port, Duration::from_secs(args.tunnel_seconds)).await?,
        };
        settings.set("PUBLIC_URL", url.trim_end_matches('/'));
        let config = checked(&settings)?;
        let public = config.public_url.clone().ok_or_else(|| NumberError::Usage("--url is empty".to_owned()))?;
        let deadline = if tunnel.is_some() { TUNNEL_DEADLINE } else { URL_DEADLINE };
        say(&format!("{} is to lead to port {port} of this machine …", public.http("")));
        check_reached(&doctor()?, &listener, &public, deadline).await.map_err(NumberError::Failed)?;
        let (service, running, lab) = start(config, listener).await?;
        check(&settings, &service).await?;
        Ok(Self { account, number, public, tunnel, running, service, _lab: lab })
    }

    /// Points the number here, shows its calls until told to end, and puts the number back.
    async fn serve(mut self, end: &mut EndSignal) -> Result<(), NumberError> {
        let file = KeptFile::here();
        let number = self.number.phone_number.clone();
        let was = match point(&self.account, &file, &self.number, &self.public).await {
            Ok(pointed) => pointed.was.described(),
            Err(error) => {
                // It may be changed all the same.
                if file.read()?.is_some_and(|kept| kept.number_sid == self.number.sid) {
                    restore(&self.account, &file, IfChanged::Leave).await?;
                }
                return Err(error);
            }
        };
        say(&format!("Call {number}: it leads to this machine. On exit it leads to {was} again. Ctrl-C ends."));
        warn_of_local(&self.public);
        let ended = tokio::select! {
            biased;
            () = end.told() => Ok(()),
            why = ended(self.tunnel.as_mut()) => Err(format!("{why}; calls do not come here any more")),
            _ = self.running.join_next() => Err("the service has stopped; please report it".to_owned()),
        };
        let restored = restore(&self.account, &file, IfChanged::Leave).await;
        match (&restored, &ended) {
            (Ok(_), _) => say(&format!("{number} leads to {was} again.")),
            (Err(_), Ok(())) => say("The number is not put back; `dialbridge number restore` tries again."),
            (Err(_), Err(why)) => {
                say(&format!("{why}. The number is not put back; `dialbridge number restore` tries again."))
            }
        }
        match self.service.calls().live() {
            0 => {}
            live => say(&format!("Live calls that end now: {live}.")),
        }
        restored?;
        ended.map_err(NumberError::Failed)
    }
}

/// The settings of a service that the whole Internet can reach for a while: warnings only, and no page unless its token
/// is set. The URL comes from elsewhere.
fn adjusted(settings: &Settings) -> Result<Settings, NumberError> {
    if settings.given("PUBLIC_URL").is_some() {
        say("PUBLIC_URL is not used here: --url or the tunnel names the URL.");
    }
    let mut settings = settings.clone();
    settings.set("PUBLIC_URL", "");
    if settings.given("LOG_LEVEL").is_none() {
        settings.set("LOG_LEVEL", "warning");
    }
    if settings.given("ADMIN_TOKEN").is_none() {
        settings.set("ADMIN_TOKEN", word().map_err(NumberError::Failed)?);
        say("The page at / is closed, because the URL is public: set ADMIN_TOKEN to open it.");
    }
    Ok(settings)
}

fn checked(settings: &Settings) -> Result<Config, NumberError> {
    let faults = |faults: String| NumberError::Setting(faults.replace("PUBLIC_URL", "--url"));
    settings.check(Platform::Elsewhere).map_err(|errors| faults(errors.to_string()))
}

/// Listens on PORT: where there is a tunnel, for this machine alone.
fn listen(args: &DevArgs, config: &Config) -> Result<(TcpListener, u16), NumberError> {
    let host = config.host.or_else(|| args.url.is_none().then_some(Ipv4Addr::LOCALHOST.into()));
    let failed = |error| NumberError::Failed(format!("PORT {} cannot be listened on: {error}", config.port));
    let listener = http::listen(host, config.port).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok((listener, port))
}

async fn tunnel(port: u16, deadline: Duration) -> Result<(Option<Tunnel>, String), NumberError> {
    match Tunnel::start(port, deadline).await {
        Ok((tunnel, url)) => Ok((Some(tunnel), url)),
        Err(error @ TunnelError::NotInstalled) => Err(NumberError::Usage(error.to_string())),
        Err(error @ TunnelError::Failed(_)) => Err(NumberError::Failed(error.to_string())),
    }
}

/// Starts the service, and what prints its calls.
async fn start(
    mut config: Config,
    listener: TcpListener,
) -> Result<(Arc<Service>, JoinSet<()>, Vec<ServedAgent>), NumberError> {
    let lab = lab_agents::serve(&mut config).await.map_err(NumberError::Failed)?;
    if !lab.is_empty() {
        say(
            "The lab's agent answers: it notices that somebody speaks, and knows no words. DIALOGFLOW_AGENT names yours.",
        );
    }
    let proxy = Proxy::from_variables(|name| std::env::var(name).ok());
    let proxy = proxy.map_err(|fault| NumberError::Setting(fault.to_string()))?;
    let (observer, observed) = mpsc::channel(QUEUE);
    let dependencies = Dependencies {
        dial: proxied(Arc::new(Tcp), proxy),
        watch: Some(Watch::into_channel(observer)),
        ..Dependencies::default()
    };
    let service = Service::new(config, dependencies).map_err(|error| NumberError::Setting(error.to_string()))?;
    let mut running = JoinSet::new();
    running.spawn(dev_calls::print(observed));
    running.spawn(http::serve(service.clone(), listener));
    Ok((service, running, lab))
}

/// Checks the service as Twilio finds it at its public URL.
async fn check(settings: &Settings, service: &Service) -> Result<(), NumberError> {
    let is_ready = async {
        while !service.is_ready() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // If it is not, the check says so.
    let _ = tokio::time::timeout(READY_DEADLINE, is_ready).await;
    let findings = doctor()?.check_public_url(settings).await;
    findings.iter().filter(|finding| finding.mark != Mark::Skipped).for_each(|finding| say(&finding.to_string()));
    if findings.iter().any(Finding::is_fault) {
        return Err(NumberError::Failed("calls would not arrive; no number was changed".to_owned()));
    }
    Ok(())
}

/// Why the tunnel has ended. Without a tunnel it never does.
async fn ended(tunnel: Option<&mut Tunnel>) -> String {
    match tunnel {
        Some(tunnel) => tunnel.ended().await,
        None => std::future::pending().await,
    }
}

/// What tells the process to end: the keyboard, a terminal that closes, or another process.
struct EndSignal([Signal; 3]);

impl EndSignal {
    fn new() -> std::io::Result<Self> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]))
    }

    /// Returns when it is told, also before this was called.
    async fn told(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
