//! What settings mean, and how a wrong one is reported.

mod docs;
mod file;
mod service;
mod traces;
mod values;
mod wrong;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{AgentConfig, Config, Platform, SettingError, SettingErrors, Settings};

/// Settings from pairs of name and value.
fn settings(values: &[(&str, &str)]) -> Settings {
    Settings::of(values.iter().copied())
}

fn config(values: &[(&str, &str)]) -> Result<Config, SettingErrors> {
    settings(values).check(Platform::Elsewhere)
}

/// The only fault.
fn only(errors: &SettingErrors) -> SettingError {
    let all: Vec<SettingError> = errors.iter().cloned().collect();
    assert_eq!(all.len(), 1, "{errors}");
    all[0].clone()
}

/// The configuration of the one agent with these settings.
fn agent(values: &[(&str, &str)]) -> AgentConfig {
    config(values).unwrap_or_else(|error| panic!("{error}")).default_agent_mut().clone()
}

/// An agent of each edition that is not the lab's.
const CX: (&str, &str) = ("DIALOGFLOW_AGENT", "projects/p/locations/us-central1/agents/a");
const CES: (&str, &str) = ("DIALOGFLOW_AGENT", "projects/p/locations/us/apps/a");
const ES: (&str, &str) = ("DIALOGFLOW_PROJECT_ID", "my-project");
const BETA: (&str, &str) = ("DIALOGFLOW_ES_API", "v2beta1");

/// A folder for one test, which is removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dialbridge-settings-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // If we cannot remove the folder, we leave it to the system.
        let _ = fs::remove_dir_all(&self.0);
    }
}
