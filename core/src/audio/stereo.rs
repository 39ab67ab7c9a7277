//! Mixes two channels into one.

/// Mixes the two channels of a stream as it comes. Holds at most one sample.
#[derive(Clone, Debug, Default)]
pub(super) struct Mixer {
    /// A sample of the left channel that waits for its right one.
    left: Option<i16>,
}

impl Mixer {
    /// Replaces interleaved samples, left channel first, by the mean of each pair.
    pub(super) fn mix(&mut self, samples: &mut Vec<i16>) {
        samples.retain_mut(|sample| match self.left.take() {
            None => {
                self.left = Some(*sample);
                false
            }
            Some(left) => {
                *sample = mean(left, *sample);
                true
            }
        });
    }

    /// Forgets a sample that waits for its pair. The next sample is the left channel's.
    pub(super) fn drop_half_pair(&mut self) {
        self.left = None;
    }
}

/// The mean, because a sum could be clipped. Halves are rounded up, as in the filters.
#[expect(clippy::cast_possible_truncation, reason = "what lies between two i16 is one")]
fn mean(left: i16, right: i16) -> i16 {
    ((i32::from(left) + i32::from(right) + 1) >> 1) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mixed(samples: &[i16]) -> Vec<i16> {
        let mut samples = samples.to_vec();
        Mixer::default().mix(&mut samples);
        samples
    }

    #[test]
    fn a_pair_becomes_its_mean_and_halves_go_up() {
        let pairs = [0, 0, 5, 6, -5, -6, 1, 0, -1, 0, i16::MAX, i16::MAX, i16::MIN, i16::MIN, i16::MIN, i16::MAX];
        assert_eq!(mixed(&pairs), [0, 6, -5, 1, 0, i16::MAX, i16::MIN, 0]);
    }

    #[test]
    fn what_both_channels_have_is_not_changed_and_opposites_are_silent() {
        for sample in [i16::MIN + 1, -300, -1, 0, 1, 300, i16::MAX] {
            assert_eq!(mixed(&[sample, sample]), [sample]);
            assert_eq!(mixed(&[sample, -sample]), [0]);
        }
    }

    #[test]
    fn half_a_pair_is_forgotten_when_told() {
        let (mut mixer, mut samples) = (Mixer::default(), vec![1, 1, 900]);
        mixer.mix(&mut samples);
        mixer.drop_half_pair();
        let mut later = vec![7, 9];
        mixer.mix(&mut later);
        assert_eq!((samples, later), (vec![1], vec![8]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

        #[test]
        fn chunks_give_what_the_whole_gives(
            samples in prop::collection::vec(any::<i16>(), 0..200),
            size in 1_usize..20,
        ) {
            let (mut mixer, mut joined) = (Mixer::default(), Vec::new());
            for chunk in samples.chunks(size) {
                let mut chunk = chunk.to_vec();
                mixer.mix(&mut chunk);
                joined.extend(chunk);
            }
            prop_assert_eq!(joined, mixed(&samples));
        }
    }
}
