//! The bare relay at the lab's scripted agent of the Customer Engagement Suite, over real sockets. In real time, so the
//! tests assert what came, never when.

use std::time::Duration;

use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::audio::{AudioFormat, MULAW_SILENCE};
use dialbridge_lab::agent::{LabAgent, Script, StreamRecord};
use dialbridge_lab::net::Net;
use dialbridge_lab::relay::{Protocol, Relay};
use dialbridge_lab::twilio::{Account, CallEventKind, CallPlan, CallRecord, CallerStep, SimulatedTwilio, When};
use dialbridge_tests::{Numbered, ended_by, hang_up, numbered_speech, numbers, say, sounding_ms, spoke};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How often we check whether the agent's streams have ended, every 50 ms.
const LOOKS: usize = 100;

/// The agent's recording with numbered frames, mu-law at 8,000 Hz.
fn recording(name: &str) -> Vec<u8> {
    if name == "hello.wav" { numbered_speech(1_000, 500) } else { numbered_speech(2_000, 700) }
}

/// Plays a call through the relay to the agent of that script. Returns the call and its only stream.
async fn call(protocol: Protocol, script: &str, steps: Vec<CallerStep>) -> (CallRecord, StreamRecord) {
    let recording = |name: &str| Ok(write_wav(1, AudioFormat::TELEPHONE, &recording(name)));
    let agent = LabAgent::recording(Script::parse(script, "the test's script", &recording).unwrap());
    let served = agent.serve_on_loopback().await.unwrap();
    let relay = Relay::new(protocol, &served.endpoint()).unwrap().with_message_ms(60);
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
    assert_eq!(call.count(|what| matches!(what, CallEventKind::Warning { .. })), 0, "{:?}", call.events);
    let [stream] = &agent.record().streams(&call.call_sid)[..] else { panic!("one stream carries a call") };
    assert_eq!(stream.refused, None);
    (call, stream.clone())
}

/// All audio except silence.
fn sounds(audio: &[u8]) -> Vec<u8> {
    audio.iter().copied().filter(|code| *code != MULAW_SILENCE).collect()
}

/// Asserts that all of the caller's audio came, once and in order, in messages of 60 ms.
fn assert_whole(call: &CallRecord, caller: &Numbered, stream: &StreamRecord) {
    assert_eq!(numbers(&stream.audio), (0..caller.count()).collect::<Vec<u32>>());
    assert!(stream.audio == call.said, "{} of {} bytes", stream.audio.len(), call.said.len());
    let (last, whole) = stream.messages.split_last().unwrap();
    assert!(*last <= 480 && whole.iter().all(|bytes| *bytes == 480), "{:?}", stream.messages);
}

/// The agent sends an answer's messages at once, so that a busy machine makes no pauses between them.
async fn talk(protocol: Protocol, frames: &str) -> StreamRecord {
    let script = format!(
        "[start]\naudio = \"hello.wav\"\n[[utterance]]\naudio = \"answer.wav\"\n\
         [ces]\nspeed = 1000\npiece_ms = 100\nframes = \"{frames}\""
    );
    let mut caller = Numbered::default();
    let said = [caller.speech(1_000), caller.quiet(200)].concat();
    let steps = vec![say(When::AgentSilent(600), said), hang_up(When::AgentSilent(600))];
    let (call, stream) = call(protocol, &script, steps).await;

    assert_eq!(ended_by(&call), "caller");
    assert_eq!(sounding_ms(&call), 1_200, "{:?}", spoke(&call));
    let said = [recording("hello.wav"), recording("answer.wav")].concat();
    assert!(sounds(&call.heard) == sounds(&said), "{:?}", spoke(&call));
    assert_whole(&call, &caller, &stream);
    assert!(stream.session.starts_with("projects/p/locations/global/apps/load/sessions/CA"), "{}", stream.session);
    assert_eq!((stream.input, stream.output), (Some(AudioFormat::TELEPHONE), Some(AudioFormat::TELEPHONE)));
    assert_eq!((stream.inputs.len(), stream.inputs[0].text.as_str()), (1, "session_start"));
    assert_eq!((stream.turns_completed, stream.interruptions.len(), stream.broke_off), (2, 0, false));
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_relayed_over_a_websocket_whatever_frames_the_agent_writes() {
    for frames in ["binary", "text"] {
        let stream = talk(Protocol::CesWebSocket, frames).await;
        assert_eq!((stream.transport, stream.closed), ("websocket", Some(1000)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_relayed_over_grpc() {
    let stream = talk(Protocol::CesGrpc, "binary").await;
    assert_eq!((stream.transport, stream.half_closed), ("grpc", true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_words_before_the_caller_hangs_up_reach_the_agent() {
    for protocol in [Protocol::CesWebSocket, Protocol::CesGrpc] {
        let mut caller = Numbered::default();
        // One frame more than fills whole messages.
        let steps = vec![say(When::After(0), caller.speech(1_040)), hang_up(When::After(0))];
        let (call, stream) = call(protocol, "[start]\nsay = \"hello\"", steps).await;
        assert_whole(&call, &caller, &stream);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_queued_is_dropped_where_the_agent_says_that_it_is_interrupted() {
    let script = "[start]\ntone = { hz = 400, ms = 20_000 }\n[[utterance]]\ntone = { hz = 500, ms = 500 }\n\
                  [ces]\nspeed = 1000";
    for protocol in [Protocol::CesWebSocket, Protocol::CesGrpc] {
        let steps = vec![say(When::AgentSpeaking(300), numbered_speech(0, 800)), hang_up(When::AgentSilent(600))];
        let (call, stream) = call(protocol, script, steps).await;
        assert_eq!(stream.interruptions, [true], "{protocol:?}");
        let cut: Vec<(u64, bool)> = spoke(&call).into_iter().filter(|(_, cut)| *cut).collect();
        assert!(matches!(cut[..], [(ms, true)] if ms < 20_000), "{protocol:?}: {:?}", spoke(&call));
        assert!(stream.audio == call.said, "{protocol:?}: what is said while the agent speaks is sent as well");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_agents_stream_the_call_is_over() {
    let script = "[start]\ntone = { hz = 400, ms = 400 }\nbreaks = \"close\"";
    for protocol in [Protocol::CesWebSocket, Protocol::CesGrpc] {
        let (call, _) = call(protocol, script, Vec::new()).await;
        assert_ne!(ended_by(&call), "caller", "{protocol:?}: the caller would have waited for 20 s");
    }
}
