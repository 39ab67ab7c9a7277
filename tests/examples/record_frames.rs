//! Records the stories of `frames/` anew: whole calls of the lab's caller to the lab's agent, on a virtual clock. Only
//! what went into the call logic is kept; what must come out stands in `golden/`, which
//! `UPDATE_GOLDEN=1 cargo test -p dialbridge-tests` writes.
//!
//! `cargo run -p dialbridge-tests --example record_frames`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use dialbridge_lab::twilio::{CallerStep, When};
use dialbridge_tests::{Edition, World, numbered_speech, say};

struct Story {
    name: &'static str,
    note: &'static str,
    script: &'static str,
    steps: Vec<CallerStep>,
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

fn stories() -> Vec<Story> {
    vec![
        Story {
            name: "barge_in_during_long_prompt",
            note: "the caller speaks 1.5 s into a prompt of 5 s",
            script: LONG_PROMPT,
            steps: vec![say(When::AgentSpeaking(1_500), numbered_speech(0, 700))],
        },
        Story {
            name: "yes_before_the_prompt",
            note: "the caller says yes while the agent still thinks about its first words",
            script: SLOW_START,
            steps: vec![say(When::After(300), numbered_speech(0, 500))],
        },
        Story {
            name: "goodbye_heard_to_its_end",
            note: "one utterance, then a hand-off to a person",
            script: GOODBYE,
            steps: vec![say(When::AgentSilent(300), numbered_speech(0, 600))],
        },
        Story {
            name: "hang_up_while_an_answer_is_on_its_way",
            note: "the caller hangs up in the think time",
            script: SLOW_START,
            steps: vec![CallerStep::HangUp { when: When::After(600) }],
        },
        Story {
            name: "answer_in_linear16_at_24_khz",
            note: "the agent does not send the coding that was asked for",
            script: ODD_CODING,
            steps: Vec::new(),
        },
    ]
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let frames = Path::new(env!("CARGO_MANIFEST_DIR")).join("frames");
    let scratch = std::env::temp_dir().join(format!("dialbridge-frames-{}", std::process::id()));
    fs::create_dir_all(&scratch).unwrap();
    let editions = [(Edition::Cx, ""), (Edition::EsV2, "_es")];
    for (story, (edition, suffix)) in stories().iter().flat_map(|story| editions.map(|edition| (story, edition))) {
        let name = format!("{}{suffix}", story.name);
        let folder = scratch.join(&name);
        fs::create_dir_all(&folder).unwrap();
        let record = folder.display().to_string();
        let world = World::with_script(story.script)
            .edition(edition)
            .settings(|settings| settings.record_dir = Some(record))
            .start();
        let call = world.call(story.steps.clone()).await;
        drop(world);
        // The tape is written by a thread of its own, on the real clock.
        std::thread::sleep(Duration::from_millis(300));
        let tape = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        let text = fs::read_to_string(tape).unwrap().replace(&call.call_sid, "CA00000000000000000000000000000001");
        let text = text.replace(&stream_sid(&text), "MZ00000000000000000000000000000001");
        fs::write(frames.join(format!("{name}.jsonl")), inputs(&text, story.note)).unwrap();
        println!("{name}");
    }
    fs::remove_dir_all(scratch).unwrap();
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
