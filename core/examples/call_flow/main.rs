//! A team's own test of a call flow, as it would stand in their own crate. It replays a recorded call and checks that a
//! fault does not come back. `docs/testing.md` shows how the tape was made.
//!
//! ```text
//! cargo test -p dialbridge-core --example call_flow       # its tests, which CI runs too
//! cargo run -p dialbridge-core --example call_flow        # what the call did
//! ```

use std::io::Write as _;

use dialbridge_core::replay::PlayedCall;
use dialbridge_core::tape::{Tape, TapeError};

/// A caller who mumbles something while the agent reads the opening hours.
const MUMBLE: &str = include_str!("mumble.jsonl");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::io::stdout().write_all(played(MUMBLE)?.replayed.trace().as_bytes())?;
    Ok(())
}

/// Replays the call on a tape with the settings in its header.
fn played(tape: &str) -> Result<PlayedCall, TapeError> {
    Tape::parse(tape).map(|tape| PlayedCall::recorded(&tape, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::tape::retake;

    #[test]
    fn a_mumble_does_not_cut_the_opening_hours() {
        played(MUMBLE).unwrap().turn(1).prompt().assert_not_cut();
    }

    #[test]
    fn with_the_settings_of_that_day_it_did() {
        let mut config = Tape::parse(MUMBLE).unwrap().header.config;
        config.barge_in.min_words = 1;
        let call = played(&retake(MUMBLE, &config).unwrap()).unwrap();
        call.turn(1).prompt().assert_cut_at_ms(1_500..2_500);
    }

    #[test]
    fn the_whole_call_goes_as_it_was_accepted() {
        assert_eq!(played(MUMBLE).unwrap().replayed.trace(), include_str!("mumble.trace"));
    }
}
