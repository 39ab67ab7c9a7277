//! Files of a test.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A file in the temporary folder. Dropping it deletes it.
pub struct TempFile(PathBuf);

impl TempFile {
    /// A file with this text.
    ///
    /// # Panics
    /// If the temporary folder takes no file.
    #[must_use]
    pub fn write(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dialbridge-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("the temporary folder takes a file");
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // If it cannot be deleted, the system does it later.
        let _ = std::fs::remove_file(&self.0);
    }
}
