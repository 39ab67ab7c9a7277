//! Reads files that a command line names, none longer than its kind can be.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The longest tape that is read, in bytes.
pub(crate) const MAX_TAPE_BYTES: u64 = 256 << 20;

/// The bytes of a file of at most that many bytes.
///
/// # Errors
/// A sentence with its path: it cannot be read, or is too long.
pub(crate) fn bytes(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let told = |error: io::Error| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    File::open(path).map_err(told)?.take(max_bytes + 1).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() as u64 > max_bytes {
        return Err(format!("{}: it has more than {} MiB", path.display(), max_bytes >> 20));
    }
    Ok(bytes)
}

/// The text of a file of at most that many bytes.
///
/// # Errors
/// The same, or it is no text.
pub(crate) fn text(path: &Path, max_bytes: u64) -> Result<String, String> {
    String::from_utf8(bytes(path, max_bytes)?).map_err(|_| format!("{}: it is no text in UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_a_longer_one_is_told() {
        let path = std::env::temp_dir().join(format!("dialbridge-files-{}", std::process::id()));
        std::fs::write(&path, vec![b'a'; 2 << 20]).unwrap();
        let (whole, cut) = (text(&path, 2 << 20), bytes(&path, 1 << 20));
        std::fs::write(&path, [0xFF]).unwrap();
        let other = text(&path, 1 << 20).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(whole.unwrap().len(), 2 << 20);
        assert!(cut.unwrap_err().ends_with(": it has more than 1 MiB"));
        assert!(other.ends_with("it is no text in UTF-8"), "{other}");
        assert!(text(&path, 1).unwrap_err().contains("No such file"));
    }
}
