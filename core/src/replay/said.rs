//! What the caller of a recorded call said, when he said it.

use crate::audio::{BYTES_PER_MS, MULAW_SILENCE};
use crate::tape::{Tape, TapeInput};
use crate::time::CallTime;
use crate::twilio::{Inbound, parse};

/// What the caller said, from the beginning of the call: mu-law, 8,000 Hz, mono.
///
/// A frame that comes late was not said late. So a frame is where those after it would have it if they came in real
/// time: as far behind its place in the audio as the least late of them. Audio that never came is silence.
#[must_use]
pub fn said(tape: &Tape) -> Vec<u8> {
    let frames: Vec<(usize, Vec<u8>)> = tape.inputs.iter().filter_map(frame).collect();
    let mut place: usize = frames.iter().map(|(_, audio)| audio.len()).sum();
    let mut behind = usize::MAX;
    let mut begins = Vec::with_capacity(frames.len());
    for (came, audio) in frames.iter().rev() {
        place -= audio.len();
        behind = behind.min(came.saturating_sub(place));
        begins.push(place + behind);
    }
    let mut said = Vec::new();
    for ((_, audio), begin) in frames.iter().zip(begins.into_iter().rev()) {
        said.resize(begin, MULAW_SILENCE);
        said.extend_from_slice(audio);
    }
    said
}

/// A frame of the caller's: when it came, in bytes from the beginning of the call, and its audio.
fn frame((at, input): &(CallTime, TapeInput)) -> Option<(usize, Vec<u8>)> {
    let TapeInput::Twilio(text) = input else { return None };
    let Ok(Inbound::Media(media)) = parse(text) else { return None };
    let mut audio = Vec::new();
    media.decode(&mut audio).ok()?;
    let came = usize::try_from(at.as_ms()).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_MS);
    Some((came, audio))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// A tape with a frame of the caller's for each code and time, which ends at `end`.
    fn tape(frames: &[(u64, u8)], end: u64) -> Tape {
        let media = |(at, code): &(u64, u8)| {
            let frame = STANDARD.encode([*code; 160]);
            let message = format!(r#"{{"event":"media","media":{{"track":"inbound","payload":"{frame}"}}}}"#);
            format!(r#"{{"at_ms":{at},"from":"twilio","message":{message}}}"#)
        };
        let header = r#"{"tape":1,"edition":"cx"}"#.to_owned();
        let end = format!(r#"{{"at_ms":{end},"from":"twilio","closed":true}}"#);
        let lines: Vec<String> = [header].into_iter().chain(frames.iter().map(media)).chain([end]).collect();
        Tape::parse(&lines.join("\n")).unwrap()
    }

    /// The first and the last millisecond of each stretch of a code.
    fn stretches(said: &[u8]) -> Vec<(u8, usize, usize)> {
        let mut stretches: Vec<(u8, usize, usize)> = Vec::new();
        for (ms, code) in said.iter().step_by(BYTES_PER_MS).enumerate() {
            match stretches.last_mut().filter(|(last, ..)| last == code) {
                Some((.., end)) => *end = ms,
                None => stretches.push((*code, ms, ms)),
            }
        }
        stretches
    }

    #[test]
    fn what_comes_late_is_where_it_was_said_and_what_never_comes_is_silence() {
        let of = |code: usize| (u8::try_from(code + 1).unwrap(), 20 * code, 20 * code + 19);
        let caught_up = said(&tape(&[(0, 1), (20, 2), (105, 3), (105, 4), (106, 5), (107, 6), (120, 7)], 900));
        assert_eq!(stretches(&caught_up), (0..7).map(of).collect::<Vec<_>>());
        let lost = said(&tape(&[(0, 1), (20, 2), (303, 3), (320, 4), (340, 5)], 900));
        assert_eq!(
            stretches(&lost),
            [(1, 0, 19), (2, 20, 39), (0xFF, 40, 299), (3, 300, 319), (4, 320, 339), (5, 340, 359)]
        );
    }

    #[test]
    fn more_audio_than_time_is_kept_in_order() {
        let flood = said(&tape(&[(0, 1), (0, 2), (0, 3), (500, 4)], 900));
        assert_eq!(stretches(&flood), [(1, 0, 19), (2, 20, 39), (3, 40, 59), (0xFF, 60, 499), (4, 500, 519)]);
        assert_eq!(said(&tape(&[], 100)), Vec::<u8>::new());
    }
}
