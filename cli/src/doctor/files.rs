//! The files and folders that settings name.
//!
//! To have another setting checked, `Subject::read` must add it to its `files` or `folders`.

use std::path::Path;

use super::finding::Finding;
use super::subject::Subject;

const CHECK: &str = "files";

/// Checks each file and folder.
pub(crate) fn check(subject: &Subject) -> Vec<Finding> {
    let files = subject.files.iter().map(|(name, path)| file(name, path));
    let folders = subject.folders.iter().map(|(name, path)| folder(name, path));
    let findings: Vec<Finding> = files.chain(folders).collect();
    if findings.is_empty() { vec![Finding::skipped(CHECK, "no setting names a file or a folder")] } else { findings }
}

fn file(name: &str, path: &Path) -> Finding {
    match std::fs::read(path) {
        Ok(bytes) if bytes.is_empty() => Finding::fault(
            CHECK,
            format!("{name} {}: it is empty", path.display()),
            format!("set {name} to another file"),
        ),
        Ok(_) => Finding::ok(CHECK, format!("{name} {} can be read", path.display())),
        Err(error) => {
            let mend = format!("set {name} to a file that this user can read");
            Finding::fault(CHECK, format!("{name} {}: {error}", path.display()), mend)
        }
    }
}

fn folder(name: &str, path: &Path) -> Finding {
    // The service makes a folder that is not there.
    let first = path.ancestors().map(|folder| if folder == Path::new("") { Path::new(".") } else { folder });
    let there = first.into_iter().find(|folder| folder.exists()).unwrap_or(path);
    let probe = there.join(format!(".dialbridge-doctor-{}", std::process::id()));
    match std::fs::write(&probe, b"") {
        Ok(()) => {
            // If this fails, an empty file stays, which the next run does not report.
            let _ = std::fs::remove_file(&probe);
            let can = if there == path { "can be written to" } else { "is not there: the service makes it" };
            Finding::ok(CHECK, format!("{name} {} {can}", path.display()))
        }
        Err(error) => {
            let mend = format!("let this user write to {}, or set {name} to another folder", there.display());
            Finding::fault(CHECK, format!("{name} {}: {error}", path.display()), mend)
        }
    }
}
