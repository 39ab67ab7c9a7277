//! The folders for tapes.

use std::fs;
use std::io;
use std::path::Path;

use crate::settings::Config;

/// Makes the folders of `RECORD_DIR`. An agent whose folder cannot be written to gets none: its calls go on without tapes,
/// and the log says so once.
pub(super) fn prepare(config: &mut Config) {
    for (agent, settings) in &mut config.agents {
        let Some(folder) = &settings.record_dir else { continue };
        if let Err(error) = prepare_folder(folder) {
            let folder = folder.display();
            tracing::error!(agent, %folder, %error, "RECORD_DIR cannot be written to: calls are not recorded");
            settings.record_dir = None;
        }
    }
}

/// Makes the folder if it is not there, and writes a file into it.
fn prepare_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let probe = folder.join(format!(".dialbridge-{}", std::process::id()));
    fs::write(&probe, b"")?;
    fs::remove_file(&probe)
}
