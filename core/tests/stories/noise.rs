//! Callers in a car, at a fan, on a line that hums: steady noise is no voice, and a voice in it is heard.

use dialbridge_core::agent::Transcript;
use dialbridge_core::audio::g711::linear_to_mulaw;
use dialbridge_core::config::{BargeInMode, EndOfUtterance};
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig};

use crate::test_call::{TestCall, answered, interim, starting_text, with};

/// Amplitudes of noise with an RMS of -30 and -45 dB of full scale.
const NOISE: [i32; 2] = [1_790, 318];

/// Where a caller is, and what comes from there.
struct Place {
    test: TestCall,
    noise: i32,
    random: u32,
    samples: usize,
}

impl Place {
    fn calling(config: CallConfig, noise: i32) -> Self {
        Self { test: TestCall::started(config), noise, random: 12_345, samples: 0 }
    }

    fn is_quiet(&mut self, ms: usize) {
        self.send(ms, 0);
    }

    fn speaks(&mut self, ms: usize) {
        self.send(ms, 6_000);
    }

    /// Frames with a voice of that amplitude in the noise.
    fn send(&mut self, ms: usize, voice: i32) {
        for _ in 0..ms / 20 {
            self.test.wait(20);
            let frame: Vec<u8> = (0..160).map(|_| self.sample(voice)).collect();
            self.test.send_frame(&frame);
        }
    }

    /// White noise and a voice: 125 times a second a vowel rings and fades, four syllables a second.
    fn sample(&mut self, voice: i32) -> u8 {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (i32::from((self.random >> 16) as u16) - 32_768) * self.noise / 32_768;
        let (ring, syllable) = (i32::from((self.samples % 64) as u8), i32::from((self.samples % 2_000) as u16));
        self.samples += 1;
        let level = voice * (64 - ring) / 64 * syllable.min(2_000 - syllable) / 1_000;
        linear_to_mulaw((if ring % 16 < 8 { level } else { -level } + noise) as i16)
    }

    /// Frames without a voice until that turn is half-closed: how many milliseconds.
    fn silence_to_half_close(&mut self, turn: u32) -> Option<usize> {
        (0..10_000).step_by(20).find(|_| {
            let is_closed = self.test.commands(turn).contains(&AgentCommand::HalfClose);
            if !is_closed {
                self.is_quiet(20);
            }
            is_closed
        })
    }
}

fn by_voice() -> CallConfig {
    with(starting_text(), |config| config.barge_in.mode = BargeInMode::Voice)
}

#[test]
fn a_caller_in_a_car_who_speaks_into_the_greeting_interrupts_it_by_his_voice() {
    for noise in NOISE {
        for before_ms in [60, 1_000, 5_000] {
            let mut car = Place::calling(by_voice(), noise);
            car.is_quiet(before_ms);
            car.test.agent(1, answered(20_000));
            car.is_quiet(2_000);
            assert_eq!(car.test.clears(), 0, "{noise}, {before_ms} ms");
            car.speaks(260);
            assert_eq!(car.test.clears(), 1, "{noise}, {before_ms} ms");
        }
    }
}

#[test]
fn a_caller_in_a_car_who_speaks_into_the_greeting_interrupts_it_by_his_words() {
    for noise in NOISE {
        let mut car = Place::calling(starting_text(), noise);
        car.is_quiet(300);
        car.test.agent(1, answered(20_000));
        car.is_quiet(1_000);
        car.speaks(600);
        car.test.agent(2, interim("stop"));
        assert_eq!(car.test.clears(), 1, "{noise}");
    }
}

#[test]
fn steady_noise_never_interrupts_a_prompt() {
    for noise in NOISE.into_iter().chain([10_000]) {
        let mut car = Place::calling(by_voice(), noise);
        car.test.agent(1, answered(20_000));
        car.is_quiet(15_000);
        assert_eq!(car.test.clears(), 0, "from the first frame on: {noise}");
        let mut window = Place::calling(by_voice(), 10);
        window.test.agent(1, answered(20_000));
        window.is_quiet(3_000);
        window.noise = noise;
        window.is_quiet(6_000);
        window.noise = 10;
        window.is_quiet(1_000);
        window.noise = noise;
        window.is_quiet(6_000);
        assert_eq!(window.test.clears(), 0, "it rises during the prompt: {noise}");
    }
}

#[test]
fn in_noise_that_rises_during_the_prompt_a_caller_interrupts_it_at_once() {
    for noise in NOISE {
        for after_ms in [0, 100, 2_000] {
            let mut window = Place::calling(by_voice(), 10);
            window.test.agent(1, answered(20_000));
            window.is_quiet(3_000);
            window.noise = noise;
            window.is_quiet(after_ms);
            assert_eq!(window.test.clears(), 0, "{noise}, {after_ms} ms after the noise");
            window.speaks(260);
            assert_eq!(window.test.clears(), 1, "{noise}, {after_ms} ms after the noise");
        }
    }
}

#[test]
fn in_noise_the_answer_is_not_late() {
    let final_words = || {
        AgentEvent::Transcript(Transcript { text: "two loaves".to_owned(), is_final: true, ..Transcript::default() })
    };
    for noise in NOISE {
        for before_ms in [0, 1_000, 5_000] {
            let mut car = Place::calling(CallConfig::default(), noise);
            car.is_quiet(before_ms);
            car.speaks(1_000);
            car.is_quiet(300);
            car.test.agent(1, final_words());
            let after_ms = car.silence_to_half_close(1).unwrap();
            assert!(after_ms <= 1_000, "{after_ms} ms after the final transcript, in {noise} after {before_ms} ms");
            let quick = with(CallConfig::default(), |config| config.end_of_utterance = EndOfUtterance::Quick);
            let mut car = Place::calling(quick, noise);
            car.is_quiet(before_ms);
            car.speaks(1_000);
            car.is_quiet(300);
            car.test.agent(1, final_words());
            let after_ms = car.silence_to_half_close(1).unwrap();
            assert!(after_ms <= 300, "quick: {after_ms} ms after the words, in {noise} after {before_ms} ms");
        }
    }
}
