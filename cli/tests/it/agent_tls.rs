//! The program and an agent behind TLS: one with a trusted certificate, one with an untrusted one, and one that refuses
//! a token in the middle of a call.
#![cfg(feature = "lab")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::program::Service;

use dialbridge_lab::agent::{Edition, LabAgent, Script, ServedAgent};
use dialbridge_lab::google::Identity;
use dialbridge_lab::net::Net;
use dialbridge_lab::served::Served;
use dialbridge_lab::twilio::{Account, CallPlan, CallRecord, SimulatedTwilio, When};
use dialbridge_net::dial::Tcp;
use dialbridge_net::tls::{ConnectError, HTTP_2, connect};
use dialbridge_tests::{Authority, hang_up, numbered_speech, numbers, pause, redirected, say, spoke};

/// The account's token.
const TOKEN: &str = "the-tests-auth-token";

const SCRIPT: &str = r#"
end_of_utterance_ms = 400
[start]
tone = { hz = 400, ms = 200 }
[[utterance]]
fault = "UNAUTHENTICATED"
fault_times = 1
tone = { hz = 500, ms = 200 }
[[utterance]]
tone = { hz = 500, ms = 200 }
"#;

/// A folder of its own for a test.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("agent-tls").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// An edition, and for CES its transport.
type Agent = (Edition, Option<&'static str>);

const CES: [(Agent, &str); 2] =
    [((Edition::Ces, Some("websocket")), "ces-websocket"), ((Edition::Ces, Some("grpc")), "ces-grpc")];

/// An agent behind TLS, Google's logins and Twilio.
struct Lab {
    agent: LabAgent,
    endpoint: String,
    authority: Authority,
    twilio: SimulatedTwilio,
    rest: Served,
    google: Served,
    /// How many tokens were requested.
    tokens: Arc<AtomicUsize>,
    identity: Identity,
    _serving: (ServedAgent, Served),
}

impl Lab {
    async fn start() -> Self {
        dialbridge_net::tls::install_crypto();
        let no_file = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let agent = LabAgent::recording(Script::parse(SCRIPT, "the test's script", &no_file).unwrap());
        let served = agent.serve_on_loopback().await.unwrap();
        let upstream = served.endpoint().trim_start_matches("http://").parse().unwrap();
        let authority = Authority::for_names(&["localhost"]);
        let front = authority.before_http(upstream).await;
        let twilio = SimulatedTwilio::new(Account::new(Some(TOKEN)), Net::Tcp);
        let rest = twilio.serve_rest_on_loopback().await.unwrap();
        let (identity, tokens) = (Identity::new("planted-refresh-token", "lab"), Arc::new(AtomicUsize::new(0)));
        let asked = tokens.clone();
        let google = Served::on_loopback(identity.clone(), move |identity, stream| {
            asked.fetch_add(1, Ordering::Relaxed);
            async move { identity.serve(stream).await }
        });
        let endpoint = format!("https://localhost:{}", front.address().port());
        let google = google.await.unwrap();
        Self { agent, endpoint, authority, twilio, rest, google, tokens, identity, _serving: (served, front) }
    }

    /// Starts the program, which trusts only that certificate.
    async fn serve(&self, name: &str, (edition, transport): Agent, trusted: &Authority) -> Service {
        let folder = folder(name);
        fs::write(folder.join("trusted.pem"), trusted.pem()).unwrap();
        fs::write(folder.join("login.json"), self.identity.login(&self.google.url()).to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialbridge"));
        command
            .arg("serve")
            .env_clear()
            .current_dir(&folder)
            .env("PORT", "0")
            .env("SSL_CERT_FILE", folder.join("trusted.pem"))
            .env("DIALOGFLOW_AGENT", edition.agent_name())
            .envs(transport.map(|transport| ("CES_TRANSPORT", transport)))
            .env("DIALOGFLOW_ENDPOINT", &self.endpoint)
            .env("TEXT_TO_SPEECH_ENDPOINT", "http://127.0.0.1:9")
            .env("GOOGLE_APPLICATION_CREDENTIALS", folder.join("login.json"))
            .env("TWILIO_ACCOUNT_SID", &self.twilio.account().sid)
            .env("TWILIO_AUTH_TOKEN", TOKEN)
            .env("TWILIO_API_URL", self.rest.url())
            .env("END_OF_INTERACTION_URL", format!("{}/handoff", self.rest.url()));
        tokio::task::spawn_blocking(move || Service::start(&mut command)).await.unwrap()
    }

    async fn call(&self, service: &Service) -> CallRecord {
        let steps = vec![say(When::AgentSilent(100), numbered_speech(0, 800)), pause(3_000), hang_up(When::After(0))];
        let plan =
            CallPlan { limit: Duration::from_secs(20), ..CallPlan::new(format!("{}/twiml", service.url()), steps) };
        self.twilio.call(plan).await
    }
}

#[tokio::test]
async fn a_token_that_is_refused_in_mid_call_is_fetched_anew_and_the_caller_need_not_repeat() {
    for (edition, name) in [((Edition::Cx, None), "tls-cx"), ((Edition::Es, None), "tls-es")] {
        let lab = Lab::start().await;
        let service = lab.serve(name, edition, &lab.authority).await;
        let call = lab.call(&service).await;
        let turns = lab.agent.record().turns(&call.call_sid);
        let spoken: Vec<u32> = (0..40).collect();
        let answered = turns.iter().filter(|turn| turn.input == "audio" && turn.answered).collect::<Vec<_>>();
        assert_eq!(answered.len(), 1, "{edition:?}: {turns:?}");
        assert!(numbers(&answered[0].audio).starts_with(&spoken), "{edition:?}");
        assert_eq!(redirected(&call), None, "{edition:?}");
        assert!(lab.tokens.load(Ordering::Relaxed) >= 2, "{edition:?}: another token was asked for");
        assert_eq!(service.lines_with("made anew").len(), 1, "{edition:?}");
    }
}

#[tokio::test]
async fn where_a_whole_call_is_one_stream_another_one_takes_over_with_a_new_token() {
    for (agent, name) in CES {
        let lab = Lab::start().await;
        let service = lab.serve(name, agent, &lab.authority).await;
        let call = lab.call(&service).await;
        let streams = lab.agent.record().streams(&call.call_sid);
        let [refused, served] = &streams[..] else { panic!("{name}: {} streams", streams.len()) };
        assert_eq!((refused.kick_starts(), served.kick_starts()), (1, 0), "{name}: greeted once");
        assert!(numbers(&served.audio).starts_with(&(0..40).collect::<Vec<u32>>()), "{name}: nothing need be repeated");
        assert_eq!(spoke(&call), [(200, false), (200, false)], "{name}: the greeting and the answer");
        assert_eq!(redirected(&call), None, "{name}");
        assert!(lab.tokens.load(Ordering::Relaxed) >= 2, "{name}: another token was asked for");
        assert_eq!(service.lines_with("made anew").len(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_told_and_the_call_gets_its_fallback() {
    let one_for_each_turn = [((Edition::Cx, None), "tls-cx"), ((Edition::Es, None), "tls-es")];
    for (agent, name) in one_for_each_turn.into_iter().chain(CES) {
        let lab = Lab::start().await;
        let service = lab.serve(&format!("{name}-untrusted"), agent, &Authority::for_names(&["localhost"])).await;
        let call = lab.call(&service).await;
        let url = redirected(&call).unwrap_or_else(|| panic!("{name}: {:?}", call.events));
        assert!(url.contains("VirtualAgentStatus=failed"), "{name}: {url}");
        let record = lab.agent.record();
        assert!(record.turns(&call.call_sid).is_empty() && record.streams(&call.call_sid).is_empty(), "{name}");
        let told = service.lines_with("certificate");
        assert_eq!(told.iter().filter(|line| line.contains(&call.call_sid)).count(), 1, "of the call: {told:?}");
        assert_eq!(told.iter().filter(|line| !line.contains(&call.call_sid)).count(), 1, "of the start: {told:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_http2_is_told_before_a_stream_is_tried() {
    let lab = Lab::start().await;
    let mut tls = (*lab.authority.client()).clone();
    tls.alpn_protocols = vec![HTTP_2.to_vec()];
    for (protocols, speaks) in [(&["http/1.1", "h2"][..], true), (&["http/1.1"], false), (&[], false)] {
        let front = lab.authority.before(lab.rest.address(), protocols).await;
        let url = format!("https://localhost:{}", front.address().port()).parse().unwrap();
        let connected = connect(&Tcp, Some(&Arc::new(tls.clone())), &url).await;
        assert_eq!(connected.is_ok(), speaks, "{protocols:?}");
        assert!(connected.is_ok() || matches!(connected, Err(ConnectError::Tls(_))), "{protocols:?}");
    }
}
