//! Noise of all kinds, at 8,000 Hz.

use std::f64::consts::TAU;

use crate::corpus::{Prompt, rms};
use crate::random::Random;

/// A kind of noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noise {
    White,
    Pink,
    /// The rumble of a car: most of it is below 300 Hz.
    Car,
    /// Mains of 50 Hz and its harmonics, with some noise.
    Hum,
    /// Mains of 60 Hz.
    Hum60,
    /// Six people at once.
    Babble,
    Music,
    Clicks,
    Coughs,
}

impl Noise {
    /// Noise whose level and spectrum do not change.
    pub(crate) const STEADY: [Self; 5] = [Self::White, Self::Pink, Self::Car, Self::Hum, Self::Hum60];
    /// Other sounds.
    pub(crate) const OTHER: [Self; 4] = [Self::Babble, Self::Music, Self::Clicks, Self::Coughs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::White => "white",
            Self::Pink => "pink",
            Self::Car => "car",
            Self::Hum => "hum 50 Hz",
            Self::Hum60 => "hum 60 Hz",
            Self::Babble => "babble",
            Self::Music => "hold music",
            Self::Clicks => "clicks",
            Self::Coughs => "coughs",
        }
    }

    /// So many samples with an RMS of `db` dB of full scale. Of clicks and coughs, their loud parts have it.
    pub(crate) fn make(self, samples: usize, db: f64, others: &[Prompt], random: &mut Random) -> Vec<f64> {
        let mut noise = match self {
            Self::White => (0..samples).map(|_| random.normal()).collect(),
            Self::Pink => pink(samples, random),
            Self::Car => car(samples, random),
            Self::Hum => hum(samples, 50.0, random),
            Self::Hum60 => hum(samples, 60.0, random),
            Self::Babble => babble(samples, others, random),
            Self::Music => music(samples, random),
            Self::Clicks => clicks(samples, random),
            Self::Coughs => coughs(samples, random),
        };
        let loud: Vec<f64> = noise.iter().copied().filter(|sample| *sample != 0.0).collect();
        let gain = 10_f64.powf(db / 20.0) * 32_768.0 / rms(&loud).max(1e-9);
        noise.iter_mut().for_each(|sample| *sample *= gain);
        noise
    }
}

/// Paul Kellet's filter.
fn pink(samples: usize, random: &mut Random) -> Vec<f64> {
    let mut b = [0.0; 3];
    let next = |_| {
        let white = random.normal();
        b[0] = 0.99765 * b[0] + white * 0.099_046_0;
        b[1] = 0.96300 * b[1] + white * 0.296_516_4;
        b[2] = 0.57000 * b[2] + white * 1.052_691_3;
        b[0] + b[1] + b[2] + white * 0.1848
    };
    (0..samples).map(next).collect()
}

fn car(samples: usize, random: &mut Random) -> Vec<f64> {
    let (mut rumble, mut slow) = (0.0, 0.0);
    let next = |_| {
        let white = random.normal();
        rumble += 0.12 * (white - rumble);
        slow += 0.005 * (rumble - slow);
        rumble - slow + 0.03 * white
    };
    (0..samples).map(next).collect()
}

fn hum(samples: usize, hz: f64, random: &mut Random) -> Vec<f64> {
    let parts = [1.0, 0.6, 0.5, 0.3, 0.25, 0.2, 0.15, 0.12, 0.1, 0.08];
    let next = |n: usize| {
        let at = TAU * hz * n as f64 / 8_000.0;
        let tone: f64 = parts.iter().enumerate().map(|(part, gain)| gain * (at * (part + 1) as f64).sin()).sum();
        tone + 0.05 * random.normal()
    };
    (0..samples).map(next).collect()
}

fn babble(samples: usize, others: &[Prompt], random: &mut Random) -> Vec<f64> {
    let mut babble = vec![0.0; samples];
    for _ in 0..6 {
        let mut at = 0;
        while at < samples && !others.is_empty() {
            let prompt = &others[random.below(others.len())];
            for (sum, sample) in babble[at..].iter_mut().zip(&prompt.samples) {
                *sum += sample;
            }
            at += prompt.samples.len() + random.below(2_400);
        }
    }
    babble
}

/// Chords of four notes, struck every 400 ms.
fn music(samples: usize, random: &mut Random) -> Vec<f64> {
    let mut music = vec![0.0; samples];
    let chords = [[0, 4, 7, 12], [-3, 0, 4, 9], [5, 9, 12, 17], [7, 11, 14, 19]];
    for (beat, start) in (0..samples).step_by(3_200).enumerate() {
        for note in chords[beat / 4 % 4] {
            let hz = 261.63 * 2_f64.powf(f64::from(note) / 12.0);
            let gain = random.between(0.5, 1.0);
            for (n, sum) in music[start..].iter_mut().take(6_400).enumerate() {
                let at = TAU * hz * n as f64 / 8_000.0;
                let fade = (-(n as f64) / 2_500.0).exp() * (n as f64 / 80.0).min(1.0);
                *sum += gain * fade * (at.sin() + 0.4 * (2.0 * at).sin() + 0.2 * (3.0 * at).sin());
            }
        }
    }
    music
}

/// Three clicks a second, each 1 to 20 ms.
fn clicks(samples: usize, random: &mut Random) -> Vec<f64> {
    let mut clicks = vec![0.0; samples];
    let mut at = random.below(2_600);
    while at < samples {
        let long = 8 + random.below(152);
        for sample in clicks[at..].iter_mut().take(long) {
            *sample = random.normal();
        }
        at += 1_300 + random.below(2_600);
    }
    clicks
}

/// A cough every two seconds: a burst, then a hoarse rest, through a throat's resonance.
fn coughs(samples: usize, random: &mut Random) -> Vec<f64> {
    let mut coughs = vec![0.0; samples];
    let mut at = 4_000 + random.below(8_000);
    while at < samples {
        let (long, hz) = (1_600 + random.below(1_600), random.between(500.0, 1_100.0));
        let (mut one, mut two) = (0.0, 0.0);
        for (n, sample) in coughs[at..].iter_mut().take(long).enumerate() {
            let next = 1.7 * (TAU * hz / 8_000.0).cos() * one - 0.72 * two + random.normal();
            (two, one) = (one, next);
            let attack = (n as f64 / 60.0).min(1.0);
            *sample = next * attack * (-(n as f64) / 700.0).exp().max(0.02);
        }
        at += 10_000 + random.below(12_000);
    }
    coughs
}
