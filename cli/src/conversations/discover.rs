//! Finds the conversation files of a command line.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::file::MAX_FILE_BYTES;

/// How deep folders are searched.
const MAX_DEPTH: usize = 32;

/// How many files are run at most.
const MAX_FILES: usize = 10_000;

/// The files to which the paths of a command line lead.
#[derive(Debug, Default)]
pub struct Found {
    /// The files, each once, in the order of their paths.
    pub files: BTreeSet<PathBuf>,
    /// TOML files in folders that are no conversation files.
    pub others: usize,
    /// Paths that cannot be read, each with the reason.
    pub faults: Vec<(PathBuf, String)>,
}

impl Found {
    /// Looks for files there.
    #[must_use]
    pub fn of(paths: &[PathBuf]) -> Self {
        let mut found = Self::default();
        for path in paths {
            match fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => found.folder(path, MAX_DEPTH),
                Ok(_) => {
                    found.files.insert(path.clone());
                }
                Err(error) => found.faults.push((path.clone(), error.to_string())),
            }
        }
        found
    }

    /// Links to folders are not followed: they may lead round in circles.
    fn folder(&mut self, folder: &Path, depth: usize) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.faults.push((folder.to_owned(), error.to_string())),
        };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let is_hidden = name.to_string_lossy().starts_with('.');
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && !is_hidden && name != "target" {
                match depth.checked_sub(1) {
                    Some(depth) => self.folder(&path, depth),
                    None => self.faults.push((path, "its folders are nested too deep".to_owned())),
                }
            } else if !kind.is_dir() && path.extension().is_some_and(|extension| extension == "toml") {
                self.file(path);
            }
        }
    }

    fn file(&mut self, path: PathBuf) {
        if !is_conversation(&path) {
            self.others += 1;
        } else if self.files.len() < MAX_FILES {
            self.files.insert(path);
        } else {
            self.faults.push((path, format!("there are more than {MAX_FILES} files")));
        }
    }
}

/// Whether a TOML file in a folder is meant as a conversation file: it has steps, or an end. One that cannot be read may
/// be one.
fn is_conversation(path: &Path) -> bool {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let starts = ["[[step]]", "[end]", "[end.", "step=[", "steps=[", "[[steps]]"];
    let mut lines = text.lines().map(|line| line.trim_start().replace(' ', ""));
    read.is_err() || lines.any(|line| starts.iter().any(|start| line.starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toml_file_with_steps_or_an_end_is_a_conversation_and_one_with_an_endpoint_is_not() {
        let path = std::env::temp_dir().join(format!("dialbridge-discover-{}.toml", std::process::id()));
        for (text, is_one) in [
            ("name = \"a\"\n[[step]]", true),
            ("  [[ step ]]", true),
            ("[end.expect]", true),
            ("[end]", true),
            ("step = [{ dtmf = \"1\" }]", true),
            ("[[steps]]", true),
            ("[endpoint]\nurl = \"x\"", false),
            ("[endings]", false),
            ("step = 5", false),
            ("", false),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(is_conversation(&path), is_one, "{text}");
        }
        fs::remove_file(&path).unwrap();
        assert!(is_conversation(&path), "one that cannot be read is told");
    }
}
