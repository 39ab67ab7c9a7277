use super::*;
use crate::audio::MULAW_SILENCE;
use crate::audio::g711::linear_to_mulaw;

/// Feeds audio from `position` on, in frames of 20 ms. Returns where it ends.
fn feed(voice: &mut VoiceDetector, position: Position, mulaw: &[u8]) -> Position {
    mulaw.chunks(160).fold(position, |at, frame| {
        voice.push(at, frame);
        at + frame.len() as Position
    })
}

/// Adds signals, sample by sample.
fn mix(one: &[i32], other: &[i32]) -> Vec<u8> {
    let clamp = |sum: i32| i16::try_from(sum.clamp(-32_768, 32_767)).unwrap();
    one.iter().zip(other).map(|(one, other)| linear_to_mulaw(clamp(one + other))).collect()
}

fn mulaw(samples: &[i32]) -> Vec<u8> {
    mix(samples, &vec![0; samples.len()])
}

fn silence(ms: usize) -> Vec<i32> {
    vec![0; ms * 8]
}

/// White noise with an RMS of 0.58 of `amplitude`, the same each time.
fn noise(ms: usize, amplitude: i32) -> Vec<i32> {
    let mut state = 12_345_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let unit = i32::try_from(state >> 16).unwrap() - 32_768;
        unit * amplitude / 32_768
    };
    (0..ms * 8).map(next).collect()
}

/// A sawtooth.
fn hum(ms: usize, hz: usize, amplitude: i32) -> Vec<i32> {
    let period = 8_000 / hz;
    let sample =
        |n: usize| i32::try_from(n % period * 2).unwrap() * amplitude / i32::try_from(period).unwrap() - amplitude;
    (0..ms * 8).map(sample).collect()
}

/// A voice: 125 times a second a vowel of 500 Hz rings and fades, and the level rises and falls four times a second.
fn voice_of(ms: usize, amplitude: i32) -> Vec<i32> {
    let number = |n: usize| i32::try_from(n).unwrap();
    let sample = |n: usize| {
        let (ring, syllable) = (n % 64, n % 2_000);
        let sign = if ring % 16 < 8 { 1 } else { -1 };
        sign * amplitude * number(64 - ring) / 64 * number(syllable.min(2_000 - syllable)) / 1_000
    };
    (0..ms * 8).map(sample).collect()
}

fn detector() -> VoiceDetector {
    VoiceDetector::new(240_000)
}

/// Whether a position is at most so many milliseconds from another one.
fn is_near(one: Option<Position>, other: Position, ms: Position) -> bool {
    one.is_some_and(|one| one.abs_diff(other) <= ms * 8)
}

/// -30 and -45 dB of full scale, as amplitudes of [`noise`].
const NOISE: [i32; 2] = [1_790, 318];

#[test]
fn steady_noise_is_no_voice_from_the_first_frame_on_and_when_it_rises() {
    for amplitude in NOISE.into_iter().chain([10_000, 56]) {
        for lead_ms in [0, 2_000] {
            let mut voice = detector();
            let at = feed(&mut voice, 0, &mulaw(&silence(lead_ms)));
            for (n, frame) in mulaw(&noise(20_000, amplitude)).chunks(160).enumerate() {
                voice.push(at + n as Position * 160, frame);
                assert_eq!(voice.speaking_since(), None, "{amplitude} after {lead_ms} ms: frame {n}");
            }
        }
    }
}

#[test]
fn the_hum_of_the_mains_is_no_voice() {
    for hz in [50, 100] {
        for amplitude in [30, 300, 1_700] {
            let mut voice = detector();
            let at = feed(&mut voice, 0, &mulaw(&noise(1_000, 20)));
            feed(&mut voice, at, &mulaw(&hum(20_000, hz, amplitude)));
            assert_eq!(voice.onset_since(0), None, "{hz} Hz, {amplitude}");
        }
    }
}

#[test]
fn a_voice_in_noise_is_heard_within_300_ms_and_its_onset_is_where_it_began() {
    for amplitude in NOISE {
        for (lead_ms, within_ms) in [(0, 60), (20, 60), (400, 260), (1_000, 60), (5_000, 60)] {
            let mut samples = silence(lead_ms);
            samples.extend(voice_of(600, 6_000));
            samples.extend(silence(600));
            let mut voice = detector();
            let (onset, end) = (lead_ms as Position * 8, (lead_ms as Position + 600) * 8);
            let audio = mix(&samples, &noise(samples.len() / 8, amplitude));
            let (begins, rest) = audio.split_at((lead_ms + 300) * 8);
            let at = feed(&mut voice, 0, begins);
            assert!(
                is_near(voice.speaking_since(), onset, within_ms),
                "{amplitude}, {lead_ms} ms: {:?}",
                voice.segment
            );
            feed(&mut voice, at, rest);
            assert!(!voice.is_speaking(), "{amplitude}, {lead_ms} ms: the noise is not the voice");
            assert!(is_near(voice.end_since(0), end, 110), "{amplitude}, {lead_ms} ms: {:?}", voice.segment);
        }
    }
}

#[test]
fn noise_that_rises_while_somebody_speaks_does_not_go_on_as_his_voice() {
    let mut voice = detector();
    let mut samples = voice_of(750, 6_000);
    samples.extend(silence(1_000));
    let mut rising = silence(400);
    rising.extend(noise(1_350, 1_790));
    feed(&mut voice, 0, &mix(&samples, &rising));
    assert!(!voice.is_speaking());
    assert!(is_near(voice.end_since(0), 750 * 8, 60), "{:?}", voice.segment);
}

#[test]
fn a_soft_voice_is_one_on_a_quiet_line() {
    let mut voice = detector();
    let at = feed(&mut voice, 0, &mulaw(&noise(1_000, 20)));
    feed(&mut voice, at, &mulaw(&voice_of(600, 500)));
    assert!(is_near(voice.speaking_since(), at, 60), "{:?}", voice.segment);
}

#[test]
fn a_consonant_before_and_after_the_vowel_belongs_to_the_voice() {
    let mut voice = detector();
    let at = feed(&mut voice, 0, &mulaw(&silence(1_000)));
    let mut word = noise(160, 1_500);
    word.extend(voice_of(250, 6_000));
    word.extend(noise(140, 1_500));
    let end = feed(&mut voice, at, &mulaw(&word));
    feed(&mut voice, end, &mulaw(&silence(1_000)));
    assert_eq!((voice.onset_since(0), voice.end_since(0)), (Some(at), Some(end)));
}

#[test]
fn a_short_gap_is_part_of_a_stretch_and_a_pause_ends_it() {
    let mut voice = detector();
    let onset = feed(&mut voice, 0, &mulaw(&silence(1_000)));
    let end = feed(&mut voice, onset, &mulaw(&voice_of(600, 6_000)[..4_000]));
    let at = feed(&mut voice, end, &mulaw(&silence(280)));
    assert!(voice.is_speaking(), "a short gap inside a sentence is no pause");
    feed(&mut voice, at, &mulaw(&silence(80)));
    assert!(!voice.is_speaking());
    assert_eq!(voice.onset_since(onset), voice.onset_since(0));
    assert_eq!(voice.onset_since(end), None);
    assert!(is_near(voice.end_since(onset), end, 20) && voice.end_since(end).is_none());
}

#[test]
fn stretches_of_voice_are_known_as_long_as_their_audio_is_kept() {
    let mut voice = detector();
    let word = mulaw(&voice_of(500, 6_000));
    let first = feed(&mut voice, 0, &mulaw(&silence(1_000)));
    let pause = feed(&mut voice, first, &word);
    let second = feed(&mut voice, pause, &mulaw(&silence(1_000)));
    let end = feed(&mut voice, second, &word);
    assert!(is_near(voice.first_onset_since(0), first, 20) && is_near(voice.onset_since(0), second, 20));
    assert!(voice.is_voice_in(0..pause) && !voice.is_voice_in(pause..second) && !voice.is_voice_in(0..first));
    assert_eq!(voice.stretches().count(), 2);
    let third = feed(&mut voice, end, &mulaw(&silence(30_000)));
    feed(&mut voice, third, &word);
    assert!(is_near(voice.first_onset_since(0), third, 20));
}

#[test]
fn a_click_is_no_voice() {
    for (sound, name) in [(noise(30, 20_000), "noise"), (hum(30, 200, 20_000), "tone")] {
        let mut voice = detector();
        let at = feed(&mut voice, 0, &mulaw(&silence(200)));
        let at = feed(&mut voice, at, &mulaw(&sound));
        feed(&mut voice, at, &mulaw(&silence(200)));
        assert_eq!(voice.onset_since(0), None, "{name}");
    }
}

#[test]
fn a_loud_tone_counts_as_a_voice_for_15_seconds() {
    let mut voice = detector();
    let at = feed(&mut voice, 0, &mulaw(&hum(14_000, 250, 6_000)));
    assert!(voice.is_speaking());
    let at = feed(&mut voice, at, &mulaw(&hum(2_000, 250, 6_000)));
    assert!(!voice.is_speaking());
    feed(&mut voice, at, &mulaw(&voice_of(400, 24_000)));
    assert!(voice.is_speaking(), "and a voice is heard through it");
}

#[test]
fn withheld_audio_does_not_make_the_noise_after_it_a_voice() {
    let mut voice = detector();
    let at = feed(&mut voice, 0, &mulaw(&noise(2_000, 1_790)));
    let at = feed(&mut voice, at, &[MULAW_SILENCE; 16_000]);
    feed(&mut voice, at, &mulaw(&noise(2_000, 1_790)));
    assert_eq!(voice.onset_since(0), None);
}

#[test]
fn how_the_audio_is_cut_into_frames_changes_nothing() {
    let mut samples = voice_of(900, 6_000);
    samples.extend(silence(700));
    samples.extend(voice_of(300, 3_000));
    let audio = mix(&samples, &noise(samples.len() / 8, 318));
    for (audio, stretches) in [(&audio[..], 2), (&audio[..1_500 * 8], 1)] {
        let mut whole = detector();
        whole.push(0, audio);
        assert_eq!(whole.stretches().count(), stretches);
        for bytes in [1, 7, 80, 160, 333, 4_000] {
            let mut cut = detector();
            audio.chunks(bytes).fold(0, |at, frame| {
                cut.push(at, frame);
                at + frame.len() as Position
            });
            assert_eq!(cut.stretches().collect::<Vec<_>>(), whole.stretches().collect::<Vec<_>>(), "{bytes}");
            assert_eq!(cut.hidden_ms(), whole.hidden_ms(), "{bytes}");
        }
    }
}

#[test]
fn the_loudest_audio_does_not_overflow() {
    let square: Vec<u8> = (0..16_000).map(|n| if n % 8 < 4 { 0x00 } else { 0x80 }).collect();
    let mut voice = detector();
    feed(&mut voice, 0, &square);
    assert!(voice.is_speaking());
}

/// A second of silence, 600 ms of voice, and then `faint`, all of it in noise. Returns the detector.
fn voice_before(faint: &[i32], amplitude: i32) -> VoiceDetector {
    let mut samples = silence(1_000);
    samples.extend(voice_of(600, 6_000));
    samples.extend(faint);
    let mut voice = detector();
    feed(&mut voice, 0, &mix(&samples, &noise(samples.len() / 8, amplitude)));
    assert!(is_near(voice.end_since(0), 1_600 * 8, 60), "faint sound is not loud: {:?}", voice.segment);
    voice
}

/// Noise of 2 to 3 dB above that of [`NOISE`]'s -45 dB, together with it.
fn faint(ms: usize) -> Vec<i32> {
    noise(ms, 270)
}

#[test]
fn a_voice_that_fades_into_the_noise_hides_more_than_one_that_stops() {
    let stops = voice_before(&silence(500), NOISE[1]).hidden_ms();
    let mut fading = faint(150);
    fading.extend(silence(350));
    let fades = voice_before(&fading, NOISE[1]).hidden_ms();
    assert!(stops > 0 && fades >= stops + MAX_FADE_MS, "{stops}, {fades}");
}

#[test]
fn a_faint_sound_at_the_end_of_a_silence_may_be_the_next_word() {
    let mut goes_on = silence(440);
    goes_on.extend(faint(60));
    let mut is_over = goes_on.clone();
    is_over.extend(silence(60));
    let [goes_on, is_over] = [goes_on, is_over].map(|sound| voice_before(&sound, NOISE[1]).hidden_ms());
    assert_eq!(goes_on, is_over + 40);
}

#[test]
fn a_quiet_line_hides_nothing() {
    let mut faint = noise(150, 20);
    faint.extend(silence(290));
    faint.extend(noise(60, 20));
    assert_eq!(voice_before(&faint, 15).hidden_ms(), 0);
}

#[test]
fn what_is_hidden_has_a_bound_and_is_forgotten_when_the_voice_goes_on() {
    let mut samples = silence(1_000);
    samples.extend(voice_of(600, 6_000));
    samples.extend(faint(200));
    samples.extend(silence(300));
    let (before, after) = (samples.len(), samples.len() + 300 * 8);
    samples.extend(voice_of(600, 6_000));
    let audio = mix(&samples, &noise(samples.len() / 8, NOISE[1]));
    let mut voice = detector();
    let at = feed(&mut voice, 0, &audio[..before]);
    let doublings = u64::from(voice.low_floor.doublings());
    assert!(voice.hidden_ms() <= (HIDDEN_MS + MAX_FADE_MS) * doublings + 40);
    feed(&mut voice, at, &audio[before..after]);
    assert_eq!(voice.hidden_ms(), HIDDEN_MS * u64::from(voice.low_floor.doublings()));
}
