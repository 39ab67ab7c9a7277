//! The stories of `frames/` and their expected output in `golden/`. `UPDATE_GOLDEN=1` writes it again.

use std::collections::BTreeSet;
use std::fs;

use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::replay::replay;
use dialbridge_core::tape::Tape;

use crate::golden::{expect, folder, stems};

/// The stories, each with the agents that it was recorded with: CX, ES and CES. The tapes' names end with them.
const STORIES: [(&str, &[&str]); 9] = [
    ("answer_in_linear16_at_24_khz", &["", "_es"]),
    ("barge_in_during_long_prompt", &["", "_es", "_ces"]),
    ("failure_filler_and_transfer", &["", "_es", "_ces"]),
    ("goodbye_heard_to_its_end", &["", "_es", "_ces"]),
    ("hang_up_while_an_answer_is_on_its_way", &["", "_es", "_ces"]),
    ("digits_before_the_prompt", &["", "_es", "_ces"]),
    ("nobody_says_anything", &["", "_es"]),
    ("warning_that_may_not_be_interrupted", &["", "_es", "_ces"]),
    ("yes_before_the_prompt", &["", "_es", "_ces"]),
];

fn names() -> BTreeSet<String> {
    let names =
        |(story, agents): &(&str, &[&str])| agents.iter().map(|agent| format!("{story}{agent}")).collect::<Vec<_>>();
    STORIES.iter().flat_map(names).collect()
}

#[test]
fn every_story_ends_as_it_should() {
    for name in names() {
        let text = fs::read_to_string(folder("frames").join(format!("{name}.jsonl"))).unwrap();
        let tape = Tape::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let replayed = replay(&tape);
        expect(&folder("golden").join(format!("{name}.trace")), replayed.trace().as_bytes());
        let wav = write_wav(1, AudioFormat::TELEPHONE, &replayed.heard);
        expect(&folder("golden").join(format!("{name}.wav")), &wav);
    }
}

#[test]
fn every_tape_and_every_golden_is_a_storys() {
    for kept in ["frames", "golden"] {
        assert_eq!(stems(&folder(kept)), names(), "{kept}");
    }
}
