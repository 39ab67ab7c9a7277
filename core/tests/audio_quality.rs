//! Measures what the audio path does to a signal, prints it as tables, and checks it against the design's figures.
//!
//! `cargo test -p dialbridge-core --test audio_quality -- --nocapture` shows the tables.

use std::f64::consts::TAU;

use dialbridge_core::audio::g711::{linear_to_mulaw, mulaw_to_linear};
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::audio::{AudioFormat, Encoding, Resampler, to_mulaw};

const TELEPHONE_HZ: u32 = 8000;
const SOURCE_RATES: [u32; 8] = [11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000];

/// Amplitude of a tone: well below full scale, and far above the rounding noise of 16 bits (-98 dB).
const AMPLITUDE: f64 = 20_000.0;

/// A tone of this many samples that begins at phase 0.
#[expect(clippy::cast_possible_truncation, reason = "the amplitude fits an i16")]
fn tone(hz: f64, rate: u32, samples: u32) -> Vec<i16> {
    (0..samples).map(|n| (AMPLITUDE * (TAU * hz * f64::from(n) / f64::from(rate)).sin()).round() as i16).collect()
}

fn resample(samples: &[i16], from_hz: u32, to_hz: u32) -> Vec<i16> {
    let mut resampler = Resampler::new(from_hz, to_hz).expect("a supported pair of rates");
    let mut out = Vec::new();
    resampler.process(samples, &mut out);
    resampler.flush(&mut out);
    out
}

fn decibels(ratio: f64) -> f64 {
    20.0 * ratio.max(1e-9).log10()
}

fn root_mean_square(samples: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = u32::try_from(samples.len()).expect("a test's length");
    (samples.map(|sample| sample * sample).sum::<f64>() / f64::from(count)).sqrt()
}

fn as_f64(samples: &[i16]) -> impl ExactSizeIterator<Item = f64> {
    samples.iter().map(|&sample| f64::from(sample))
}

/// The middle part, which the silence before and after the signal does not affect.
fn middle(samples: &[i16]) -> &[i16] {
    &samples[samples.len() / 4..samples.len() * 3 / 4]
}

/// A sine's amplitude, and the root mean square of everything else, by least squares.
struct Fit {
    amplitude: f64,
    /// Relative to a sine that begins at phase 0 with the first sample.
    phase: f64,
    residue: f64,
}

fn fit(samples: &[i16], hz: f64, rate: u32) -> Fit {
    let first = samples.len() / 4;
    let part = middle(samples);
    let angle = |n: usize| TAU * hz * f64::from(u32::try_from(first + n).expect("short")) / f64::from(rate);
    let (mut ss, mut sc, mut cc, mut sy, mut cy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (n, y) in as_f64(part).enumerate() {
        let (s, c) = angle(n).sin_cos();
        (ss, sc, cc) = (ss + s * s, sc + s * c, cc + c * c);
        (sy, cy) = (sy + s * y, cy + c * y);
    }
    let determinant = ss * cc - sc * sc;
    let (a, b) = ((sy * cc - cy * sc) / determinant, (cy * ss - sy * sc) / determinant);
    let rest = part.iter().enumerate().map(|(n, &y)| f64::from(y) - a * angle(n).sin() - b * angle(n).cos());
    Fit { amplitude: a.hypot(b), phase: b.atan2(a), residue: root_mean_square(rest) }
}

fn signal_to_noise(fit: &Fit) -> f64 {
    decibels(fit.amplitude / 2_f64.sqrt() / fit.residue)
}

/// 100 ms, which holds whole periods of each multiple of 10 Hz.
fn gain(hz: u32, from_hz: u32, to_hz: u32) -> Fit {
    let samples = tone(f64::from(hz), from_hz, from_hz / 10);
    fit(&resample(&samples, from_hz, to_hz), f64::from(hz), to_hz)
}

/// How much comes through of a tone that should not, at any frequency.
fn leak(hz: u32, from_hz: u32) -> f64 {
    let samples = tone(f64::from(hz), from_hz, from_hz / 10);
    let out = resample(&samples, from_hz, TELEPHONE_HZ);
    decibels(root_mean_square(as_f64(middle(&out))) / root_mean_square(as_f64(middle(&samples))))
}

#[test]
fn every_rate_is_flat_to_3400_hz_and_closed_from_5000_hz() {
    println!("source Hz | least and most gain, 50 to 3400 Hz | at 3700 Hz | most from 4600 Hz | most from 5000 Hz");
    for rate in SOURCE_RATES {
        let gains = (50..=3400).step_by(50).map(|hz| decibels(gain(hz, rate, TELEPHONE_HZ).amplitude / AMPLITUDE));
        let (least, most) = gains.fold((f64::MAX, f64::MIN), |(least, most), db| (least.min(db), most.max(db)));
        let edge = decibels(gain(3700, rate, TELEPHONE_HZ).amplitude / AMPLITUDE);
        let top = rate / 2 - 10;
        let most_of = |leaks: &mut dyn Iterator<Item = u32>| leaks.map(|hz| leak(hz, rate)).fold(f64::MIN, f64::max);
        let beyond_4600 = most_of(&mut (4600..5000).step_by(50).filter(|&hz| hz <= top));
        let beyond_5000 = most_of(&mut (5000..=top).step_by(if rate > 24000 { 170 } else { 70 }).chain([top]));
        println!(
            "{rate:9} | {least:+8.4} dB {most:+8.4} dB             | {edge:6.2} dB  | {:8.1} dB       | {beyond_5000:8.1} dB",
            beyond_4600.max(beyond_5000)
        );
        assert!(least > -0.5 && most < 0.5, "{rate} Hz is not flat");
        assert!(beyond_5000 < -60.0, "{rate} Hz lets through what lies above 5 kHz");
    }
}

#[test]
fn a_tone_keeps_its_place_and_is_clean() {
    println!("source Hz | signal to noise of 1 kHz, 16 bits | after mu-law | ideal mu-law | shift");
    for rate in SOURCE_RATES {
        let samples = tone(1000.0, rate, rate / 2);
        let linear = fit(&resample(&samples, rate, TELEPHONE_HZ), 1000.0, TELEPHONE_HZ);
        let shift = linear.phase / (TAU * 1000.0) * 1e6;

        let (coded, ideal) = (mulaw_noise(1000.0, rate), ideal_mulaw_noise(1000.0));
        println!(
            "{rate:9} | {:8.1} dB                       | {coded:6.2} dB    | {ideal:6.2} dB    | {shift:+.4} us",
            signal_to_noise(&linear)
        );
        assert!(shift.abs() < 0.1, "{rate} Hz shifts the tone by {shift} us");
        assert!(signal_to_noise(&linear) > 60.0);
        assert!((coded - ideal).abs() < 0.5, "{rate} Hz loses {} dB", ideal - coded);
    }
}

#[test]
fn tones_that_meet_many_mulaw_steps_lose_nothing_either() {
    // 1000 Hz at 8 kHz has only eight values; these have thousands.
    for hz in [437.0, 1004.0, 2911.0] {
        let (coded, ideal) = (mulaw_noise(hz, 24000), ideal_mulaw_noise(hz));
        println!("{hz} Hz, 24000 Hz WAV to mu-law: {coded:.2} dB, ideal {ideal:.2} dB");
        assert!((coded - ideal).abs() < 0.5);
    }
}

/// Signal-to-noise ratio of a tone that comes as a WAV and goes out as mu-law.
fn mulaw_noise(hz: f64, rate: u32) -> f64 {
    let bytes: Vec<u8> = tone(hz, rate, rate / 2).iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let format = AudioFormat { encoding: Encoding::Linear16, sample_rate: rate };
    let mulaw = to_mulaw(format, &write_wav(1, format, &bytes)).expect("a good WAV");
    let decoded: Vec<i16> = mulaw.into_iter().map(mulaw_to_linear).collect();
    signal_to_noise(&fit(&decoded, hz, TELEPHONE_HZ))
}

/// The same for a tone generated at 8 kHz.
fn ideal_mulaw_noise(hz: f64) -> f64 {
    let samples = tone(hz, TELEPHONE_HZ, TELEPHONE_HZ / 2);
    let decoded: Vec<i16> = samples.into_iter().map(|sample| mulaw_to_linear(linear_to_mulaw(sample))).collect();
    signal_to_noise(&fit(&decoded, hz, TELEPHONE_HZ))
}

#[test]
fn raising_the_rate_is_flat_and_adds_no_images() {
    println!("to Hz | least and most gain, 50 to 3400 Hz | least signal to images and noise");
    for rate in [16000, 24000] {
        let fits: Vec<Fit> = (50..=3400).step_by(50).map(|hz| gain(hz, TELEPHONE_HZ, rate)).collect();
        let gains = fits.iter().map(|fit| decibels(fit.amplitude / AMPLITUDE));
        let (least, most) = gains.fold((f64::MAX, f64::MIN), |(least, most), db| (least.min(db), most.max(db)));
        let clean = fits.iter().map(signal_to_noise).fold(f64::MAX, f64::min);
        println!("{rate:5} | {least:+8.4} dB {most:+8.4} dB             | {clean:6.1} dB");
        assert!(least > -0.5 && most < 0.5 && clean > 60.0);
    }
}

#[cfg(not(target_family = "wasm"))]
#[expect(clippy::print_stdout, reason = "a test says what it measured and what it skipped")]
mod against_sox {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;
    use dialbridge_core::audio::g711::{alaw_to_linear, linear_to_alaw};

    const LINEAR: [&str; 7] = ["-t", "raw", "-e", "signed", "-b", "16", "-L"];

    /// The output of `sox`. `None`, with a printed line, if `sox` is not installed.
    fn sox(arguments: &[&[&str]], input: &[u8]) -> Option<Vec<u8>> {
        let spawned = Command::new("sox")
            .args(["-D", "-V1"])
            .args(arguments.concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(missing) => {
                println!("skipped: sox does not run here ({missing})");
                return None;
            }
        };
        let mut stdin = child.stdin.take().expect("it was piped");
        // In a thread of its own, because sox writes output before it has read everything.
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input).expect("sox reads"));
            child.wait_with_output().expect("sox ends")
        });
        assert!(output.status.success(), "sox failed");
        Some(output.stdout)
    }

    fn bytes_of(samples: &[i16]) -> Vec<u8> {
        samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    fn samples_of(bytes: &[u8]) -> Vec<i16> {
        bytes.as_chunks::<2>().0.iter().map(|&sample| i16::from_le_bytes(sample)).collect()
    }

    fn decoded_as_sox_does(encoding: &str, decode: fn(u8) -> i16) {
        let codes: Vec<u8> = (0..=u8::MAX).collect();
        let coded = ["-t", "raw", "-r", "8000", "-c", "1", "-e", encoding, "-b", "8", "-"];
        let Some(decoded) = sox(&[&coded, &LINEAR, &["-"]], &codes) else { return };
        assert_eq!(samples_of(&decoded), codes.into_iter().map(decode).collect::<Vec<_>>());
    }

    /// `sox` rounds to `unit` first. So it may differ for samples within half a unit of a decision value, and only
    /// there.
    fn encoded_as_sox_does(encoding: &str, encode: fn(i16) -> u8, unit: i16) {
        let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let coded = ["-t", "raw", "-e", encoding, "-b", "8", "-"];
        let Some(codes) = sox(&[&LINEAR, &["-r", "8000", "-c", "1", "-"], &coded], &bytes_of(&samples)) else { return };
        assert_eq!(codes.len(), samples.len());
        let mut differences = 0;
        for (sample, code) in samples.into_iter().zip(codes) {
            let near = [sample.saturating_sub(unit / 2), sample.saturating_add(unit / 2)];
            assert!(near.map(encode).contains(&code) || encode(sample) == code, "{encoding} of {sample}: {code:#04x}");
            differences += u32::from(encode(sample) != code);
        }
        println!("{encoding}: sox gives the neighbouring code for {differences} of 65536 samples");
    }

    #[test]
    fn mulaw_is_what_sox_takes_it_for() {
        decoded_as_sox_does("mu-law", mulaw_to_linear);
        encoded_as_sox_does("mu-law", linear_to_mulaw, 4);
    }

    #[test]
    fn alaw_is_what_sox_takes_it_for() {
        decoded_as_sox_does("a-law", alaw_to_linear);
        encoded_as_sox_does("a-law", linear_to_alaw, 8);
    }

    #[test]
    fn the_rate_is_changed_as_sox_changes_it() {
        println!("from Hz, to Hz: what differs from sox's rate -v, against the signal");
        for (from_hz, to_hz) in SOURCE_RATES
            .map(|rate| (rate, TELEPHONE_HZ))
            .into_iter()
            .chain([(TELEPHONE_HZ, 16000), (TELEPHONE_HZ, 24000)])
        {
            // Three unrelated tones in the voice band.
            let parts = [311.0, 1234.5, 3105.0].map(|hz| tone(hz, from_hz, from_hz / 2));
            let mixed: Vec<i16> = (0..parts[0].len()).map(|n| parts.iter().map(|part| part[n] / 3).sum()).collect();
            let rates = [from_hz.to_string(), to_hz.to_string()];
            let source = ["-r", &rates[0], "-c", "1", "-"];
            let Some(theirs) = sox(&[&LINEAR, &source, &LINEAR, &["-", "rate", "-v", &rates[1]]], &bytes_of(&mixed))
            else {
                return;
            };
            let (ours, theirs) = (resample(&mixed, from_hz, to_hz), samples_of(&theirs));
            assert!(ours.len().abs_diff(theirs.len()) <= 1, "{} and {} samples", ours.len(), theirs.len());
            let length = ours.len().min(theirs.len());
            let difference: Vec<i16> = ours.iter().zip(&theirs).map(|(our, their)| our - their).collect();
            let ratio =
                root_mean_square(as_f64(middle(&difference))) / root_mean_square(as_f64(middle(&theirs[..length])));
            println!("{from_hz:6} {to_hz:6}: {:6.1} dB", decibels(ratio));
            assert!(decibels(ratio) < -55.0);
        }
    }
}
