//! Several calls at once over real sockets, each frame told from every other. Real time: what is asserted is what came,
//! never when.

use std::time::Duration;

use dialbridge::service::{Parts, Service};
use dialbridge::settings::{Endpoint, Platform, Settings};
use dialbridge_lab::load::{Load, LoadAgent, Measurement, Plan, Readings};
use dialbridge_lab::net::Net;
use dialbridge_lab::relay::Relay;
use dialbridge_lab::twilio::{Account, SimulatedTwilio};
use dialbridge_tests::TOKEN;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const CALLS: u16 = 5;

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Runs a load at what `serve` serves for the agent at the URL that it is given.
async fn load(serve: impl FnOnce(&mut JoinSet<()>, TcpListener, String)) -> Measurement {
    let mut tasks = JoinSet::new();
    let agent = LoadAgent::default();
    let (listener, agent_url) = listen().await;
    let serving = agent.clone();
    tasks.spawn(async move { serving.serve(listener).await.unwrap() });
    let (listener, url) = listen().await;
    serve(&mut tasks, listener, agent_url);

    let twilio = SimulatedTwilio::new(Account::new(Some(TOKEN)), Net::Tcp);
    let plan = Plan { voice_url: format!("{url}/twiml"), calls: CALLS, ramp: 50, is_silent: false };
    let load = Load::begin(&twilio, &plan).await.unwrap();
    agent.begin();
    load.open_window();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let in_window = load.close_window();
    let caller = load.end(in_window).await;
    Measurement::of(&Readings { calls: CALLS, window_ms: 3_000, caller, agent: agent.figures(), ..Readings::default() })
}

fn check(measured: &Measurement) {
    assert!(measured.faults.is_none(), "{:?}", measured.faults);
    // Three seconds of fifty frames a second; a busy machine sends some of them late, but sends them.
    let least = u64::from(CALLS) * 100;
    assert!(measured.frames.sent >= least && measured.frames.arrived >= measured.frames.sent, "{:?}", measured.frames);
    assert!(measured.uplink.count > 0 && measured.answers >= u64::from(CALLS), "{measured:?}");
    assert_eq!((measured.connections, measured.streams), (1, u64::from(CALLS)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_loses_doubles_and_disorders_no_frame() {
    let measured = load(|tasks, listener, agent_url| {
        let settings = Settings {
            dialogflow_agent: Some("projects/p/locations/global/agents/load".to_owned()),
            twilio_auth_token: Some(TOKEN.to_owned()),
            ..Settings::default()
        };
        let mut config = settings.check(Platform::Elsewhere).unwrap();
        config.default_agent_mut().endpoint = Some(Endpoint { url: agent_url, is_plaintext: true });
        let service = Service::new(config, Parts::default()).unwrap();
        tasks.spawn(service.serve(listener));
    })
    .await;
    check(&measured);
    assert_eq!(measured.clears, measured.barge_ins, "each barge-in cuts the answer off");
    assert!(measured.barge_ins > 0 && measured.downlink.count > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bare_relay_carries_a_load_too() {
    let measured = load(|tasks, listener, agent_url| {
        let relay = Relay::new(&agent_url).unwrap();
        tasks.spawn(async move { relay.serve(listener).await.unwrap() });
    })
    .await;
    check(&measured);
    assert_eq!(measured.clears, 0);
}
