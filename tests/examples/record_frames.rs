//! Records the stories of `frames/` anew: whole calls of the lab's caller to the lab's agent, on a virtual clock. Only
//! what went into the call logic is kept; what must come out stands in `golden/`, which
//! `UPDATE_GOLDEN=1 cargo test -p dialbridge-tests` writes.
//!
//! `cargo run -p dialbridge-tests --example record_frames`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

use std::fs;
use std::path::Path;

use dialbridge_core::CallConfig;
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::config::Clip;
use dialbridge_lab::twilio::{CallerStep, When};
use dialbridge_tests::{Edition, Harness, Tapes, numbered_speech, press, say, tone};

struct Story {
    name: &'static str,
    note: &'static str,
    script: &'static str,
    steps: Vec<CallerStep>,
    /// What the call is told beyond the defaults.
    call: fn(&mut CallConfig),
}

const LONG_PROMPT: &str = r#"
    think_ms = 200
    [start]
    say = "a long prompt"
    tone = { hz = 400, ms = 5000 }
    [[utterance]]
    say = "yes, I am listening"
    intent = "interrupted"
    tone = { hz = 500, ms = 400 }
    end = true
"#;

const SLOW_START: &str = r#"
    [start]
    say = "would you like to hear your balance?"
    think_ms = 1200
    tone = { hz = 400, ms = 1500 }
    [[utterance]]
    say = "your balance is seven"
    intent = "balance"
    tone = { hz = 500, ms = 600 }
    end = true
"#;

const GOODBYE: &str = r#"
    [start]
    say = "hello"
    tone = { hz = 400, ms = 400 }
    [[utterance]]
    say = "I will put you through, good bye"
    intent = "speak-to-an-agent"
    parameters = { department = "cakes", loaves = 2 }
    tone = { hz = 500, ms = 1300 }
    handoff = { queue = "cakes" }
"#;

const ODD_CODING: &str = r#"
    output = { encoding = "linear16", sample_rate = 24000 }
    [start]
    say = "this is LINEAR16 at 24 kHz"
    tone = { hz = 1000, ms = 500 }
    end = true
"#;

const WARNING: &str = r#"
    [start]
    say = "this call is recorded"
    protected = true
    payload = { dialbridge = { bargeIn = false, play = "gs://recordings/tone.wav" } }
    tone = { hz = 400, ms = 600 }
    [[utterance]]
    say = "how can I help?"
    intent = "help"
    tone = { hz = 500, ms = 400 }
    end = true
"#;

const MENU: &str = r#"
    [start]
    say = "your number and the pound key, please"
    think_ms = 700
    dtmf = { max_digits = 8 }
    tone = { hz = 400, ms = 900 }
    [digits.90210]
    say = "thank you"
    intent = "number"
    tone = { hz = 500, ms = 400 }
    end = true
"#;

const SLOW_ANSWER: &str = r#"
    [start]
    say = "how can I help?"
    tone = { hz = 400, ms = 300 }
    [[utterance]]
    fault = "UNAVAILABLE"
    [[utterance]]
    think_ms = 1800
    say = "I will put you through"
    intent = "transfer"
    tone = { hz = 500, ms = 400 }
    payload = { dialbridge = { transfer = { to = "+15550123", timeout = 20 } } }
"#;

const PATIENT: &str = r#"
    no_speech_ms = 1500
    [start]
    say = "how can I help?"
    tone = { hz = 400, ms = 300 }
    [no_input]
    say = "are you still there?"
    tone = { hz = 500, ms = 300 }
"#;

/// A second of nothing but 650 Hz, shared by all fillers.
fn filler() -> Clip {
    Clip(tone(650.0, 1_000).into())
}

fn stories() -> Vec<Story> {
    vec![
        Story {
            name: "barge_in_during_long_prompt",
            note: "the caller speaks 1.5 s into a prompt of 5 s",
            script: LONG_PROMPT,
            steps: vec![say(When::AgentSpeaking(1_500), numbered_speech(0, 700))],
            call: |_| {},
        },
        Story {
            name: "yes_before_the_prompt",
            note: "the caller says yes while the agent still thinks about its first words",
            script: SLOW_START,
            steps: vec![say(When::After(300), numbered_speech(0, 500))],
            call: |_| {},
        },
        Story {
            name: "goodbye_heard_to_its_end",
            note: "one utterance, then a hand-off to a person",
            script: GOODBYE,
            steps: vec![say(When::AgentSilent(300), numbered_speech(0, 600))],
            call: |_| {},
        },
        Story {
            name: "hang_up_while_an_answer_is_on_its_way",
            note: "the caller hangs up in the think time",
            script: SLOW_START,
            steps: vec![CallerStep::HangUp { when: When::After(600) }],
            call: |_| {},
        },
        Story {
            name: "answer_in_linear16_at_24_khz",
            note: "the agent does not send the coding that was asked for",
            script: ODD_CODING,
            steps: Vec::new(),
            call: |_| {},
        },
        Story {
            name: "warning_that_may_not_be_interrupted",
            note: "the caller speaks into a warning, the second part of which is a recording that is fetched",
            script: WARNING,
            steps: vec![
                say(When::AgentSpeaking(300), numbered_speech(0, 400)),
                say(When::AgentSilent(200), numbered_speech(20, 500)),
            ],
            call: |_| {},
        },
        Story {
            name: "digits_before_the_prompt",
            note: "the caller knows the menu and types ahead; the keys are masked",
            script: MENU,
            steps: vec![press(When::After(200), "90210#")],
            call: |_| {},
        },
        Story {
            name: "failure_filler_and_transfer",
            note: "a turn fails and is tried again, the agent thinks long, and then puts the call through",
            script: SLOW_ANSWER,
            steps: vec![say(When::AgentSilent(200), numbered_speech(0, 500))],
            call: |call| {
                call.fillers.retrying = Some(filler());
                call.fillers.thinking = Some(filler());
                call.fillers.thinking_after_ms = 600;
            },
        },
        Story {
            name: "nobody_says_anything",
            note: "the agent asks twice whether anybody is there, then the call is ended with a goodbye",
            script: PATIENT,
            steps: Vec::new(),
            call: |call| {
                call.limits.no_input_turns = 1;
                call.words.goodbye = Some("Good bye.".to_owned());
            },
        },
    ]
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let frames = Path::new(env!("CARGO_MANIFEST_DIR")).join("frames");
    let editions = [(Edition::Cx, ""), (Edition::EsV2, "_es"), (Edition::CesWebSocket, "_ces")];
    let stories = stories();
    for (story, (edition, suffix)) in stories.iter().flat_map(|story| editions.map(|edition| (story, edition))) {
        // A CES agent is asked for a coding and sends that one, and its own prompts are no turns of a silent caller.
        if edition.is_ces() && ["answer_in_linear16_at_24_khz", "nobody_says_anything"].contains(&story.name) {
            continue;
        }
        let name = format!("{}{suffix}", story.name);
        let tapes = Tapes::new(&format!("frames-{name}"));
        let record = tapes.folder();
        let harness = Harness::with_script(story.script)
            .edition(edition)
            .settings(|settings| settings.set("RECORD_DIR", record))
            .each_call(story.call)
            .start();
        harness.storage.put("recordings/tone.wav", write_wav(1, AudioFormat::TELEPHONE, &tone(700.0, 500)));
        let call = harness.call(story.steps.clone()).await;
        drop(harness);
        let text = tapes.tape().replace(&call.call_sid, "CA00000000000000000000000000000001");
        let text = text.replace(&stream_sid(&text), "MZ00000000000000000000000000000001");
        fs::write(frames.join(format!("{name}.jsonl")), inputs(&text, story.note)).unwrap();
        println!("{name}");
    }
}

/// The stream's id, which is another one with each recording.
fn stream_sid(tape: &str) -> String {
    let at = tape.find("\"MZ").unwrap() + 1;
    tape[at..at + 34].to_owned()
}

/// The header, with a note on where the tape comes from, and the inputs.
fn inputs(tape: &str, note: &str) -> String {
    let mut lines = tape.lines();
    let mut header: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    header["note"] = format!("{note}; recorded by record_frames from the lab, synthetic voices").into();
    let is_input = |line: &&str| serde_json::from_str::<serde_json::Value>(line).unwrap().get("from").is_some();
    let inputs = lines.filter(is_input).map(ToOwned::to_owned);
    std::iter::once(header.to_string()).chain(inputs).map(|line| line + "\n").collect()
}
