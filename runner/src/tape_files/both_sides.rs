//! The audio of a recorded call: both sides as they sounded at the telephone, in step.

use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::audio::{AudioFormat, BYTES_PER_MS, MULAW_SILENCE};
use dialbridge_core::replay::{replay, said};
use dialbridge_core::tape::Tape;

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

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn the_caller_is_on_the_left_when_he_spoke_and_nothing_comes_after_the_end() {
        let frame = STANDARD.encode([7; 160]);
        let media = |at: u64| {
            let message = format!(r#"{{"event":"media","media":{{"track":"inbound","payload":"{frame}"}}}}"#);
            format!(r#"{{"at_ms":{at},"from":"twilio","message":{message}}}"#)
        };
        let header = r#"{"tape":1,"edition":"cx"}"#;
        let end = r#"{"at_ms":500,"from":"twilio","closed":true}"#;
        let tape = Tape::parse(&[header, &media(100), &media(490), end].join("\n")).unwrap();
        let wav = both_sides(&tape);
        let data = &wav[wav.len() - 2 * 500 * BYTES_PER_MS..];
        let said = |ms: usize| (data[2 * ms * BYTES_PER_MS], data[2 * ms * BYTES_PER_MS + 1]);
        assert_eq!(wav[..wav.len() - data.len()].last_chunk(), Some(&8_000_u32.to_le_bytes()), "500 ms, two sides");
        assert_eq!([99, 100, 119, 120, 499].map(said), [0xFF, 7, 7, 0xFF, 7].map(|left| (left, 0xFF)));
    }
}
