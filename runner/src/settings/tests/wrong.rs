//! One start reports every fault.

use super::*;

fn told(file: Option<&str>, values: &[(&str, &str)]) -> Vec<String> {
    let folder = Folder::new();
    let path = folder.path("agents.toml");
    let mut values = values.to_vec();
    if let Some(text) = file {
        fs::write(&path, text).unwrap();
        values.push(("DIALBRIDGE_CONFIG", &path));
    }
    let errors = config(&values).unwrap_err();
    assert_eq!(errors.to_string().lines().count(), errors.iter().count());
    errors.iter().map(|error| error.to_string().replace(&path, "FILE")).collect()
}

/// The subject of each line: everything before the fault.
fn about(lines: &[String]) -> Vec<&str> {
    let end = |line: &str| [" is ", " names ", " has "].into_iter().filter_map(|word| line.find(word)).min();
    lines.iter().map(|line| end(line).map_or(line.as_str(), |end| &line[..end])).collect()
}

#[test]
fn all_wrong_values_of_the_service_and_the_agent_are_told_in_one_start() {
    let lines =
        told(None, &[("PORT", "x"), ("BARGE_IN", "on"), ("TWILIO_ACCOUNT_SID", "me"), ("FILLER_FILE", "/no.wav")]);
    assert_eq!(about(&lines), ["TWILIO_ACCOUNT_SID", "PORT", "BARGE_IN", "FILLER_FILE"]);
    assert_eq!(lines[2], "BARGE_IN is \"on\"; it can be off, speech or voice; for example BARGE_IN=voice");
}

#[test]
fn an_agent_that_cannot_be_had_hides_no_other_fault() {
    let lines = told(None, &[("DIALOGFLOW_AGENT", "my-agent"), ("PITCH", "99"), ("DIAL_TIMEOUT", "0")]);
    assert_eq!(about(&lines), ["DIALOGFLOW_AGENT", "DIAL_TIMEOUT", "PITCH"]);
}

#[test]
fn all_wrong_values_of_the_file_and_its_agents_are_told_with_their_places() {
    let file = "port = \"x\"\nbarge_in = \"on\"\nbarg_in = \"off\"\nparameters.\"a b\" = 1\n\
                [agents.a]\ndialogflow_agent = \"projects/p/agent\"\npitch = 99\nmax_calls = 1\nnumbers = [\"12x\"]\n\
                [agents.b]\ndialogflow_agent = \"projects/p/agent\"\ndtmf_interdigit_ms = 1\n";
    let lines = told(Some(file), &[("VOICE_GENDER", "man")]);
    let expected = [
        "FILE: agents.a.numbers",
        "FILE: agents.a.max_calls",
        "FILE: parameters.a b",
        "FILE: barg_in",
        "FILE: port",
        "FILE: barge_in",
        "VOICE_GENDER",
        "FILE: agents.a.pitch",
        "FILE: agents.b.dtmf_interdigit_ms",
    ];
    let mut about = about(&lines);
    about.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(about, expected, "each once, whatever the number of agents that it holds for");
    assert!(lines.iter().any(|line| line == "FILE: barg_in is no setting; barge_in is one"), "{lines:?}");
}

#[test]
fn a_file_that_cannot_be_read_hides_no_wrong_variable() {
    for file in ["x = [1,", "[agents]\na = 3"] {
        let lines = told(Some(file), &[("PORT", "x")]);
        assert!(lines[0].starts_with("FILE: ") && lines[1].starts_with("PORT "), "{lines:?}");
    }
    let lines = told(None, &[("DIALBRIDGE_CONFIG", "/nowhere.toml"), ("PORT", "x")]);
    assert_eq!(about(&lines), ["DIALBRIDGE_CONFIG", "PORT"]);
}

#[test]
fn what_is_wrong_beside_another_value_is_told_once_all_values_are_right_by_themselves() {
    let wrong = [ES, ("DTMF_AS", "dtmf"), ("TWILIO_API_KEY_SID", "SK1"), ("DIALOGFLOW_ES_API", "v3")];
    assert_eq!(about(&told(None, &wrong)), ["DIALOGFLOW_ES_API"], "the others may come of it");
    assert_eq!(about(&told(None, &wrong[..3])), ["TWILIO_API_KEY_SECRET", "DTMF_AS"]);
}
