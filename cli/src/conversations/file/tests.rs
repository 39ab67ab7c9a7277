use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<ConversationFile, FileError> {
    ConversationFile::parse(text, Path::new("calls/order.toml"))
}

fn faults(text: &str) -> Vec<String> {
    parse(text).unwrap_err().0.iter().map(ToString::to_string).collect()
}

/// The example of the design.
const WHOLE: &str = r#"
name = "A caller orders two loaves"
agent = "sales"
language = "en-US"
from = "+15550101"
to = "+15550102"
params = { shop = "north", n = 3 }
settings = { BARGE_IN = "voice" }

[[step]]
expect.reply = "What can I do for you"

[[step]]
audio = "order.wav"
[step.expect]
understood = { regex = "two loaves" }
intent = "order.bread"
params.loaves = 2
params.address.city = { any = ["Ulm", "Bonn"] }
within_s = "<1.5"

[[step]]
audio = "nine.wav"
barge_in_at_s = 1.2
[step.expect]
prompt_cut_s = "1.2..1.9"
prompt_cut = true
reply = { any = ["thank you", "thanks"] }
flow = "Checkout"
page = "Confirm"

[[step]]
dtmf = "12#"

[[step]]
wait_s = 6

[[step]]
text = "two loaves"

[[step]]
say = "two loaves"

[[step]]
hang_up = true

[end.expect]
status = "live-agent-handoff"
handoff.department = "cakes"
turns = 4
warnings = 0
"#;

#[test]
fn a_whole_file_is_read() {
    let file = parse(WHOLE).unwrap();
    assert_eq!((file.name.as_str(), file.agent.as_deref()), ("A caller orders two loaves", Some("sales")));
    assert_eq!((file.from.as_str(), file.params["n"].as_str()), ("+15550101", "3"));
    assert_eq!((file.settings["BARGE_IN"].line, file.settings["BARGE_IN"].value.as_str()), (8, "voice"));
    assert_eq!(file.greeting.unwrap().len(), 1);
    let actions: Vec<Action> = file.steps.iter().map(|step| step.action.clone()).collect();
    let expected = [
        Action::Audio("calls/order.wav".into()),
        Action::Audio("calls/nine.wav".into()),
        Action::Digits("12#".to_owned()),
        Action::Wait(6_000),
        Action::Text("two loaves".to_owned()),
        Action::Say("two loaves".to_owned()),
        Action::HangUp,
    ];
    assert_eq!(actions, expected);
    assert_eq!((file.steps[1].number, file.steps[1].barge_in_ms), (3, Some(1_200)));
    let keys: Vec<String> = file.steps[0].expect.iter().map(|expect| expect.subject.key()).collect();
    assert_eq!(keys, ["understood", "intent", "params.loaves", "params.address.city", "within_s"]);
    let keys: Vec<String> = file.end.iter().map(|expect| expect.subject.key()).collect();
    assert_eq!(keys, ["status", "handoff.department", "turns", "warnings"]);
}

#[test]
fn every_fault_names_its_line_and_what_to_do() {
    for (text, told) in [
        ("nmae = \"x\"\n[[step]]\nhang_up = true", "line 1: nmae is no key; name is one"),
        ("[[step]]\nhang_up = true\n\n[[stpe]]", "line 4: stpe is no key; step is one"),
        ("[[step]]\n\nadio = \"a.wav\"", "line 3: adio is no key of step 1; audio is one"),
        (
            "[[step]]\ndtmf = \"1\"\n[step.expect]\nintnet = \"a\"",
            "line 4: intnet is no key of step 1.expect; intent is one",
        ),
        ("[[step]]\ndtmf = \"1\"\n[end]\nexpext.turns = 1", "line 4: expext is no key of end; expect is one"),
        (
            "[[step]]\ndtmf = \"1\"\n[end.expect]\nhandof.a = 1",
            "line 4: handof is no key of end.expect; handoff is one",
        ),
        (
            "[[step]]\ndtmf = \"1\"\nexpect.reply = { regx = \"a\" }",
            "line 3: regx is no key of step 1.expect.reply; regex is one",
        ),
        ("[[step]\n", "line 1: this is no TOML: "),
        ("name = \"a\"\nname = \"b\"", "line 2: this is no TOML: "),
        ("", "line 1: there is no step: add [[step]] with"),
        ("[step]\ndtmf = \"1\"", "line 1: step must be a list of tables: write [[step]]"),
        ("[[step]]\ndtmf = \"1\"\n\n[[step]]\nexpect.reply = \"a\"", "line 4: step 2 needs audio, say, text, dtmf"),
        ("[[step]]\ndtmf = \"1\"\naudio = \"a.wav\"", "line 1: step 1 has two of audio, say, text, dtmf"),
        ("[[step]]\ndtmf = 1", "line 2: step 1.dtmf must be a string, not a number"),
        ("[[step]]\ndtmf = \"1x\"", "line 2: dtmf has 'x', which is no key of a telephone"),
        ("[[step]]\ndtmf = \"\"", "line 2: step 1.dtmf is empty"),
        ("[[step]]\nwait_s = -1", "line 2: step 1.wait_s must be a number of seconds from 0 to 600"),
        ("[[step]]\nwait_s = \"6\"", "line 2: step 1.wait_s must be a number of seconds from 0 to 600"),
        ("[[step]]\nhang_up = false", "line 2: hang_up can only be true"),
        ("[[step]]\nwait_s = 1\nbarge_in_at_s = 1", "line 3: barge_in_at_s needs audio, say, dtmf or hang_up"),
        ("[[step]]\nexpect.reply = \"\"", "line 2: step 1.expect.reply is empty"),
        ("[[step]]\nexpect.reply = 7", "line 2: step 1.expect.reply must be a string, not a number"),
        ("[[step]]\nexpect.reply = { regex = \"(\" }", "line 2: step 1.expect.reply.regex is no regular expression: "),
        ("[[step]]\nexpect.reply = { any = [] }", "line 2: step 1.expect.reply.any must be a list of strings"),
        (
            "[[step]]\nexpect.reply = { any = [\"a\"], all = [\"b\"] }",
            "line 2: step 1.expect.reply needs exactly one of",
        ),
        ("[[step]]\nexpect.within_s = \"fast\"", "line 2: step 1.expect.within_s is \"fast\"; it must be a number,"),
        ("[[step]]\nexpect.prompt_cut = 1", "line 2: step 1.expect.prompt_cut must be true or false"),
        ("[[step]]\nexpect.params.a = \"\"", "line 2: step 1.expect.params.a is empty, and every text contains that"),
        ("[[step]]\ndtmf = \"1\"\n[end.expect]\nstatus = \"finished\"", "line 4: \"finished\" is no status"),
        (
            "settings = { BARG_IN = \"off\" }\n[[step]]\ndtmf = \"1\"",
            "line 1: settings.BARG_IN is no setting; BARGE_IN is one",
        ),
        ("settings = { BARGE_IN = \"loud\" }\n[[step]]\ndtmf = \"1\"", "line 1: BARGE_IN is \"loud\"; it can be off,"),
    ] {
        let faults = faults(text);
        assert!(faults.iter().any(|fault| fault.starts_with(told)), "{text}\n  wanted: {told}\n  told: {faults:#?}");
    }
}

#[test]
fn all_faults_of_a_file_are_told_at_once() {
    let faults = faults("nmae = \"x\"\n[[step]]\ndtmf = \"x\"\n[end.expect]\nturns = \"many\"");
    assert_eq!(faults.len(), 3, "{faults:#?}");
}

#[test]
fn a_file_that_is_too_long_is_not_read() {
    let path = std::env::temp_dir().join(format!("dialbridge-long-{}.toml", std::process::id()));
    std::fs::write(&path, "#".repeat(2 << 20)).unwrap();
    let error = ConversationFile::read(&path).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    assert!(error.0[0].what.contains("it has more than 1 MiB"), "{error:?}");
}
