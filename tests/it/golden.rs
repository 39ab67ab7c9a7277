//! Expected output, in files under `golden/`. `UPDATE_GOLDEN=1` writes them again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder of this crate.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Compares with a file. For text, it reports the first line that differs.
pub(crate) fn expect(file: &Path, actual: &[u8]) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, actual).unwrap();
        return;
    }
    let expected =
        fs::read(file).unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", file.display()));
    if expected == actual {
        return;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (expected_text, actual_text) = (text(&expected), text(actual));
    let difference = expected_text.lines().zip(actual_text.lines()).find(|(expected, actual)| expected != actual);
    match difference.filter(|_| file.extension().is_some_and(|kind| kind != "wav")) {
        Some((expected, actual)) => panic!("{}\nexpected {expected}\nactual   {actual}", file.display()),
        None => {
            let at = expected.iter().zip(actual).position(|(expected, actual)| expected != actual);
            panic!("{}: {} and {} bytes, different from byte {at:?} on", file.display(), expected.len(), actual.len())
        }
    }
}

/// The names of the files in a folder, without their extension.
pub(crate) fn stems(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect()
}
