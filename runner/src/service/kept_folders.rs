//! The folders that calls are kept in: `RECORD_DIR` and `HISTORY_DIR`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::history::{Archive, History, MAX_FINISHED};
use crate::settings::Config;
use crate::telemetry::clock::WallClock;

/// Makes the folders. One that cannot be written to is used for no call, and the log says so once. An agent without a folder
/// of its own has its tapes in `HISTORY_DIR`. Without a page nothing prunes that one, so it is not used.
pub(super) fn prepare(config: &mut Config) {
    if !config.has_page() && config.history_dir.take().is_some() {
        tracing::warn!(
            "HISTORY_DIR is not used: the page that shows its calls is closed, because ADMIN_TOKEN is not set"
        );
    }
    for settings in config.agents.values_mut() {
        if settings.record_dir.is_none() {
            settings.record_dir.clone_from(&config.history_dir);
        }
    }
    let of_agents = config.agents.values().filter_map(|settings| settings.record_dir.clone());
    let folders: BTreeSet<PathBuf> = config.history_dir.iter().cloned().chain(of_agents).collect();
    let unusable: BTreeSet<PathBuf> = folders.into_iter().filter(|folder| !is_usable(folder)).collect();
    let drop_unusable = |folder: &mut Option<PathBuf>| {
        folder.take_if(|folder| unusable.contains(folder));
    };
    drop_unusable(&mut config.history_dir);
    config.agents.values_mut().for_each(|settings| drop_unusable(&mut settings.record_dir));
}

/// The page's history; `None` if there is no page.
pub(super) fn history(config: &Config, clock: WallClock) -> Option<History> {
    let tapes: BTreeSet<PathBuf> = config.agents.values().filter_map(|settings| settings.record_dir.clone()).collect();
    let tapes: Vec<PathBuf> = config.history_dir.iter().cloned().chain(tapes).collect();
    let opened = config.history_dir.as_ref().and_then(|folder| {
        Archive::open(folder, config.history_days, clock, MAX_FINISHED)
            .inspect_err(|error| tracing::error!(folder = %folder.display(), %error, "HISTORY_DIR cannot be read"))
            .map(|(archive, calls)| History::with_archive(archive, &calls, &tapes, config.page_transcripts))
            .ok()
    });
    let history = opened.unwrap_or_default();
    config.has_page().then_some(history)
}

fn is_usable(folder: &Path) -> bool {
    make_writable(folder)
        .inspect_err(|error| {
            tracing::error!(folder = %folder.display(), %error, "RECORD_DIR or HISTORY_DIR cannot be written to: no call is kept there");
        })
        .is_ok()
}

/// Makes the folder if it is not there, and writes a file into it.
fn make_writable(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let probe = folder.join(format!(".dialbridge-{}", std::process::id()));
    fs::write(&probe, b"")?;
    // Another container on the same bucket may have the same process id, and remove it first.
    let _ = fs::remove_file(&probe);
    Ok(())
}
