//! What a run leaves behind: its log, and the tapes of its calls.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use dialbridge_runner::settings::Severity;
use dialbridge_runner::telemetry::log::start;

/// How often a tape is looked at until it is whole: its writer is a thread on the real clock.
const LOOKS: u32 = 500;

thread_local! {
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

static STARTED: Once = Once::new();

/// The log of this thread from its lowest level on, for as long as this is kept. A test on tokio's paused clock runs on one
/// thread, so it is the log of its whole harness, and of no other test's.
pub struct Log(());

/// Writes a line where the thread's log is kept, or nowhere.
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
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        // The process has one log, for a library's lines are only looked for where there was one when they were first met.
        STARTED.call_once(|| start(Severity::Debug, || OfThisThread));
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

/// A folder for the tapes of a harness; it goes when this is dropped.
pub struct Tapes(PathBuf);

impl Tapes {
    /// An empty folder of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("dialbridge-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> String {
        self.0.display().to_string()
    }

    /// The tape that is there, once it is whole.
    ///
    /// # Panics
    /// When there is none after five seconds.
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
        // What is left behind is in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
