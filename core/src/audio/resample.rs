//! Sample rate conversion: from an agent's rate to 8 kHz, and from 8 kHz up.

use std::error::Error;
use std::fmt;

use super::filters::Filter;

/// Source samples per step. Bounds the resampler's memory, however much comes at once.
const BLOCK: usize = 512;

/// Converts the sample rate of one stream of 16-bit mono audio.
///
/// It is a polyphase low pass in integer arithmetic: flat to 3.4 kHz, closed from 4.6 kHz on (`tests/audio_quality.rs`
/// has the figures). A constant stays that constant. Values outside `i16` are clamped.
///
/// - **Samples in, samples out**: n source samples give `ceil(n * to_hz / from_hz)` after [`flush`](Self::flush), with
///   the same values for any chunk sizes.
/// - **Delay**: none in the output's own time: output sample k is the signal at `k / to_hz` seconds of the input. It
///   needs the 2 ms of input after that time, so [`process`](Self::process) runs 2 ms behind its input. Before its
///   first and after its last sample the input counts as silence.
/// - **Memory**: about 1.5 kB, allocated at the start. After that only the output grows.
///
/// With equal rates it passes samples through unchanged and at once.
#[derive(Clone, Debug)]
pub struct Resampler {
    conversion: Option<Conversion>,
}

impl Resampler {
    /// Makes a resampler from one rate to another, both in Hz.
    ///
    /// To 8000 from 11025, 12000, 16000, 22050, 24000, 32000, 44100 and 48000; from 8000 to 16000 and 24000; and from
    /// any rate to itself.
    ///
    /// # Errors
    ///
    /// [`UnsupportedRate`] for any other pair, and for rates of 0.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, UnsupportedRate> {
        if from_hz == to_hz && from_hz != 0 {
            return Ok(Self { conversion: None });
        }
        let filter = Filter::find(from_hz, to_hz).ok_or(UnsupportedRate { from_hz, to_hz })?;
        Ok(Self { conversion: Some(Conversion::new(filter)) })
    }

    /// Takes samples at the source rate. Appends the samples at the destination rate that they complete.
    pub fn process(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        match &mut self.conversion {
            None => out.extend_from_slice(samples),
            Some(conversion) => samples.chunks(BLOCK).for_each(|block| conversion.process(block, out)),
        }
    }

    /// Appends the output of the last 2 ms of the input, then forgets everything like [`reset`](Self::reset).
    pub fn flush(&mut self, out: &mut Vec<i16>) {
        if let Some(conversion) = &mut self.conversion {
            conversion.process(&SILENCE[..conversion.filter.taps / 2], out);
        }
        self.reset();
    }

    /// Forgets all input: the next sample is the first of a new signal.
    pub fn reset(&mut self) {
        if let Some(conversion) = &mut self.conversion {
            conversion.reset();
        }
    }
}

/// More than half of the longest filter.
static SILENCE: [i16; 128] = [0; 128];

/// The state of a conversion between different rates.
///
/// The ratio of the rates is `phases / step` in lowest terms. Output sample k lies at `k * step / phases` source
/// samples. `position` is the whole part of that, and `phase / phases` the fraction.
#[derive(Clone, Debug)]
struct Conversion {
    filter: &'static Filter,
    phases: usize,
    /// `step / phases` and `step % phases`. Precomputed because a division for each sample costs as much as a dozen
    /// taps.
    whole_step: usize,
    part_step: usize,
    /// The source samples that later outputs may still need.
    window: Vec<i16>,
    /// Where the taps of the next output sample begin in `window`. Beyond its end if that much input must be skipped.
    position: usize,
    phase: usize,
}

impl Conversion {
    fn new(filter: &'static Filter) -> Self {
        let (phases, step) = filter.ratio;
        let window = Vec::with_capacity(filter.taps + BLOCK);
        let (whole_step, part_step) = (step / phases, step % phases);
        let mut conversion = Self { filter, phases, whole_step, part_step, window, position: 0, phase: 0 };
        conversion.reset();
        conversion
    }

    fn reset(&mut self) {
        self.window.clear();
        // The first output sample lies on the first source sample, which stands at taps / 2 - 1 in the window. With
        // taps / 2 zeros after the last source sample, the output ends exactly there.
        self.window.resize(self.filter.taps / 2 - 1, 0);
        (self.position, self.phase) = (0, 0);
    }

    /// Takes at most `BLOCK` source samples.
    fn process(&mut self, block: &[i16], out: &mut Vec<i16>) {
        self.window.extend_from_slice(block);
        let step = self.whole_step * self.phases + self.part_step;
        out.reserve(block.len() * self.phases / step + 1);
        while let Some(samples) = self.window.get(self.position..self.position + self.filter.taps) {
            out.push(self.filter.apply(self.phase, self.phases, samples));
            self.advance();
        }
        let used = self.position.min(self.window.len());
        self.window.drain(..used);
        self.position -= used;
    }

    fn advance(&mut self) {
        self.position += self.whole_step;
        self.phase += self.part_step;
        if self.phase >= self.phases {
            self.phase -= self.phases;
            self.position += 1;
        }
    }
}

/// There is no conversion between these two sample rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsupportedRate {
    /// The source rate asked for, in Hz.
    pub from_hz: u32,
    /// The destination rate asked for, in Hz.
    pub to_hz: u32,
}

impl fmt::Display for UnsupportedRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no conversion of sample rates from {} Hz to {} Hz", self.from_hz, self.to_hz)
    }
}

impl Error for UnsupportedRate {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONVERSIONS: [(u32, u32); 10] = [
        (11025, 8000),
        (12000, 8000),
        (16000, 8000),
        (22050, 8000),
        (24000, 8000),
        (32000, 8000),
        (44100, 8000),
        (48000, 8000),
        (8000, 16000),
        (8000, 24000),
    ];

    fn resample((from_hz, to_hz): (u32, u32), samples: &[i16]) -> Vec<i16> {
        let mut resampler = Resampler::new(from_hz, to_hz).unwrap();
        let mut out = Vec::new();
        resampler.process(samples, &mut out);
        resampler.flush(&mut out);
        out
    }

    fn expected_length((from_hz, to_hz): (u32, u32), samples: usize) -> usize {
        (samples * to_hz as usize).div_ceil(from_hz as usize)
    }

    /// The output without the 5 ms at each end, which the silence around the input affects.
    fn middle(out: &[i16], to_hz: u32) -> &[i16] {
        let edge = to_hz as usize / 200;
        &out[edge..out.len() - edge]
    }

    #[test]
    fn a_constant_stays_that_constant() {
        for (from_hz, to_hz) in CONVERSIONS {
            for value in [0, 1, -1, 7, -1000, i16::MAX, i16::MIN] {
                let out = resample((from_hz, to_hz), &vec![value; from_hz as usize / 20]);
                assert!(middle(&out, to_hz).iter().all(|&sample| sample == value), "{from_hz} Hz, {value}");
            }
        }
    }

    #[test]
    fn a_ramp_stays_a_ramp_in_its_place() {
        for (from_hz, to_hz) in CONVERSIONS {
            let ramp: Vec<i16> = (0..from_hz / 10).map(|n| i16::try_from(n * 6).unwrap()).collect();
            let out = resample((from_hz, to_hz), &ramp);
            for (k, &sample) in out.iter().enumerate().take(out.len() * 9 / 10).skip(to_hz as usize / 200) {
                let exact = 6 * k * from_hz as usize / to_hz as usize;
                assert!(
                    i32::from(sample).abs_diff(i32::try_from(exact).unwrap()) <= 2,
                    "{from_hz} Hz: {sample}, {exact}"
                );
            }
            assert!(middle(&out, to_hz).is_sorted(), "{from_hz} Hz to {to_hz} Hz");
        }
    }

    #[test]
    fn a_click_comes_out_where_it_went_in() {
        for (from_hz, to_hz) in CONVERSIONS {
            let mut click = vec![0; from_hz as usize / 10];
            click[from_hz as usize / 20] = i16::MAX;
            let out = resample((from_hz, to_hz), &click);
            let loudest = (0..out.len()).max_by_key(|&k| out[k]).unwrap();
            assert_eq!(loudest, (from_hz as usize / 20 * to_hz as usize + from_hz as usize / 2) / from_hz as usize);
        }
    }

    #[test]
    fn what_overshoots_full_scale_is_clamped_and_does_not_wrap() {
        for (from_hz, to_hz) in CONVERSIONS {
            // A square wave of 200 Hz at full scale: when its corners are rounded off, the signal beside them exceeds
            // full scale.
            let half_period = from_hz as usize / 400;
            let level = |n: usize| if (n / half_period).is_multiple_of(2) { i16::MAX } else { i16::MIN };
            let square: Vec<i16> = (0..from_hz as usize / 10).map(level).collect();
            let out = resample((from_hz, to_hz), &square);
            assert!(out.contains(&i16::MAX) && out.contains(&i16::MIN));
            for (k, &sample) in out.iter().enumerate() {
                let n = k * from_hz as usize / to_hz as usize;
                let beside_an_edge = n % half_period < half_period / 8 || n % half_period > half_period * 7 / 8;
                assert!(beside_an_edge || (sample > 0) == (level(n) > 0), "{from_hz} Hz to {to_hz} Hz at {k}");
            }
        }
    }

    #[test]
    fn equal_rates_pass_at_once_and_untouched() {
        let mut resampler = Resampler::new(11_111, 11_111).unwrap();
        let mut out = vec![5];
        resampler.process(&[1, -2, i16::MIN], &mut out);
        assert_eq!(out, [5, 1, -2, i16::MIN]);
        resampler.flush(&mut out);
        assert_eq!(out.len(), 4);
    }

    #[test]
    fn a_reset_forgets_what_was_heard() {
        for conversion in CONVERSIONS {
            let mut resampler = Resampler::new(conversion.0, conversion.1).unwrap();
            let mut out = Vec::new();
            resampler.process(&[i16::MAX; 333], &mut out);
            resampler.reset();
            out.clear();
            resampler.process(&[100; 777], &mut out);
            resampler.flush(&mut out);
            assert_eq!(out, resample(conversion, &[100; 777]));
        }
    }

    #[test]
    fn a_flushed_resampler_is_as_new() {
        let mut resampler = Resampler::new(24000, 8000).unwrap();
        let mut out = Vec::new();
        resampler.process(&[i16::MAX; 333], &mut out);
        resampler.flush(&mut out);
        out.clear();
        resampler.process(&[-100; 777], &mut out);
        resampler.flush(&mut out);
        assert_eq!(out, resample((24000, 8000), &[-100; 777]));
    }

    #[test]
    fn nothing_gives_nothing() {
        for conversion in CONVERSIONS {
            assert!(resample(conversion, &[]).is_empty());
        }
    }

    #[test]
    fn an_output_sample_waits_for_two_milliseconds_of_input() {
        for (from_hz, to_hz) in CONVERSIONS {
            let mut resampler = Resampler::new(from_hz, to_hz).unwrap();
            let mut out = Vec::new();
            resampler.process(&vec![0; from_hz as usize / 10], &mut out);
            let behind = to_hz as usize / 10 - out.len();
            assert!(behind <= to_hz as usize * 23 / 10_000, "{from_hz} Hz to {to_hz} Hz: {behind} samples");
        }
    }

    #[test]
    fn a_rate_without_a_filter_is_refused() {
        for (from_hz, to_hz) in [(0, 0), (0, 8000), (8000, 0), (8001, 8000), (96000, 8000), (16000, 24000)] {
            let refusal = Resampler::new(from_hz, to_hz).unwrap_err();
            assert_eq!(refusal, UnsupportedRate { from_hz, to_hz });
        }
        let refusal = Resampler::new(9000, 8000).unwrap_err();
        assert_eq!(refusal.to_string(), "no conversion of sample rates from 9000 Hz to 8000 Hz");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn chunks_give_what_the_whole_gives(
            conversion in prop::sample::select(&CONVERSIONS[..]),
            samples in prop::collection::vec(any::<i16>(), 0..1500),
            sizes in prop::collection::vec(0_usize..600, 1..20),
        ) {
            let mut resampler = Resampler::new(conversion.0, conversion.1).unwrap();
            let (mut out, mut rest) = (Vec::new(), &samples[..]);
            for size in sizes {
                let (chunk, later) = rest.split_at(size.min(rest.len()));
                resampler.process(chunk, &mut out);
                rest = later;
            }
            resampler.process(rest, &mut out);
            resampler.flush(&mut out);
            prop_assert_eq!(out, resample(conversion, &samples));
        }

        #[test]
        fn the_length_follows_the_formula(
            conversion in prop::sample::select(&CONVERSIONS[..]),
            samples in 0_usize..1500,
        ) {
            prop_assert_eq!(resample(conversion, &vec![1; samples]).len(), expected_length(conversion, samples));
        }
    }
}
