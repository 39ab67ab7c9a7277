//! The output of a run: its log, and the tapes of its calls.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use dialbridge_runner::settings::Severity;
use dialbridge_runner::telemetry::log::{LineStyle, start};

/// How often we look whether a tape is complete. A thread on the real clock writes it.
const LOOKS: u32 = 500;

thread_local! {
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

static STARTED: Once = Once::new();

/// The log of this thread at every level, for as long as this value lives. A test on tokio's paused clock runs on one
/// thread, so this is the log of its whole harness, and of no other test.
pub struct Log(());

/// Writes a line into the thread's log, if there is one.
struct OfThisThread;

impl Write for OfThisThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.iter_mut().for_each(|lines| lines.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Starts the log.
    #[must_use]
    pub fn start() -> Self {
        // The process has one log, because a library's log lines are only recorded if a log exists when they first
        // occur.
        STARTED.call_once(|| start(Severity::Debug, LineStyle::Json, || OfThisThread));
        LINES.set(Some(Vec::new()));
        Self(())
    }

    /// All lines so far.
    #[must_use]
    pub fn text(&self) -> String {
        LINES.with_borrow(|lines| String::from_utf8(lines.clone().unwrap_or_default()).unwrap())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        LINES.set(None);
    }
}

/// A folder for a harness's tapes. Dropping it deletes the folder.
pub struct Tapes(PathBuf);

impl Tapes {
    /// Creates an empty folder of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("dialbridge-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// The path of the folder.
    #[must_use]
    pub fn folder(&self) -> String {
        self.0.display().to_string()
    }

    /// Waits for the tape to be complete and returns it.
    ///
    /// # Panics
    /// If there is none after five seconds.
    #[must_use]
    pub fn tape(&self) -> String {
        for _ in 0..LOOKS {
            let file = fs::read_dir(&self.0).unwrap().next();
            let text = file.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).unwrap_or_default();
            let last = text.lines().last().unwrap_or_default();
            if text.ends_with('\n') && last.contains(r#""close""#) {
                return text;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no whole tape in {}", self.0.display());
    }
}

impl Drop for Tapes {
    fn drop(&mut self) {
        // A leftover is in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
