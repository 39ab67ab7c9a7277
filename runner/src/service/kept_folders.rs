//! The folders that calls are kept in: `RECORD_DIR` and `HISTORY_DIR`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::history::{Archive, History, MAX_FINISHED};
use crate::settings::Config;
use crate::telemetry::clock::WallClock;

/// Makes the folders. One that cannot be written to is used for no call, and the log says so once.
pub(super) fn prepare(config: &mut Config) {
    prepare_folder(&mut config.history_dir, "HISTORY_DIR");
    for settings in config.agents.values_mut() {
        prepare_folder(&mut settings.record_dir, "RECORD_DIR");
        if settings.record_dir.is_none() {
            settings.record_dir.clone_from(&config.history_dir);
        }
    }
}

/// The page's history; `None` if there is no page.
pub(super) fn history(config: &Config, clock: WallClock) -> Option<History> {
    let opened = config.history_dir.as_ref().and_then(|folder| {
        Archive::open(folder, config.history_days, clock, MAX_FINISHED)
            .inspect_err(|error| tracing::error!(folder = %folder.display(), %error, "HISTORY_DIR cannot be read"))
            .map(|(archive, calls)| History::with_archive(archive, &calls, folder, config.page_transcripts))
            .ok()
    });
    let history = opened.unwrap_or_default();
    config.has_page().then_some(history)
}

fn prepare_folder(folder: &mut Option<PathBuf>, setting: &str) {
    if let Some(path) = folder
        && let Err(error) = make_writable(path)
    {
        let why = format!("{setting} cannot be written to: calls are not kept there");
        tracing::error!(folder = %path.display(), %error, "{why}");
        *folder = None;
    }
}

/// Makes the folder if it is not there, and writes a file into it.
fn make_writable(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let probe = folder.join(format!(".dialbridge-{}", std::process::id()));
    fs::write(&probe, b"")?;
    fs::remove_file(&probe)
}
