//! An archive of a few small files, stored and not compressed: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and
//! 4.3.16. Everybody's computer opens one by a double click.

/// The version that is needed to unpack: 1.0, for files that are stored.
const VERSION: u16 = 10;

/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;

/// 1 January 1980, the first day that the format knows. A tape has no date.
const DATE: u16 = (1 << 5) | 1;

/// An archive of these files, by their paths. Together they have less than 4 GiB, and no path has 64 KiB.
pub(super) fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (path, content) in files {
        let offset = size(archive.len());
        let described = described(path, content);
        archive.extend_from_slice(b"PK\x03\x04");
        archive.extend_from_slice(&described);
        archive.extend_from_slice(path.as_bytes());
        archive.extend_from_slice(content);
        directory.extend_from_slice(b"PK\x01\x02");
        directory.extend_from_slice(&VERSION.to_le_bytes());
        directory.extend_from_slice(&described);
        // No comment, on disk 0, no attributes.
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(path.as_bytes());
    }
    let (begins, bytes) = (size(archive.len()), size(directory.len()));
    archive.append(&mut directory);
    let count = u16::try_from(files.len()).unwrap_or(u16::MAX).to_le_bytes();
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    archive.extend_from_slice(&[count, count].concat());
    archive.extend_from_slice(&[bytes.to_le_bytes(), begins.to_le_bytes()].concat());
    archive.extend_from_slice(&[0; 2]);
    archive
}

/// The fields that a file's own header and the directory have in common.
fn described(path: &str, content: &[u8]) -> Vec<u8> {
    let name = u16::try_from(path.len()).unwrap_or(u16::MAX);
    let shorts = |shorts: &[u16]| shorts.iter().flat_map(|short| short.to_le_bytes()).collect::<Vec<u8>>();
    let bytes = size(content.len()).to_le_bytes();
    [
        shorts(&[VERSION, FLAGS, 0, 0, DATE]),
        crc32(content).to_le_bytes().to_vec(),
        [bytes, bytes].concat(),
        shorts(&[name, 0]),
    ]
    .concat()
}

fn size(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// CRC-32 of ISO 3309, a bit at a time: the files are small.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn the_directory_at_the_end_leads_to_each_file() {
        let archive = zip(&[("a/ä.toml".to_owned(), b"name".to_vec()), ("a/b.wav".to_owned(), vec![7; 300])]);
        let word = |at: usize| u32::from_le_bytes(archive[at..at + 4].try_into().unwrap()) as usize;
        let end = archive.len() - 22;
        assert_eq!((&archive[end..end + 4], archive[end + 10]), (&b"PK\x05\x06"[..], 2));
        let first = word(end + 16);
        let second = first + 46 + "a/ä.toml".len();
        assert_eq!(second + 46 + "a/b.wav".len(), end, "the directory has two entries and nothing else");
        for (entry, path, content) in [(first, "a/ä.toml", &b"name"[..]), (second, "a/b.wav", &[7; 300])] {
            let local = word(entry + 42) + 30;
            assert_eq!((&archive[entry..entry + 4], word(entry + 24)), (&b"PK\x01\x02"[..], content.len()));
            assert_eq!(&archive[entry + 46..][..path.len()], path.as_bytes());
            assert_eq!(archive[local..][..path.len() + content.len()], *[path.as_bytes(), content].concat());
        }
    }
}
