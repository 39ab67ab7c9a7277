//! Finds faint sound in the silence after a voice: the end of a word that fades into the noise, and the soft beginning
//! of the next one.
//!
//! Such a sound is too soft to be told from noise in 10 ms. It is louder than the noise of the same silence, over 40 ms.

use super::bands::Levels;

/// Milliseconds in a block.
const BLOCK_MS: u64 = 10;

/// Levels are added up over so many blocks: 40 ms.
const PART: usize = 4;

/// The silence that is looked at, in blocks: 400 ms.
const SILENCE: usize = 40;

/// The last blocks of it are taken for the noise: 200 ms.
const NOISE: usize = 20;

/// Where a word may fade, in parts from the beginning of the silence: 280 ms.
const FADE_PARTS: usize = 7;

/// How much louder than the noise a faint sound is: by a sixth, 1.3 dB.
const LOUDER: [usize; 2] = [7, 6];

/// The levels of the last 400 ms and what they tell of the current silence.
#[derive(Debug)]
pub(super) struct FaintSound {
    /// The oldest first.
    levels: [Levels; SILENCE],
    /// The sum of the noise's levels. `None` before the silence has lasted for 400 ms.
    noise: Option<Levels>,
    /// How many parts passed before the last word had faded.
    fade: usize,
}

impl Default for FaintSound {
    fn default() -> Self {
        Self { levels: [Levels::default(); SILENCE], noise: None, fade: 0 }
    }
}

impl FaintSound {
    /// Adds the levels of the next block. After it the silence has lasted for `silent` blocks.
    pub(super) fn push(&mut self, levels: Levels, silent: usize) {
        self.levels.copy_within(1.., 0);
        self.levels[SILENCE - 1] = levels;
        if silent < SILENCE {
            (self.noise, self.fade) = (None, 0);
        } else if silent == SILENCE {
            let noise = sum(&self.levels[SILENCE - NOISE..]);
            let mut parts = self.levels.chunks(PART).take(FADE_PARTS);
            self.fade = parts.rposition(|part| is_louder(part, noise)).map_or(0, |last| last + 1);
            self.noise = Some(noise);
        }
    }

    /// How long the last word went on after its last loud block, in milliseconds.
    pub(super) fn fade_ms(&self) -> u64 {
        BLOCK_MS * (self.fade * PART) as u64
    }

    /// How much of the last 40 ms is faint sound, in milliseconds: all or nothing.
    pub(super) fn lasting_ms(&self) -> u64 {
        let last = &self.levels[SILENCE - PART..];
        if self.noise.is_some_and(|noise| is_louder(last, noise)) { BLOCK_MS * PART as u64 } else { 0 }
    }
}

fn sum(levels: &[Levels]) -> Levels {
    levels.iter().fold(Levels::default(), |sum, level| Levels { low: sum.low + level.low, high: sum.high + level.high })
}

/// Whether a part is louder than the noise in one of the bands.
fn is_louder(part: &[Levels], noise: Levels) -> bool {
    let part = sum(part);
    let [more, than] = [PART * LOUDER[0], NOISE * LOUDER[1]].map(|factor| factor as u64);
    let exceeds = |part: u32, noise: u32| u64::from(part) * than > u64::from(noise) * more;
    exceeds(part.low, noise.low) || exceeds(part.high, noise.high)
}
