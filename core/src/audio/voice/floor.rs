//! Follows how loud the noise in a band is.

/// Blocks in a stretch of which the lowest level is kept.
const STRETCH: u32 = 4;

/// How many stretches tell the noise while nobody speaks: 320 ms.
const QUIET_STRETCHES: usize = 8;

/// How many stretches tell the noise while somebody speaks: 1.6 s, which no voice fills without a gap.
const STRETCHES: usize = 40;

/// Below this a block is silence, however quiet the line is: the mean magnitude is 30, about -57 dB of full scale.
const MIN_LEVEL: u32 = 30;

/// The loudest noise that is looked for while somebody may speak: a mean magnitude of 300, about -36 dB of full scale. What is
/// louder and goes on for so long may be a held note.
const MAX_BENEATH_VOICE: u32 = 300;

/// The lowest level of the last moments. A voice has gaps, noise has none.
#[derive(Debug)]
pub(super) struct NoiseFloor {
    floor: u32,
    /// The level of the block before.
    before: u32,
    /// The lowest levels of the last stretches, in a ring.
    lowest: [u32; STRETCHES],
    next: usize,
    /// The lowest level of the stretch that is not full, and its blocks.
    current: u32,
    blocks: u32,
}

impl Default for NoiseFloor {
    fn default() -> Self {
        Self { floor: 0, before: 0, lowest: [0; STRETCHES], next: 0, current: u32::MAX, blocks: 0 }
    }
}

impl NoiseFloor {
    /// Whether a block of this level is louder than the noise by 6 dB.
    pub(super) fn is_exceeded_by(&self, level: u32) -> bool {
        level > (2 * self.floor).max(MIN_LEVEL)
    }

    /// How many times a sound must be twice as loud to be heard as on a silent line: in noise.
    pub(super) fn doublings(&self) -> u32 {
        (2 * self.floor / MIN_LEVEL).max(1).ilog2()
    }

    /// Adds the level of the next block. While there may be a voice, the floor rises only to what is heard through it.
    pub(super) fn push(&mut self, level: u32, may_be_voice: bool) {
        let smooth = self.before.midpoint(level);
        self.before = level;
        self.floor = self.floor.min(smooth);
        self.current = self.current.min(smooth);
        self.blocks += 1;
        if self.blocks < STRETCH {
            return;
        }
        self.blocks = 0;
        self.lowest[self.next] = std::mem::replace(&mut self.current, u32::MAX);
        self.next = (self.next + 1) % STRETCHES;
        self.floor = if may_be_voice {
            self.floor.max(self.lowest_of(STRETCHES).min(MAX_BENEATH_VOICE))
        } else {
            self.lowest_of(QUIET_STRETCHES)
        };
    }

    fn lowest_of(&self, stretches: usize) -> u32 {
        let (new, old) = self.lowest.split_at(self.next);
        old.iter().chain(new).rev().take(stretches).copied().min().unwrap_or_default()
    }
}
