//! `number` as people use it: against the lab's Twilio.
#![cfg(feature = "lab")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use dialbridge_lab::twilio::{PhoneNumber, RestFault};
use http::StatusCode;

use crate::program::{Lab, PLANTED_TOKEN, Run, Terminal, folder, program, run};

const KEPT: &str = ".dialbridge-number.json";

fn number(folder: &Path, lab: &Lab, arguments: &[&str]) -> Command {
    let mut command = program(folder);
    command
        .arg("number")
        .args(arguments)
        .env("TWILIO_ACCOUNT_SID", &lab.twilio.account().sid)
        .env("TWILIO_AUTH_TOKEN", PLANTED_TOKEN)
        .env("TWILIO_API_URL", lab.rest.url());
    command
}

async fn point(folder: &Path, lab: &Lab, which: &str, url: &str) -> Run {
    run(number(folder, lab, &["point", "--number", which, "--url", url]), "").await
}

/// A number of a customer's, with everything set.
fn customers(sid: u32, phone_number: &str) -> PhoneNumber {
    PhoneNumber {
        voice_url: "https://old.test/voice?key=planted-key".to_owned(),
        voice_method: "GET".to_owned(),
        voice_fallback_url: String::new(),
        status_callback: "https://old.test/status".to_owned(),
        ..PhoneNumber::leading_to(sid, phone_number, "https://old.test")
    }
}

/// What the lab has of the only number, in the form in which Twilio shows it.
fn of(lab: &Lab) -> PhoneNumber {
    let mut number = lab.twilio.account_state().numbers[0].clone();
    for method in [&mut number.voice_method, &mut number.voice_fallback_method, &mut number.status_callback_method] {
        if method == "POST" {
            method.clear();
        }
    }
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_says_where_each_number_leads_and_shows_no_query() {
    let (folder, lab) = (folder("number-list"), Lab::start().await);
    let of_an_app = PhoneNumber { voice_application_sid: "AP1".to_owned(), ..customers(2, "+15550102") };
    let mute = PhoneNumber { is_mute: true, ..PhoneNumber::default() };
    lab.twilio.account_state().numbers =
        vec![customers(1, "+15550101"), of_an_app, PhoneNumber { phone_number: "+15550103".to_owned(), ..mute }];
    let listed = run(number(&folder, &lab, &["list"]), "").await;
    assert_eq!(
        (listed.code, listed.output.as_str()),
        (
            0,
            "+15550101        https://old.test/voice\n+15550102        TwiML app AP1\n+15550103        takes no calls\n"
        ),
        "{listed:?}"
    );
    assert!(!format!("{listed:?}").contains("planted"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_is_pointed_and_put_back_with_all_that_it_had() {
    for (name, before) in [
        ("plain", customers(1, "+15550100")),
        ("app", PhoneNumber { voice_application_sid: "AP1".to_owned(), ..customers(1, "+15550100") }),
        ("trunk", PhoneNumber { trunk_sid: "TK1".to_owned(), ..customers(1, "+15550100") }),
    ] {
        let (folder, lab) = (folder(&format!("number-{name}")), Lab::start().await);
        lab.twilio.account_state().numbers = vec![before.clone()];
        let pointed = point(&folder, &lab, "+15550100", "https://calls.example.com/").await;
        assert_eq!(pointed.code, 0, "{pointed:?}");
        let expected = PhoneNumber {
            voice_url: "https://calls.example.com/twiml".to_owned(),
            voice_fallback_url: "https://calls.example.com/twiml?resume=1".to_owned(),
            status_callback: "https://calls.example.com/stream-status".to_owned(),
            voice_method: String::new(),
            voice_application_sid: String::new(),
            trunk_sid: String::new(),
            ..before.clone()
        };
        assert_eq!(of(&lab), expected, "{name}");
        assert_eq!(fs::metadata(folder.join(KEPT)).unwrap().permissions().mode() & 0o777, 0o600);

        let restored = run(number(&folder, &lab, &["restore"]), "").await;
        assert_eq!(restored.code, 0, "{restored:?}");
        assert_eq!(of(&lab), before, "{name}");
        assert!(!folder.join(KEPT).exists());
        assert!(!format!("{pointed:?}{restored:?}").contains("planted"));

        let again = run(number(&folder, &lab, &["restore"]), "").await;
        assert_eq!(again.code, 0, "{again:?}");
        assert!(again.output.starts_with("There is nothing to put back"), "{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pointed_twice_a_number_goes_back_to_its_first_state_and_no_other_number_is_pointed_meanwhile() {
    let (folder, lab) = (folder("number-twice"), Lab::start().await);
    let before = customers(1, "+15550100");
    lab.twilio.account_state().numbers = vec![before.clone(), customers(2, "+15550101")];
    for url in ["https://one.example.com", "https://two.example.com", "https://three.example.com"] {
        let pointed = point(&folder, &lab, "+15550100", url).await;
        assert_eq!(pointed.code, 0, "{pointed:?}");
        assert_eq!(of(&lab).voice_url, format!("{url}/twiml"));
    }
    let other = point(&folder, &lab, "+15550101", "https://one.example.com").await;
    assert_eq!(other.code, 1, "{other:?}");
    assert!(other.errors.contains("still keeps how +15550100 was; put that number back first"), "{other:?}");
    assert_eq!(lab.twilio.account_state().numbers[1], customers(2, "+15550101"));
    assert_eq!(run(number(&folder, &lab, &["restore"]), "").await.code, 0);
    assert_eq!(of(&lab), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_somebody_has_changed_since_is_put_back_by_force_only() {
    let (folder, lab) = (folder("number-changed"), Lab::start().await);
    let before = customers(1, "+15550100");
    lab.twilio.account_state().numbers = vec![before.clone()];
    assert_eq!(point(&folder, &lab, "+15550100", "https://calls.example.com").await.code, 0);
    lab.twilio.account_state().numbers[0].status_callback = "https://new.test/status".to_owned();

    let refused = run(number(&folder, &lab, &["restore"]), "").await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.errors.contains("somebody has changed +15550100 since it was pointed; it stays as it is"));
    assert!(refused.errors.contains("restore --force"), "{refused:?}");
    let pointed = point(&folder, &lab, "+15550100", "https://other.example.com").await;
    assert_eq!(pointed.code, 1, "what is kept is not what the number was before this: {pointed:?}");
    assert_eq!(of(&lab).status_callback, "https://new.test/status");
    assert!(folder.join(KEPT).exists());

    assert_eq!(run(number(&folder, &lab, &["restore", "--force"]), "").await.code, 0);
    assert_eq!(of(&lab), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_fails_leaves_no_file_and_one_whose_answer_is_lost_counts() {
    let lab = Lab::start().await;
    let before = customers(1, "+15550100");
    // Two requests look at the account, two at the number; the fifth is the update.
    let after_four = |fault| std::iter::repeat_n(RestFault::DoneButFails, 4).chain([fault]);
    let refused = RestFault::Refused { status: StatusCode::INTERNAL_SERVER_ERROR, code: 20_500, retry_after: None };
    for (name, fault, code) in [("number-refused", refused, 1), ("number-lost", RestFault::DoneButFails, 0)] {
        let folder = folder(name);
        lab.twilio.account_state().numbers = vec![before.clone()];
        lab.twilio.fail_rest(after_four(fault));
        let pointed = point(&folder, &lab, "+15550100", "https://calls.example.com").await;
        assert_eq!(pointed.code, code, "{pointed:?}");
        assert_eq!((of(&lab) != before, folder.join(KEPT).exists()), (code == 0, code == 0), "{pointed:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_stays_in_its_trunk_is_told_and_put_back() {
    let (folder, lab) = (folder("number-stuck"), Lab::start().await);
    let before = PhoneNumber { trunk_sid: "TK1".to_owned(), is_trunk_kept: true, ..customers(1, "+15550100") };
    lab.twilio.account_state().numbers = vec![before.clone()];
    let pointed = point(&folder, &lab, "+15550100", "https://calls.example.com").await;
    assert_eq!(pointed.code, 1, "{pointed:?}");
    assert!(pointed.errors.contains("it still leads to SIP trunk TK1"), "{pointed:?}");
    assert_eq!(run(number(&folder, &lab, &["restore"]), "").await.code, 0);
    assert_eq!(of(&lab), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_terminal_a_number_that_takes_calls_is_chosen_from_a_list() {
    let (folder, lab) = (folder("number-chosen"), Lab::start().await);
    let mute = PhoneNumber { is_mute: true, ..customers(1, "+15550101") };
    lab.twilio.account_state().numbers = vec![mute, customers(2, "+15550102"), customers(3, "+15550103")];
    let command = number(&folder, &lab, &["point", "--url", "https://calls.example.com"]);
    let shown = tokio::task::spawn_blocking(move || {
        let mut terminal = Terminal::start(command);
        terminal.expect("Which number?");
        terminal.expect("> +15550102        https://old.test/voice");
        // One down.
        terminal.press("\x1b[B");
        terminal.expect("> +15550103");
        terminal.press("\r");
        terminal.expect("+15550103 leads to https://calls.example.com/twiml now.");
        terminal.end()
    });
    let (shown, code) = shown.await.unwrap();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("+15550101") && !shown.contains("planted"), "{shown}");
    assert_eq!(lab.twilio.account_state().numbers[2].voice_url, "https://calls.example.com/twiml");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_chooses_no_number_leaves_all_as_they_are() {
    let (folder, lab) = (folder("number-not-chosen"), Lab::start().await);
    lab.twilio.account_state().numbers = vec![customers(1, "+15550101"), customers(2, "+15550102")];
    let before = lab.twilio.account_state().numbers.clone();
    let command = number(&folder, &lab, &["point", "--url", "https://calls.example.com"]);
    let shown = tokio::task::spawn_blocking(move || {
        let mut terminal = Terminal::start(command);
        terminal.expect("> +15550101");
        terminal.press_until("\x03", "interrupted");
        terminal.end()
    });
    let (shown, code) = shown.await.unwrap();
    assert_eq!(code, 130, "{shown}");
    assert_eq!(lab.twilio.account_state().numbers, before);
    assert!(!folder.join(KEPT).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_or_wrong_is_told_with_its_exit_code() {
    let (folder, lab) = (folder("number-wrong"), Lab::start().await);
    lab.twilio.account_state().numbers = vec![customers(1, "+15550100")];
    let no_account = {
        let mut command = program(&folder);
        command.args(["number", "list"]);
        run(command, "").await
    };
    assert_eq!(no_account.code, 78, "{no_account:?}");
    assert!(no_account.errors.contains("TWILIO_ACCOUNT_SID is not set"), "{no_account:?}");
    for (arguments, code, part) in [
        (&["point"][..], 64, "--url"),
        (&["point", "--url", "calls.example.com"], 78, "--url is"),
        (&["point", "--url", "https://calls.example.com/twiml"], 78, "--url is"),
        (&["point", "--url", "https://calls.example.com"], 64, "--number is not given, and there is no terminal"),
        (&["point", "--url", "https://calls.example.com", "--number", "+15550109"], 1, "has no number +15550109"),
        (&["list", "--twilio-auth-token", "planted-wrong"], 1, "Twilio does not take these credentials"),
    ] {
        let told = run(number(&folder, &lab, arguments), "").await;
        assert_eq!(told.code, code, "{arguments:?}: {told:?}");
        assert!(told.errors.contains(part), "{part}: {told:?}");
        assert!(!told.errors.contains("planted"), "{told:?}");
    }
    fs::write(folder.join(KEPT), "{}").unwrap();
    let broken = run(number(&folder, &lab, &["restore"]), "").await;
    assert_eq!(broken.code, 1, "{broken:?}");
    assert!(broken.errors.contains("then delete the file"), "{broken:?}");
}
