//! `.env`: whether the whole file can be read, and who may read it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::finding::Finding;

const CHECK: &str = "env-file";

/// The mode bits that let the group and others read and write.
const FOR_OTHERS: u32 = 0o077;

/// Checks the file, if there is one.
pub(crate) fn check(path: &Path) -> Finding {
    let name = path.display();
    let Ok(metadata) = std::fs::metadata(path) else {
        return Finding::skipped(CHECK, format!("there is no {name}; dialbridge configure writes one"));
    };
    let lines = match dotenvy::from_path_iter(path) {
        Ok(lines) => lines,
        Err(error) => {
            return Finding::fault(
                CHECK,
                format!("{name}: {error}"),
                format!("let this user read it: chmod 600 {name}"),
            );
        }
    };
    let mut before: Option<String> = None;
    for line in lines {
        match line {
            Ok((name, _)) => before = Some(name),
            // The line may hold a secret. The name before it is enough to find it by.
            Err(_) => {
                let line = before.map_or("its first line".to_owned(), |name| format!("the line after {name}"));
                let says = format!("{name}: {line} cannot be read, nor is anything after it");
                return Finding::fault(CHECK, says, "put a value with spaces, quotes or a # into single quotes");
            }
        }
    }
    if metadata.permissions().mode() & FOR_OTHERS != 0 {
        let says = format!("{name} can be read by others than you, and may hold secrets");
        return Finding::warning(CHECK, says, format!("chmod 600 {name}"));
    }
    Finding::ok(CHECK, format!("{name} can be read, by you alone"))
}
