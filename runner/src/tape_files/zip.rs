//! An archive of a few files, stored and not compressed: audio in mu-law hardly gets smaller.

use std::io::{Cursor, Write as _};

use zip::result::ZipResult;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// An archive of these files, by their paths.
///
/// # Errors
/// If a path or a file is longer than the format allows.
pub(super) fn zip(files: &[(String, Vec<u8>)]) -> ZipResult<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in files {
        // A tape has no date: the files have the first day that the format knows.
        archive.start_file(path, SimpleFileOptions::default().compression_method(CompressionMethod::Stored))?;
        archive.write_all(content)?;
    }
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use zip::ZipArchive;

    use super::*;

    #[test]
    fn each_file_is_there_whole_and_the_same_files_give_the_same_archive() {
        let files = [("a/ä.toml".to_owned(), b"name".to_vec()), ("a/b.wav".to_owned(), vec![7; 300])];
        let bytes = zip(&files).unwrap();
        assert_eq!(bytes, zip(&files).unwrap());
        let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
        for (path, content) in files {
            let mut read = Vec::new();
            archive.by_name(&path).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, content, "{path}");
        }
    }
}
