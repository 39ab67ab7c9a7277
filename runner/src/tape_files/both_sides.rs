//! The audio of a recorded call: both sides as they sounded at the telephone, in step.

use dialbridge_core::CallTime;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::audio::{AudioFormat, BYTES_PER_MS, MULAW_SILENCE};
use dialbridge_core::replay::{Playout, replay};
use dialbridge_core::tape::{Tape, TapeInput};
use dialbridge_core::twilio::{Inbound, parse};

/// A WAV of mu-law at 8,000 Hz: the caller on the left, on the right what he heard of the agent.
pub(super) fn both_sides(tape: &Tape) -> Vec<u8> {
    let (said, heard) = (said(tape), replay(tape).heard);
    // Twilio forgets what waits when the call ends.
    let end = tape.inputs.last().map_or(0, |(at, _)| at.as_ms());
    let end = usize::try_from(end).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_MS);
    let samples = said.len().max(heard.len()).min(end);
    let sample = |side: &[u8], n: usize| side.get(n).copied().unwrap_or(MULAW_SILENCE);
    let data: Vec<u8> = (0..samples).flat_map(|n| [sample(&said, n), sample(&heard, n)]).collect();
    write_wav(2, AudioFormat::TELEPHONE, &data)
}

/// What the caller said, from the beginning of the call. Frames come in real time, as Twilio plays ours.
fn said(tape: &Tape) -> Vec<u8> {
    let mut said = Playout::default();
    for (at, input) in &tape.inputs {
        let TapeInput::Twilio(text) = input else { continue };
        let Ok(Inbound::Media(media)) = parse(text) else { continue };
        let mut audio = Vec::new();
        if media.decode(&mut audio).is_ok() {
            said.advance(*at);
            said.media(*at, &audio);
        }
    }
    said.advance(CallTime::from_ms(u64::MAX));
    said.into_heard()
}
