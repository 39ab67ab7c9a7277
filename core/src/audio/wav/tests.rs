use super::*;
use crate::audio::Encoding;
use proptest::prelude::*;

const PCM_24000: AudioFormat = AudioFormat { encoding: Encoding::Linear16, sample_rate: 24000 };
const ALAW_8000: AudioFormat = AudioFormat { encoding: Encoding::Alaw, sample_rate: 8000 };

/// The output of a reader.
#[derive(Debug, Default, PartialEq)]
struct Reading {
    headers: Vec<WavHeader>,
    headerless: bool,
    audio: Vec<u8>,
    end: Option<WavEnd>,
}

fn read_in<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Reading, WavError> {
    let (mut reader, mut reading) = (WavReader::new(), Reading::default());
    for mut chunk in chunks {
        while let Some(event) = reader.read(&mut chunk)? {
            match event {
                WavEvent::Headerless(held) => {
                    reading.headerless = true;
                    reading.audio.extend_from_slice(held.as_slice());
                }
                WavEvent::Header(header) => reading.headers.push(header),
                WavEvent::Data(data) => {
                    assert!(!data.is_empty());
                    reading.audio.extend_from_slice(data);
                }
            }
        }
        assert!(chunk.is_empty());
    }
    reading.end = Some(match reader.finish()? {
        WavEnd::Headerless(held) => {
            reading.audio.extend_from_slice(held.as_slice());
            reading.headerless = true;
            WavEnd::Wav { truncated: false }
        }
        end => end,
    });
    Ok(reading)
}

/// Reads the bytes whole, one by one, and cut in two at every position. All must give the same.
fn read(bytes: &[u8]) -> Result<Reading, WavError> {
    let whole = read_in([bytes]);
    assert_eq!(read_in(bytes.chunks(1)), whole);
    for at in 0..bytes.len().min(120) {
        let (front, rest) = bytes.split_at(at);
        assert_eq!(read_in([front, rest]), whole, "cut at {at}");
    }
    whole
}

fn truncated(reading: &Reading) -> bool {
    reading.end == Some(WavEnd::Wav { truncated: true })
}

fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = id.to_vec();
    chunk.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
    chunk.extend_from_slice(body);
    chunk.resize(chunk.len() + body.len() % 2, 0);
    chunk
}

fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_le_bytes());
    bytes.extend_from_slice(b"WAVE");
    bytes.extend_from_slice(&body);
    bytes
}

/// The body of a `fmt ` chunk of 16 bytes.
fn format_body(tag: u16, channels: u16, rate: u32, align: u16, bits: u16) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&tag.to_le_bytes());
    body.extend_from_slice(&channels.to_le_bytes());
    body.extend_from_slice(&rate.to_le_bytes());
    body.extend_from_slice(&(rate.wrapping_mul(u32::from(align))).to_le_bytes());
    body.extend_from_slice(&align.to_le_bytes());
    body.extend_from_slice(&bits.to_le_bytes());
    body
}

fn extensible_body(subformat: u16, bits: u16) -> Vec<u8> {
    let mut body = format_body(0xFFFE, 1, 8000, bits / 8, bits);
    body.extend_from_slice(&22_u16.to_le_bytes());
    body.extend_from_slice(&bits.to_le_bytes());
    body.extend_from_slice(&4_u32.to_le_bytes());
    body.extend_from_slice(&subformat.to_le_bytes());
    body.extend_from_slice(&[0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]);
    body
}

fn pcm_16000() -> Vec<u8> {
    chunk(b"fmt ", &format_body(1, 1, 16000, 2, 16))
}

fn refusal_of(format: &[u8]) -> WavError {
    read(&riff(&[chunk(b"fmt ", format), chunk(b"data", &[1, 2, 3, 4])])).unwrap_err()
}

#[test]
fn what_is_written_is_read_back() {
    for (format, header_bytes) in [(PCM_24000, 44), (AudioFormat::TELEPHONE, 58), (ALAW_8000, 58)] {
        let file = write_wav(1, format, &[1, 2, 3, 4]);
        assert_eq!(file.len(), header_bytes + 4);
        let reading = read(&file).unwrap();
        assert_eq!(reading.headers, [WavHeader { format, channels: 1, data_bytes: Some(4) }]);
        assert_eq!(reading.audio, [1, 2, 3, 4]);
        assert!(!truncated(&reading));
        assert_eq!(read_wav(&file), Ok(Wav { format, channels: 1, data: &[1, 2, 3, 4], truncated: false }));
    }
}

#[test]
fn stereo_is_reported_for_the_caller_to_judge() {
    let file = write_wav(2, PCM_24000, &[1, 2, 3, 4]);
    assert_eq!(read_wav(&file).unwrap().channels, 2);
}

#[test]
fn audio_without_a_header_is_handed_out_from_its_first_byte() {
    for bytes in
        [&b""[..], b"R", b"RIF", b"RIFFabcdWAV", b"RIFFabcdWAVX and more", b"\xFF\xFF\xFF\xFF", b"RIFFabcdAVI LIST"]
    {
        let reading = read(bytes).unwrap();
        assert_eq!(reading.audio, bytes);
        assert!(reading.headers.is_empty());
        assert!(reading.headerless);
    }
}

#[test]
fn the_first_byte_can_tell_that_there_is_no_header() {
    let (mut reader, mut input) = (WavReader::new(), &[0xFF_u8, 1, 2][..]);
    let Ok(Some(WavEvent::Headerless(held))) = reader.read(&mut input) else { panic!("no event") };
    assert_eq!([held.as_slice(), input].concat(), [0xFF, 1, 2]);
}

#[test]
fn other_chunks_are_skipped_with_their_pad_bytes() {
    let file = riff(&[
        chunk(b"JUNK", &[9; 27]),
        chunk(b"bext", &[]),
        pcm_16000(),
        chunk(b"fact", &[2, 0, 0, 0]),
        chunk(b"LIST", b"INFOISFT\x05\0\0\0sox\0\0"),
        chunk(b"data", &[1, 2, 3, 4]),
    ]);
    assert_eq!(read(&file).unwrap().audio, [1, 2, 3, 4]);
}

#[test]
fn what_follows_the_audio_is_not_heard() {
    for after in [chunk(b"LIST", b"INFO, or what a tagger adds"), b"garbage".to_vec(), chunk(b"data", &[9; 6])] {
        let file = [riff(&[pcm_16000(), chunk(b"data", &[1, 2])]), after].concat();
        let reading = read(&file).unwrap();
        assert_eq!(reading.audio, [1, 2]);
        assert!(!truncated(&reading));
    }
}

#[test]
fn the_pad_byte_after_odd_audio_is_not_heard() {
    let file = write_wav(1, AudioFormat::TELEPHONE, &[1, 2, 3]);
    assert_eq!(file.len(), 58 + 4);
    assert_eq!(read(&file).unwrap().audio, [1, 2, 3]);
}

#[test]
fn a_second_wav_in_the_stream_is_read_too() {
    let file = [write_wav(1, AudioFormat::TELEPHONE, &[1, 2, 3]), write_wav(1, ALAW_8000, &[4, 5])].concat();
    let reading = read(&file).unwrap();
    assert_eq!(reading.audio, [1, 2, 3, 4, 5]);
    assert_eq!(
        reading.headers.iter().map(|header| header.format).collect::<Vec<_>>(),
        [AudioFormat::TELEPHONE, ALAW_8000]
    );
    assert_eq!(read_wav(&file).unwrap().data, [1, 2, 3]);
}

#[test]
fn a_size_that_was_left_open_reaches_to_the_end() {
    for size in [0, 0x7FFF_F000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF_u32] {
        let mut file = riff(&[pcm_16000()]);
        file[4..8].copy_from_slice(&size.to_le_bytes());
        file.extend_from_slice(b"data");
        file.extend_from_slice(&size.to_le_bytes());
        file.extend_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        let reading = read(&file).unwrap();
        assert_eq!(reading.audio, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "{size:#x}");
        assert_eq!(reading.headers[0].data_bytes, None);
        assert!(!truncated(&reading));
    }
}

#[test]
fn a_file_that_is_cut_short_gives_what_there_is_and_says_so() {
    let file = write_wav(1, PCM_24000, &[1, 2, 3, 4]);
    let reading = read(&file[..46]).unwrap();
    assert_eq!(reading.audio, [1, 2]);
    assert!(truncated(&reading));
    assert_eq!(read_wav(&file[..46]), Ok(Wav { format: PCM_24000, channels: 1, data: &[1, 2], truncated: true }));
    assert_eq!(read_wav(&file[..44]), Ok(Wav { format: PCM_24000, channels: 1, data: &[], truncated: true }));
    for at in 12..44 {
        assert_eq!(read(&file[..at]).unwrap_err(), WavError::Truncated);
        assert_eq!(read_wav(&file[..at]), Err(WavError::Truncated));
    }
    assert_eq!(read_wav(&file[..11]), Err(WavError::NotWav));
}

#[test]
fn an_empty_wav_is_a_wav() {
    let file = write_wav(1, PCM_24000, &[]);
    assert_eq!(read_wav(&file), Ok(Wav { format: PCM_24000, channels: 1, data: &[], truncated: false }));
}

#[test]
fn extensible_formats_are_read_as_what_they_extend() {
    for (subformat, bits, encoding) in [(1, 16, Encoding::Linear16), (6, 8, Encoding::Alaw), (7, 8, Encoding::Mulaw)] {
        let file = riff(&[chunk(b"fmt ", &extensible_body(subformat, bits)), chunk(b"data", &[1, 2])]);
        assert_eq!(read(&file).unwrap().headers[0].format, AudioFormat { encoding, sample_rate: 8000 });
    }
}

#[test]
fn a_longer_fmt_chunk_is_no_trouble() {
    for extra in [1, 2, 24, 25, 100] {
        let mut body = format_body(1, 1, 16000, 2, 16);
        body.resize(16 + extra, 0xAB);
        let file = riff(&[chunk(b"fmt ", &body), chunk(b"data", &[1, 2])]);
        assert_eq!(read(&file).unwrap().audio, [1, 2]);
    }
}

#[test]
fn other_formats_are_refused_by_name() {
    let unsupported = |what, found| WavError::Unsupported { what, found };
    assert_eq!(refusal_of(&format_body(3, 1, 8000, 4, 32)), unsupported("format tag", 3));
    assert_eq!(refusal_of(&format_body(1, 1, 8000, 1, 8)), unsupported("bits per sample", 8));
    assert_eq!(refusal_of(&format_body(1, 1, 8000, 3, 24)), unsupported("bits per sample", 24));
    assert_eq!(refusal_of(&format_body(7, 1, 8000, 2, 16)), unsupported("bits per sample", 16));
    assert_eq!(refusal_of(&extensible_body(3, 32)), unsupported("format tag", 3));
    let mut foreign = extensible_body(1, 16);
    foreign[39] = 0;
    assert_eq!(refusal_of(&foreign), unsupported("sub-format", 1));
    for container in ["RIFX", "RF64"] {
        let file = [container.as_bytes(), b"\0\0\0\0WAVE"].concat();
        assert_eq!(read(&file).unwrap_err(), WavError::UnsupportedContainer(container));
    }
}

#[test]
fn a_wav_that_contradicts_itself_is_refused_by_name() {
    let malformed = |what, found| WavError::Malformed { what, found };
    assert_eq!(refusal_of(&format_body(1, 0, 8000, 2, 16)), malformed("number of channels", 0));
    assert_eq!(refusal_of(&format_body(1, 1, 0, 2, 16)), malformed("sample rate", 0));
    assert_eq!(refusal_of(&format_body(1, 1, 8000, 4, 16)), malformed("block align", 4));
    assert_eq!(refusal_of(&format_body(1, u16::MAX, 8000, 4, 16)), malformed("block align", 4));
    assert_eq!(refusal_of(&format_body(1, 1, 8000, 2, 16)[..14]), malformed("size of the fmt chunk", 14));
    assert_eq!(refusal_of(&extensible_body(1, 16)[..22]), malformed("size of the extensible fmt chunk", 22));
    let file = riff(&[chunk(b"data", &[1, 2]), pcm_16000()]);
    assert_eq!(read(&file).unwrap_err(), WavError::DataBeforeFormat);
}

#[test]
fn a_header_without_end_is_refused_before_it_is_read() {
    let large = vec![0; MAX_HEADER_BYTES as usize - 100];
    let file = riff(&[chunk(b"JUNK", &large), pcm_16000(), chunk(b"data", &[1, 2])]);
    assert_eq!(read_in([&file[..]]).unwrap().audio, [1, 2]);
    let file = riff(&[chunk(b"JUNK", &large), pcm_16000(), chunk(b"JUNK", &[0; 100])]);
    assert_eq!(read_in([&file[..]]).unwrap_err(), WavError::HeaderTooLong);
    let stated = b"RIFF\0\0\0\0WAVEJUNK\xFF\xFF\xFF\xFF";
    assert_eq!(read(stated).unwrap_err(), WavError::HeaderTooLong);
    let tiny_chunks = riff(&vec![chunk(b"JUNK", &[]); 10_000]);
    assert_eq!(read_in([&tiny_chunks[..]]).unwrap_err(), WavError::HeaderTooLong);
}

#[test]
fn an_error_stays() {
    let mut reader = WavReader::new();
    let error = reader.read(&mut &b"RIFX....WAVE"[..]).unwrap_err();
    assert_eq!(reader.read(&mut &b""[..]), Err(error));
    assert_eq!(reader.read(&mut &b"RIFF"[..]), Err(error));
    assert_eq!(reader.finish(), Err(error));
}

#[test]
fn an_open_length_is_written_as_such() {
    for format in [PCM_24000, AudioFormat::TELEPHONE] {
        let file = [wav_header(1, format, u32::MAX), vec![1, 2, 3, 4]].concat();
        let reading = read(&file).unwrap();
        assert_eq!((reading.headers[0].data_bytes, &reading.audio[..]), (None, &[1, 2, 3, 4][..]));
    }
}

#[test]
fn a_mulaw_header_has_the_bytes_that_the_specification_asks_for() {
    let expected = [
        &b"RIFF\x36\0\0\0WAVE"[..],
        b"fmt \x12\0\0\0\x07\0\x01\0\x40\x1F\0\0\x40\x1F\0\0\x01\0\x08\0\0\0",
        b"fact\x04\0\0\0\x04\0\0\0",
        b"data\x04\0\0\0",
    ];
    assert_eq!(wav_header(1, AudioFormat::TELEPHONE, 4), expected.concat());
    let with_pad_byte = wav_header(1, AudioFormat::TELEPHONE, 3);
    assert_eq!((with_pad_byte[4], with_pad_byte[54]), (54, 3));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn writing_then_reading_is_the_identity(
        encoding in prop::sample::select(&[Encoding::Linear16, Encoding::Mulaw, Encoding::Alaw][..]),
        sample_rate in 1..=u32::MAX,
        channels in 1_u16..9,
        data in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let format = AudioFormat { encoding, sample_rate };
        let file = write_wav(channels, format, &data);
        prop_assert_eq!(read_wav(&file), Ok(Wav { format, channels, data: &data, truncated: false }));
    }

    #[test]
    fn chunks_give_what_the_whole_gives(
        data in prop::collection::vec(any::<u8>(), 1..200),
        sizes in prop::collection::vec(1_usize..40, 1..40),
    ) {
        let file = [write_wav(1, AudioFormat::TELEPHONE, &data), write_wav(1, PCM_24000, &data)].concat();
        let (mut chunks, mut rest) = (Vec::new(), &file[..]);
        for size in sizes {
            let (chunk, later) = rest.split_at(size.min(rest.len()));
            chunks.push(chunk);
            rest = later;
        }
        chunks.push(rest);
        prop_assert_eq!(read_in(chunks), read_in([&file[..]]));
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
    ) {
        let _ = read_in([&bytes[..]]);
        let _ = read_in([b"RIFF....WAVE", &bytes[..]]);
        // A valid file with some bytes replaced gets further.
        let mut file = write_wav(1, PCM_24000, &bytes);
        let (start, count) = (at.index(file.len()), bytes.len().min(4));
        let end = file.len().min(start + count);
        file[start..end].copy_from_slice(&bytes[..end - start]);
        let _ = (read_in([&file[..]]), read_wav(&file));
    }
}
