//! The file that keeps how a number was before it was pointed at a service, so that it can be put back by another run.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::NumberError;
use super::routing::Routing;

/// The file, in the folder that the command runs in.
const FILE: &str = ".dialbridge-number.json";

/// Only the owner may read it: a voice-url may hold a secret.
const MODE: u32 = 0o600;

/// The longest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// A number that was pointed at a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub(crate) account_sid: String,
    pub(crate) number_sid: String,
    pub(crate) phone_number: String,
    /// The routing before.
    pub(crate) was: Routing,
    /// The routings that we gave it. An update may have failed, so that any of them may hold.
    pub(crate) put: Vec<Routing>,
}

/// Where it is kept.
pub(crate) struct KeptFile(PathBuf);

impl KeptFile {
    /// The file in the current folder.
    pub(crate) fn here() -> Self {
        Self(FILE.into())
    }

    /// Its path, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What it keeps; `None` if there is no file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(&self) -> Result<Option<Kept>, NumberError> {
        if !self.0.try_exists().map_err(|error| self.fault(&error))? {
            return Ok(None);
        }
        let text = crate::files::text(&self.0, MAX_BYTES).map_err(NumberError::Failed)?;
        serde_json::from_str(&text).map(Some).map_err(|error| {
            let path = self.0.display();
            let why = format!("{path} is not as `number point` writes it (line {})", error.line());
            NumberError::Failed(format!("{why}; look at the number in Twilio's console, then delete the file"))
        })
    }

    /// Writes the file, if there is none yet. It is complete as soon as it exists.
    ///
    /// # Errors
    /// When it exists, or cannot be written.
    pub(crate) fn create(&self, kept: &Kept) -> Result<(), NumberError> {
        self.written(kept, |new| fs::hard_link(new, &self.0).and_then(|()| fs::remove_file(new)))
            .map_err(|error| NumberError::Failed(format!("{error}; the number stays as it is")))
    }

    /// Writes other contents, all at once.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn replace(&self, kept: &Kept) -> Result<(), NumberError> {
        self.written(kept, |new| fs::rename(new, &self.0))
    }

    /// Removes the file.
    ///
    /// # Errors
    /// When it cannot be removed. A file that is gone is removed.
    pub(crate) fn remove(&self) -> Result<(), NumberError> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.fault(&error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn written(&self, kept: &Kept, put: impl Fn(&Path) -> io::Result<()>) -> Result<(), NumberError> {
        let new = self.0.with_extension(format!("{}.tmp", std::process::id()));
        let text = format!("{:#}\n", serde_json::json!(kept));
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            put(&new)
        };
        write().map_err(|error| {
            // It may not be there.
            let _ = fs::remove_file(&new);
            self.fault(&error)
        })
    }

    fn fault(&self, error: &io::Error) -> NumberError {
        NumberError::Failed(format!("{}: {error}", self.0.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_created_once_is_for_its_owner_alone_and_a_broken_one_is_told() {
        let folder = std::env::temp_dir().join(format!("dialbridge-kept-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = KeptFile(folder.join(FILE));
        let kept = |phone_number: &str| Kept {
            account_sid: "AC1".to_owned(),
            number_sid: "PN1".to_owned(),
            phone_number: phone_number.to_owned(),
            was: Routing::default(),
            put: Vec::new(),
        };
        assert_eq!(file.read().unwrap(), None);
        file.create(&kept("+15550100")).unwrap();
        assert!(file.create(&kept("+15550101")).is_err(), "it keeps a number already");
        assert_eq!(file.read().unwrap(), Some(kept("+15550100")));
        assert_eq!(fs::metadata(&file.0).unwrap().permissions().mode() & 0o777, MODE);
        file.replace(&kept("+15550102")).unwrap();
        assert_eq!(file.read().unwrap(), Some(kept("+15550102")));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left in the folder");
        fs::write(&file.0, "{\"account_sid\": 1").unwrap();
        assert!(file.read().unwrap_err().to_string().contains("is not as `number point` writes it (line 1)"));
        file.remove().unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }
}
