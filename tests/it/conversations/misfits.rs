//! Files and tapes that do not go together, or cannot be read: each is told, and nothing is guessed.

use dialbridge::conversations::{Found, Mode, Verdict};

use super::{Folder, offline, recorded, results, run, told};

/// Why a run could not be made.
async fn broken(folder: &Folder, changes: &[&str]) -> String {
    let result = offline(folder, "menu.toml", changes).await;
    let told = told(&result);
    assert!(matches!(result.verdict, Verdict::Broken(_)), "{told}");
    told
}

async fn menu() -> Folder {
    let folder = Folder::new().with_doc("menu/agent.toml").with_doc("menu/menu.toml");
    recorded(&folder, "menu.toml").await;
    folder
}

#[tokio::test(start_paused = true)]
async fn a_tape_of_a_caller_who_did_something_else_is_not_played() {
    let folder = menu().await;
    let file = folder.read("menu.toml");
    for (was, is, why) in [
        ("dtmf = \"2#\"", "dtmf = \"3#\"", "step 4 of the caller is the digits 3# and was the digits 2#"),
        (
            "text = \"what did you say\"",
            "text = \"what\"",
            "step 3 of the caller is the text \"what\" and was the text",
        ),
        ("dtmf = \"1\"", "wait_s = 2", "step 1 of the caller is a wait of 2000 ms and was the digits 1"),
        ("name =", "from = \"+15550123\"\nname =", "from is \"+15550123\" and was \"+15550100\""),
        ("name =", "params = { a = 1 }\nname =", "params are not those of the recording"),
        ("settings = { DTMF_INTERDIGIT_MS = 1500 }", "", "settings.DTMF_INTERDIGIT_MS is gone"),
        (
            "[end.expect]",
            "[[step]]\nhang_up = true\n[[step]]\ndtmf = \"1\"\n[end.expect]",
            "the caller takes 7 steps and took 5",
        ),
    ] {
        assert!(file.contains(was), "{was}");
        folder.write("menu.toml", file.replacen(was, is, 1));
        let told = broken(&folder, &[]).await;
        assert!(told.contains("no longer fits the file") && told.contains(why) && told.contains("--record"), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_has_changed_is_told() {
    let folder = Folder::with_bakery("cx").with_doc("order.toml");
    recorded(&folder, "order.toml").await;
    std::fs::copy(folder.0.join("nine.wav"), folder.0.join("order.wav")).unwrap();
    let told = told(&offline(&folder, "order.toml", &[]).await);
    assert!(
        told.contains("step 1 of the caller is a recording of 10") && told.contains("and was a recording of 19"),
        "{told}"
    );
    std::fs::remove_file(folder.0.join("order.wav")).unwrap();
    let missing = super::told(&offline(&folder, "order.toml", &[]).await);
    assert!(missing.contains("line 9: ") && missing.contains("order.wav: No such file"), "{missing}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_gives_the_agent_something_else_leaves_its_tape_and_says_where() {
    // Each digit becomes an input of its own.
    let told = broken(&menu().await, &["DTMF_MAX_DIGITS=1"]).await;
    assert!(told.contains("the call leaves its tape: at ") && told.contains("the agent is given"), "{told}");
    let told = broken(&menu().await, &["DIALOGFLOW_STARTING_TEXT=hello"]).await;
    assert!(told.contains("is given the text \"hello\"; in the recording it was given the text \"hi\""), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_a_tape_cannot_show_is_refused_unless_it_was_recorded_with_it() {
    let folder = menu().await;
    let told = broken(&folder, &["SPEAKING_RATE=2"]).await;
    assert!(told.contains("SPEAKING_RATE changes nothing in a recorded call"), "{told}");
    let why = "line 2: the tape was recorded without SPEAKING_RATE=";
    let file = folder.read("menu.toml").replace("settings = {", "settings = { SPEAKING_RATE = 1.5,");
    folder.write("menu.toml", &file);
    assert!(broken(&folder, &[]).await.contains(why));
    recorded(&folder, "menu.toml").await;
    folder.write("menu.toml", file.replace("1.5,", "2,"));
    assert!(broken(&folder, &[]).await.contains(why));
}

#[tokio::test(start_paused = true)]
async fn a_tape_that_is_broken_is_told_with_its_line() {
    let folder = menu().await;
    let tape = folder.read("menu.cx.jsonl");
    let lines: Vec<&str> = tape.lines().collect();
    let header = lines[0];
    for (text, why) in [
        (lines[..lines.len() / 2].join("\n"), "the tape breaks off before the end of its call"),
        (tape[..tape.len() / 2].to_owned(), "of the tape: "),
        (tape.replacen("\"tape\":1", "\"tape\":9", 1), "version 9 is not known"),
        (String::new(), "the tape is empty"),
        (tape.replacen(header, "{\"tape\":1,\"edition\":\"cx\"}", 1), "is not the recorded run of a conversation file"),
    ] {
        folder.write("menu.cx.jsonl", text);
        let told = broken(&folder, &[]).await;
        assert!(told.contains("menu.cx.jsonl: ") && told.contains(why), "{why}: {told}");
    }
    std::fs::remove_file(folder.0.join("menu.cx.jsonl")).unwrap();
    assert!(broken(&folder, &[]).await.contains("there is no recorded run"));
}

#[tokio::test(start_paused = true)]
async fn of_many_files_in_a_folder_the_broken_one_is_told_and_all_others_run() {
    let folder = menu().await;
    let (file, tape) = (folder.read("menu.toml"), folder.read("menu.cx.jsonl"));
    for n in 0..20 {
        folder.write(&format!("menu{n}.toml"), &file);
        folder.write(&format!("menu{n}.cx.jsonl"), &tape);
    }
    folder.write("menu7.toml", "[[step]]\nadio = \"a.wav\"");
    std::os::unix::fs::symlink(&folder.0, folder.0.join("round")).unwrap();
    let found = Found::of(&[folder.0.clone(), folder.0.join("nowhere")]);
    assert_eq!((found.files.len(), found.others, found.faults.len()), (21, 1, 1), "agent.toml is another TOML file");
    let files: Vec<_> = found.files.into_iter().collect();
    let all = results(&run(Mode::Offline(None), &folder.0.join("agent.toml")), &files).await;
    let broken: Vec<String> = all.iter().filter(|result| result.verdict != Verdict::Passed).map(told).collect();
    assert_eq!((all.len(), broken.len()), (21, 1), "{broken:?}");
    assert!(broken[0].contains("menu7.toml") && broken[0].contains("line 2: adio is no key of step 1; audio is one"));
}
