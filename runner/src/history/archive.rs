//! Finished calls in a folder, beyond this instance: `HISTORY_DIR`. A thread of its own writes, because the folder may be a
//! mounted bucket that answers late. A call that finds the thread's queue full is not kept.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::telemetry::clock::WallClock;

/// How many calls may wait to be written.
const MAX_WAITING: usize = 256;

/// How many bytes the folder's files may have together. Beyond that the oldest go.
const MAX_FOLDER_BYTES: u64 = 10 << 30;

/// The longest file that is read for the page.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// How often the folder is pruned.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);

const MS_PER_DAY: u64 = 24 * 3_600 * 1_000;

/// Where finished calls go.
#[derive(Debug)]
pub(crate) struct Archive(SyncSender<KeptCall>);

/// A call's file.
#[derive(Debug)]
struct KeptCall {
    name: String,
    text: String,
}

/// Which files stay.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    days: u64,
    max_bytes: u64,
    clock: WallClock,
}

/// A file of the archive: a call's JSON or its tape.
#[derive(Debug)]
struct OwnFile {
    /// When the call began, in milliseconds since 1970.
    began_ms: u64,
    path: PathBuf,
    bytes: u64,
}

impl Archive {
    /// Prunes the folder and starts its thread. Also returns the last calls in it, oldest first, `most` at most.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(crate) fn open(path: &Path, days: u64, clock: WallClock, most: usize) -> io::Result<(Self, Vec<Value>)> {
        let folder = Folder { path: path.to_owned(), days, max_bytes: MAX_FOLDER_BYTES, clock };
        folder.prune()?;
        let mut calls: Vec<OwnFile> =
            folder.files()?.into_iter().filter(|file| has_ending(&file.path, "json")).collect();
        let last = calls.split_off(calls.len().saturating_sub(most));
        let last = last.iter().filter_map(|file| read(&file.path)).collect();
        let (sender, waiting) = sync_channel(MAX_WAITING);
        std::thread::spawn(move || folder.keep(&waiting));
        Ok((Self(sender), last))
    }

    /// Keeps a call. Never waits.
    pub(super) fn keep(&self, call_sid: &str, began_ms: u64, text: String) {
        if self.0.try_send(KeptCall { name: format!("{call_sid}-{began_ms}.json"), text }).is_err() {
            tracing::warn!(call_sid, "HISTORY_DIR is too slow: the call is not kept there");
        }
    }
}

impl Folder {
    /// Writes calls until nobody sends any more.
    fn keep(&self, waiting: &Receiver<KeptCall>) {
        let mut pruned = Instant::now();
        loop {
            match waiting.recv_timeout(PRUNE_EVERY) {
                Ok(call) => self.write(&call).unwrap_or_else(|error| self.log(&error)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if pruned.elapsed() >= PRUNE_EVERY {
                self.prune().unwrap_or_else(|error| self.log(&error));
                pruned = Instant::now();
            }
        }
    }

    fn log(&self, error: &io::Error) {
        tracing::error!(folder = %self.path.display(), %error, "HISTORY_DIR cannot be written to");
    }

    /// Nobody reads half a file: it gets its name when it is whole.
    fn write(&self, KeptCall { name, text }: &KeptCall) -> io::Result<()> {
        let whole = self.path.join(name);
        let part = whole.with_extension("part");
        fs::write(&part, text)?;
        fs::rename(part, whole)
    }

    /// Deletes the calls that are too old, and the oldest ones if all are too large.
    fn prune(&self) -> io::Result<()> {
        let files = self.files()?;
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let oldest_ms = self.clock.now_ms().saturating_sub(self.days * MS_PER_DAY);
        for file in &files {
            if file.began_ms >= oldest_ms && bytes <= self.max_bytes {
                break;
            }
            // Another instance may have deleted it.
            let _ = fs::remove_file(&file.path);
            bytes -= file.bytes;
        }
        Ok(())
    }

    /// The archive's files, oldest first. Others are none of ours.
    fn files(&self) -> io::Result<Vec<OwnFile>> {
        let mut files: Vec<OwnFile> = fs::read_dir(&self.path)?.filter_map(|file| own_file(&file.ok()?)).collect();
        files.sort_by_key(|file| file.began_ms);
        Ok(files)
    }
}

/// A file with a name of ours, `CALLSID-MILLISECONDS.json`, `.jsonl` for a tape, or `.part` if it was never whole.
fn own_file(file: &fs::DirEntry) -> Option<OwnFile> {
    let (path, name) = (file.path(), file.file_name().into_string().ok()?);
    let stem = [".json", ".jsonl", ".part"].into_iter().find_map(|ending| name.strip_suffix(ending))?;
    let (call_sid, began_ms) = stem.rsplit_once('-')?;
    let began_ms = began_ms.parse().ok().filter(|_| call_sid.starts_with("CA") || call_sid.starts_with("browser-"))?;
    Some(OwnFile { began_ms, path, bytes: file.metadata().ok()?.len() })
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|other| other == ending)
}

/// The call in a file; `None` if it cannot be read.
fn read(path: &Path) -> Option<Value> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that are left of these, each of ten bytes, at the end of the eighth day.
    fn left(test: &str, names: &[&str], max_bytes: u64) -> Vec<String> {
        let path = std::env::temp_dir().join(format!("dialbridge-archive-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        for name in names {
            fs::write(path.join(name), "0123456789").unwrap();
        }
        let clock = WallClock::Since { began_ms: 8 * MS_PER_DAY, at: tokio::time::Instant::now() };
        Folder { path: path.clone(), days: 7, max_bytes, clock }.prune().unwrap();
        let mut left: Vec<String> =
            fs::read_dir(&path).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        fs::remove_dir_all(path).unwrap();
        left
    }

    #[tokio::test(start_paused = true)]
    async fn calls_go_by_age_and_files_of_others_stay() {
        let names = [
            "CA1-86399999.json",
            "CA1-86399999.jsonl",
            "CA1-1.part",
            "CA2-86400000.json",
            "browser-0a1b-86399999.jsonl",
            "browser-0a1b-86400001.jsonl",
            "notes.txt",
            "notes-1.json",
            "CA3-1.wav",
        ];
        assert_eq!(
            left("age", &names, 1_000),
            ["CA2-86400000.json", "CA3-1.wav", "browser-0a1b-86400001.jsonl", "notes-1.json", "notes.txt"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_calls_go_when_all_are_too_large() {
        let names = ["CA1-600000003.json", "CA2-600000001.jsonl", "CA3-600000002.json"];
        assert_eq!(left("size", &names, 20), ["CA1-600000003.json", "CA3-600000002.json"]);
    }
}
