//! The speech of a call, and its times.

use crate::corpus::{BLOCK, Prompt, voiced_blocks};

/// How long a word takes, in milliseconds, about.
const WORD_MS: usize = 350;

/// Voice that comes again within this time is the same stretch, in blocks of 10 ms.
const SAME_STRETCH: usize = 10;

/// A word in the audio.
#[derive(Debug, Clone)]
pub(crate) struct SpokenWord {
    pub(crate) text: String,
    /// When it begins and ends, in milliseconds of the call.
    pub(crate) start_ms: u64,
    pub(crate) end_ms: u64,
}

/// Sound and the words in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Speech {
    pub(crate) samples: Vec<f64>,
    pub(crate) words: Vec<SpokenWord>,
    /// Where there is voice, in milliseconds.
    pub(crate) voiced: Vec<(u64, u64)>,
}

impl Speech {
    /// So much silence.
    pub(crate) fn silence(ms: usize) -> Self {
        Self { samples: vec![0.0; ms * 8], ..Self::default() }
    }

    pub(crate) fn ms(&self) -> u64 {
        (self.samples.len() / 8) as u64
    }

    /// Adds silence up to a whole number of frames, and so much more.
    pub(crate) fn pause(&mut self, ms: usize) {
        self.samples.resize(self.samples.len() + ms * 8, 0.0);
    }

    /// Adds a prompt at that level, with words that `name` names.
    pub(crate) fn say(&mut self, prompt: &Prompt, db: f64, mut name: impl FnMut(usize) -> String) {
        let start_ms = self.ms();
        let gain = 10_f64.powf((db - crate::corpus::LEVEL_DB) / 20.0);
        self.samples.extend(prompt.samples.iter().map(|sample| sample * gain));
        let mut count = self.words.len();
        for (from, to) in stretches(&voiced_blocks(&prompt.samples)) {
            let (from_ms, to_ms) = (start_ms + (from * BLOCK / 8) as u64, start_ms + (to * BLOCK / 8) as u64);
            self.voiced.push((from_ms, to_ms));
            let words = (((to_ms - from_ms) as usize + WORD_MS / 2) / WORD_MS).max(1);
            for word in 0..words {
                let at = |word: usize| from_ms + (to_ms - from_ms) * word as u64 / words as u64;
                self.words.push(SpokenWord { text: name(count), start_ms: at(word), end_ms: at(word + 1) });
                count += 1;
            }
        }
    }

    /// The end of the last voice, in milliseconds.
    pub(crate) fn end_ms(&self) -> u64 {
        self.voiced.last().map_or(0, |(_, end)| *end)
    }
}

/// The stretches of voice, as blocks.
fn stretches(voiced: &[bool]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for block in (0..voiced.len()).filter(|block| voiced[*block]) {
        match found.last_mut() {
            Some((_, to)) if block <= *to + SAME_STRETCH => *to = block + 1,
            _ => found.push((block, block + 1)),
        }
    }
    found
}
