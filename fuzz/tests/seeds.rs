//! Runs the seeds of `seeds/` and the tapes of `tests/frames` through every target that accepts them.

use std::fs;
use std::path::{Path, PathBuf};

use dialbridge_core::AgentEvent;
use dialbridge_core::tape::{Tape, TapeInput};
use dialbridge_core::twilio::{Inbound, parse};
use dialbridge_fuzz::{TARGETS, call, seeds, twilio_message, wav};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn tapes() -> Vec<(PathBuf, String)> {
    let is_tape = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "jsonl");
    files("../tests/frames")
        .into_iter()
        .filter(is_tape)
        .map(|file| (file.clone(), fs::read_to_string(file).unwrap()))
        .collect()
}

#[test]
fn every_seed_passes_its_target() {
    for (target, run) in TARGETS {
        let seeds = files(&format!("seeds/{target}"));
        assert!(seeds.len() >= 3, "{target}");
        for seed in &seeds {
            println!("{}", seed.display());
            run(&fs::read(seed).unwrap());
        }
        println!("{target}: {} seeds", seeds.len());
    }
}

#[test]
fn the_seeds_that_are_made_are_there_as_they_are_made() {
    for seed in seeds::all() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(seed.target).join(&seed.name);
        let there = fs::read(&file).unwrap_or_default();
        assert!(there == seed.bytes, "{}: cargo run --example make_seeds writes it", file.display());
    }
}

#[test]
fn every_tape_passes_the_targets_for_messages_audio_and_calls() {
    let tapes = tapes();
    assert_eq!(tapes.len(), 25, "the tapes that tests/it/tapes.rs lists");
    for (file, text) in tapes {
        println!("{}", file.display());
        let tape = Tape::parse(&text).unwrap();
        twilio_message::run(&seeds::messages_of(&tape));
        call::run_tape(&text).unwrap();
        let audio: Vec<Vec<u8>> = tape.inputs.iter().flat_map(|(_, input)| audio_of(input)).collect();
        assert!(!audio.is_empty());
        for (format, audio) in (0..).zip(&audio) {
            wav::run(&[&[format, 44, 160], &audio[..]].concat());
        }
    }
}

/// The audio of an input: the caller's frame, or the prompts of an answer.
fn audio_of(input: &TapeInput) -> Vec<Vec<u8>> {
    match input {
        TapeInput::Twilio(text) => {
            let Ok(Inbound::Media(media)) = parse(text) else { return Vec::new() };
            let mut audio = Vec::new();
            media.decode(&mut audio).unwrap();
            vec![audio]
        }
        TapeInput::Agent(_, AgentEvent::Answer(answer)) => {
            answer.prompts.iter().map(|prompt| prompt.audio.to_vec()).collect()
        }
        _ => Vec::new(),
    }
}
