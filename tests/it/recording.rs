//! `RECORD_DIR`: the folder is made, or the log says once that it cannot be.

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
