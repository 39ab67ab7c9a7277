//! How soon an utterance is ended after the last voice, and how often in the middle.

use dialbridge_core::CallConfig;
use dialbridge_core::config::EndOfUtterance;

use crate::corpus::Prompt;
use crate::detection::percentile;
use crate::noise::Noise;
use crate::random::Random;
use crate::recogniser::Kind;
use crate::simulation::Simulation;
use crate::speech::Speech;

/// The inner pauses, in milliseconds.
const PAUSES_MS: [usize; 8] = [200, 250, 300, 400, 500, 700, 1_000, 1_500];

/// After this silence an end that has not been found is missed, in milliseconds.
const MISSED_MS: u64 = 6_000;

/// One way to end utterances, in one world.
#[derive(Debug, Clone, Copy)]
struct Trial {
    rule: EndOfUtterance,
    kind: Kind,
    noise: Option<(Noise, f64)>,
    /// Of how many pauses one follows a word that ends no thought. 0: of none.
    unfinished_of: usize,
}

/// What came of it.
#[derive(Debug, Default)]
struct Ended {
    /// By length of the pause between the two sentences: how many were reached, and cut there.
    pauses: [(usize, usize); PAUSES_MS.len()],
    delays_ms: Vec<f64>,
    missed: usize,
}

impl Ended {
    fn cut_percent(&self, pause: usize) -> f64 {
        let (reached, cut) = self.pauses[pause];
        100.0 * cut as f64 / reached.max(1) as f64
    }
}

/// Two prompts with a pause between them, for each pause so many times.
fn run(trial: Trial, prompts: &[Prompt], times: usize) -> Ended {
    let short: Vec<&Prompt> = prompts.iter().filter(|prompt| (400..3_000).contains(&prompt.ms())).collect();
    let mut ended = Ended::default();
    for (pause, ms) in PAUSES_MS.into_iter().enumerate() {
        for number in 0..times {
            // The same sentences in each trial.
            let mut random = Random::new((pause * 10_000 + number) as u64);
            let one = short[random.below(short.len())];
            let other = short[random.below(short.len())];
            let is_unfinished = trial.unfinished_of > 0 && number % trial.unfinished_of == 0;
            let mut speech = Speech::silence(500);
            speech.say(one, -22.0, word);
            if let Some(last) = speech.words.last_mut().filter(|_| is_unfinished) {
                "and".clone_into(&mut last.text);
            }
            let begins_ms = speech.end_ms();
            speech.pause(ms);
            speech.say(other, -22.0, word);
            one_utterance(trial, &speech, (begins_ms, pause), random, &mut ended);
        }
    }
    ended
}

fn word(number: usize) -> String {
    format!("word{number}")
}

fn one_utterance(
    trial: Trial,
    speech: &Speech,
    (begins_ms, pause): (u64, usize),
    mut random: Random,
    ended: &mut Ended,
) {
    let end_ms = speech.end_ms();
    let mut samples = speech.samples.clone();
    samples.resize((((end_ms + MISSED_MS) * 8) as usize).next_multiple_of(160), 0.0);
    let (noise, db) = trial.noise.unwrap_or((Noise::Pink, -66.0));
    let noise = noise.make(samples.len(), db, &[], &mut random);
    for (sample, noise) in samples.iter_mut().zip(noise) {
        *sample += noise;
    }
    let config = CallConfig { end_of_utterance: trial.rule, ..CallConfig::default() };
    let mut simulation = Simulation::new(config, trial.kind, random);
    simulation.words.clone_from(&speech.words);
    for frame in samples.chunks(160) {
        simulation.frame(frame, 0.0);
        if simulation.half_closed_ms.is_some() {
            break;
        }
    }
    note(speech, (begins_ms, pause), simulation.half_closed_ms, ended);
}

fn note(speech: &Speech, (begins_ms, pause): (u64, usize), half_closed_ms: Option<u64>, ended: &mut Ended) {
    let end_ms = speech.end_ms();
    let Some(at_ms) = half_closed_ms else {
        ended.missed += 1;
        return;
    };
    let is_reached = at_ms >= begins_ms;
    // What comes later is a pause inside the second prompt.
    let has_gone_on = speech.voiced.iter().any(|(from, to)| *from > begins_ms && *to <= at_ms);
    let is_cut = at_ms < end_ms && !has_gone_on;
    if is_reached {
        ended.pauses[pause].0 += 1;
        ended.pauses[pause].1 += usize::from(is_cut);
    }
    if at_ms >= end_ms {
        ended.delays_ms.push((at_ms - end_ms) as f64);
    }
}

/// The rules and worlds of the table.
fn trials() -> Vec<(String, Trial)> {
    let google = Kind { lag_ms: (200.0, 400.0), has_times: false };
    let quick = Trial { rule: EndOfUtterance::Quick, kind: google, noise: None, unfinished_of: 0 };
    let mut trials = vec![
        ("`agent`".to_owned(), Trial { rule: EndOfUtterance::Agent, ..quick }),
        ("`quick`".to_owned(), quick),
        ("`quick`, and one pause in three follows \"and\"".to_owned(), Trial { unfinished_of: 3, ..quick }),
        ("`quick`, word times".to_owned(), Trial { kind: Kind { has_times: true, ..google }, ..quick }),
        ("`quick`, lag 100 to 200 ms".to_owned(), Trial { kind: Kind { lag_ms: (100.0, 200.0), ..google }, ..quick }),
        ("`quick`, lag 400 to 700 ms".to_owned(), Trial { kind: Kind { lag_ms: (400.0, 700.0), ..google }, ..quick }),
        ("`quick`, pink noise at -45 dB".to_owned(), Trial { noise: Some((Noise::Pink, -45.0)), ..quick }),
        ("`quick`, car at -35 dB".to_owned(), Trial { noise: Some((Noise::Car, -35.0)), ..quick }),
    ];
    for ms in [300, 400, 500, 700, 1_000, 1_500, 2_000] {
        trials.push((format!("`{ms}ms`"), Trial { rule: EndOfUtterance::After(ms), ..quick }));
    }
    trials
}

/// The table.
pub(crate) fn print(prompts: &[Prompt], times: usize) {
    println!("### The end of an utterance\n");
    println!(
        "From the last voice to the half-close, in milliseconds. Utterances cut at an inner pause, in percent, by its length."
    );
    println!("{times} sentences for each pause.\n");
    println!(
        "| `END_OF_UTTERANCE` | p50 | p95 | {} | ends missed |",
        PAUSES_MS.map(|ms| format!("{ms} ms")).join(" | ")
    );
    println!("| --- | --- | --- | {} --- |", "--- | ".repeat(PAUSES_MS.len()));
    for (name, trial) in trials() {
        let ended = run(trial, prompts, times);
        let cuts: Vec<String> = (0..PAUSES_MS.len()).map(|pause| format!("{:.1}", ended.cut_percent(pause))).collect();
        let (p50, p95) = (percentile(&ended.delays_ms, 50), percentile(&ended.delays_ms, 95));
        println!("| {name} | {p50:.0} | {p95:.0} | {} | {} |", cuts.join(" | "), ended.missed);
    }
}
