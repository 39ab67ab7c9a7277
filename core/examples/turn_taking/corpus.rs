//! The recorded speech: Debian's prompts for Asterisk, with the places in them where there is a voice.

use std::fs;
use std::path::{Path, PathBuf};

use dialbridge_core::audio::wav::read_wav;

/// Samples in a block of the labels: 10 ms.
pub(crate) const BLOCK: usize = 80;

/// The level of all prompts: RMS of what is voice, in dB of full scale.
pub(crate) const LEVEL_DB: f64 = -22.0;

/// How far below the prompt's loud blocks a block still is voice, in dB.
const RANGE_DB: f64 = 32.0;

/// The languages and their folders.
pub(crate) const LANGUAGES: [(&str, &str); 5] = [
    ("en", "en_US_f_Allison"),
    ("es", "es_MX_f_Allison"),
    ("fr", "fr_CA_f_June"),
    ("it", "it_IT_m_Carlo"),
    ("ru", "ru_RU_f_IvrvoiceRU"),
];

/// Files of the corpus that hold no voice or no sentence.
const LEFT_OUT: [&str; 4] = ["tone", "beep", "silence", "screams"];

/// A prompt without the silence around it.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    pub(crate) samples: Vec<f64>,
}

impl Prompt {
    pub(crate) fn ms(&self) -> usize {
        self.samples.len() / 8
    }
}

/// All prompts of a language, in the order of their names.
pub(crate) fn prompts(sounds: &Path, folder: &str) -> Result<Vec<Prompt>, String> {
    let root = sounds.join(folder);
    let mut paths = Vec::new();
    wav_files(&root, &mut paths).map_err(|error| format!("{}: {error}", root.display()))?;
    paths.sort();
    let mut prompts = Vec::new();
    for path in paths {
        let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy();
        if LEFT_OUT.iter().any(|part| name.contains(part)) {
            continue;
        }
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let wav = read_wav(&bytes).map_err(|error| format!("{}: {error:?}", path.display()))?;
        let (samples, _) = wav.data.as_chunks::<2>();
        let samples: Vec<f64> = samples.iter().map(|&bytes| f64::from(i16::from_le_bytes(bytes))).collect();
        prompts.extend(trimmed(&samples).map(|samples| Prompt { samples }));
    }
    Ok(prompts)
}

fn wav_files(folder: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            wav_files(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "wav") {
            paths.push(path);
        }
    }
    Ok(())
}

/// The audio between the first and the last voice, at the level of all prompts. `None` if it is too short.
fn trimmed(samples: &[f64]) -> Option<Vec<f64>> {
    let voiced = voiced_blocks(samples);
    let first = voiced.iter().position(|voiced| *voiced)?;
    let last = voiced.iter().rposition(|voiced| *voiced)?;
    let part = &samples[first * BLOCK..((last + 1) * BLOCK).min(samples.len())];
    if part.len() < 15 * BLOCK {
        return None;
    }
    let loud: Vec<f64> = part
        .chunks(BLOCK)
        .zip(&voiced[first..])
        .filter(|(_, voiced)| **voiced)
        .flat_map(|(block, _)| block.iter().copied())
        .collect();
    let gain = 10_f64.powf(LEVEL_DB / 20.0) * 32_768.0 / rms(&loud).max(1.0);
    Some(part.iter().map(|sample| sample * gain).collect())
}

/// Which blocks of a clean recording are voice. A block alone between silence is a click.
pub(crate) fn voiced_blocks(samples: &[f64]) -> Vec<bool> {
    let levels: Vec<f64> = samples.chunks(BLOCK).map(decibels).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f64::total_cmp);
    let loud = sorted.get(sorted.len().saturating_sub(1) * 95 / 100).copied().unwrap_or_default();
    let is_loud: Vec<bool> = levels.iter().map(|level| *level > loud - RANGE_DB).collect();
    let mut voiced = vec![false; is_loud.len()];
    let mut at = 0;
    for run in is_loud.chunk_by(|one, next| one == next) {
        let is_voice = run[0] && run.len() >= 4;
        voiced[at..at + run.len()].fill(is_voice);
        at += run.len();
    }
    voiced
}

pub(crate) fn rms(samples: &[f64]) -> f64 {
    (samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len().max(1) as f64).sqrt()
}

/// RMS in dB of full scale.
pub(crate) fn decibels(samples: &[f64]) -> f64 {
    20.0 * (rms(samples).max(1e-3) / 32_768.0).log10()
}
