//! The program in a network whose only way out is a proxy.
#![cfg(feature = "lab")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::program::{PLANTED_TOKEN, Service, folder, program, run};

use dialbridge_lab::agent::{Edition, LabAgent, Script, ServedAgent};
use dialbridge_lab::google::Identity;
use dialbridge_lab::net::Net;
use dialbridge_lab::proxy::{Proxy, ProxyBehaviour};
use dialbridge_lab::served::Served;
use dialbridge_lab::twilio::{Account, CallPlan, CallRecord, SimulatedTwilio};
use dialbridge_tests::{Authority, redirected, spoke};
use tokio::task::JoinSet;

const SCRIPT: &str = "[start]\ntone = { hz = 400, ms = 200 }\nend = true";

/// An agent, Google's logins and Twilio's REST API behind TLS, which only the proxy reaches; and Google's metadata server.
struct Lab {
    authority: Authority,
    proxy: Proxy,
    twilio: SimulatedTwilio,
    rest: Served,
    /// The metadata server, and what issues tokens for logins.
    google: Served,
    identity: Identity,
    _serving: (ServedAgent, [Served; 3]),
}

impl Lab {
    async fn start(behaviour: ProxyBehaviour) -> Self {
        dialbridge_net::tls::install_crypto();
        let no_file = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let agent = LabAgent::new(Script::parse(SCRIPT, "the test's script", &no_file).unwrap());
        let served = agent.serve_on_loopback().await.unwrap();
        let twilio = SimulatedTwilio::new(Account::new(Some(PLANTED_TOKEN)), Net::Tcp);
        let rest = twilio.serve_rest_on_loopback().await.unwrap();
        let identity = Identity::new("planted-refresh-token", "lab");
        let serve = |identity: Identity, stream| async move { identity.serve(stream).await };
        let google = Served::on_loopback(identity.clone(), serve).await.unwrap();
        let authority = Authority::for_names(&["agent.test", "login.test", "twilio.test"]);
        let fronts = [
            authority.before_http(served.endpoint().trim_start_matches("http://").parse().unwrap()).await,
            authority.before_http(google.address()).await,
            authority.before_http(rest.address()).await,
        ];
        let hosts = ["agent.test:443", "login.test:443", "twilio.test:443"];
        let hosts: Vec<_> = hosts.into_iter().zip(fronts.iter().map(Served::address)).collect();
        let proxy = Proxy::start(behaviour, &hosts).await.unwrap();
        Self { authority, proxy, twilio, rest, google, identity, _serving: (served, fronts) }
    }

    /// The program with these variables. It takes its token from the metadata server, and reaches Twilio without TLS.
    fn serve(&self, name: &str, variables: &[(&str, &str)]) -> Command {
        let folder = folder(name);
        fs::write(folder.join("trusted.pem"), self.authority.pem()).unwrap();
        let mut command = program(&folder);
        command
            .arg("serve")
            .env("PORT", "0")
            .env("SSL_CERT_FILE", folder.join("trusted.pem"))
            .env("DIALOGFLOW_ENDPOINT", "https://agent.test")
            // A caller who waits for the greeting hears a sentence, and nobody synthesises it here.
            .env("TEXT_TO_SPEECH_ENDPOINT", "http://127.0.0.1:9")
            .env("GCE_METADATA_HOST", self.google.address().to_string())
            .env("TWILIO_ACCOUNT_SID", &self.twilio.account().sid)
            .env("TWILIO_AUTH_TOKEN", PLANTED_TOKEN)
            .env("TWILIO_API_URL", self.rest.url())
            .env("END_OF_INTERACTION_URL", format!("{}/handoff", self.rest.url()))
            .env("RETRY_BUDGET_SECONDS", "5")
            .envs(variables.iter().copied());
        command
    }

    async fn call(&self, url: String) -> CallRecord {
        self.twilio.call(CallPlan::new(format!("{url}/twiml"), Vec::new())).await
    }
}

async fn started(mut command: Command) -> Service {
    tokio::task::spawn_blocking(move || Service::start(&mut command)).await.unwrap()
}

#[tokio::test]
async fn calls_go_through_the_proxy_in_every_edition_and_what_has_no_tls_does_not() {
    for (edition, transport, variable) in [
        (Edition::Cx, "websocket", "HTTPS_PROXY"),
        (Edition::Es, "websocket", "https_proxy"),
        (Edition::Ces, "websocket", "ALL_PROXY"),
        (Edition::Ces, "grpc", "all_proxy"),
    ] {
        let lab = Lab::start(ProxyBehaviour::Tunnels).await;
        let url = lab.proxy.url("user:planted%3Apassword");
        let agent = [("DIALOGFLOW_AGENT", edition.agent_name()), ("CES_TRANSPORT", transport), (variable, &*url)];
        let service = started(lab.serve(&format!("proxy-{variable}"), &agent)).await;
        let call = lab.call(service.url()).await;
        assert_eq!(spoke(&call), [(200, false)], "{variable}: {:?}", call.events);
        let asked = lab.proxy.asked();
        assert!(!asked.is_empty(), "{variable}");
        for request in asked {
            assert_eq!(request.line, "CONNECT agent.test:443", "{variable}");
            let login = request.authorization.as_deref();
            assert_eq!(login, Some("Basic dXNlcjpwbGFudGVkOnBhc3N3b3Jk"), "{variable}");
        }
        let log = service.lines_with("");
        assert!(log.iter().any(|line| line.contains("go through a proxy")), "{variable}: {log:#?}");
        assert!(!log.iter().any(|line| line.contains("password") || line.contains("dXNlcjpw")), "{variable}: {log:#?}");
    }
}

#[tokio::test]
async fn tokens_and_twilios_rest_api_go_through_the_proxy_too() {
    let lab = Lab::start(ProxyBehaviour::Tunnels).await;
    let url = lab.proxy.url("");
    let login = folder("proxy-login").join("login.json");
    fs::write(&login, lab.identity.login("https://login.test").to_string()).unwrap();
    let service = started(lab.serve(
        "proxy-tokens",
        &[
            ("DIALOGFLOW_AGENT", Edition::Cx.agent_name()),
            ("GOOGLE_APPLICATION_CREDENTIALS", login.to_str().unwrap()),
            ("TWILIO_API_URL", "https://twilio.test"),
            ("HTTPS_PROXY", &url),
        ],
    ));
    let call = lab.call(service.await.url()).await;
    assert!(redirected(&call).is_some_and(|url| url.contains("VirtualAgentStatus=completed")), "{:?}", call.events);
    let asked: BTreeSet<String> = lab.proxy.asked().into_iter().map(|request| request.line).collect();
    let hosts = ["agent.test:443", "login.test:443", "twilio.test:443"];
    assert_eq!(asked, hosts.map(|host| format!("CONNECT {host}")).into());
}

#[tokio::test]
async fn a_host_of_no_proxy_is_reached_without_it() {
    let lab = Lab::start(ProxyBehaviour::Tunnels).await;
    let url = lab.proxy.url("");
    let login = folder("proxy-exception-login").join("login.json");
    fs::write(&login, lab.identity.login("https://login.test").to_string()).unwrap();
    let agent = [
        ("DIALOGFLOW_AGENT", Edition::Cx.agent_name()),
        ("GOOGLE_APPLICATION_CREDENTIALS", login.to_str().unwrap()),
        ("HTTPS_PROXY", &*url),
        ("no_proxy", "agent.test, 10.0.0.0/8"),
    ];
    let service = started(lab.serve("proxy-exception", &agent)).await;
    let call = lab.call(service.url()).await;
    assert!(redirected(&call).is_some_and(|url| url.contains("VirtualAgentStatus=failed")), "nobody is there");
    let asked: BTreeSet<String> = lab.proxy.asked().into_iter().map(|request| request.line).collect();
    assert_eq!(asked, ["CONNECT login.test:443".to_owned()].into(), "the login's host is no exception");
}

#[tokio::test]
async fn whatever_the_proxy_does_instead_the_log_says_so_and_the_call_gets_its_fallback() {
    let mut running = JoinSet::new();
    for (behaviour, name, says) in [
        (ProxyBehaviour::Refuses(407), "login", "it refuses the login in its URL (407)"),
        (ProxyBehaviour::Refuses(403), "forbidden", "it answers 403 to CONNECT agent.test:443"),
        (ProxyBehaviour::Silent, "silent", "no tunnel was opened in time"),
        (ProxyBehaviour::Endless, "endless", "the head of its answer is longer"),
    ] {
        running.spawn(refused(behaviour, format!("proxy-cx-{name}"), Edition::Cx, says));
        running.spawn(refused(behaviour, format!("proxy-ces-{name}"), Edition::Ces, says));
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

async fn refused(behaviour: ProxyBehaviour, name: String, edition: Edition, says: &str) {
    let lab = Lab::start(behaviour).await;
    let url = lab.proxy.url("user:planted-password");
    let agent = [("DIALOGFLOW_AGENT", edition.agent_name()), ("HTTPS_PROXY", &*url)];
    let service = started(lab.serve(&name, &agent)).await;
    let call = lab.call(service.url()).await;
    let url = redirected(&call).unwrap_or_else(|| panic!("{name}: {:?}", call.events));
    assert!(url.contains("VirtualAgentStatus=failed"), "{name}: {url}");
    let log = service.lines_with("");
    assert!(log.iter().any(|line| line.contains(says)), "{name}: {log:#?}");
    assert!(!log.iter().any(|line| line.contains("planted-password")), "{name}: {log:#?}");
}

#[tokio::test]
async fn a_wrong_proxy_stops_the_start_with_a_line_beside_those_of_the_settings() {
    for (variables, says) in [
        (&[("HTTPS_PROXY", "socks5://u:planted@p.test")][..], "HTTPS_PROXY names a proxy that speaks socks5"),
        (&[("HTTPS_PROXY", "p.test"), ("NO_PROXY", "a.test,http://b.test")], "NO_PROXY has \"http://b.test\""),
        (&[("all_proxy", "http://"), ("MAX_CALLS", "0")], "all_proxy is no URL of a proxy; for example all_proxy=http"),
    ] {
        let mut command = program(&folder("proxy-wrong"));
        command.arg("serve").env("PORT", "0").envs(variables.iter().copied());
        let done = run(command, "").await;
        assert_eq!(done.code, 78, "{says}: {done:?}");
        assert_eq!(done.errors.lines().filter(|line| line.contains(says)).count(), 1, "{done:?}");
        assert_eq!(
            done.errors.contains("MAX_CALLS"),
            variables.iter().any(|(name, _)| *name == "MAX_CALLS"),
            "{done:?}"
        );
        assert!(!done.errors.contains("planted"), "{done:?}");
    }
    let mut command = program(&folder("proxy-wrong-doctor"));
    command.arg("doctor").env("HTTPS_PROXY", "socks5://u:planted@p.test");
    let done = run(command, "").await;
    let fault = done.output.lines().find(|line| line.contains("proxy ") && line.starts_with("fault"));
    assert!(fault.is_some_and(|line| line.contains("speaks socks5")) && !done.output.contains("planted"), "{done:?}");
}
