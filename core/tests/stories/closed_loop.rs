//! A tape's agent in a closed loop: it answers what it is given, as long after as it did then.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_core::replay::{CallerStep, PlayedCall, When, play};
use dialbridge_core::tape::Tape;
use dialbridge_core::{CallConfig, CallTime};
use serde_json::{Value, json};

/// An agent's answer with half a second of audio.
fn answer(text: &str) -> Value {
    let prompt =
        json!({ "format": { "encoding": "mulaw", "sample_rate": 8000 }, "audio": STANDARD.encode([0; 4_000]) });
    json!({ "event": "answer", "part": "final", "text": text, "prompts": [prompt], "page": "Confirm" })
}

/// A call in which the caller sends a text, is answered, and presses a key.
fn tape() -> Tape {
    let steps = json!([
        { "step": "text", "text": "two loaves", "fromMs": 1_100, "toMs": 1_120 },
        { "step": "digits", "digits": "1#", "fromMs": 2_400, "toMs": 2_660 },
        { "step": "hangUp", "fromMs": 4_000 },
    ]);
    let config = json!({ "greeting": { "text": "hi" } });
    let agent =
        |at: u64, turn: u32, message: Value| json!({ "at_ms": at, "from": "agent", "turn": turn, "message": message });
    let to_agent =
        |at: u64, turn: u32, message: Value| json!({ "at_ms": at, "to": "agent", "turn": turn, "message": message });
    let start = json!({ "event": "start", "streamSid": "MZ1", "start": { "callSid": "CA1" } });
    let lines = [
        json!({ "tape": 1, "edition": "cx", "config": config, "conversation": { "from": "", "to": "", "steps": steps } }),
        json!({ "at_ms": 0, "from": "twilio", "message": start }),
        to_agent(0, 1, json!({ "command": "open", "input": "text", "text": "hi" })),
        to_agent(0, 1, json!({ "command": "finishInput" })),
        agent(200, 1, answer("Good morning.")),
        agent(201, 1, json!({ "event": "ended" })),
        to_agent(201, 2, json!({ "command": "open", "input": "audio" })),
        to_agent(1_100, 2, json!({ "command": "cancel" })),
        to_agent(1_100, 3, json!({ "command": "open", "input": "text", "text": "two loaves" })),
        to_agent(1_100, 3, json!({ "command": "finishInput" })),
        agent(1_450, 3, answer("Two loaves.")),
        agent(1_451, 3, json!({ "event": "ended" })),
        to_agent(1_451, 4, json!({ "command": "open", "input": "audio" })),
        to_agent(2_640, 4, json!({ "command": "cancel" })),
        to_agent(2_640, 5, json!({ "command": "open", "input": "digits", "keys": "1" })),
        to_agent(2_640, 5, json!({ "command": "finishInput" })),
        agent(2_940, 5, answer("One.")),
        agent(2_941, 5, json!({ "event": "ended" })),
    ];
    Tape::parse(&lines.map(|line| line.to_string()).join("\n")).unwrap()
}

fn caller(text: &str, keys: &str) -> Vec<CallerStep> {
    vec![
        CallerStep::Text { when: When::AgentSilent(400), text: text.to_owned() },
        CallerStep::Press { when: When::AgentSilent(400), digits: keys.to_owned() },
        CallerStep::HangUp { when: When::AgentSilent(400) },
    ]
}

fn played(steps: Vec<CallerStep>, change: impl FnOnce(&mut CallConfig)) -> PlayedCall {
    let tape = tape();
    let mut config = tape.header.config.clone();
    change(&mut config);
    play(&tape, steps, config)
}

#[test]
fn the_agent_answers_as_long_after_its_input_as_it_did_then() {
    let call = played(caller("two loaves", "1#"), |_| {});
    assert_eq!((&call.divergence, call.gave_up, call.turns()), (&None, false, 3));
    assert_eq!(call.greeting().reply(), "Good morning.");
    assert_eq!(call.greeting().wait_ms(), Some(200));
    let text = call.turn_of_step(0).unwrap();
    assert_eq!((text.reply().as_str(), text.page()), ("Two loaves.", "Confirm"));
    // A step ends with the frame in which it is taken.
    assert_eq!(text.wait_ms(), Some(330));
    assert_eq!(call.turn_of_step(1).unwrap().wait_ms(), Some(280));
    assert!(call.steps.iter().all(|step| step.began.is_some()));
}

#[test]
fn the_answer_moves_with_what_the_caller_does() {
    // Keys that no finish digit ends wait for the time between two of them.
    let call = played(caller("two loaves", "1"), |config| config.dtmf.interdigit_ms = 1_000);
    assert_eq!(call.turn_of_step(1).unwrap().wait_ms(), Some(1_280));
    let sooner = played(caller("two loaves", "1"), |config| config.dtmf.interdigit_ms = 700);
    assert_eq!(sooner.turn_of_step(1).unwrap().wait_ms(), Some(980));
}

#[test]
fn a_call_that_gives_the_agent_something_else_leaves_its_tape() {
    let call = played(caller("three loaves", "1#"), |_| {});
    let what = call.divergence.unwrap();
    assert!(what.at > CallTime::from_ms(1_000), "{what}");
    let told = "the agent is given the text \"three loaves\"; in the recording it was given the text \"two loaves\"";
    assert_eq!(what.what, told);
    let call = played(caller("two loaves", "12#"), |_| {});
    assert!(call.divergence.unwrap().what.starts_with("the agent is given the digits 12; "));
}

#[test]
fn a_caller_whose_time_never_comes_gives_up() {
    let steps = vec![CallerStep::HangUp { when: When::AgentSpeaking(60_000) }];
    let call = played(steps, |_| {});
    assert!(call.gave_up && call.turn_of_step(0).is_none());
    assert!(call.ended() > CallTime::from_ms(20_000) && call.ended() < CallTime::from_ms(22_000), "{}", call.ended());
}

#[test]
fn a_hand_off_that_the_recording_did_not_have_is_not_guessed() {
    let call = played(caller("two loaves", "1#"), |config| config.limits.call_ms = 1_000);
    assert_eq!(call.divergence.unwrap().what, "the call is handed off, and in the recording it was not");
}

#[test]
fn a_wait_for_an_answer_counts_from_the_beginning_of_a_step_in_which_the_caller_only_waits() {
    let steps = vec![
        CallerStep::Text { when: When::AgentSilent(400), text: "two loaves".to_owned() },
        CallerStep::Wait { when: When::AgentSilent(0), ms: 3_000 },
        CallerStep::HangUp { when: When::After(0) },
    ];
    let call = played(steps, |_| {});
    let times = call.steps[1];
    assert_eq!(times.fell_silent, times.began);
    assert!(times.ended > times.began);
}
