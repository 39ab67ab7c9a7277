//! The stories of `frames/` and what must come of them, in `golden/`. `UPDATE_GOLDEN=1` writes it anew.

use std::fs;
use std::path::PathBuf;

use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::replay::replay;
use dialbridge_core::tape::Tape;

use crate::golden::{expect, folder, stems};

fn tapes() -> Vec<(String, Tape)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder("frames")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let tape = |file: PathBuf| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let tape = Tape::parse(&fs::read_to_string(&file).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, tape)
    };
    files.into_iter().filter(|file| file.extension().is_some_and(|kind| kind == "jsonl")).map(tape).collect()
}

#[test]
fn every_story_ends_as_it_should() {
    let tapes = tapes();
    assert!(tapes.len() >= 5);
    for (name, tape) in tapes {
        let replayed = replay(&tape);
        expect(&folder("golden").join(format!("{name}.trace")), replayed.trace().as_bytes());
        let wav = write_wav(1, AudioFormat::TELEPHONE, &replayed.heard);
        expect(&folder("golden").join(format!("{name}.wav")), &wav);
    }
}

#[test]
fn a_replay_run_twice_is_byte_for_byte_the_same() {
    for (_, tape) in tapes() {
        assert_eq!(replay(&tape), replay(&tape));
    }
}

#[test]
fn a_golden_without_a_story_is_left_over() {
    let names: Vec<String> = tapes().into_iter().map(|(name, _)| name).collect();
    for golden in stems(&folder("golden")) {
        assert!(names.contains(&golden), "{golden}");
    }
}
