//! Reads the files of a zip archive: those of an agent's export. Stored and deflated entries, no encryption, no zip64.

use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// The largest file that is taken out, in bytes.
const MAX_FILE_BYTES: usize = 64 << 20;

/// Takes a file of an export: its name within the export, and its bytes.
pub(super) type Each<'a> = dyn FnMut(&str, &[u8]) -> Result<(), String> + 'a;

/// Calls `each` with the name and the bytes of every file that `is_wanted`.
///
/// # Errors
/// A sentence that says what is wrong with the archive, or the one of `each`.
pub(super) fn files(zip: &[u8], is_wanted: impl Fn(&str) -> bool, each: &mut Each<'_>) -> Result<(), String> {
    let broken = || "the zip archive is broken".to_owned();
    // The end of the central directory is the last record; a comment of up to 64 KiB may follow it.
    let tail = zip.len().saturating_sub(22 + 0xFFFF);
    let end = (tail..zip.len().saturating_sub(21))
        .rev()
        .find(|at| zip[*at..].starts_with(b"PK\x05\x06"))
        .ok_or_else(broken)?;
    let count = usize::from(u16_at(zip, end + 10).ok_or_else(broken)?);
    let mut at = usize_at(zip, end + 16).ok_or_else(broken)?;
    for _ in 0..count {
        let entry = Entry::read(zip, at).ok_or_else(broken)?;
        if is_wanted(&entry.name) && !entry.name.ends_with('/') {
            each(&entry.name, &entry.bytes(zip).map_err(|why| format!("{}: {why}", entry.name))?)?;
        }
        at = entry.next;
    }
    Ok(())
}

struct Entry {
    name: String,
    method: u16,
    packed: usize,
    header: usize,
    next: usize,
}

impl Entry {
    fn read(zip: &[u8], at: usize) -> Option<Self> {
        if !zip.get(at..)?.starts_with(b"PK\x01\x02") {
            return None;
        }
        let (name, more, comment) = (u16_at(zip, at + 28)?, u16_at(zip, at + 30)?, u16_at(zip, at + 32)?);
        let name_end = at + 46 + usize::from(name);
        Some(Self {
            name: String::from_utf8_lossy(zip.get(at + 46..name_end)?).into_owned(),
            method: u16_at(zip, at + 10)?,
            packed: usize_at(zip, at + 20)?,
            header: usize_at(zip, at + 42)?,
            next: name_end + usize::from(more) + usize::from(comment),
        })
    }

    fn bytes(&self, zip: &[u8]) -> Result<Vec<u8>, String> {
        let header = self.header;
        let lengths = u16_at(zip, header + 26).zip(u16_at(zip, header + 28));
        let from = lengths.map(|(name, more)| header + 30 + usize::from(name) + usize::from(more));
        let packed = from.and_then(|from| zip.get(from..from.checked_add(self.packed)?)).ok_or("it is cut short")?;
        match self.method {
            0 => Ok(packed.to_vec()),
            8 => decompress_to_vec_with_limit(packed, MAX_FILE_BYTES).map_err(|error| error.to_string()),
            other => Err(format!("it is packed by method {other}, which is not read")),
        }
    }
}

fn u16_at(zip: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(zip.get(at..at + 2)?.try_into().ok()?))
}

fn usize_at(zip: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(zip.get(at..at + 4)?.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a.json` stored and `b/c.json` deflated, as Python's zipfile writes them.
    fn archive() -> Vec<u8> {
        let mut zip = Vec::new();
        let mut directory = Vec::new();
        let deflated = miniz_oxide::deflate::compress_to_vec(b"{\"b\":1}", 6);
        for (name, method, bytes) in [("a.json", 0_u16, b"{}".to_vec()), ("b/c.json", 8, deflated)] {
            let header = u32::try_from(zip.len()).unwrap();
            let (length, name_length) = (u32::try_from(bytes.len()).unwrap(), u16::try_from(name.len()).unwrap());
            zip.extend(b"PK\x03\x04\x14\0\0\0");
            zip.extend(method.to_le_bytes());
            zip.extend([0; 16]);
            zip.extend(name_length.to_le_bytes());
            zip.extend([0; 2]);
            zip.extend(name.bytes());
            zip.extend(&bytes);
            directory.extend(b"PK\x01\x02\x14\0\x14\0\0\0");
            directory.extend(method.to_le_bytes());
            directory.extend([0; 8]);
            directory.extend(length.to_le_bytes());
            directory.extend([0; 4]);
            directory.extend(name_length.to_le_bytes());
            directory.extend([0; 12]);
            directory.extend(header.to_le_bytes());
            directory.extend(name.bytes());
        }
        let start = u32::try_from(zip.len()).unwrap();
        zip.extend(&directory);
        zip.extend(b"PK\x05\x06\0\0\0\0\x02\0\x02\0");
        zip.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
        zip.extend(start.to_le_bytes());
        zip.extend([0; 2]);
        zip
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
    fn what_is_no_archive_or_is_cut_is_told() {
        let whole = archive();
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut]).is_err(), "{cut}");
        }
        // A wrong byte leads to an error or to other bytes, and never to a panic.
        for at in 0..whole.len() {
            let mut wrong = whole.clone();
            wrong[at] ^= 0xFF;
            let _ = read(&wrong);
        }
    }
}
