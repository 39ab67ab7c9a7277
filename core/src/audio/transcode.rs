//! Converts what an agent sends to the 8 kHz mu-law that Twilio plays.

use std::error::Error;
use std::fmt;

use super::g711::{decode_alaw, decode_mulaw, encode_mulaw, recode_alaw_as_mulaw};
use super::stereo::Mixer;
use super::wav::{WavEnd, WavError, WavEvent, WavHeader, WavReader};
use super::{AudioFormat, Encoding, Resampler, SAMPLE_RATE, UnsupportedRate};

/// Source samples per step. Bounds the converter's memory, however much comes at once.
const BLOCK: usize = 480;

/// Converts a stream of audio to 8 kHz mu-law as it comes.
///
/// The first 12 bytes show whether the stream begins with a WAV header, whatever was declared. A header's format
/// replaces the declared one. Mu-law at 8 kHz passes through byte for byte. A WAV may have two channels, which are
/// mixed to one, `(left + right) / 2`. Audio without a header has one channel.
///
/// - **Samples in, samples out**: as [`Resampler`]: n samples of each channel give `ceil(n * 8000 / rate)` bytes after
///   [`finish`](Self::finish), with the same values for any chunk sizes.
/// - **Delay**: none in the output's own time. The converter holds back up to 11 bytes until it knows whether they
///   begin a header, part of a sample or pair until the rest comes, and 2 ms of audio while it converts the rate.
/// - **Second header**: a WAV after the end of a WAV is read as one, because an agent may send each part of its answer
///   so. Its audio joins the first's without a gap. If a header leaves the length open, call [`reset`](Self::reset) or
///   [`finish`](Self::finish) before the next part.
/// - **Errors**: after an error, all calls return it until `reset` or `finish`.
#[derive(Clone, Debug)]
pub struct ToMulaw {
    declared: AudioFormat,
    wav: WavReader,
    route: Route,
    failed: Option<TranscodeError>,
}

impl ToMulaw {
    /// Makes a converter for audio of this declared format.
    ///
    /// A sample rate of 0 means 8000 for mu-law and A-law, which is their usual rate. Linear audio without a rate must
    /// have a WAV header.
    pub fn new(declared: AudioFormat) -> Self {
        Self { declared, wav: WavReader::new(), route: Route::Undecided, failed: None }
    }

    /// Takes any number of bytes. Appends the mu-law that they complete.
    ///
    /// # Errors
    ///
    /// [`TranscodeError`] if the WAV header cannot be read, or if its rate or number of channels is not supported.
    /// Mu-law that was appended before stays valid.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), TranscodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let pushed = self.push_on(bytes, out);
        self.failed = pushed.err();
        pushed
    }

    /// Appends the audio that was held back, drops an incomplete sample or pair, and resets the converter.
    ///
    /// # Errors
    ///
    /// [`TranscodeError`] as for [`push`](Self::push), and if the audio ended within a WAV header.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TranscodeError> {
        let finished = self.finish_on(out);
        self.reset();
        finished
    }

    /// Forgets everything except the declared format. The next byte is the first of a new stream.
    pub fn reset(&mut self) {
        *self = Self::new(self.declared);
    }

    fn push_on(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), TranscodeError> {
        while let Some(event) = self.wav.read(&mut bytes)? {
            match event {
                WavEvent::Headerless(held) => {
                    self.route = Route::new(self.declared, 1)?;
                    self.route.push(held.as_slice(), out);
                }
                WavEvent::Header(header) => self.begin_wav(header, out)?,
                WavEvent::Data(data) => self.route.push(data, out),
            }
        }
        Ok(())
    }

    fn begin_wav(&mut self, header: WavHeader, out: &mut Vec<u8>) -> Result<(), TranscodeError> {
        if self.route.is_for(header.format, header.channels) {
            self.route.drop_half();
        } else {
            self.route.finish(out);
            self.route = Route::new(header.format, header.channels)?;
        }
        Ok(())
    }

    fn finish_on(&mut self, out: &mut Vec<u8>) -> Result<(), TranscodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let ended = self.wav.finish();
        if let Ok(WavEnd::Headerless(held)) = ended
            && !held.as_slice().is_empty()
        {
            self.route = Route::new(self.declared, 1)?;
            self.route.push(held.as_slice(), out);
        }
        self.route.finish(out);
        ended?;
        Ok(())
    }
}

/// Converts a whole piece of audio to 8 kHz mu-law, like [`ToMulaw`].
///
/// # Errors
///
/// [`TranscodeError`] as for [`ToMulaw::push`] and [`ToMulaw::finish`].
pub fn to_mulaw(declared: AudioFormat, bytes: &[u8]) -> Result<Vec<u8>, TranscodeError> {
    let (mut converter, mut mulaw) = (ToMulaw::new(declared), Vec::new());
    converter.push(bytes, &mut mulaw)?;
    converter.finish(&mut mulaw)?;
    Ok(mulaw)
}

/// How the audio is converted, once its format is known.
#[derive(Clone, Debug)]
enum Route {
    Undecided,
    /// Mu-law at 8 kHz, byte for byte.
    Same,
    /// A-law at 8 kHz, byte by byte.
    Alaw,
    /// Through linear samples, to another rate.
    Linear(Box<Linear>),
}

impl Route {
    fn new(format: AudioFormat, channels: u16) -> Result<Self, TranscodeError> {
        let from_hz = match (format.encoding, format.sample_rate) {
            (Encoding::Mulaw | Encoding::Alaw, 0) => SAMPLE_RATE,
            (Encoding::Mulaw | Encoding::Alaw | Encoding::Linear16, rate) => rate,
        };
        let mixer = match channels {
            1 => None,
            2 => Some(Mixer::default()),
            other => return Err(TranscodeError::Channels(other)),
        };
        Ok(match format.encoding {
            Encoding::Mulaw if from_hz == SAMPLE_RATE && mixer.is_none() => Route::Same,
            Encoding::Alaw if from_hz == SAMPLE_RATE && mixer.is_none() => Route::Alaw,
            Encoding::Mulaw | Encoding::Alaw | Encoding::Linear16 => {
                Route::Linear(Box::new(Linear::new(AudioFormat { sample_rate: from_hz, ..format }, mixer)?))
            }
        })
    }

    fn is_for(&self, format: AudioFormat, channels: u16) -> bool {
        let alaw = AudioFormat { encoding: Encoding::Alaw, ..AudioFormat::TELEPHONE };
        match self {
            Route::Undecided => false,
            Route::Same => (format, channels) == (AudioFormat::TELEPHONE, 1),
            Route::Alaw => (format, channels) == (alaw, 1),
            Route::Linear(linear) => (format, channels) == (linear.format, linear.channels()),
        }
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Route::Undecided => {}
            Route::Same => out.extend_from_slice(bytes),
            Route::Alaw => recode_alaw_as_mulaw(bytes, out),
            Route::Linear(linear) => linear.push(bytes, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Route::Undecided | Route::Same | Route::Alaw => {}
            Route::Linear(linear) => linear.finish(out),
        }
    }

    fn drop_half(&mut self) {
        match self {
            Route::Undecided | Route::Same | Route::Alaw => {}
            Route::Linear(linear) => linear.drop_half(),
        }
    }
}

#[derive(Clone, Debug)]
struct Linear {
    format: AudioFormat,
    /// The first half of a 16-bit sample that waits for its second half.
    low_byte: Option<u8>,
    /// For two channels.
    mixer: Option<Mixer>,
    resampler: Resampler,
    /// Samples at the source's rate and at 8 kHz. Empty between calls.
    source: Vec<i16>,
    resampled: Vec<i16>,
}

impl Linear {
    fn new(format: AudioFormat, mixer: Option<Mixer>) -> Result<Self, TranscodeError> {
        let resampler = Resampler::new(format.sample_rate, SAMPLE_RATE)?;
        let (source, resampled) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
        Ok(Self { format, low_byte: None, mixer, resampler, source, resampled })
    }

    fn channels(&self) -> u16 {
        if self.mixer.is_some() { 2 } else { 1 }
    }

    fn drop_half(&mut self) {
        self.low_byte = None;
        if let Some(mixer) = &mut self.mixer {
            mixer.drop_half_pair();
        }
    }

    fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        match self.format.encoding {
            Encoding::Mulaw => bytes.chunks(BLOCK).for_each(|block| {
                decode_mulaw(block, &mut self.source);
                self.convert(out);
            }),
            Encoding::Alaw => bytes.chunks(BLOCK).for_each(|block| {
                decode_alaw(block, &mut self.source);
                self.convert(out);
            }),
            Encoding::Linear16 => {
                if let (Some(low), [high, rest @ ..]) = (self.low_byte, bytes) {
                    self.source.push(i16::from_le_bytes([low, *high]));
                    self.convert(out);
                    (self.low_byte, bytes) = (None, rest);
                }
                let (samples, odd) = bytes.as_chunks::<2>();
                for block in samples.chunks(BLOCK) {
                    self.source.extend(block.iter().map(|&sample| i16::from_le_bytes(sample)));
                    self.convert(out);
                }
                self.low_byte = odd.first().copied().or(self.low_byte);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.drop_half();
        self.resampler.flush(&mut self.resampled);
        self.encode(out);
    }

    fn convert(&mut self, out: &mut Vec<u8>) {
        if let Some(mixer) = &mut self.mixer {
            mixer.mix(&mut self.source);
        }
        self.resampler.process(&self.source, &mut self.resampled);
        self.source.clear();
        self.encode(out);
    }

    fn encode(&mut self, out: &mut Vec<u8>) {
        encode_mulaw(&self.resampled, out);
        self.resampled.clear();
    }
}

/// Why audio cannot be converted for the telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TranscodeError {
    /// Its WAV header cannot be read.
    Wav(WavError),
    /// Its sample rate is not supported.
    Rate(UnsupportedRate),
    /// It has this many channels. Only one or two are supported.
    Channels(u16),
}

impl fmt::Display for TranscodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TranscodeError::Wav(_) => write!(f, "the audio's WAV header cannot be read"),
            TranscodeError::Rate(_) => write!(f, "the audio's sample rate is not supported"),
            TranscodeError::Channels(channels) => write!(f, "the audio has {channels} channels instead of one or two"),
        }
    }
}

impl Error for TranscodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            TranscodeError::Wav(error) => Some(error),
            TranscodeError::Rate(error) => Some(error),
            TranscodeError::Channels(_) => None,
        }
    }
}

impl From<WavError> for TranscodeError {
    fn from(error: WavError) -> Self {
        TranscodeError::Wav(error)
    }
}

impl From<UnsupportedRate> for TranscodeError {
    fn from(error: UnsupportedRate) -> Self {
        TranscodeError::Rate(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::{wav_header, write_wav};
    use crate::audio::{MULAW_SILENCE, g711};
    use proptest::prelude::*;

    const fn format(encoding: Encoding, sample_rate: u32) -> AudioFormat {
        AudioFormat { encoding, sample_rate }
    }

    fn in_chunks<'a>(
        declared: AudioFormat,
        chunks: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<u8>, TranscodeError> {
        let (mut converter, mut out) = (ToMulaw::new(declared), Vec::new());
        for chunk in chunks {
            converter.push(chunk, &mut out)?;
        }
        converter.finish(&mut out)?;
        Ok(out)
    }

    fn little_endian(samples: &[i16]) -> Vec<u8> {
        samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    #[test]
    fn mulaw_at_8000_passes_untouched_with_a_header_or_without() {
        let mulaw: Vec<u8> = (0..=u8::MAX).collect();
        let telephone = AudioFormat::TELEPHONE;
        assert_eq!(to_mulaw(telephone, &mulaw).unwrap(), mulaw);
        assert_eq!(to_mulaw(telephone, &write_wav(1, telephone, &mulaw)).unwrap(), mulaw);
        assert_eq!(to_mulaw(format(Encoding::Mulaw, 0), &mulaw).unwrap(), mulaw);
    }

    #[test]
    fn mulaw_that_looks_like_a_header_at_first_is_not_lost() {
        for mulaw in [&b"R"[..], b"RIFF", b"RIFF1234WAV", b"RIFF1234WAVy, and on it goes"] {
            assert_eq!(to_mulaw(AudioFormat::TELEPHONE, mulaw).unwrap(), mulaw);
            assert_eq!(in_chunks(AudioFormat::TELEPHONE, mulaw.chunks(1)).unwrap(), mulaw);
        }
    }

    #[test]
    fn mulaw_is_not_held_back() {
        let (mut converter, mut out) = (ToMulaw::new(AudioFormat::TELEPHONE), Vec::new());
        converter.push(&[MULAW_SILENCE], &mut out).unwrap();
        assert_eq!(out, [MULAW_SILENCE]);
    }

    #[test]
    fn the_header_wins_over_what_was_declared() {
        let file = write_wav(1, AudioFormat::TELEPHONE, &[1, 2, 3]);
        assert_eq!(to_mulaw(format(Encoding::Linear16, 24000), &file).unwrap(), [1, 2, 3]);
        let file = write_wav(1, format(Encoding::Linear16, 8000), &little_endian(&[0, 32124, -32124]));
        assert_eq!(to_mulaw(AudioFormat::TELEPHONE, &file).unwrap(), [0xFF, 0x80, 0x00]);
    }

    #[test]
    fn alaw_becomes_mulaw() {
        let alaw: Vec<u8> = (0..=u8::MAX).collect();
        let mulaw: Vec<u8> = alaw.iter().map(|&code| g711::alaw_to_mulaw(code)).collect();
        for rate in [0, 8000] {
            assert_eq!(to_mulaw(format(Encoding::Alaw, rate), &alaw).unwrap(), mulaw);
        }
    }

    #[test]
    fn linear_at_8000_is_encoded_sample_by_sample() {
        let bytes = little_endian(&[0, 32767, -32768, 8]);
        let declared = format(Encoding::Linear16, 8000);
        assert_eq!(to_mulaw(declared, &bytes).unwrap(), [0xFF, 0x80, 0x00, 0xFE]);
        assert_eq!(in_chunks(declared, bytes.chunks(3)).unwrap(), [0xFF, 0x80, 0x00, 0xFE]);
    }

    #[test]
    fn half_a_sample_at_the_end_is_dropped() {
        let declared = format(Encoding::Linear16, 8000);
        assert_eq!(to_mulaw(declared, &[0, 0, 9]).unwrap(), [0xFF]);
        let (mut converter, mut out) = (ToMulaw::new(declared), Vec::new());
        converter.push(&[0, 0, 9], &mut out).unwrap();
        converter.finish(&mut out).unwrap();
        converter.push(&[0, 0], &mut out).unwrap();
        assert_eq!(out, [0xFF, 0xFF]);
    }

    #[test]
    fn every_usual_rate_keeps_its_length_in_time() {
        for rate in [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000] {
            for encoding in [Encoding::Linear16, Encoding::Mulaw, Encoding::Alaw] {
                let second = vec![0x55; rate as usize * usize::from(encoding.bytes_per_sample())];
                assert_eq!(to_mulaw(format(encoding, rate), &second).unwrap().len(), 8000, "{encoding:?} {rate}");
            }
        }
    }

    #[test]
    fn parts_with_a_header_each_join_without_a_gap() {
        let declared = format(Encoding::Linear16, 24000);
        let samples: Vec<i16> = (0..960).map(|n| n * 30).collect();
        let bytes = little_endian(&samples);
        let parts: Vec<u8> = bytes.chunks(640).flat_map(|part| write_wav(1, declared, part)).collect();
        assert_eq!(to_mulaw(declared, &parts).unwrap(), to_mulaw(declared, &bytes).unwrap());
    }

    #[test]
    fn a_part_in_another_format_follows_the_whole_of_the_first() {
        let linear = format(Encoding::Linear16, 24000);
        let first = write_wav(1, linear, &little_endian(&[1000; 240]));
        let mut expected = to_mulaw(linear, &first).unwrap();
        expected.extend_from_slice(&[1, 2, 3]);
        let both = [first, write_wav(1, AudioFormat::TELEPHONE, &[1, 2, 3])].concat();
        assert_eq!(to_mulaw(linear, &both).unwrap(), expected);
    }

    #[test]
    fn a_wav_that_is_cut_short_is_played_as_far_as_it_goes() {
        let declared = format(Encoding::Linear16, 8000);
        let file = [wav_header(1, declared, 1000), vec![0, 0, 0, 0]].concat();
        assert_eq!(to_mulaw(declared, &file).unwrap(), [0xFF, 0xFF]);
    }

    #[test]
    fn audio_that_cannot_be_played_is_refused_by_name() {
        let declared = format(Encoding::Linear16, 24000);
        let surround = to_mulaw(declared, &write_wav(6, declared, &[0; 24])).unwrap_err();
        assert_eq!(surround, TranscodeError::Channels(6));
        assert_eq!(surround.to_string(), "the audio has 6 channels instead of one or two");
        let unsupported = UnsupportedRate { from_hz: 96000, to_hz: 8000 };
        let fast = write_wav(1, format(Encoding::Linear16, 96000), &[0; 8]);
        assert_eq!(to_mulaw(declared, &fast), Err(TranscodeError::Rate(unsupported)));
        let unsupported = UnsupportedRate { from_hz: 0, to_hz: 8000 };
        assert_eq!(to_mulaw(format(Encoding::Linear16, 0), &[0; 8]), Err(TranscodeError::Rate(unsupported)));
        let header = wav_header(1, declared, 1000);
        assert_eq!(to_mulaw(declared, &header[..30]), Err(TranscodeError::Wav(WavError::Truncated)));
        assert!(TranscodeError::Wav(WavError::Truncated).source().is_some());
    }

    /// Interleaves the channels of a WAV.
    fn in_turns(left: &[i16], right: &[i16]) -> Vec<i16> {
        left.iter().zip(right).flat_map(|(left, right)| [*left, *right]).collect()
    }

    #[test]
    fn two_channels_are_mixed_to_one_before_all_else() {
        let left: Vec<i16> = (0..480).map(|n| n * 60).collect();
        let right: Vec<i16> = (0..480).map(|n| 9000 - n * 30).collect();
        let mean: Vec<i16> = left.iter().zip(&right).map(|(left, right)| i16::midpoint(*left, *right)).collect();
        for rate in [8000, 24000, 44100] {
            let linear = format(Encoding::Linear16, rate);
            let stereo = write_wav(2, linear, &little_endian(&in_turns(&left, &right)));
            let mono = write_wav(1, linear, &little_endian(&mean));
            assert_eq!(to_mulaw(AudioFormat::TELEPHONE, &stereo), to_mulaw(linear, &mono), "{rate}");
        }
    }

    #[test]
    fn two_channels_of_any_coding_give_half_as_many_samples() {
        for encoding in [Encoding::Linear16, Encoding::Mulaw, Encoding::Alaw] {
            for rate in [8000, 16000] {
                let second = vec![0x55; 2 * rate as usize * usize::from(encoding.bytes_per_sample())];
                let (one, two) = (format(encoding, rate), write_wav(2, format(encoding, rate), &second));
                let mono = to_mulaw(one, &second[second.len() / 2..]).unwrap();
                assert_eq!(to_mulaw(one, &two).unwrap(), mono, "{encoding:?} {rate}: both channels are the same");
            }
        }
    }

    #[test]
    fn parts_with_one_channel_and_with_two_follow_each_other_and_half_a_pair_is_dropped() {
        let linear = format(Encoding::Linear16, 8000);
        let pairs = little_endian(&[1000, 3000, 2000, 2000, 9999]);
        let parts =
            [write_wav(2, linear, &pairs), write_wav(2, linear, &pairs[..4]), write_wav(1, linear, &pairs[..2])];
        let expected = little_endian(&[2000, 2000, 2000, 1000]);
        assert_eq!(to_mulaw(linear, &parts.concat()), to_mulaw(linear, &expected));
    }

    #[test]
    fn an_error_stays_until_a_reset() {
        let (mut converter, mut out) = (ToMulaw::new(format(Encoding::Mulaw, 9000)), Vec::new());
        let error = converter.push(&[1], &mut out).unwrap_err();
        assert_eq!(converter.push(&[], &mut out), Err(error));
        converter.reset();
        converter.push(&write_wav(1, AudioFormat::TELEPHONE, &[5]), &mut out).unwrap();
        assert_eq!(out, [5]);
    }

    #[test]
    fn a_reset_forgets_audio_and_header() {
        let declared = format(Encoding::Linear16, 24000);
        let (mut converter, mut out) = (ToMulaw::new(declared), Vec::new());
        converter.push(&write_wav(1, AudioFormat::TELEPHONE, &[5; 30])[..70], &mut out).unwrap();
        converter.reset();
        out.clear();
        let bytes = little_endian(&[3000; 500]);
        converter.push(&bytes, &mut out).unwrap();
        converter.finish(&mut out).unwrap();
        assert_eq!(out, to_mulaw(declared, &bytes).unwrap());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

        #[test]
        fn chunks_give_what_the_whole_gives(
            encoding in prop::sample::select(&[Encoding::Linear16, Encoding::Mulaw, Encoding::Alaw][..]),
            rate in prop::sample::select(&[8000_u32, 11025, 16000, 22050, 24000, 48000][..]),
            channels in 0_u16..=2,
            audio in prop::collection::vec(any::<u8>(), 0..1200),
            sizes in prop::collection::vec(0_usize..200, 1..20),
        ) {
            let declared = format(encoding, rate);
            // 0: without a header.
            let bytes = if channels > 0 { write_wav(channels, declared, &audio) } else { audio };
            let (mut chunks, mut rest) = (Vec::new(), &bytes[..]);
            for size in sizes {
                let (chunk, later) = rest.split_at(size.min(rest.len()));
                chunks.push(chunk);
                rest = later;
            }
            chunks.push(rest);
            prop_assert_eq!(in_chunks(declared, chunks), to_mulaw(declared, &bytes));
        }

        #[test]
        fn no_bytes_make_it_panic(
            encoding in prop::sample::select(&[Encoding::Linear16, Encoding::Mulaw, Encoding::Alaw][..]),
            rate in prop::sample::select(&[0_u32, 8000, 9000, 24000, 44100][..]),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = to_mulaw(format(encoding, rate), &bytes);
            let _ = in_chunks(format(encoding, rate), [&b"RIFF....WAVE"[..], &bytes[..]]);
            let _ = in_chunks(format(encoding, rate), [&write_wav(1, format(encoding, rate), &[1; 4])[..], &bytes[..]]);
        }
    }
}
