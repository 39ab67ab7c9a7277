//! How well the detectors tell voice from noise, and what they cost.

use std::time::Instant;

use dialbridge_core::audio::g711::linear_to_mulaw;

use crate::corpus::{BLOCK, LEVEL_DB, Prompt, voiced_blocks};
use crate::detectors::{Detector, LevelRule, Ours, Stretch, stretches};
use crate::noise::Noise;
#[cfg(not(target_family = "wasm"))]
use crate::other_detectors::{Earshot, WebRtc};
use crate::random::Random;

/// How long one piece of noise is, in seconds, and how many there are of each kind and level.
const NOISE_SECONDS: usize = 20;
const NOISE_PIECES: u64 = 6;

/// When noise rises, it does so after this time, in samples.
const RISES_AFTER: usize = 24_000;

/// The silence before a sentence and after it, in samples.
const LEAD: usize = 12_000;
const TAIL: usize = 12_000;

/// The levels of noise, in dB of full scale.
const NOISE_DB: [f64; 4] = [-60.0, -50.0, -40.0, -30.0];

/// A detector's name and how to make one.
type Make = (&'static str, fn() -> Box<dyn Detector>);

const DETECTORS: &[Make] = &[
    ("level rule", || Box::new(LevelRule::new())),
    #[cfg(not(target_family = "wasm"))]
    ("WebRTC", || Box::new(WebRtc::new())),
    #[cfg(not(target_family = "wasm"))]
    ("earshot 0.5", || Box::new(Earshot::new(0.5))),
    #[cfg(not(target_family = "wasm"))]
    ("earshot 0.8", || Box::new(Earshot::new(0.8))),
    ("ours", || Box::new(Ours::new())),
];

pub(crate) fn mulaw(samples: &[f64]) -> Vec<u8> {
    samples.iter().map(|sample| linear_to_mulaw(sample.round().clamp(-32_768.0, 32_767.0) as i16)).collect()
}

/// Noise that is there from the first frame, or rises after three seconds.
fn noise_alone(noise: Noise, db: f64, rises: bool, others: &[Prompt], random: &mut Random) -> Vec<f64> {
    let mut samples = noise.make(NOISE_SECONDS * 8_000, db, others, random);
    if rises {
        let quiet = Noise::Pink.make(RISES_AFTER, -70.0, others, random);
        samples[..RISES_AFTER].copy_from_slice(&quiet);
    }
    samples
}

/// The result for one utterance.
#[derive(Debug, Default)]
struct Found {
    utterances: usize,
    missed: usize,
    /// From the true onset to the moment at which it was known, to the onset that was told, and from the true end to
    /// the end that was told, in milliseconds.
    known: Vec<f64>,
    onset: Vec<f64>,
    end: Vec<f64>,
    /// Voiced blocks, and those in no stretch.
    voiced: usize,
    unheard: usize,
    /// Stretches without any voice.
    false_stretches: usize,
}

/// An utterance in noise: silence, a prompt, silence.
fn utterance(prompt: &Prompt, lead: usize, db: f64) -> (Vec<f64>, Vec<bool>) {
    let gain = 10_f64.powf((db - LEVEL_DB) / 20.0);
    let mut clean = vec![0.0; lead];
    clean.extend(prompt.samples.iter().map(|sample| sample * gain));
    clean.resize(clean.len() + TAIL, 0.0);
    clean.resize(clean.len().next_multiple_of(160), 0.0);
    let voiced = voiced_blocks(&clean);
    (clean, voiced)
}

impl Found {
    fn add(&mut self, found: &[Stretch], voiced: &[bool]) {
        self.utterances += 1;
        let blocks = |from: u64, to: u64| (from as usize / BLOCK)..(to as usize / BLOCK).min(voiced.len());
        let heard: Vec<&Stretch> =
            found.iter().filter(|found| voiced[blocks(found.onset, found.end)].contains(&true)).collect();
        self.false_stretches += found.len() - heard.len();
        self.voiced += voiced.iter().filter(|voiced| **voiced).count();
        let in_stretch = |block: usize| {
            heard.iter().any(|found| found.onset < ((block + 1) * BLOCK) as u64 && found.end > (block * BLOCK) as u64)
        };
        self.unheard += (0..voiced.len()).filter(|block| voiced[*block] && !in_stretch(*block)).count();
        let (Some(first), Some(last)) = (heard.first(), heard.last()) else {
            self.missed += 1;
            return;
        };
        let ms = |samples: u64| samples as f64 / 8.0;
        let began = (voiced.iter().position(|voiced| *voiced).unwrap_or_default() * BLOCK) as f64 / 8.0;
        let ended = ((voiced.iter().rposition(|voiced| *voiced).unwrap_or_default() + 1) * BLOCK) as f64 / 8.0;
        self.known.push(ms(first.known) - began);
        self.onset.push(ms(first.onset) - began);
        self.end.push(ms(last.end) - ended);
    }

    fn cells(&self) -> String {
        let known = (percentile(&self.known, 50), percentile(&self.known, 95));
        let end = [5, 50, 95].map(|percent| format!("{:.0}", percentile(&self.end, percent))).join(" / ");
        format!(
            "{} of {} | {} | {:.1} % | {:.0} / {:.0} | {:.0} | {end}",
            self.missed,
            self.utterances,
            self.false_stretches,
            100.0 * self.unheard as f64 / self.voiced.max(1) as f64,
            known.0,
            known.1,
            percentile(&self.onset, 50),
        )
    }
}

/// The value below which that share of all values is.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or(f64::NAN)
}

/// Nanoseconds for 20 ms of audio.
fn cost(make: fn() -> Box<dyn Detector>, mulaw: &[u8]) -> f64 {
    let mut detector = make();
    let began = Instant::now();
    for (n, frame) in mulaw.chunks(160).enumerate() {
        detector.push(n as u64 * 160, frame);
    }
    began.elapsed().as_nanos() as f64 / (mulaw.len() / 160).max(1) as f64
}

/// False stretches of voice in a minute of noise, and the share of it that they take, in percent: by level.
fn in_noise(make: fn() -> Box<dyn Detector>, kinds: &[Noise], others: &[Prompt]) -> [(f64, f64); NOISE_DB.len()] {
    NOISE_DB.map(|db| {
        let (mut found, mut spoken, mut seconds) = (0, 0.0, 0.0);
        for kind in kinds {
            for (piece, rises) in (0..NOISE_PIECES).flat_map(|piece| [(piece, false), (piece, true)]) {
                let noise = noise_alone(*kind, db, rises, others, &mut Random::new(piece));
                let stretches = stretches(&mut *make(), &mulaw(&noise));
                found += stretches.len();
                spoken += stretches.iter().map(|stretch| (stretch.end - stretch.onset) as f64 / 8_000.0).sum::<f64>();
                seconds += NOISE_SECONDS as f64;
            }
        }
        (found as f64 * 60.0 / seconds, 100.0 * spoken / seconds)
    })
}

/// Every fifth prompt in noise.
fn in_speech(
    make: fn() -> Box<dyn Detector>,
    level: f64,
    noise: Option<(Noise, f64)>,
    lead: usize,
    prompts: &[Prompt],
) -> Found {
    let mut found = Found::default();
    let mut random = Random::new(5);
    for prompt in prompts.iter().filter(|prompt| prompt.ms() < 6_000).step_by(5) {
        let (mut samples, voiced) = utterance(prompt, lead, level);
        if let Some((kind, db)) = noise {
            let noise = kind.make(samples.len(), db, prompts, &mut random);
            samples.iter_mut().zip(noise).for_each(|(sample, noise)| *sample += noise);
        }
        found.add(&stretches(&mut *make(), &mulaw(&samples)), &voiced);
    }
    found
}

/// Where somebody speaks: its name, the level of the speech, the noise, and the silence before it.
type Place = (&'static str, f64, Option<(Noise, f64)>, usize);

const PLACES: [Place; 8] = [
    ("quiet line", -22.0, None, LEAD),
    ("quiet line, from the first frame on", -22.0, None, 0),
    ("soft voice, -40 dB", -40.0, None, LEAD),
    ("white noise, -30 dB", -22.0, Some((Noise::White, -30.0)), LEAD),
    ("pink noise, -40 dB", -22.0, Some((Noise::Pink, -40.0)), LEAD),
    ("car, -30 dB", -22.0, Some((Noise::Car, -30.0)), LEAD),
    ("car, -30 dB, from the first frame on", -22.0, Some((Noise::Car, -30.0)), 0),
    ("hum, -30 dB", -22.0, Some((Noise::Hum, -30.0)), LEAD),
];

/// The tables.
pub(crate) fn print(prompts: &[Prompt]) {
    println!("### Noise alone\n");
    println!("False voices in a minute / share of the time, in percent, at {NOISE_DB:?} dB of full scale.\n");
    println!("| detector | noise | -60 | -50 | -40 | -30 |\n| --- | --- | --- | --- | --- | --- |");
    for &(name, make) in DETECTORS {
        for (of, kinds) in [("steady", &Noise::STEADY[..])]
            .into_iter()
            .chain(Noise::OTHER.iter().map(|kind| (kind.name(), std::slice::from_ref(kind))))
        {
            let cells = in_noise(make, kinds, prompts).map(|(found, share)| format!("{found:.1} / {share:.0} %"));
            println!("| {name} | {of} | {} |", cells.join(" | "));
        }
    }
    println!("\n### A sentence\n");
    println!(
        "Missed; false voices beside it; share of the voice unheard; from the true onset to its detection, p50 / p95; error of the"
    );
    println!("onset, p50; error of the end, p5 / p50 / p95. Times in milliseconds.\n");
    println!("| where | detector | missed | false | unheard | known after | onset | end |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (place, level, noise, lead) in PLACES {
        for &(name, make) in DETECTORS {
            println!("| {place} | {name} | {} |", in_speech(make, level, noise, lead, prompts).cells());
        }
    }
    println!("\n### Cost\n");
    println!("Nanoseconds for 20 ms.\n\n| detector | silence | white noise | speech |\n| --- | --- | --- | --- |");
    let mut random = Random::new(9);
    let speech: Vec<f64> =
        prompts.iter().step_by(9).take(60).flat_map(|prompt| prompt.samples.iter().copied()).collect();
    let noise = mulaw(&Noise::White.make(speech.len(), -40.0, &[], &mut random));
    let (silence, speech) = (mulaw(&vec![0.0; speech.len()]), mulaw(&speech));
    for &(name, make) in DETECTORS {
        let least = |audio: &[u8]| (0..5).map(|_| cost(make, audio)).fold(f64::INFINITY, f64::min);
        println!("| {name} | {:.0} | {:.0} | {:.0} |", least(&silence), least(&noise), least(&speech));
    }
}
