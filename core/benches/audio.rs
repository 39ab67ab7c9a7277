//! The cost of 20 ms of audio.

use std::f64::consts::TAU;

use dialbridge_core::audio::g711::{decode_mulaw, encode_alaw, encode_mulaw};
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::audio::{AudioFormat, Encoding, Resampler, SAMPLE_RATE, ToMulaw};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

const SOURCE_RATES: [u32; 8] = [11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000];

fn main() {
    divan::main();
}

/// 20 ms of a 440 Hz tone.
#[expect(clippy::cast_possible_truncation, reason = "the amplitude fits")]
fn twenty_ms(rate: u32) -> Vec<i16> {
    (0..rate / 50).map(|n| (12_000.0 * (TAU * 440.0 * f64::from(n) / f64::from(rate)).sin()) as i16).collect()
}

fn little_endian(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

#[divan::bench]
fn mulaw_decode(bencher: Bencher<'_, '_>) {
    let (mut mulaw, mut out) = (Vec::new(), Vec::with_capacity(160));
    encode_mulaw(&twenty_ms(SAMPLE_RATE), &mut mulaw);
    bencher.counter(ItemsCount::new(160_usize)).bench_local(|| {
        out.clear();
        decode_mulaw(black_box(&mulaw), &mut out);
    });
}

#[divan::bench]
fn mulaw_encode(bencher: Bencher<'_, '_>) {
    let (samples, mut out) = (twenty_ms(SAMPLE_RATE), Vec::with_capacity(160));
    bencher.counter(ItemsCount::new(160_usize)).bench_local(|| {
        out.clear();
        encode_mulaw(black_box(&samples), &mut out);
    });
}

#[divan::bench]
fn alaw_encode(bencher: Bencher<'_, '_>) {
    let (samples, mut out) = (twenty_ms(SAMPLE_RATE), Vec::with_capacity(160));
    bencher.counter(ItemsCount::new(160_usize)).bench_local(|| {
        out.clear();
        encode_alaw(black_box(&samples), &mut out);
    });
}

#[divan::bench(args = SOURCE_RATES)]
fn resample_to_8000(bencher: Bencher<'_, '_>, rate: u32) {
    resample(bencher, rate, SAMPLE_RATE);
}

#[divan::bench(args = [16000, 24000])]
fn resample_from_8000(bencher: Bencher<'_, '_>, rate: u32) {
    resample(bencher, SAMPLE_RATE, rate);
}

fn resample(bencher: Bencher<'_, '_>, from_hz: u32, to_hz: u32) {
    let samples = twenty_ms(from_hz);
    let mut resampler = Resampler::new(from_hz, to_hz).expect("the rates are among the supported");
    let mut out = Vec::with_capacity(1000);
    bencher.counter(ItemsCount::new(samples.len())).bench_local(|| {
        out.clear();
        resampler.process(black_box(&samples), &mut out);
    });
}

/// A whole answer of 20 ms: a 24 kHz WAV to mu-law, with a new converter each time.
#[divan::bench]
fn wav_24000_to_mulaw(bencher: Bencher<'_, '_>) {
    let format = AudioFormat { encoding: Encoding::Linear16, sample_rate: 24000 };
    let wav = write_wav(1, format, &little_endian(&twenty_ms(24000)));
    let mut out = Vec::with_capacity(200);
    bencher.bench_local(|| {
        out.clear();
        let mut converter = ToMulaw::new(format);
        converter.push(black_box(&wav), &mut out).expect("the WAV is good");
        converter.finish(&mut out).expect("the WAV is whole");
    });
}

/// 20 ms in the middle of an answer.
#[divan::bench]
fn linear16_24000_to_mulaw(bencher: Bencher<'_, '_>) {
    let format = AudioFormat { encoding: Encoding::Linear16, sample_rate: 24000 };
    let bytes = little_endian(&twenty_ms(24000));
    let (mut converter, mut out) = (ToMulaw::new(format), Vec::with_capacity(200));
    bencher.bench_local(|| {
        out.clear();
        converter.push(black_box(&bytes), &mut out).expect("the rate is among the supported");
    });
}
