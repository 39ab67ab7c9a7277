//! Conversation files: recorded against agents of the lab, and run against those tapes.

mod misfits;
mod reports;
mod url;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use dialbridge::conversations::{Mode, Run, Surroundings, TestResult, Verdict};
use dialbridge_runner::settings::Settings;

/// The folder of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dialbridge-conversations-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// A folder with the bakery and its recordings, as an agent of that edition.
    pub(crate) fn with_bakery(edition: &str) -> Self {
        let (folder, bakery) = (Self::new(), repository().join("lab/agents/bakery"));
        for entry in std::fs::read_dir(bakery).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.0.join(entry.file_name())).unwrap();
        }
        let script = folder.read("agent.toml");
        folder.write("agent.toml", format!("edition = \"{edition}\"\n{script}"));
        folder
    }

    /// Adds a conversation file of docs/.
    pub(crate) fn with_doc(self, name: &str) -> Self {
        let text = std::fs::read_to_string(repository().join("docs/conversations").join(name)).unwrap();
        let file = Path::new(name).file_name().unwrap().to_str().unwrap();
        self.write(file, text.replace("../../lab/agents/bakery/", ""));
        self
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // If it cannot be removed, the system does it later.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn run(mode: Mode, agent: &Path) -> Run {
    let settings = Settings::of([("DIALOGFLOW_AGENT", format!("lab:{}", agent.display()))]);
    Run { mode, settings, changes: Vec::new(), jobs: 2, retries: 0 }
}

pub(crate) async fn results(run: &Run, paths: &[PathBuf]) -> Vec<TestResult> {
    let mut results = Vec::new();
    run.files(paths.iter().cloned(), |result, _| results.push(result)).await;
    results
}

pub(crate) async fn only(run: &Run, path: &Path) -> TestResult {
    let mut all = results(run, &[path.to_owned()]).await;
    assert_eq!(all.len(), 1, "{}", all.iter().map(TestResult::lines).collect::<String>());
    all.remove(0)
}

pub(crate) fn passes(result: &TestResult) {
    assert_eq!(result.verdict, Verdict::Passed, "{}", result.lines());
}

/// Records a file, and runs it against its tape. Both runs must be as the file says.
pub(crate) async fn recorded(folder: &Folder, file: &str) -> (TestResult, TestResult) {
    let (agent, path) = (folder.0.join("agent.toml"), folder.0.join(file));
    let recorded = only(&run(Mode::Record(Surroundings::pipes()), &agent), &path).await;
    passes(&recorded);
    let offline = only(&run(Mode::Offline(None), &agent), &path).await;
    passes(&offline);
    (recorded, offline)
}

pub(crate) async fn offline(folder: &Folder, file: &str, changes: &[&str]) -> TestResult {
    let changes = changes.iter().map(|change| (*change).to_owned()).collect();
    let run = Run { changes, ..run(Mode::Offline(None), &folder.0.join("agent.toml")) };
    only(&run, &folder.0.join(file)).await
}

pub(crate) fn told(result: &TestResult) -> String {
    result.lines()
}

#[tokio::test(start_paused = true)]
async fn the_bakerys_calls_go_the_same_way_live_and_from_their_tapes_with_each_edition() {
    for edition in ["cx", "es", "ces"] {
        let folder = Folder::with_bakery(edition).with_doc("order.toml").with_doc("silence.toml");
        if edition == "ces" {
            // Its agent names no intents, and nobody says when a prompt began.
            let text = folder.read("order.toml");
            let text: String =
                text.lines().filter(|line| !line.contains("intent =")).map(|line| format!("{line}\n")).collect();
            folder.write("order.toml", text);
        }
        for file in ["order.toml", "silence.toml"] {
            let (live, offline) = recorded(&folder, file).await;
            assert_eq!((live.edition, offline.edition), (Some(edition), Some(edition)));
            let (live, offline) = (live.seen.unwrap(), offline.seen.unwrap());
            for (live, offline) in live.steps.iter().flatten().zip(offline.steps.iter().flatten()) {
                assert_eq!((&live.reply, &live.understood), (&offline.reply, &offline.understood), "{edition} {file}");
                let (live, offline) = (live.within_ms.unwrap_or_default(), offline.within_ms.unwrap_or_default());
                assert!(live.abs_diff(offline) <= 60, "{edition} {file}: {live} ms, from the tape {offline} ms");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_texts_pages_and_a_transfer_are_seen() {
    let folder = Folder::new().with_doc("menu/agent.toml").with_doc("menu/menu.toml");
    let (live, offline) = recorded(&folder, "menu.toml").await;
    let (live, offline) = (live.seen.unwrap().end, offline.seen.unwrap().end);
    let (ended, from_tape) = (live.at.as_ms(), offline.at.as_ms());
    assert!(
        ended.abs_diff(from_tape) <= 60,
        "the hand-off takes the call away: {ended} ms, from the tape {from_tape} ms"
    );
    assert_eq!((live.reason, live.status), (offline.reason, offline.status));
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_ends_the_input_sooner_moves_the_answer_by_as_much() {
    let folder = Folder::new().with_doc("menu/agent.toml").with_doc("menu/menu.toml");
    recorded(&folder, "menu.toml").await;
    let sooner = offline(&folder, "menu.toml", &["DTMF_INTERDIGIT_MS=1200"]).await;
    let told = told(&sooner);
    let Verdict::Failed(differences) = &sooner.verdict else { panic!("{told}") };
    assert_eq!(differences.len(), 1, "{told}");
    assert_eq!((differences[0].step, differences[0].key.as_str()), (Some(2), "within_s"));
    assert!(differences[0].found.starts_with("1.380"), "{told}");
    assert!(differences[0].around.iter().any(|line| line.contains("hours")), "the trace is shown: {told}");
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_is_put_back_to_its_default_is_played_too() {
    let folder = Folder::new().with_doc("menu/agent.toml").with_doc("menu/menu.toml");
    recorded(&folder, "menu.toml").await;
    let later = offline(&folder, "menu.toml", &["DTMF_INTERDIGIT_MS=3000"]).await;
    let told = told(&later);
    let Verdict::Failed(differences) = &later.verdict else { panic!("{told}") };
    assert_eq!((differences[0].step, differences[0].key.as_str()), (Some(2), "within_s"), "{told}");
    assert!(differences[0].found.starts_with("3.180"), "{told}");
}

/// An agent whose recogniser knows the words early, and ends the utterance late.
const LATE_END: &str = r#"
end_of_utterance_ms = 1200
think_ms = 250
word_times = true
[start]
say = "Hello."
tone = { hz = 400, ms = 500 }
[[utterance]]
heard = "two loaves of rye bread please"
say = "Two loaves."
tone = { hz = 500, ms = 500 }
intent = "order.bread"
"#;

#[tokio::test(start_paused = true)]
async fn a_setting_that_half_closes_sooner_moves_the_answer_by_as_much() {
    let folder = Folder::with_bakery("cx");
    folder.write("agent.toml", LATE_END);
    let expect = "expect.understood = \"rye bread\"\nexpect.intent = \"order.bread\"\n";
    folder
        .write("order.toml", format!("[[step]]\nexpect.reply = \"Hello\"\n[[step]]\naudio = \"order.wav\"\n{expect}"));
    recorded(&folder, "order.toml").await;
    let mut waits = Vec::new();
    for setting in ["END_OF_UTTERANCE=900ms", "END_OF_UTTERANCE=600ms"] {
        let result = offline(&folder, "order.toml", &[setting]).await;
        passes(&result);
        waits.push(result.seen.unwrap().steps[0].as_ref().unwrap().within_ms.unwrap());
    }
    assert_eq!(waits[0] - waits[1], 300, "{waits:?}");
}
