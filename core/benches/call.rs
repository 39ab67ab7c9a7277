//! The cost of one frame: parsing, decoding, and a whole step of a call.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_core::agent::{Answer, AnswerPart, Prompt};
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::twilio::{Inbound, parse};
use dialbridge_core::{AgentEvent, Call, CallConfig, CallTime, Input, StreamId};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// A media message as Twilio sends it: 20 ms of audio.
fn media() -> String {
    let audio: Vec<u8> = (0..160_u8).collect();
    format!(
        r#"{{"event":"media","sequenceNumber":"4711","media":{{"track":"inbound","chunk":"4709","timestamp":"94200","payload":"{}"}},"streamSid":"MZ0123456789abcdef0123456789abcdef"}}"#,
        STANDARD.encode(audio)
    )
}

#[divan::bench]
fn parse_media(bencher: Bencher<'_, '_>) {
    let text = media();
    bencher.bench_local(|| parse(black_box(&text)).is_ok());
}

#[divan::bench]
fn parse_and_decode_media(bencher: Bencher<'_, '_>) {
    let text = media();
    let mut audio = Vec::new();
    bencher.bench_local(|| {
        audio.clear();
        match parse(black_box(&text)) {
            Ok(Inbound::Media(media)) => media.decode(&mut audio).is_ok(),
            _ => false,
        }
    });
}

fn listening_call() -> Call {
    let mut call = Call::new(Arc::new(CallConfig::default()), CallTime::START);
    let start = r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}"#;
    let _ = call.handle_input(Input::Twilio(start), CallTime::START);
    while call.poll_output().is_some() {}
    call
}

/// A frame of a listening call: message in, audio for the agent out.
#[divan::bench]
fn step_of_a_listening_call(bencher: Bencher<'_, '_>) {
    let text = media();
    let mut call = listening_call();
    let mut ms = 0;
    bencher.bench_local(move || {
        ms += 20;
        let _ = call.handle_input(Input::Twilio(black_box(&text)), CallTime::from_ms(ms));
        while let Some(output) = call.poll_output() {
            black_box(output);
        }
        black_box(call.poll_timeout());
    });
}

/// An answer of two seconds: audio for Twilio out, and the next turn opens.
#[divan::bench]
fn answer_of_two_seconds(bencher: Bencher<'_, '_>) {
    let prompt = Prompt::new(AudioFormat::TELEPHONE, vec![0x55; 16_000]);
    let answer = Answer { part: AnswerPart::Final, prompts: vec![prompt], ..Answer::default() };
    bencher.with_inputs(|| (listening_call(), AgentEvent::Answer(Box::new(answer.clone())))).bench_local_values(
        |(mut call, event)| {
            let _ = call.handle_input(Input::Agent(StreamId(1), event), CallTime::from_ms(1_000));
            while let Some(output) = call.poll_output() {
                black_box(output);
            }
        },
    );
}
