//! The parts of an agent, from its export: a CX JSON package or an ES export, as a zip or as a folder.
//!
//! CX: `flows/FLOW/FLOW.json`, `flows/FLOW/pages/PAGE.json`, `intents/INTENT/INTENT.json`
//! (<https://docs.cloud.google.com/dialogflow/cx/docs/concept/agent#export>). ES: `intents/INTENT.json`, beside
//! `INTENT_usersays_LANGUAGE.json` (<https://docs.cloud.google.com/dialogflow/es/docs/agents-settings#export>).

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::part::Part;
use super::zip::{self, Each};
use crate::files;

/// The largest export that is read, in bytes.
const MAX_BYTES: u64 = 512 << 20;

/// How deep the folders of an export are.
const MAX_DEPTH: usize = 8;

/// How many files of an export are read.
const MAX_FILES: usize = 50_000;

/// The largest file of an export, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// The parts of an agent.
#[derive(Debug, Default)]
pub(super) struct Export {
    pub(super) parts: Vec<Part>,
    /// Routes that depend on a condition alone: no answer says which one was taken.
    pub(super) conditions: usize,
}

impl Export {
    /// Reads an export.
    ///
    /// # Errors
    /// A sentence that says why it cannot be read.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let mut export = Self::default();
        let mut room = Room { files: MAX_FILES, bytes: MAX_BYTES };
        let mut each = |name: &str, bytes: &[u8]| -> Result<(), String> {
            room.take(bytes.len() as u64)?;
            let file = serde_json::from_slice(bytes).map_err(|error| format!("{name}: {error}"))?;
            export.file(name, &file);
            Ok(())
        };
        if fs::metadata(path).map_err(|error| told(&error))?.is_dir() {
            folder(path, path, MAX_DEPTH, &mut each).map_err(|why| told(&why))?;
        } else {
            let zip = files::bytes(path, MAX_BYTES)?;
            zip::files(&zip, |name| name.ends_with(".json"), &mut each).map_err(|why| told(&why))?;
        }
        if export.parts.is_empty() {
            let what = "it has no flows/ and no intents/: give a CX JSON package or an ES export, as a zip or a folder. \
                        The export of a CES app is not read: its answers do not name the parts that they come from";
            return Err(told(&what));
        }
        export.parts.sort();
        export.parts.dedup();
        Ok(export)
    }

    fn file(&mut self, name: &str, file: &Value) {
        let path: Vec<&str> = name.split('/').collect();
        // A package may lie in a folder of its own.
        let from = path.iter().position(|part| matches!(*part, "flows" | "intents")).unwrap_or(path.len());
        let display = |or: &str| file["displayName"].as_str().unwrap_or(or.trim_end_matches(".json")).to_owned();
        match path[from..] {
            ["flows", folder, last] if last.trim_end_matches(".json") == folder => {
                let flow = display(folder);
                self.parts.push(Part::Flow(flow.clone()));
                self.handlers(&flow, "", file);
            }
            ["flows", flow, "pages", page] => {
                let (flow, page) = (flow.to_owned(), display(page));
                self.parts.push(Part::Page(flow.clone(), page.clone()));
                self.handlers(&flow, &page, file);
            }
            ["intents", folder, last] if last.trim_end_matches(".json") == folder => {
                self.parts.push(Part::Intent(display(folder)));
            }
            ["intents", last] if !last.contains("_usersays_") => {
                let name = file["name"].as_str().unwrap_or(last.trim_end_matches(".json"));
                self.parts.push(Part::Intent(name.to_owned()));
            }
            _ => {}
        }
    }

    /// The routes and event handlers of a flow or of a page.
    fn handlers(&mut self, flow: &str, page: &str, file: &Value) {
        for route in file["transitionRoutes"].as_array().into_iter().flatten() {
            match route["intent"].as_str().filter(|intent| !intent.is_empty()) {
                Some(intent) => self.parts.push(Part::Route(flow.to_owned(), page.to_owned(), intent.to_owned())),
                None => self.conditions += 1,
            }
        }
        for handler in file["eventHandlers"].as_array().into_iter().flatten() {
            if let Some(event) = handler["event"].as_str() {
                self.parts.push(Part::Event(flow.to_owned(), page.to_owned(), event.to_owned()));
            }
        }
    }
}

/// How much of an export may still be read.
struct Room {
    files: usize,
    bytes: u64,
}

impl Room {
    /// Takes the room of a file.
    fn take(&mut self, bytes: u64) -> Result<(), String> {
        let left = self.files.checked_sub(1).zip(self.bytes.checked_sub(bytes));
        (self.files, self.bytes) = left.ok_or_else(|| {
            format!("it has more than {MAX_FILES} files or {} MiB of JSON, too many for an export", MAX_BYTES >> 20)
        })?;
        Ok(())
    }
}

fn folder(root: &Path, folder_path: &Path, depth: usize, each: &mut Each<'_>) -> Result<(), String> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    let told = |error: std::io::Error| error.to_string();
    for entry in fs::read_dir(folder_path).map_err(told)? {
        let entry = entry.map_err(told)?;
        let (kind, path) = (entry.file_type().map_err(told)?, entry.path());
        if kind.is_dir() {
            folder(root, &path, depth, each)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.strip_prefix(root).unwrap_or(&path);
            let name = name.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
            each(&name, &files::bytes(&path, MAX_FILE_BYTES)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_read_up_to_a_limit_of_all_its_files_together() {
        let mut room = Room { files: 3, bytes: 100 };
        assert_eq!((room.take(60), room.take(40)), (Ok(()), Ok(())));
        assert!(room.take(1).unwrap_err().contains("too many for an export"));
        assert!(Room { files: 0, bytes: 100 }.take(1).is_err());
    }
}
