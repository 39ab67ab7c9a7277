//! The folders that calls are kept in: `RECORD_DIR` and `HISTORY_DIR`.

use dialbridge_lab::twilio::When;
use dialbridge_tests::{Harness, Log, Tapes, hang_up};

const SCRIPT: &str = "[start]\ntone = { hz = 400, ms = 200 }";

#[tokio::test(start_paused = true)]
async fn a_folder_for_tapes_that_is_not_there_is_made() {
    let parent = Tapes::new("made-folder");
    let folder = format!("{}/of/calls", parent.folder());
    let harness = Harness::with_script(SCRIPT).settings(|settings| settings.set("RECORD_DIR", &folder)).start();
    let call = harness.call(vec![hang_up(When::AgentSilent(300))]).await;
    let files: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(matches!(&files[..], [file] if file.starts_with(&call.call_sid)), "{files:?}");
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_made_is_told_once_with_its_path() {
    let log = Log::start();
    let folder = "/proc/dialbridge/calls";
    let harness = Harness::with_script(SCRIPT).settings(|settings| settings.set("RECORD_DIR", folder)).start();
    for _ in 0..2 {
        harness.call(vec![hang_up(When::AgentSilent(300))]).await;
    }
    let text = log.text();
    let told: Vec<&str> = text.lines().filter(|line| line.contains("RECORD_DIR")).collect();
    assert!(matches!(told[..], [line] if line.contains(folder) && line.contains("ERROR")), "{told:?}");
    assert!(!text.contains("the tape"), "no call tells it again: {text}");
}

/// The finished calls that the page shows.
fn finished(harness: &Harness) -> Vec<serde_json::Value> {
    harness.service.history().unwrap().summary(0)["finished"].as_array().unwrap().clone()
}

/// Waits until the folder has so many files with that ending. A thread on the real clock writes them.
fn until_there(folder: &str, ending: &str, count: usize) {
    let there = || {
        let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(ending)).count()
    };
    for _ in 0..500 {
        if there() == count {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{} files end with {ending}, not {count}", there());
}

#[tokio::test(start_paused = true)]
async fn the_page_shows_the_calls_of_the_instance_before_for_as_long_as_they_are_kept() {
    let folder = Tapes::new("history");
    let start =
        || Harness::with_script(SCRIPT).settings(|settings| settings.set("HISTORY_DIR", folder.folder())).start();
    let before = start();
    let call = before.call(vec![hang_up(When::AgentSilent(300))]).await;
    until_there(&folder.folder(), ".json", 1);
    until_there(&folder.folder(), ".jsonl", 1);
    let shown = finished(&before);
    drop(before);
    for name in ["CA1-1000.json", "CA1-1000.jsonl", "CA2-1000.txt", "notes-1000.json"] {
        std::fs::write(format!("{}/{name}", folder.folder()), "{}").unwrap();
    }
    let after = start();
    assert_eq!((&finished(&after)[0]["callSid"], finished(&after).len()), (&call.call_sid.into(), 1));
    assert_eq!(finished(&after), shown, "the same as before");
    until_there(&folder.folder(), "-1000.jsonl", 0);
    until_there(&folder.folder(), "-1000.json", 1);
    until_there(&folder.folder(), ".txt", 1);
}
