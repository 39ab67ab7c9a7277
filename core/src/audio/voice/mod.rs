//! Tells voice from noise in telephone audio: where somebody began to speak, and where he pauses.
//!
//! A voice is periodic, louder than the noise, and never steady: its level moves within a tenth of a second. The noise
//! of a line, a car or a fan is not periodic, and the hum of the mains is steady. So the detector tells a voice from a
//! noise that it has never heard before, from the first frame on.
//!
//! Every 10 ms it measures two bands (`bands`), follows the noise in each (`floor`), and looks for the period of a
//! voice in the lower one (`period`) and for a steady level (`steadiness`). In a silence it looks for what the noise
//! hides of a voice (`faint`). All of it is integer arithmetic, so it gives the same result on every machine, and the
//! same however the audio is cut into frames. `just turn-taking` measures it (docs/turn-taking.md).

mod bands;
mod faint;
mod floor;
mod period;
mod steadiness;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::Range;

use super::Position;
use bands::{Bands, Levels};
use faint::FaintSound;
use floor::NoiseFloor;
use period::LastPeriods;
use steadiness::Steadiness;

/// Samples in a block: 10 ms.
const BLOCK: usize = 80;

/// The level of the lower band below which nothing is a voice: a mean magnitude of 60, about -51 dB of full scale.
const MIN_VOICE: u32 = 60;

/// Of the last 120 ms, 50 must be periodic for a voice to begin, in blocks.
const ONSET_OF: u32 = 12;
const ONSET_BLOCKS: u32 = 5;

/// Of the last 40 ms, 20 must be periodic for a voice to go on, in blocks.
const GO_ON_OF: u32 = 4;
const GO_ON_BLOCKS: u32 = 2;

/// How long a sound without a period may follow a voice and still be part of it, in blocks: a closure and
/// consonant of 350 ms.
const CONSONANT_BLOCKS: u32 = 35;

/// The longest consonant that a voice begins with, in samples: 250 ms.
const MAX_LEAD: Position = 2_000;

/// A shorter sound is a click, in blocks: 20 ms.
const MIN_RISE: u32 = 2;

/// The longest gap before the first and the last consonant, in samples: the closure of a plosive, 120 ms.
const MAX_GAP: Position = 960;

/// How much of a voice's end is hidden by noise that is twice as loud, in milliseconds, and how much more of it if the
/// voice fades, at most.
const HIDDEN_MS: u64 = 15;
const MAX_FADE_MS: u64 = 40;

/// A sound that was heard within this time, in samples, has not ended: 40 ms.
const LINGERS: Position = 320;

/// How long the voice must stay away to be over, in samples: 300 ms, longer than a plosive's gap.
const HANGOVER: Position = 2_400;

/// Follows the audio of one speaker.
#[derive(Debug)]
pub struct VoiceDetector {
    /// How long a stretch of voice is kept after its end, in samples.
    kept: Position,
    /// The beginning of the next block.
    block: [u8; BLOCK],
    filled: usize,
    bands: Bands,
    low_floor: NoiseFloor,
    high_floor: NoiseFloor,
    periods: LastPeriods,
    steadiness: Steadiness,
    faint: FaintSound,
    /// Which of the last 32 blocks were periodic, the latest in the lowest bit.
    periodic: u32,
    /// How many blocks ago the sound was last a voice's.
    since_voice: u32,
    /// How many blocks in a row are loud.
    loud_blocks: u32,
    rise: Option<Rise>,
    segment: Option<Segment>,
    /// The stretches before it that are kept.
    earlier: VecDeque<Segment>,
}

/// A sound that is louder than the noise and not yet a voice.
#[derive(Debug, Clone, Copy)]
struct Rise {
    began: Position,
    last_loud: Position,
    /// How many of its blocks are loud.
    blocks: u32,
}

/// One stretch of voice.
#[derive(Debug, Clone, Copy)]
struct Segment {
    onset: Position,
    /// The end of the last block with a period, and of the last loud one, which a consonant may be.
    last_periodic: Position,
    last_loud: Position,
    is_over: bool,
}

impl VoiceDetector {
    /// A detector that knows a stretch of voice for that many samples after its end.
    #[must_use]
    pub fn new(kept: Position) -> Self {
        Self {
            kept,
            block: [0; BLOCK],
            filled: 0,
            bands: Bands::default(),
            low_floor: NoiseFloor::default(),
            high_floor: NoiseFloor::default(),
            periods: LastPeriods::default(),
            steadiness: Steadiness::default(),
            faint: FaintSound::default(),
            periodic: 0,
            since_voice: u32::MAX,
            loud_blocks: 0,
            rise: None,
            segment: None,
            earlier: VecDeque::new(),
        }
    }

    /// Adds the frame of mu-law that begins at `position`, where the one before it ended.
    pub fn push(&mut self, position: Position, frame: &[u8]) {
        let mut rest = frame;
        let mut end = position;
        while !rest.is_empty() {
            let (taken, left) = rest.split_at(rest.len().min(BLOCK - self.filled));
            self.block[self.filled..][..taken.len()].copy_from_slice(taken);
            self.filled += taken.len();
            end += taken.len() as Position;
            rest = left;
            if self.filled == BLOCK {
                self.filled = 0;
                self.push_block(end);
            }
        }
    }

    /// Whether somebody is speaking, a pause of up to 300 ms included.
    #[must_use]
    pub fn is_speaking(&self) -> bool {
        self.segment.is_some_and(|segment| !segment.is_over)
    }

    /// Where the current stretch of voice began. `None` during silence.
    #[must_use]
    pub fn speaking_since(&self) -> Option<Position> {
        self.segment.filter(|segment| !segment.is_over).map(|segment| segment.onset)
    }

    /// Where the last stretch of voice began. `None` if it ended before `since`.
    #[must_use]
    pub fn onset_since(&self, since: Position) -> Option<Position> {
        self.segment.filter(|segment| segment.last_loud > since).map(|segment| segment.onset)
    }

    /// Where the first stretch of voice began that did not end before `since`.
    #[must_use]
    pub fn first_onset_since(&self, since: Position) -> Option<Position> {
        self.segments().find(|segment| segment.last_loud > since).map(|segment| segment.onset)
    }

    /// Whether the last 10 ms sound like a voice. A voice is more than that.
    #[must_use]
    pub fn is_voiced(&self) -> bool {
        self.periodic & 1 == 1
    }

    /// Whether there is a sound that may become a voice: 20 to 250 ms of it so far.
    #[must_use]
    pub fn may_begin(&self) -> bool {
        self.rise.is_some_and(|rise| rise.blocks >= MIN_RISE && rise.last_loud - rise.began <= MAX_LEAD)
    }

    /// How much of the silence may be a voice that the noise hides, in milliseconds: the soft end of what was said, and
    /// the soft beginning of what follows. None of it on a quiet line. What is still heard faintly is known after a
    /// silence of 400 ms.
    #[must_use]
    pub fn hidden_ms(&self) -> u64 {
        match u64::from(self.low_floor.doublings()) {
            0 => 0,
            doublings => {
                let fade_ms = self.faint.fade_ms().min(MAX_FADE_MS * doublings);
                HIDDEN_MS * doublings + fade_ms + self.faint.lasting_ms()
            }
        }
    }

    /// Whether there was voice in that part of the audio.
    #[must_use]
    pub fn is_voice_in(&self, part: Range<Position>) -> bool {
        self.segments().any(|segment| segment.last_loud > part.start && segment.onset < part.end)
    }

    /// Where voice was last heard. `None` if that was before `since`. It moves back by up to 350 ms when a sound that
    /// could be the last consonant turns out to be noise.
    #[must_use]
    pub fn end_since(&self, since: Position) -> Option<Position> {
        self.segment.map(|segment| segment.last_loud).filter(|end| *end > since)
    }

    /// The stretches of voice that are kept, in order: where each begins, and where it was heard last.
    pub fn voices(&self) -> impl Iterator<Item = Range<Position>> {
        self.segments().map(|segment| segment.onset..segment.last_loud)
    }

    /// The same, and after them a sound that is not yet known to be a voice.
    pub fn stretches(&self) -> impl Iterator<Item = Range<Position>> {
        let rise = self.rise.filter(|_| self.may_begin() || self.recent() != 0);
        self.voices().chain(rise.map(|rise| rise.began.max(rise.last_loud.saturating_sub(MAX_LEAD))..rise.last_loud))
    }

    fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.earlier.iter().chain(&self.segment)
    }

    /// Handles the full block that ends at `end`.
    fn push_block(&mut self, end: Position) {
        let levels = self.bands.push(&self.block);
        let is_low_loud = self.low_floor.is_exceeded_by(levels.low);
        let is_loud = is_low_loud || self.high_floor.is_exceeded_by(levels.high);
        self.loud_blocks = if is_loud { self.loud_blocks + 1 } else { 0 };
        self.note_period(is_low_loud && levels.low > MIN_VOICE, levels.low);
        self.follow_noise(levels);
        match self.segment {
            Some(segment) if !segment.is_over => self.go_on(segment, end, is_loud),
            Some(_) | None => self.look_for_onset(end, is_loud),
        }
        let silent = self.segment.map_or(Position::MAX, |segment| end - segment.last_loud) / BLOCK as Position;
        self.faint.push(levels, usize::try_from(silent).unwrap_or(usize::MAX));
    }

    /// The period is looked for only where it counts, because that costs most.
    fn note_period(&mut self, may_be_voice: bool, low: u32) {
        self.periods.push(self.bands.low());
        let is_steady = self.steadiness.push(low);
        let is_periodic = may_be_voice && !is_steady && self.periods.is_periodic();
        self.periodic = self.periodic << 1 | u32::from(is_periodic);
        let goes_on = (self.periodic & ((1 << GO_ON_OF) - 1)).count_ones() >= GO_ON_BLOCKS;
        self.since_voice = if goes_on { 0 } else { self.since_voice.saturating_add(1) };
    }

    fn follow_noise(&mut self, levels: Levels) {
        let may_be_voice = self.since_voice <= CONSONANT_BLOCKS;
        self.low_floor.push(levels.low, may_be_voice);
        self.high_floor.push(levels.high, may_be_voice);
    }

    /// The current stretch of voice goes on or ends.
    fn go_on(&mut self, mut segment: Segment, end: Position, is_loud: bool) {
        let silent = end - segment.last_loud;
        let is_unbroken = silent == BLOCK as Position;
        let is_consonant = silent <= MAX_GAP && self.loud_blocks >= MIN_RISE;
        match self.since_voice {
            0 if is_loud => (segment.last_periodic, segment.last_loud) = (end, end),
            1..=CONSONANT_BLOCKS if is_loud && (is_unbroken || is_consonant) => segment.last_loud = end,
            // No consonant is so long: it is noise.
            _ if self.since_voice == CONSONANT_BLOCKS + 1 && silent <= LINGERS => {
                self.rise = Some(Rise { began: segment.last_periodic, last_loud: end, blocks: self.loud_blocks });
                segment.last_loud = segment.last_periodic;
            }
            _ => {}
        }
        segment.is_over = end - segment.last_loud > HANGOVER;
        self.segment = Some(segment);
    }

    fn look_for_onset(&mut self, end: Position, is_loud: bool) {
        if is_loud {
            let began = end - BLOCK as Position;
            let rise = self.rise.get_or_insert(Rise { began, last_loud: end, blocks: 0 });
            (rise.last_loud, rise.blocks) = (end, rise.blocks + 1);
        } else if self.rise.is_some_and(|rise| end - rise.last_loud > MAX_GAP) {
            self.rise = None;
        }
        let recent = self.recent();
        if recent.count_ones() >= ONSET_BLOCKS {
            let first_period = end - Position::from(u32::BITS - recent.leading_zeros()) * BLOCK as Position;
            if let Some(rise) = self.rise.take() {
                self.begin(rise.began.max(first_period.saturating_sub(MAX_LEAD)), end);
            }
        }
    }

    fn begin(&mut self, onset: Position, end: Position) {
        let segment = Segment { onset, last_periodic: end, last_loud: end, is_over: false };
        self.earlier.extend(self.segment.replace(segment));
        let kept_from = end.saturating_sub(self.kept);
        self.earlier.retain(|segment| segment.last_loud > kept_from);
    }

    /// Which of the last blocks that count for an onset were periodic.
    fn recent(&self) -> u32 {
        self.periodic & ((1 << ONSET_OF) - 1)
    }
}
