//! The bare relay at the lab's scripted agent of the Customer Engagement Suite, over real sockets. Real time: what is
//! asserted is what came, never when.

use std::io;
use std::time::Duration;

use dialbridge_core::audio::AudioFormat;
use dialbridge_lab::agent::{LabAgent, Script, StreamRecord};
use dialbridge_lab::net::Net;
use dialbridge_lab::relay::{Protocol, Relay};
use dialbridge_lab::twilio::{Account, CallPlan, CallRecord, CallerStep, SimulatedTwilio, What, When};
use dialbridge_tests::{Numbered, ended_by, hang_up, numbered_speech, numbers, say, sounding_ms, spoke, tone_ms};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How often it is looked whether the agent's streams have ended, each 50 ms.
const LOOKS: usize = 100;

/// Plays a call through the relay to the agent of that script: the call, and its one stream.
async fn call(protocol: Protocol, script: &str, steps: Vec<CallerStep>) -> (CallRecord, StreamRecord) {
    let no_recording = |_: &str| Err(io::ErrorKind::NotFound.into());
    let agent = LabAgent::recording(Script::parse(script, "the test's script", &no_recording).unwrap());
    let served = agent.serve_on_loopback().await.unwrap();
    let relay = Relay::speaking(protocol, &served.endpoint()).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/twiml", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { relay.serve(listener).await.unwrap() });

    let twilio = SimulatedTwilio::new(Account::new(None), Net::Tcp);
    let plan = CallPlan { limit: Duration::from_secs(60), ..CallPlan::new(url, steps) };
    let call = twilio.call(plan).await;
    for _ in 0..LOOKS {
        if agent.record().open_streams() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((agent.record().open_streams(), agent.record().refusals()), (0, Vec::new()));
    assert_eq!(call.count(|what| matches!(what, What::Warning { .. })), 0, "{:?}", call.events);
    let [stream] = &agent.record().streams(&call.call_sid)[..] else { panic!("one stream carries a call") };
    assert_eq!(stream.refused, None);
    (call, stream.clone())
}

/// A greeting, and an answer to what the caller says.
const TALK: &str = "[start]\ntone = { hz = 400, ms = 500 }\n[[utterance]]\ntone = { hz = 500, ms = 700 }\n";

async fn talk(protocol: Protocol, habits: &str) -> StreamRecord {
    let mut caller = Numbered::default();
    // From the greeting to after the answer, and of no whole number of messages.
    let said = [caller.hush(2_000), caller.speech(1_000), caller.hush(3_020)].concat();
    let steps = vec![say(When::After(0), said), hang_up(When::After(0))];
    let (call, stream) = self::call(protocol, &format!("{TALK}{habits}"), steps).await;

    assert_eq!(ended_by(&call), "caller");
    assert_eq!(sounding_ms(&call), 1_200, "{:?}", spoke(&call));
    for (hz, ms) in [(400.0, 500.0), (500.0, 700.0)] {
        let heard = tone_ms(&call.heard, hz);
        assert!((ms - 40.0..ms + 40.0).contains(&heard), "{hz} Hz: {heard} ms");
    }
    assert_eq!(numbers(&stream.audio), (0..caller.count()).collect::<Vec<u32>>());
    assert!(stream.audio == call.said, "{} of {} bytes", stream.audio.len(), call.said.len());
    let (last, whole) = stream.messages.split_last().unwrap();
    assert!(*last < 480 && whole.iter().all(|bytes| *bytes == 480), "{:?}", stream.messages);
    assert!(stream.session.starts_with("projects/p/locations/global/apps/load/sessions/CA"), "{}", stream.session);
    assert_eq!((stream.input, stream.output), (Some(AudioFormat::TELEPHONE), Some(AudioFormat::TELEPHONE)));
    assert_eq!((stream.inputs.len(), stream.inputs[0].text.as_str()), (1, "session_start"));
    assert_eq!((stream.turns_completed, stream.broke_off), (2, false));
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_relayed_over_a_websocket_whatever_frames_the_agent_writes() {
    for frames in ["binary", "text"] {
        let stream = talk(Protocol::CesWebSocket, &format!("[ces]\nframes = \"{frames}\"")).await;
        assert_eq!((stream.transport, stream.closed), ("websocket", Some(1000)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_relayed_over_grpc() {
    let stream = talk(Protocol::CesGrpc, "").await;
    assert_eq!((stream.transport, stream.half_closed), ("grpc", true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_queued_is_dropped_where_the_agent_says_that_it_is_interrupted() {
    let script = "[start]\ntone = { hz = 400, ms = 20_000 }\n[[utterance]]\ntone = { hz = 500, ms = 500 }";
    for protocol in [Protocol::CesWebSocket, Protocol::CesGrpc] {
        let steps = vec![say(When::AgentSpeaking(300), numbered_speech(0, 800)), hang_up(When::AgentSilent(200))];
        let (call, stream) = self::call(protocol, script, steps).await;
        assert_eq!(stream.interruptions, [true], "{protocol:?}");
        let spoken = spoke(&call);
        assert!(matches!(spoken[0], (ms, true) if ms < 20_000), "{protocol:?}: {spoken:?}");
        assert!(stream.audio == call.said, "{protocol:?}: what is said while the agent speaks is sent as well");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_agents_stream_the_call_is_over() {
    let script = "[start]\ntone = { hz = 400, ms = 400 }\nbreaks = \"close\"";
    for protocol in [Protocol::CesWebSocket, Protocol::CesGrpc] {
        let (call, _) = self::call(protocol, script, Vec::new()).await;
        assert_ne!(ended_by(&call), "caller", "{protocol:?}: the caller would have waited for 20 s");
    }
}
