//! What the page gives of a recorded call: its tape, its audio, and a test.

use dialbridge_lab::twilio::{CallerStep, When};
use dialbridge_tests::{Harness, HarnessBuilder, HttpAnswer, Tapes, bakery, hang_up};

use super::{TOKEN, get, harness, json};

fn recorded(tapes: &Tapes, words: &'static str) -> HarnessBuilder {
    let folder = tapes.folder();
    harness().settings(move |settings| {
        settings.set("RECORD_DIR", &folder);
        settings.set("PAGE_TRANSCRIPTS", words);
    })
}

fn file_name(answer: &HttpAnswer) -> &str {
    answer.headers["content-disposition"].to_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_recorded_call_gives_its_tape_its_audio_and_a_test() {
    let tapes = Tapes::new("page-tapes");
    let harness = recorded(&tapes, "true").start();
    let call = harness.call(bakery()).await;
    let tape = tapes.tape();
    let row = json(&harness, "/calls.json").await["finished"][0].clone();
    assert!(row["tape"].as_str().unwrap().starts_with(&call.call_sid) && row["words"] == true, "{row}");
    let given = get(&harness, "/calls/1/tape.jsonl", &[]).await;
    assert_eq!((given.status.as_u16(), given.body.as_bytes()), (200, tape.as_bytes()));
    assert_eq!(file_name(&given), format!("attachment; filename=\"{}.jsonl\"", call.call_sid));
    let wav = get(&harness, "/calls/1/call.wav", &[]).await;
    assert_eq!((wav.status.as_u16(), wav.headers["content-type"].to_str().unwrap()), (200, "audio/wav"));
    assert!(
        wav.headers["content-length"].to_str().unwrap().parse::<u64>().unwrap() > 20 * 16_000,
        "both sides of 20 s: {:?}",
        wav.headers
    );
    let test = get(&harness, "/calls/1/test.zip", &[]).await;
    for part in [format!("{0}/{0}.toml", call.call_sid), format!("{0}/{0}-1.wav", call.call_sid)] {
        assert!(test.body.contains(&part), "{part} is in the archive");
    }
    for line in ["[[step]]", "intent = \"order.bread\"", "status = \"live-agent-handoff\""] {
        assert!(test.body.contains(line), "{line} is in the test");
    }
}

#[tokio::test(start_paused = true)]
async fn the_words_of_a_phone_call_are_given_to_nobody_unless_the_page_may_show_them() {
    let tapes = Tapes::new("page-private");
    let harness = recorded(&tapes, "false").start();
    harness.call(bakery()).await;
    let row = json(&harness, "/calls.json").await["finished"][0].clone();
    assert!(row["tape"].is_string() && row["words"] == false, "{row}");
    for file in ["tape.jsonl", "call.wav", "test.zip"] {
        let answer = get(&harness, &format!("/calls/1/{file}"), &[]).await;
        assert_eq!(answer.status, 403, "{file}");
        assert!(answer.body.contains("PAGE_TRANSCRIPTS=true"), "{}", answer.body);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_tape_masks_is_masked_in_the_test() {
    let tapes = Tapes::new("page-masked");
    let folder = tapes.folder();
    let script = "[start]\ntone = { hz = 400, ms = 300 }\n[digits.4711]\nsay = \"thanks\"\nintent = \"typed\"";
    let harness = Harness::with_script(script)
        .settings(move |settings| {
            settings.set("RECORD_DIR", &folder);
            settings.set("PAGE_TRANSCRIPTS", "true");
        })
        .start();
    let press = CallerStep::Press { when: When::AgentSilent(500), digits: "4711#".to_owned() };
    harness.call(vec![press, hang_up(When::After(3_000))]).await;
    let tape = tapes.tape();
    let test = get(&harness, "/calls/1/test.zip", &[]).await;
    assert!(test.body.contains("# Put in what the caller pressed"), "{}", test.body);
    assert!(!test.body.contains("4711") && !tape.contains("4711"));
}

#[tokio::test(start_paused = true)]
async fn a_tape_is_given_to_whoever_may_open_the_page_and_says_why_there_is_none() {
    let tapes = Tapes::new("page-locked");
    let harness = recorded(&tapes, "true").settings(|settings| settings.set("ADMIN_TOKEN", TOKEN)).start();
    harness.call(vec![hang_up(When::After(500))]).await;
    let tape = tapes.tape();
    let bearer = format!("Bearer {TOKEN}");
    let token = [("authorization", bearer.as_str())];
    assert_eq!(get(&harness, "/calls/1/tape.jsonl", &[]).await.status, 401);
    assert_eq!(get(&harness, "/calls/1/tape.jsonl", &token).await.body, tape);
    for unknown in ["/calls/1/other", "/calls/9/tape.jsonl", "/calls/x/tape.jsonl", "/calls/1/../tape.jsonl"] {
        assert_eq!(get(&harness, unknown, &token).await.status, 404, "{unknown}");
    }
    drop(tapes);
    let gone = get(&harness, "/calls/1/tape.jsonl", &token).await;
    assert!(gone.status == 404 && gone.body.contains("is not in RECORD_DIR"), "{}", gone.body);
    let none = super::harness().start();
    none.call(vec![hang_up(When::After(500))]).await;
    let answer = get(&none, "/calls/1/tape.jsonl", &[]).await;
    assert!(answer.status == 404 && answer.body.contains("Set RECORD_DIR"), "{}", answer.body);
}
