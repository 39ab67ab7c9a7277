//! The agents' file: what it may contain, which value counts, and which agent answers which call.

use std::fs;

use dialbridge_core::config::BargeInMode;

use super::*;
use crate::settings::{EsApi, Product, Secret};

fn toml(text: &str) -> Folder {
    let folder = Folder::new();
    fs::write(folder.0.join("agents.toml"), text).unwrap();
    folder
}

fn with_file(text: &str, values: &[(&str, &str)]) -> Result<Config, SettingErrors> {
    let folder = toml(text);
    let file = folder.path("agents.toml");
    let mut values = values.to_vec();
    values.push(("DIALBRIDGE_CONFIG", &file));
    config(&values)
}

fn good(text: &str, values: &[(&str, &str)]) -> Config {
    with_file(text, values).unwrap_or_else(|error| panic!("{error}"))
}

/// The fault, with the file's name instead of its path.
fn fault(text: &str, values: &[(&str, &str)]) -> String {
    let folder = toml(text);
    let file = folder.path("agents.toml");
    let mut values = values.to_vec();
    values.push(("DIALBRIDGE_CONFIG", &file));
    let error = config(&values).expect_err(text).to_string();
    assert!(!error.contains('\n'), "{error}");
    error.replace(&file, "FILE")
}

const TWO: &str = r#"
    language = "fr-FR"
    barge_in = "off"
    phrase_hints = ["rye", "oat"]
    [parameters]
    shop = "all"
    floor = 1
    [agents.support]
    dialogflow_agent = "projects/p/agent"
    numbers = ["+15550200"]
    dialogflow_language = "de-DE"
    dtmf_max_digits = 4
    [agents.sales]
    dialogflow_agent = "projects/p/locations/us-central1/agents/a"
    numbers = ["+15550100", "+1555*"]
    barge_in = "voice"
    speaking_rate = 1.5
    voice_gender = "female"
    sentiment = true
    webhook_headers = ["X-A: 1", "X-B: 2"]
    [agents.sales.parameters]
    shop = "north"
    tags = ["a", { b = 2.5 }]
    open = true
"#;

#[test]
fn an_agent_has_what_it_says_and_else_what_is_said_for_all() {
    let config = good(TWO, &[]);
    let (sales, support) = (&config.agents["sales"], &config.agents["support"]);
    assert_eq!((sales.address.product(), support.address.product()), (Product::Cx, Product::Es(EsApi::V2)));
    assert_eq!((sales.language.as_str(), support.language.as_str()), ("fr-FR", "de-DE"));
    assert_eq!((sales.call.barge_in.mode, support.call.barge_in.mode), (BargeInMode::Voice, BargeInMode::Off));
    assert_eq!((sales.call.dtmf.max_digits, support.call.dtmf.max_digits), (0, 4));
    assert_eq!((sales.numbers, support.numbers), (2, 1));
    for agent in [sales, support] {
        assert_eq!(agent.speech.phrase_hints, ["rye", "oat"]);
    }
    assert_eq!((sales.speech.speaking_rate, sales.speech.sentiment), (Some(1.5), true));
    assert_eq!(sales.speech.webhook_headers.len(), 2);
    let parameters = |agent: &AgentConfig| serde_json::Value::Object(agent.call.parameters.clone());
    let of_sales = serde_json::json!({ "shop": "north", "floor": 1, "tags": ["a", { "b": 2.5 }], "open": true });
    assert_eq!(parameters(sales), of_sales);
    assert_eq!(parameters(support), serde_json::json!({ "shop": "all", "floor": 1 }));
}

#[test]
fn an_agents_own_goes_before_the_environment_and_that_before_the_top_of_the_file() {
    let config = good(TWO, &[("BARGE_IN", "speech"), ("DIALOGFLOW_LANGUAGE", "it-IT"), ("DTMF_MAX_DIGITS", "9")]);
    let (sales, support) = (&config.agents["sales"], &config.agents["support"]);
    assert_eq!((sales.call.barge_in.mode, support.call.barge_in.mode), (BargeInMode::Voice, BargeInMode::Speech));
    assert_eq!((sales.language.as_str(), support.language.as_str()), ("it-IT", "de-DE"));
    assert_eq!((sales.call.dtmf.max_digits, support.call.dtmf.max_digits), (9, 4));
    let told: Vec<bool> = ["BARGE_IN ", "DIALOGFLOW_LANGUAGE "]
        .iter()
        .map(|name| config.notices.iter().any(|notice| notice.starts_with(name)))
        .collect();
    assert_eq!((told, config.notices.len()), (vec![true, true], 2), "{:?}", config.notices);
}

#[test]
fn an_empty_variable_is_none_and_an_empty_value_of_an_agent_takes_away_what_it_would_inherit() {
    let file = "text_goodbye = \"bye\"\n[agents.a]\ndialogflow_agent = \"projects/p/agent\"\n\
                [agents.b]\ndialogflow_agent = \"projects/p/agent\"\ntext_goodbye = \"\"";
    let config = good(file, &[("TEXT_GOODBYE", "")]);
    let goodbye = |name| config.agents[name].call.words.goodbye.as_deref();
    assert_eq!((goodbye("a"), goodbye("b")), (Some("bye"), None));
    assert!(config.notices.is_empty());
}

#[test]
fn an_empty_starting_text_is_a_value() {
    let file = "dialogflow_starting_text = \"hello\"\n[agents.a]\ndialogflow_agent = \"projects/p/agent\"";
    let text = |values: &[(&str, &str)]| good(file, values).agents["a"].call.starting_input.text.clone();
    assert_eq!(text(&[]).as_deref(), Some("hello"));
    assert_eq!(text(&[("DIALOGFLOW_STARTING_TEXT", "")]), None);
}

#[test]
fn the_service_has_its_settings_from_the_top_too() {
    let file = "port = 9000\nmax_calls = 7\ntwilio_auth_token = [\"new\", \"old\"]\n[agents.a]\ndialogflow_agent = \"projects/p/agent\"";
    let config = good(file, &[("PORT", "9001")]);
    assert_eq!((config.port, config.limits.max_calls, config.twilio.auth_tokens.len()), (9001, 7, 2));
}

#[test]
fn the_default_agent_is_the_one_of_that_name_or_the_environments_or_the_first() {
    let agents = |names: &[&str]| {
        let table = |name: &&str| format!("[agents.{name}]\ndialogflow_agent = \"projects/{name}/agent\"\n");
        names.iter().map(table).collect::<String>()
    };
    let default = |names: &[&str], values: &[(&str, &str)]| {
        let mut config = good(&agents(names), values);
        let name = config.default_agent.clone();
        (name, config.default_agent_mut().address.name().to_owned(), config.agents.len())
    };
    let is = |name: &str, project: &str, count| (name.to_owned(), format!("projects/{project}/agent"), count);
    assert_eq!(default(&["zebra", "ape"], &[]), is("zebra", "zebra", 2), "the first in the file, not in the alphabet");
    assert_eq!(default(&["zebra", "default"], &[]), is("default", "default", 2));
    let project = ("DIALOGFLOW_PROJECT_ID", "mine");
    assert_eq!(default(&["zebra", "ape"], &[project]), is("default", "mine", 3));
    assert_eq!(default(&["zebra", "default"], &[project]), is("default", "default", 2));
    let top = format!("dialogflow_project_id = \"top\"\n{}", agents(&["ape"]));
    assert_eq!(good(&top, &[]).default_agent_mut().address.name(), "projects/top/agent");
}

#[test]
fn agents_may_share_the_services_agent() {
    let config = good("[agents.de]\nlanguage = \"de\"\n[agents.fr]\nlanguage = \"fr\"", &[CX]);
    assert!(config.agents.values().all(|agent| agent.address.name() == CX.1));
    assert_eq!((config.default_agent.as_str(), config.agents.len()), ("default", 3));
}

#[test]
fn who_names_an_agent_one_way_does_not_inherit_it_the_other_way() {
    let file = "[agents.a]\ndialogflow_project_id = \"own\"\n[agents.b]\n";
    let config = good(file, &[CX]);
    assert_eq!(config.agents["a"].address.name(), "projects/own/agent");
    assert_eq!(config.agents["b"].address.name(), CX.1);
    let config = good("dialogflow_agent = \"projects/top/agent\"\n[agents.b]\n", &[ES]);
    assert_eq!(config.agents["b"].address.name(), "projects/my-project/agent");
    assert!(config.notices[0].starts_with("DIALOGFLOW_PROJECT_ID is set"), "{:?}", config.notices);
}

#[test]
fn the_voice_url_goes_before_the_called_number_and_that_before_the_default() {
    let config = good(TWO, &[]);
    for (named, called, agent) in [
        (Some("support"), Some("+15550100"), Some("support")),
        (None, Some("+15550100"), Some("sales")),
        (None, Some("+15550200"), Some("support")),
        (None, Some("+15559"), Some("sales")),
        (None, Some("+4930"), Some("support")),
        (None, None, Some("support")),
        (Some("nobody"), Some("+15550100"), None),
        (Some("default"), None, None),
    ] {
        assert_eq!(config.route(None, named, called, "+15550007"), agent, "{named:?} {called:?}");
    }
}

/// A file with an account, whose token stands in a file beside it, and an agent of that account.
fn with_account(account: &str, agents: &str) -> Result<Config, SettingErrors> {
    let folder = toml(&format!("[accounts.agency]\n{account}\n{agents}"));
    fs::write(folder.0.join("token"), "new, old\n").unwrap();
    fs::write(folder.0.join("empty"), "\n").unwrap();
    fs::write(folder.0.join("comma"), " ,\n").unwrap();
    config(&[
        ("DIALBRIDGE_CONFIG", &folder.path("agents.toml")),
        ("TWILIO_ACCOUNT_SID", MAIN),
        ("TWILIO_AUTH_TOKEN", "t"),
    ])
}

const MAIN: &str = "AC00000000000000000000000000000001";
const AGENCY: &str = "account_sid = \"AC00000000000000000000000000000002\"";
const THEIRS: &str = "[agents.ours]\ndialogflow_agent = \"projects/p/agent\"\nnumbers = [\"+1*\"]\n\
    [agents.theirs]\ndialogflow_agent = \"projects/q/agent\"\naccount = \"agency\"\nnumbers = [\"+49*\"]\n";

#[test]
fn each_account_has_its_own_tokens_and_its_calls_reach_its_own_agents_only() {
    let config = with_account(&format!("{AGENCY}\nauth_token_file = \"token\""), THEIRS).unwrap();
    let sid = "AC00000000000000000000000000000002";
    let tokens = |sid| config.twilio.tokens_of(sid).iter().map(Secret::expose).collect::<Vec<_>>();
    assert_eq!((tokens(Some(sid)), tokens(None), tokens(Some("AC3"))), (vec!["new", "old"], vec!["t"], vec!["t"]));
    let route = |account, named, called| config.route(account, named, called, "+15550100");
    assert_eq!(route(None, None, None), Some("ours"));
    assert_eq!(route(None, None, Some("+49301")), Some("ours"), "the number is another account's");
    assert_eq!(route(None, Some("theirs"), None), None);
    for called in [None, Some("+49301"), Some("+15550100")] {
        assert_eq!(route(Some(sid), None, called), Some("theirs"));
    }
    assert_eq!(route(Some(sid), Some("ours"), None), None);
    assert_eq!(route(Some("AC00000000000000000000000000000009"), None, None), Some("ours"), "a subaccount of ours");
    assert!(!format!("{config:?}").contains("new"));
}

#[test]
fn each_account_has_its_own_default_agent_and_its_own_numbers_wherever_they_stand_in_the_file() {
    let agents = "[agents.theirs]\ndialogflow_agent = \"projects/q/agent\"\naccount = \"agency\"\nnumbers = [\"+1555*\"]\n\
        [agents.ours]\ndialogflow_agent = \"projects/p/agent\"\n\
        [agents.desk]\ndialogflow_agent = \"projects/p/agent\"\nnumbers = [\"+1*\", \"+1555*\"]\n";
    let config = with_account(&format!("{AGENCY}\nauth_token_file = \"token\""), agents).unwrap();
    let route = |account, called| config.route(account, None, called, "+15550100");
    assert_eq!((route(None, None), route(None, Some("+15550100"))), (Some("ours"), Some("desk")));
    let sid = Some("AC00000000000000000000000000000002");
    assert_eq!((route(sid, None), route(sid, Some("+1444"))), (Some("theirs"), Some("theirs")));
    assert!(config.may_have("theirs", sid) && config.may_have("ours", Some("AC9")) && !config.may_have("theirs", None));

    let named = with_account(
        &format!("{AGENCY}\nauth_token_file = \"token\""),
        "[agents.default]\ndialogflow_agent = \"projects/q/agent\"\naccount = \"agency\"\n\
         [agents.ours]\ndialogflow_agent = \"projects/p/agent\"",
    );
    assert_eq!(named.unwrap().route(None, None, None, "+15550100"), Some("ours"));
}

#[test]
fn an_account_that_cannot_work_is_told_by_one_line() {
    for (account, agents, expected) in [
        (AGENCY.to_owned(), THEIRS, "accounts.agency.auth_token is not set: auth_token_file or auth_token_env"),
        (
            format!("{AGENCY}\nauth_token = \"planted\""),
            THEIRS,
            "accounts.agency.auth_token is a secret, which does not stand",
        ),
        (format!("{AGENCY}\nauth_token_file = \"nowhere\""), THEIRS, "accounts.agency.auth_token cannot be read from"),
        (format!("{AGENCY}\nauth_token_file = \"empty\""), THEIRS, "accounts.agency.auth_token is empty"),
        (format!("{AGENCY}\nauth_token_file = \"comma\""), THEIRS, "accounts.agency.auth_token is empty"),
        (
            format!("{AGENCY}\nauth_token_file = \"plantedplantedplantedplantedplan\""),
            THEIRS,
            "accounts.agency.auth_token is no file at auth_token_file",
        ),
        (
            format!("{AGENCY}\nauth_token_env = \"planted-token\""),
            THEIRS,
            "accounts.agency.auth_token is no variable at auth_token_env",
        ),
        (
            format!("{AGENCY}\nauth_token_file = \"token\"\napi_key_sid = \"SK1\"\napi_key_secret_file = \"nowhere\""),
            THEIRS,
            "accounts.agency.api_key_secret cannot be read",
        ),
        (
            format!("{AGENCY}\nauth_token_env = \"NO_SUCH_TOKEN\""),
            THEIRS,
            "accounts.agency.auth_token is to be in NO_SUCH_TOKEN, which is not set",
        ),
        ("auth_token_file = \"token\"".to_owned(), THEIRS, "accounts.agency.account_sid is not set"),
        (
            "account_sid = \"AC1\"\nauth_token_file = \"token\"".to_owned(),
            THEIRS,
            "accounts.agency.account_sid is no account's id",
        ),
        (
            format!("account_sid = \"{MAIN}\"\nauth_token_file = \"token\""),
            THEIRS,
            "accounts.agency has the id of TWILIO_",
        ),
        (
            format!("{AGENCY}\nauth_token_file = \"token\"\ntoken = 1"),
            THEIRS,
            "accounts.agency has token, which is nothing of",
        ),
        (
            format!("{AGENCY}\nauth_token_file = \"token\"\napi_key_sid = \"SK1\""),
            THEIRS,
            "accounts.agency.api_key_sid is set, but api_key_secret_file is not",
        ),
        (
            format!("{AGENCY}\nauth_token_file = \"token\""),
            "[agents.ours]\ndialogflow_agent = \"projects/p/agent\"",
            "accounts.agency has no agent",
        ),
        (
            format!("{AGENCY}\nauth_token_file = \"token\""),
            &(THEIRS.to_owned() + "backup = \"ours\""),
            "agents.theirs.backup is ours, an agent of another account",
        ),
        (
            format!("{AGENCY}\nauth_token_file = \"token\""),
            &(THEIRS.to_owned() + "share = { ours = 5 }"),
            "agents.theirs.share has a share for ours, an agent of another account",
        ),
        (
            format!("{AGENCY}\nauth_token_file = \"token\""),
            &(THEIRS.to_owned() + "[agents.x]\ndialogflow_agent = \"projects/p/agent\"\naccount = \"agencies\""),
            "agents.x.account is agencies, which is no account of the file",
        ),
    ] {
        let told = with_account(&account, agents).unwrap_err().to_string();
        assert!(told.contains(expected) && !told.contains("planted"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn a_chain_of_backups_is_fine_and_each_circle_of_them_is_told_once() {
    let agent = |name: &str, backup: &str| {
        format!("[agents.{name}]\ndialogflow_agent = \"projects/p/agent\"\nbackup = \"{backup}\"\n")
    };
    let chain = agent("a", "b") + &agent("b", "c") + "[agents.c]\ndialogflow_agent = \"projects/p/agent\"";
    let config = good(&chain, &[]);
    assert_eq!((&*config.backups["a"], &*config.backups["b"], config.backups.get("c")), ("b", "c", None));

    let circles = agent("x", "b") + &agent("b", "c") + &agent("c", "b") + &agent("d", "e") + &agent("e", "d");
    let told = with_file(&circles, &[]).unwrap_err().to_string();
    let lines: Vec<&str> = told.lines().filter(|line| line.contains("leads back")).collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert!(lines[0].ends_with("agents.b.backup leads back to b, which cannot be had then: b, c, b"), "{told}");
    assert!(lines[1].ends_with("agents.d.backup leads back to d, which cannot be had then: d, e, d"), "{told}");
}

#[test]
fn a_share_of_the_callers_gets_another_agent_unless_the_voice_url_names_one() {
    let file = "[agents.old]\nshare = { new = 50 }\nnumbers = [\"+15550100\"]\n\
                [agents.new]\nshare = { newest = 100 }\n[agents.newest]\n[agents.default]\nshare = { new = 50 }\nshare_seed = 7\n";
    let config = good(file, &[ES]);
    let callers: Vec<String> = (0..200).map(|n| format!("+1555{n:07}")).collect();
    let of = |named, called| {
        callers.iter().filter(|caller| config.route(None, named, called, caller) == Some("new")).count()
    };
    assert!((60..=140).contains(&of(None, Some("+15550100"))), "{}", of(None, Some("+15550100")));
    assert!((60..=140).contains(&of(None, None)), "the default agent has a share too: {}", of(None, None));
    assert_eq!((of(Some("old"), None), of(Some("new"), None)), (0, 200), "a named agent gets its calls");
}

#[cfg(feature = "lab")]
#[test]
fn files_stand_relative_to_the_one_that_names_them() {
    let folder = toml("[agents.a]\ndialogflow_agent = \"lab:scripts/a.toml\"\nrecord_dir = \"tapes\"");
    fs::create_dir_all(folder.0.join("scripts")).unwrap();
    fs::write(folder.0.join("scripts/a.toml"), "edition = \"es\"").unwrap();
    let config = config(&[("DIALBRIDGE_CONFIG", &folder.path("agents.toml"))]).unwrap();
    let agent = &config.agents["a"];
    assert_eq!(agent.address.edition(), "es");
    assert_eq!(agent.record_dir.as_deref(), Some(folder.0.join("tapes").as_path()));
}

#[test]
fn a_wrong_file_is_one_line_with_file_agent_and_key() {
    let a = "[agents.a]\ndialogflow_agent = \"projects/p/agent\"\n";
    let of_a = |line: &str| format!("{a}{line}");
    let of_cx = |line: &str| format!("[agents.a]\ndialogflow_agent = \"projects/p/locations/l/agents/a\"\n{line}");
    for (text, expected) in [
        (String::new(), "FILE names no agent"),
        ("x = [1,".to_owned(), "FILE: line 1 is no TOML: "),
        ("\n\nbarge_in off".to_owned(), "FILE: line 3 is no TOML: "),
        ("agents = 3".to_owned(), "FILE: agents is no table"),
        ("[agents]\na = 3".to_owned(), "FILE: agents.a is no table"),
        ("[agents.\"a b\"]".to_owned(), "FILE: agents.a b is no agent's name"),
        (format!("barge = \"off\"\n{a}"), "FILE: barge is no setting"),
        (of_a("barge = \"off\""), "FILE: agents.a.barge is no setting"),
        (
            of_a("BARGE_IN = \"off\""),
            "FILE: agents.a.BARGE_IN is no setting; in this file settings are written in small",
        ),
        (of_a("port = 1"), "FILE: agents.a.port is a setting of the whole service"),
        (of_a("ticket_key = \"k\""), "FILE: agents.a.ticket_key is a setting of the whole service"),
        (of_a("dialbridge_config = \"b.toml\""), "FILE: agents.a.dialbridge_config cannot stand in the file"),
        (format!("dialbridge_config = \"b.toml\"\n{a}"), "FILE: dialbridge_config cannot stand in the file"),
        (of_a("barge_in = 1979-05-27"), "FILE: agents.a.barge_in is neither a text"),
        (of_a("barge_in = { mode = \"off\" }"), "FILE: agents.a.barge_in is neither a text"),
        (of_a("phrase_hints = [\"a, b\"]"), "FILE: agents.a.phrase_hints has a comma"),
        (
            of_a("language = \"de\"\ndialogflow_language = \"fr\""),
            "FILE: agents.a.dialogflow_language stands there twice",
        ),
        (
            of_a("barge_in = \"on\""),
            "FILE: agents.a.barge_in is \"on\"; it can be off, speech or voice; for example barge_in = \"voice\"",
        ),
        (format!("barge_in = \"on\"\n{a}"), "FILE: barge_in is \"on\""),
        (format!("port = \"on\"\n{a}"), "FILE: port is \"on\""),
        (format!("dtmf_as = \"dtmf\"\n{a}"), "FILE: dtmf_as for agents.a is \"dtmf\""),
        (of_a("dialogflow_es_api = \"v9\""), "FILE: agents.a.dialogflow_es_api is \"v9\""),
        ("[agents.a]\nlanguage = \"de\"".to_owned(), "FILE: agents.a.dialogflow_agent is not set"),
        (of_a("numbers = 15550100"), "FILE: agents.a.numbers must be a list of texts"),
        (of_a("numbers = [15550100]"), "FILE: agents.a.numbers must be a list of texts"),
        (
            of_a("numbers = [\"+1555\", \"555 0100\"]"),
            "FILE: agents.a.numbers has no number as Twilio writes it at place 2",
        ),
        (
            of_a("numbers = [\"+1555\", \"+1555\"]"),
            "FILE: agents.a.numbers has at place 2 of its list what agents.a has",
        ),
        (
            format!(
                "{}[agents.b]\ndialogflow_agent = \"projects/p/agent\"\nnumbers = [\"+1*\"]",
                of_a("numbers = [\"+1*\"]\n")
            ),
            "FILE: agents.b.numbers has at place 1 of its list what agents.a has too",
        ),
        (of_a("share = 5"), "FILE: agents.a.share is no table of percentages"),
        (of_a("share = { b = 5 }"), "FILE: agents.a.share has a share for b, which is no agent of the file"),
        (of_a("share = { a = 5 }"), "FILE: agents.a.share has a share for a itself"),
        (of_a("share = { b = 101 }"), "FILE: agents.a.share has no share for b: it must be a percentage"),
        (of_a("backup = 5"), "FILE: agents.a.backup is no agent's name"),
        (of_a("backup = \"b\""), "FILE: agents.a.backup is b, which is no agent of the file"),
        (of_a("backup = \"a\""), "FILE: agents.a.backup leads back to a, which cannot be had then: a, a"),
        (of_a("share_seed = [7]"), "FILE: agents.a.share_seed must be a text or a number"),
        (of_a("parameters = 3"), "FILE: agents.a.parameters is no table"),
        (of_a("parameters.\"a b\" = 3"), "FILE: agents.a.parameters.a b is no parameter's name"),
        (of_cx("parameters.from = 3"), "FILE: agents.a: CALL_PARAMETERS tells From"),
        (
            of_cx("parameters.a = 3\nparameters.A = 4"),
            "FILE: agents.a.dialogflow_agent is a CX agent, which ignores the case of parameter names: the file has \"A\"",
        ),
        (of_a("parameters.x = nan"), "FILE: agents.a.parameters.x is no value that JSON"),
        (of_a("parameters.x = [[[[[[[[[1]]]]]]]]]"), "FILE: agents.a.parameters.x is no value that JSON"),
    ] {
        let told = fault(&text, &[]);
        assert!(told.starts_with(expected), "{told}");
    }
    let told = fault(a, &[("DTMF_AS", "dtmf")]);
    assert!(told.starts_with("FILE: agents.a: DTMF_AS is \"dtmf\"") && told.ends_with("DTMF_AS=text"), "{told}");
    assert!(fault(a, &[("PORT", "x")]).starts_with("PORT is \"x\""));
}

#[test]
fn a_fault_shows_no_number_and_no_headers_value() {
    let a = "[agents.a]\ndialogflow_agent = \"projects/p/agent\"\n";
    for line in ["numbers = [\"planted\"]", "numbers = [\"+1999\", \"+1999\"]", "webhook_headers = \"host: planted\""] {
        let told = fault(&format!("{a}{line}"), &[]);
        assert!(!told.contains("planted") && !told.contains("1999"), "{told}");
    }
}
