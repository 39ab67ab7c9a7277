//! Several calls at once over real sockets, with distinguishable frames. In real time, so the tests assert what came,
//! never when.

use std::time::Duration;

use dialbridge_lab::load::{CallerSpeech, Load, LoadAgent, Measurement, Plan, Readings};
use dialbridge_lab::net::Net;
use dialbridge_lab::relay::{Protocol, Relay};
use dialbridge_lab::twilio::{Account, SimulatedTwilio};
use dialbridge_runner::service::{Dependencies, Service};
use dialbridge_runner::settings::{Endpoint, Platform, Settings};
use dialbridge_tests::TOKEN;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const CALLS: u16 = 5;

/// The most frames in a message: 120 ms of them.
const MESSAGE_FRAMES: u64 = 6;

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Runs a load against the server that `serve` starts. `serve` gets the agent's URL.
async fn load(
    agent: LoadAgent,
    speech: CallerSpeech,
    serve: impl FnOnce(&mut JoinSet<()>, TcpListener, String),
) -> Measurement {
    let mut tasks = JoinSet::new();
    let (listener, agent_url) = listen().await;
    let serving = agent.clone();
    tasks.spawn(async move { serving.serve(listener).await.unwrap() });
    let (listener, url) = listen().await;
    serve(&mut tasks, listener, agent_url);

    let twilio = SimulatedTwilio::new(Account::new(Some(TOKEN)), Net::Tcp);
    let plan = Plan { voice_url: format!("{url}/twiml"), calls: CALLS, ramp: 50, speech };
    let load = Load::begin(&twilio, &plan, drop).await.unwrap();
    agent.begin();
    load.open_window();
    // Long enough for an utterance of a caller who goes on.
    let window_ms = if speech == CallerSpeech::GoesOn { 5_000 } else { 3_000 };
    tokio::time::sleep(Duration::from_millis(window_ms)).await;
    let in_window = (load.close_window(), agent.figures());
    let caller = load.end(in_window.0).await;
    let agent = in_window.1.completed_by(&agent.figures());
    Measurement::of(&Readings { calls: CALLS, window_ms, caller, agent, ..Readings::default() })
}

/// Runs a load against the service, with an agent under that name.
async fn load_at_the_service(agent: LoadAgent, name: &'static str, transport: Option<&str>) -> Measurement {
    load_of(CallerSpeech::Utterances, agent, name, transport).await
}

async fn load_of(speech: CallerSpeech, agent: LoadAgent, name: &'static str, transport: Option<&str>) -> Measurement {
    load(agent, speech, |tasks, listener, agent_url| {
        let transport = transport.unwrap_or_default();
        let given = [("DIALOGFLOW_AGENT", name), ("CES_TRANSPORT", transport), ("TWILIO_AUTH_TOKEN", TOKEN)];
        let settings = Settings::of(given);
        let mut config = settings.check(Platform::Elsewhere).unwrap();
        config.default_agent_mut().endpoint = Some(Endpoint { url: agent_url, is_plaintext: true });
        let service = Service::new(config, Dependencies::default()).unwrap();
        tasks.spawn(dialbridge_runner::http::serve(service, listener));
    })
    .await
}

fn check(measured: &Measurement) {
    assert!(measured.faults.is_none(), "{:?}", measured.faults);
    // Three seconds of fifty frames a second. A busy machine sends some of them late, but sends them.
    let least = u64::from(CALLS) * 100;
    // At the end of the window each call may have one message on its way. Lost ones are among the faults.
    let on_their_way = u64::from(CALLS) * MESSAGE_FRAMES;
    let arrived = measured.frames.arrived + on_their_way;
    assert!(measured.frames.sent >= least && arrived >= measured.frames.sent, "{:?}", measured.frames);
    assert!(measured.uplink.count > 0 && measured.answers >= u64::from(CALLS), "{measured:?}");
}

/// Checks that each barge-in cuts the answer off, which only the service does.
fn check_barge_in(measured: &Measurement) {
    assert_eq!(measured.clears, measured.barge_ins);
    assert!(measured.barge_ins > 0 && measured.downlink.count > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_loses_doubles_and_disorders_no_frame() {
    for agent in ["projects/p/locations/global/agents/load", "projects/p/agent"] {
        let measured = load_at_the_service(LoadAgent::default(), agent, None).await;
        check(&measured);
        check_barge_in(&measured);
        assert_eq!((measured.connections, measured.streams), (1, u64::from(CALLS)), "{agent}");
        assert_eq!(measured.gathered.count, 0, "{agent}: frames go as they come");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answers_of_a_load_may_be_long() {
    // More than a message may have without room. In a debug build, converting a minute of it takes longer than the load.
    let measured_at = |name| load_at_the_service(LoadAgent::default().with_long_answers(10), name, None);
    let (cx, es) =
        tokio::join!(measured_at("projects/p/locations/global/agents/load"), measured_at("projects/p/agent"));
    for Measurement { faults, .. } in [cx, es] {
        assert_eq!((faults.lost, faults.disordered, faults.broken), (0, 0, 0), "{faults:?}");
        // A long answer is a recording without codes. Each caller has got more of it than a usual answer has.
        let usual_bytes = 2_000 * dialbridge_core::audio::BYTES_PER_MS as u64;
        assert!(faults.answer_strange > u64::from(CALLS) * usual_bytes, "{faults:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_of_streams_for_whole_calls_loses_doubles_and_disorders_no_frame() {
    let calls = u64::from(CALLS);
    // Over WebSockets each stream has its own connection.
    for (transport, connections) in [("websocket", calls), ("grpc", 1)] {
        let agent = "projects/p/locations/global/apps/load";
        let measured = load_at_the_service(LoadAgent::default(), agent, Some(transport)).await;
        check(&measured);
        check_barge_in(&measured);
        assert_eq!((measured.connections, measured.streams), (connections, calls), "{transport}");
        assert!((2.0..=6.0).contains(&measured.frames.per_message), "{transport}: 40 to 120 ms: {:?}", measured.frames);
        assert!(measured.gathered.count > measured.uplink.count, "{transport}: two of three wait for the third");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bare_relay_carries_a_load_too() {
    let calls = u64::from(CALLS);
    for (protocol, connections) in [(Protocol::Cx, 1), (Protocol::CesGrpc, 1), (Protocol::CesWebSocket, calls)] {
        let measured = load(LoadAgent::default(), CallerSpeech::Utterances, |tasks, listener, agent_url| {
            let relay = Relay::new(protocol, &agent_url).unwrap();
            tasks.spawn(async move { relay.serve(listener).await.unwrap() });
        })
        .await;
        check(&measured);
        assert_eq!((measured.connections, measured.streams), (connections, calls), "{protocol:?}");
        // CX has no barge-in of its own.
        let cut = if protocol == Protocol::Cx { 0 } else { measured.barge_ins };
        assert_eq!(measured.clears, cut, "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_far_away_hears_all_that_the_callers_of_a_load_say() {
    let products = [
        ("projects/p/locations/global/agents/load", None),
        ("projects/p/agent", None),
        ("projects/p/locations/global/apps/load", Some("websocket")),
        ("projects/p/locations/global/apps/load", Some("grpc")),
    ];
    let load_at = async |distance_ms: u64, (name, transport)| {
        let agent = LoadAgent::default().at_distance(distance_ms);
        let measured = load_of(CallerSpeech::GoesOn, agent, name, transport).await;
        let what = format!("{name}, {distance_ms} ms away");
        assert!(measured.faults.is_none(), "{what}: {:?}", measured.faults);
        assert!(measured.answers >= u64::from(CALLS), "{what}: {measured:?}");
        // The caller's first words are on their way for longer than the end, and the stream of a session listens on.
        assert!(measured.resent > 0 || transport.is_some() || distance_ms < 120, "{what}");
        assert!(measured.resent == 0 || transport.is_none(), "{what}");
    };
    for product in products {
        tokio::join!(load_at(0, product), load_at(40, product), load_at(120, product));
    }
}
