//! Reads the files of a zip archive: those of an agent's export.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;

/// The largest file that is taken out, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Takes a file of an export: its name within the export, and its bytes.
pub(super) type Each<'a> = dyn FnMut(&str, &[u8]) -> Result<(), String> + 'a;

/// Calls `each` with the name and the bytes of every file that `is_wanted`.
///
/// # Errors
/// A sentence that says what is wrong with the archive, or the one of `each`.
pub(super) fn files(zip: &[u8], is_wanted: impl Fn(&str) -> bool, each: &mut Each<'_>) -> Result<(), String> {
    let broken = |error: zip::result::ZipError| format!("the zip archive cannot be read: {error}");
    let mut archive = ZipArchive::new(Cursor::new(zip)).map_err(broken)?;
    for place in 0..archive.len() {
        let file = archive.by_index(place).map_err(broken)?;
        let name = file.name().map_err(broken)?.into_owned();
        if file.is_dir() || !is_wanted(&name) {
            continue;
        }
        let mut bytes = Vec::new();
        let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| format!("{name}: {error}"))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(format!("{name}: it has more than {} MiB", MAX_FILE_BYTES >> 20));
        }
        each(&name, &bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;

    /// `a.json` stored and `b/c.json` deflated.
    fn archive() -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let files = [
            ("a.json", CompressionMethod::Stored, "{}"),
            ("b/c.json", CompressionMethod::Deflated, "{\"b\":1}"),
            ("notes.txt", CompressionMethod::Stored, "no"),
        ];
        for (name, method, text) in files {
            zip.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn read(zip: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
        let mut all = Vec::new();
        let mut each = |name: &str, bytes: &[u8]| -> Result<(), String> {
            all.push((name.to_owned(), bytes.to_vec()));
            Ok(())
        };
        files(zip, |name| name.ends_with(".json"), &mut each)?;
        Ok(all)
    }

    #[test]
    fn stored_and_deflated_files_are_read() {
        let all = read(&archive()).unwrap();
        assert_eq!(all, [("a.json".to_owned(), b"{}".to_vec()), ("b/c.json".to_owned(), b"{\"b\":1}".to_vec())]);
    }

    #[test]
    fn an_archive_that_is_cut_is_told_and_a_wrong_byte_is_no_panic() {
        let whole = archive();
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "{cut}");
        }
        for at in 0..whole.len() {
            let mut wrong = whole.clone();
            wrong[at] ^= 0xFF;
            let _ = read(&wrong);
        }
    }
}
