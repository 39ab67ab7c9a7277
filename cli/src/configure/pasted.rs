//! What people paste for an answer: the console's URL of an agent, a project, a key file.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// The longest key file that is read, in bytes. Google's have 2 to 3 kB.
const MAX_KEY_BYTES: u64 = 64 * 1024;

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meant {
    /// The settings that it gives.
    pub(super) values: Vec<(&'static str, String)>,
    /// What to tell the user.
    pub(super) told: String,
}

/// What the answer to the question `name` means, if it is not the value itself. `home` is the user's folder.
pub(super) fn meant(name: &str, answer: &str, home: Option<&Path>) -> Option<Meant> {
    match name {
        "DIALOGFLOW_AGENT" => agent(answer, home),
        "GOOGLE_APPLICATION_CREDENTIALS" => {
            let file = key_file(answer, home)?;
            (file != answer).then(|| Meant { told: format!("The file is {file}."), values: vec![(CREDENTIALS, file)] })
        }
        _ => None,
    }
}

const AGENT: &str = "DIALOGFLOW_AGENT";
const CREDENTIALS: &str = "GOOGLE_APPLICATION_CREDENTIALS";

fn agent(answer: &str, home: Option<&Path>) -> Option<Meant> {
    if answer.starts_with("projects/") || answer.starts_with("lab:") {
        return None;
    }
    if answer.starts_with("https://") || answer.starts_with("http://") {
        let name = name_in_url(answer)?;
        return Some(Meant { told: format!("That is {name}."), values: vec![(AGENT, name)] });
    }
    if let Some(file) = key_file(answer, home)
        && let Some(project) = project_of_key(&file)
    {
        let told = format!("That is a key of the project {project}. {}", of_project(&project));
        return Some(Meant { told, values: vec![(AGENT, format!("projects/{project}/agent")), (CREDENTIALS, file)] });
    }
    is_project_id(answer)
        .then(|| Meant { told: of_project(answer), values: vec![(AGENT, format!("projects/{answer}/agent"))] })
}

fn of_project(project: &str) -> String {
    format!("Taken for the ES agent of {project}. For an agent of CX or CES paste the console's URL while it is open.")
}

/// The agent's name in a URL of Google's consoles: `…/projects/P/locations/L/agents/A/…` (CX), `…/apps/A` (CES), or
/// `#/agent/P/…` and `#/editAgent/P/…` (ES).
fn name_in_url(url: &str) -> Option<String> {
    let url = percent_decode_str(url).decode_utf8().ok()?;
    let parts: Vec<&str> = url.split(['/', '?', '#', '&', '=']).filter(|part| !part.is_empty()).collect();
    let after = |word: &str| parts.windows(2).find(|pair| pair[0] == word).map(|pair| pair[1]);
    let (project, location) = (after("projects"), after("locations"));
    match (project, location, after("agents"), after("apps")) {
        (Some(project), Some(location), Some(agent), _) => {
            Some(format!("projects/{project}/locations/{location}/agents/{agent}"))
        }
        (Some(project), Some(location), None, Some(app)) => {
            Some(format!("projects/{project}/locations/{location}/apps/{app}"))
        }
        _ => {
            let project = after("agent").or_else(|| after("editAgent")).filter(|project| is_project_id(project))?;
            Some(match location {
                Some(location) => format!("projects/{project}/locations/{location}/agent"),
                None => format!("projects/{project}/agent"),
            })
        }
    }
}

/// Whether a word can be a project's id: 6 to 30 lowercase letters, digits and hyphens, a letter first and no hyphen last
/// (<https://docs.cloud.google.com/resource-manager/docs/creating-managing-projects>).
fn is_project_id(word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (6..=30).contains(&word.len())
        && word.chars().all(is_part)
        && word.starts_with(|c: char| c.is_ascii_lowercase())
        && !word.ends_with('-')
}

/// The path of a file that was pasted or dragged: without quotes and `file://`, and with the user's folder for `~`.
fn key_file(answer: &str, home: Option<&Path>) -> Option<String> {
    let bare = answer.trim_matches(['\'', '"']);
    let path = match bare.strip_prefix("file://") {
        Some(path) => percent_decode_str(path).decode_utf8().ok()?.into_owned(),
        None => bare.to_owned(),
    };
    match path.strip_prefix("~/") {
        Some(rest) => Some(home?.join(rest).display().to_string()),
        None => Some(path),
    }
}

fn project_of_key(file: &str) -> Option<String> {
    let path = PathBuf::from(file);
    let is_small = std::fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= MAX_KEY_BYTES);
    let key = is_small.then(|| std::fs::read(path).ok()).flatten()?;
    let key: Value = serde_json::from_slice(&key).ok()?;
    key.get("project_id")?.as_str().filter(|project| is_project_id(project)).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, answer: &str) -> Option<String> {
        meant(name, answer, Some(Path::new("/u/me"))).map(|meant| meant.values[0].1.clone())
    }

    #[test]
    fn the_consoles_urls_name_the_agent() {
        for (url, name) in [
            (
                "https://dialogflow.cloud.google.com/cx/projects/p-one/locations/us-central1/agents/1-2-3/flows/0/flow_creation?pageId=START_PAGE",
                "projects/p-one/locations/us-central1/agents/1-2-3",
            ),
            (
                "https://conversational-agents.cloud.google.com/projects/p-one/locations/eu/agents/1-2/%28flows/0%29",
                "projects/p-one/locations/eu/agents/1-2",
            ),
            (
                "https://ces.cloud.google.com/projects/p-one/locations/us/apps/7-8?x=y",
                "projects/p-one/locations/us/apps/7-8",
            ),
            ("https://dialogflow.cloud.google.com/#/agent/my-project/intents", "projects/my-project/agent"),
            ("https://dialogflow.cloud.google.com/#/editAgent/my-project/", "projects/my-project/agent"),
        ] {
            assert_eq!(value(AGENT, url).as_deref(), Some(name), "{url}");
        }
        for url in
            ["https://example.com/", "https://console.cloud.google.com/?project=my-project", "https://d/#/agent/7"]
        {
            assert_eq!(value(AGENT, url), None, "{url}");
        }
    }

    #[test]
    fn a_project_is_its_es_agent_and_a_name_stays() {
        assert_eq!(value(AGENT, "my-project-7").as_deref(), Some("projects/my-project-7/agent"));
        for other in ["lab:", "projects/p/agent", "My Agent", "short", "7-is-no-letter", "ends-in-hyphen-"] {
            assert_eq!(value(AGENT, other), None, "{other}");
        }
    }

    #[test]
    fn a_key_file_is_found_as_it_is_pasted() {
        assert_eq!(value(CREDENTIALS, "~/keys/a.json").as_deref(), Some("/u/me/keys/a.json"));
        assert_eq!(value(CREDENTIALS, "'/keys/a b.json'").as_deref(), Some("/keys/a b.json"));
        assert_eq!(value(CREDENTIALS, "file:///keys/a%20b.json").as_deref(), Some("/keys/a b.json"));
        assert_eq!(value(CREDENTIALS, "/keys/a.json"), None);

        let file = std::env::temp_dir().join(format!("dialbridge-key-{}.json", std::process::id()));
        std::fs::write(&file, r#"{"type":"service_account","project_id":"of-the-key","private_key":"planted"}"#)
            .unwrap();
        let meant = meant(AGENT, &file.display().to_string(), None).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(meant.values[0], (AGENT, "projects/of-the-key/agent".to_owned()));
        assert_eq!(meant.values[1], (CREDENTIALS, file.display().to_string()));
        assert!(!meant.told.contains("planted"));
    }
}
