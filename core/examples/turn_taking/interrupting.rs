//! Which prompts are cut, and how soon.

use dialbridge_core::agent::{Answer, AnswerPart, Prompt as AgentPrompt};
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::config::{BargeInMode, StartingInput};
use dialbridge_core::{AgentEvent, CallConfig};

use crate::corpus::Prompt;
use crate::detection::{mulaw, percentile};
use crate::noise::Noise;
use crate::random::Random;
use crate::recogniser::Kind;
use crate::simulation::Simulation;
use crate::speech::Speech;

/// How long the caller waits before he speaks into the prompt, in milliseconds.
const SPEAKS_AFTER_MS: (f64, f64) = (1_000.0, 3_000.0);

/// How late echo is, in milliseconds. The words in it are understood like others.
const ECHO_MS: u64 = 150;

/// What the caller does during a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Silent,
    /// Says something, and wants the agent to stop.
    Interrupts,
    /// Says "mhm".
    Listens,
}

/// What happens during a prompt.
#[derive(Debug, Clone, Copy)]
struct Scene {
    name: &'static str,
    caller: Caller,
    /// How loud the prompt comes back, in dB.
    echo_db: Option<f64>,
    noise: Option<(Noise, f64)>,
    /// Whether the noise rises during the prompt.
    rises: bool,
}

impl Scene {
    const QUIET: Self = Self { name: "", caller: Caller::Silent, echo_db: None, noise: None, rises: false };

    /// Prompts that must be heard to their end, and prompts that must be cut.
    fn all() -> Vec<Self> {
        let quiet = Self::QUIET;
        vec![
            Self { name: "echo at -12 dB", echo_db: Some(-12.0), ..quiet },
            Self { name: "echo at -20 dB", echo_db: Some(-20.0), ..quiet },
            Self { name: "white noise, -30 dB", noise: Some((Noise::White, -30.0)), ..quiet },
            Self { name: "car, -30 dB", noise: Some((Noise::Car, -30.0)), ..quiet },
            Self { name: "pink noise, -45 dB", noise: Some((Noise::Pink, -45.0)), ..quiet },
            Self { name: "hum, -30 dB", noise: Some((Noise::Hum, -30.0)), ..quiet },
            Self { name: "pink noise rises to -30 dB", noise: Some((Noise::Pink, -30.0)), rises: true, ..quiet },
            Self { name: "\"mhm\"", caller: Caller::Listens, ..quiet },
            Self { name: "coughs, -30 dB", noise: Some((Noise::Coughs, -30.0)), ..quiet },
            Self { name: "six people talk, -40 dB", noise: Some((Noise::Babble, -40.0)), ..quiet },
            Self { name: "caller on a quiet line", caller: Caller::Interrupts, ..quiet },
            Self { name: "caller over echo at -20 dB", caller: Caller::Interrupts, echo_db: Some(-20.0), ..quiet },
            Self {
                name: "caller in a car, -35 dB",
                caller: Caller::Interrupts,
                noise: Some((Noise::Car, -35.0)),
                ..quiet
            },
            Self {
                name: "caller in pink noise, -45 dB",
                caller: Caller::Interrupts,
                noise: Some((Noise::Pink, -45.0)),
                ..quiet
            },
        ]
    }
}

/// What came of the prompts.
#[derive(Debug, Default)]
struct Cuts {
    /// Cut before the caller spoke, or although he should not have cut it.
    wrongly: usize,
    missed: usize,
    /// From the caller's onset to `clear`, in milliseconds.
    after_ms: Vec<f64>,
}

/// Plays so many prompts in that scene.
fn run(scene: Scene, mode: BargeInMode, kind: Kind, prompts: &[Prompt], times: usize) -> Cuts {
    let mut cuts = Cuts::default();
    let long: Vec<&Prompt> = prompts.iter().filter(|prompt| prompt.ms() > 1_500).collect();
    let short: Vec<&Prompt> = prompts.iter().filter(|prompt| (400..2_000).contains(&prompt.ms())).collect();
    for number in 0..times {
        let mut random = Random::new(number as u64);
        let agent = agent_says(&long, &mut random);
        let at_ms = random.between(SPEAKS_AFTER_MS.0, SPEAKS_AFTER_MS.1);
        let caller = short[random.below(short.len())];
        one_prompt(scene, mode, kind, &agent, (caller, at_ms), prompts, random, &mut cuts);
    }
    cuts
}

/// At least six seconds of prompts. Each has its own words.
fn agent_says(prompts: &[&Prompt], random: &mut Random) -> Speech {
    let mut agent = Speech::default();
    while agent.ms() < 6_000 {
        agent.say(prompts[random.below(prompts.len())], -20.0, |number| format!("agent{number}"));
        agent.pause(200);
    }
    agent
}

#[expect(clippy::too_many_arguments, reason = "one scene")]
fn one_prompt(
    scene: Scene,
    mode: BargeInMode,
    kind: Kind,
    agent: &Speech,
    (caller, at_ms): (&Prompt, f64),
    others: &[Prompt],
    mut random: Random,
    cuts: &mut Cuts,
) {
    let mut config = CallConfig {
        starting_input: StartingInput { text: Some("hi".to_owned()), ..StartingInput::default() },
        ..CallConfig::default()
    };
    config.barge_in.mode = mode;
    let line = line_noise(scene, agent, others, &mut random);
    let mut simulation = Simulation::new(config, kind, random);
    // A moment of the line before the prompt.
    let mut frames = line.chunks(160);
    for frame in frames.by_ref().take(25) {
        simulation.frame(frame, 0.0);
    }
    simulation.agent(1, greeting(agent));
    let Some(began_ms) = simulation.prompt_ms else { return };
    let speaks_ms = began_ms + at_ms as u64;
    let mut speech = Speech::silence(speaks_ms as usize);
    match scene.caller {
        Caller::Silent => {}
        Caller::Interrupts => speech.say(caller, -22.0, |number| format!("word{number}")),
        Caller::Listens => {
            speech.say(caller, -22.0, |_| String::new());
            speech.words.truncate(1);
            speech.words.iter_mut().for_each(|word| "mhm".clone_into(&mut word.text));
        }
    }
    if scene.echo_db.is_some() {
        let late = |ms: u64| ms + began_ms + ECHO_MS;
        speech.words.extend(agent.words.iter().cloned().map(|word| crate::speech::SpokenWord {
            start_ms: late(word.start_ms),
            end_ms: late(word.end_ms),
            ..word
        }));
        speech.words.sort_by_key(|word| word.end_ms);
    }
    simulation.words.clone_from(&speech.words);
    let echo = scene.echo_db.map_or(0.0, |db| 10_f64.powf(db / 20.0));
    for frame in frames {
        let from = (simulation.now_ms * 8) as usize;
        let sum = |(n, noise): (usize, &f64)| noise + speech.samples.get(from + n).copied().unwrap_or_default();
        let samples: Vec<f64> = frame.iter().enumerate().map(sum).collect();
        simulation.frame(&samples, echo);
        if !simulation.clears_ms.is_empty() || !simulation.is_playing {
            break;
        }
    }
    note(scene.caller, speech.voiced.first().map(|(onset, _)| *onset), simulation.clears_ms.first().copied(), cuts);
}

fn line_noise(scene: Scene, agent: &Speech, others: &[Prompt], random: &mut Random) -> Vec<f64> {
    let samples = ((agent.ms() + 2_000) * 8) as usize / 160 * 160;
    let mut line = Noise::Pink.make(samples, -66.0, &[], random);
    if let Some((noise, db)) = scene.noise {
        let from = if scene.rises { 8 * 2_500 } else { 0 };
        for (sum, noise) in line[from..].iter_mut().zip(noise.make(samples, db, others, random)) {
            *sum += noise;
        }
    }
    line
}

fn greeting(agent: &Speech) -> AgentEvent {
    let text: Vec<&str> = agent.words.iter().map(|word| word.text.as_str()).collect();
    AgentEvent::Answer(Box::new(Answer {
        part: AnswerPart::Final,
        text: text.join(" "),
        prompts: vec![AgentPrompt::new(AudioFormat::TELEPHONE, mulaw(&agent.samples))],
        ..Answer::default()
    }))
}

fn note(caller: Caller, onset_ms: Option<u64>, cut_ms: Option<u64>, cuts: &mut Cuts) {
    match (caller, onset_ms, cut_ms) {
        (Caller::Interrupts, Some(onset_ms), Some(cut_ms)) if cut_ms >= onset_ms => {
            cuts.after_ms.push((cut_ms - onset_ms) as f64);
        }
        (_, _, Some(_)) => cuts.wrongly += 1,
        (Caller::Interrupts, _, None) => cuts.missed += 1,
        (Caller::Silent | Caller::Listens, _, None) => {}
    }
}

/// The table.
pub(crate) fn print(prompts: &[Prompt], times: usize) {
    println!("### Prompts and who cuts them\n");
    println!("{times} prompts for each line. From the caller's onset to `clear`: p50 / p95, in milliseconds.\n");
    println!(
        "| during the prompt | `speech`: wrongly cut | missed | `clear` after | `voice`: wrongly cut | missed | `clear` after |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let google = Kind { lag_ms: (200.0, 400.0), has_times: false };
    for scene in Scene::all() {
        let cells = [BargeInMode::Speech, BargeInMode::Voice]
            .map(|mode| cells(scene.caller, &run(scene, mode, google, prompts, times)));
        println!("| {} | {} |", scene.name, cells.join(" | "));
    }
}

/// The cells of one mode.
fn cells(caller: Caller, cuts: &Cuts) -> String {
    let missed = if caller == Caller::Interrupts { cuts.missed.to_string() } else { String::new() };
    let after = |percent| format!("{:.0}", percentile(&cuts.after_ms, percent));
    let after = if cuts.after_ms.is_empty() { String::new() } else { format!("{} / {}", after(50), after(95)) };
    format!("{} | {missed} | {after}", cuts.wrongly)
}
