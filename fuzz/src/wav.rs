//! Audio from an agent, after three bytes: the declared format, and the sizes of the pieces in which the audio comes.

use dialbridge_core::audio::wav::{WavEnd, WavError, WavEvent, WavHeader, WavReader, read_wav};
use dialbridge_core::audio::{AudioFormat, Encoding, SAMPLE_RATE, ToMulaw, TranscodeError, to_mulaw};

const ENCODINGS: [Encoding; 3] = [Encoding::Linear16, Encoding::Mulaw, Encoding::Alaw];

/// Sample rates that we can convert, and some that we cannot.
const RATES: [u32; 14] = [8000, 0, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 1, 7999, 96000, u32::MAX];

/// Runs three bytes and audio.
///
/// # Panics
/// If a property does not hold.
pub fn run(data: &[u8]) {
    let [format, first, later, audio @ ..] = data else { return };
    let declared = declared(*format);
    let pieces = || Pieces { rest: audio, size: usize::from(*first), later: usize::from(*later) };

    let reading = read_in([audio]);
    assert_eq!(reading, read_in(pieces()), "in pieces as in whole");
    check_whole(audio, &reading);

    let whole = to_mulaw(declared, audio);
    assert_eq!(whole, convert(declared, pieces()), "in pieces as in whole");
    check_length(declared, &reading, &whole);
}

/// The format that a byte declares. Its last digit in base 3 is the encoding.
#[must_use]
pub fn declared(byte: u8) -> AudioFormat {
    let byte = usize::from(byte);
    AudioFormat { encoding: ENCODINGS[byte % 3], sample_rate: RATES[byte / 3 % RATES.len()] }
}

/// Cuts audio into a first piece and later pieces of another size. No piece is empty.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
    later: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let size = std::mem::replace(&mut self.size, self.later).clamp(1, self.rest.len().max(1));
        let (piece, rest) = self.rest.split_at_checked(size)?;
        self.rest = rest;
        Some(piece)
    }
}

/// The output of a reader: runs of audio, each with its header, and how it ended.
#[derive(Debug, Default, PartialEq)]
struct Reading {
    runs: Vec<(Option<WavHeader>, Vec<u8>)>,
    is_truncated: bool,
    error: Option<WavError>,
}

impl Reading {
    fn add(&mut self, data: &[u8]) {
        match self.runs.last_mut() {
            Some((_, audio)) => audio.extend_from_slice(data),
            None => self.runs.push((None, data.to_vec())),
        }
    }
}

fn read_in<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Reading {
    let (mut reader, mut reading) = (WavReader::new(), Reading::default());
    let ended = (|| {
        for mut piece in pieces {
            while let Some(event) = reader.read(&mut piece)? {
                match event {
                    WavEvent::Headerless(held) => reading.add(held.as_slice()),
                    WavEvent::Header(header) => reading.runs.push((Some(header), Vec::new())),
                    WavEvent::Data(data) => {
                        assert!(!data.is_empty());
                        reading.add(data);
                    }
                }
            }
            assert!(piece.is_empty(), "a reader takes all that it is given");
        }
        reader.finish()
    })();
    match ended {
        Ok(WavEnd::Headerless(held)) => reading.add(held.as_slice()),
        Ok(WavEnd::Wav { truncated }) => reading.is_truncated = truncated,
        Err(error) => {
            assert!(error == WavError::Truncated || reader.read(&mut &[0_u8][..]) == Err(error), "an error stays");
            reading.error = Some(error);
        }
    }
    reading
}

/// Reading everything at once must give the first WAV that the reader gives.
fn check_whole(audio: &[u8], reading: &Reading) {
    match (read_wav(audio), reading.runs.first()) {
        (Ok(wav), Some((Some(header), data))) => {
            assert_eq!((wav.format, wav.channels, wav.data), (header.format, header.channels, &data[..]));
        }
        (Ok(wav), other) => panic!("{wav:?}, {other:?}"),
        (Err(WavError::NotWav), run) => assert!(run.is_some_and(|(header, _)| header.is_none())),
        (Err(error), run) => assert_eq!((Some(error), run), (reading.error, None)),
    }
}

fn convert<'a>(declared: AudioFormat, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, TranscodeError> {
    let (mut converter, mut mulaw) = (ToMulaw::new(declared), Vec::new());
    for piece in pieces {
        converter.push(piece, &mut mulaw)?;
    }
    converter.finish(&mut mulaw)?;
    Ok(mulaw)
}

/// n samples of each channel must give `ceil(n * 8000 / rate)` bytes. Neighbours of the same format count together.
fn check_length(declared: AudioFormat, reading: &Reading, mulaw: &Result<Vec<u8>, TranscodeError>) {
    let Ok(mulaw) = mulaw else { return };
    assert_eq!(reading.error, None, "what cannot be read cannot be converted");
    let mut stretches: Vec<((AudioFormat, u16), u64)> = Vec::new();
    for (header, audio) in &reading.runs {
        let (format, channels) = header.map_or((declared, 1), |header| (header.format, header.channels));
        let samples = audio.len() as u64 / u64::from(format.encoding.bytes_per_sample() * channels);
        let format = (format, channels);
        match stretches.last_mut().filter(|(last, _)| *last == format) {
            Some((_, all)) => *all += samples,
            None => stretches.push((format, samples)),
        }
    }
    let expected: u64 = stretches.iter().map(|((format, _), samples)| length(*format, *samples)).sum();
    assert_eq!(mulaw.len() as u64, expected, "{stretches:?}");
}

fn length(format: AudioFormat, samples: u64) -> u64 {
    let rate = if format.sample_rate == 0 { SAMPLE_RATE } else { format.sample_rate };
    (samples * u64::from(SAMPLE_RATE)).div_ceil(u64::from(rate))
}
