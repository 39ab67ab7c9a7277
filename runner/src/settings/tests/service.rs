//! The settings of the service, and those of a single agent.

use clap::Args as _;
use dialbridge_core::config::StartingInput;

use super::*;
use crate::settings::{EsApi, Product};

#[test]
fn without_any_setting_it_is_the_lab_on_port_8080() {
    let config = config(&[]).unwrap();
    assert_eq!((config.port, config.default_agent.as_str(), config.agents.len()), (8080, "default", 1));
    assert_eq!(config.twilio.api_url, "https://api.twilio.com");
    let agent = agent(&[]);
    assert_eq!((agent.address.edition(), agent.language.as_str()), ("cx", "en-US"));
    assert_eq!(agent.call.starting_input.text.as_deref(), Some("hi"));
}

#[cfg(feature = "lab")]
#[test]
fn a_lab_agent_brings_its_script_along() {
    for embedded in [&[][..], &[("DIALOGFLOW_AGENT", "lab:")]] {
        assert_eq!(agent(embedded).lab.unwrap().file, None);
    }
    assert!(agent(&[CX]).lab.is_none());
    let error = config(&[("DIALOGFLOW_AGENT", "lab:nowhere.toml")]).unwrap_err().to_string();
    assert!(error.starts_with("DIALOGFLOW_AGENT ") && error.contains("nowhere.toml"), "{error}");
}

#[test]
fn an_empty_starting_text_means_to_listen_first() {
    assert_eq!(agent(&[("DIALOGFLOW_STARTING_TEXT", "")]).call.starting_input.text, None);
}

#[test]
fn a_project_alone_is_its_es_agent_greeted_by_the_welcome_event() {
    let es = agent(&[ES]);
    assert_eq!(es.address.name(), "projects/my-project/agent");
    assert_eq!(es.call.starting_input, StartingInput { event: Some("WELCOME".to_owned()), text: None });
    assert_eq!(agent(&[ES, BETA]).address.product(), Product::Es(EsApi::V2Beta1));
}

#[test]
fn in_public_it_does_not_start_without_signatures() {
    let refused =
        |values: &[(&str, &str)], name| only(&settings(values).check(Platform::CloudRun).unwrap_err()).name() == name;
    assert!(refused(&[], "TWILIO_AUTH_TOKEN"));
    assert!(refused(&[("ALLOW_UNSIGNED", "true")], "TICKET_KEY"));
    assert!(settings(&[("ALLOW_UNSIGNED", "true"), ("TICKET_KEY", "k")]).check(Platform::CloudRun).is_ok());
    assert!(settings(&[("TWILIO_AUTH_TOKEN", "t")]).check(Platform::AppEngine).is_ok());
}

#[test]
fn an_admin_token_is_long_and_its_fault_does_not_show_it() {
    let token = |value| settings(&[("ADMIN_TOKEN", value)]).check(Platform::Elsewhere).map(|config| config.admin_token);
    assert_eq!(token("sixteen-chars-xx").unwrap().unwrap().expose(), "sixteen-chars-xx");
    assert_eq!(token(" ").unwrap(), None);
    for wrong in ["planted", "planted planted planted"] {
        let error = token(wrong).unwrap_err().to_string();
        assert!(!error.contains("planted"), "{error}");
    }
}

#[test]
fn edge_and_region_make_the_api_url() {
    let url = |values: &[(&str, &str)]| config(values).unwrap().twilio.api_url;
    let edge = |edge| ("TWILIO_EDGE", edge);
    assert_eq!(url(&[edge("dublin"), ("TWILIO_REGION", "ie1")]), "https://api.dublin.ie1.twilio.com");
    assert_eq!(url(&[edge("ashburn")]), "https://api.ashburn.us1.twilio.com");
    assert_eq!(url(&[("TWILIO_API_URL", "http://127.0.0.1:9/")]), "http://127.0.0.1:9");
}

#[test]
fn calls_migrate_where_the_platform_cuts_sockets() {
    let migrate_after = |values: &[(&str, &str)], platform| {
        let mut all = values.to_vec();
        all.push(("TWILIO_AUTH_TOKEN", "t"));
        settings(&all).check(platform).unwrap().default_agent_mut().call.migrate_after_ms
    };
    assert_eq!(migrate_after(&[], Platform::CloudRun), 3_300_000);
    assert_eq!(migrate_after(&[], Platform::AppEngine), 3_300_000);
    assert_eq!(migrate_after(&[], Platform::Elsewhere), 0);
    assert_eq!(migrate_after(&[("MIGRATE_AFTER_SECONDS", "0")], Platform::CloudRun), 0);
    assert_eq!(migrate_after(&[("MIGRATE_AFTER_SECONDS", "600")], Platform::Elsewhere), 600_000);
}

#[test]
fn a_configuration_that_is_printed_shows_no_secret() {
    let config = config(&[
        ("TWILIO_AUTH_TOKEN", "planted-token,planted-old-token"),
        ("TICKET_KEY", "planted-key"),
        ("TWILIO_API_KEY_SID", "SK1"),
        ("TWILIO_API_KEY_SECRET", "planted-secret"),
        ("WEBHOOK_HEADERS", "Authorization: Bearer planted-header"),
        ("ADMIN_TOKEN", "planted-admin-token"),
    ]);
    let printed = format!("{:?}", config.unwrap());
    assert!(!printed.contains("planted"), "{printed}");
}

#[test]
fn every_setting_is_a_flag_and_a_variable() {
    let command = Settings::augment_args(clap::Command::new("dialbridge"));
    let variables = command.get_arguments().filter_map(|arg| arg.get_env()).map(|name| name.to_str().unwrap());
    assert_eq!(variables.collect::<Vec<_>>(), Settings::names().collect::<Vec<_>>());
    let flags: Vec<&str> = command.get_arguments().filter_map(|arg| arg.get_long()).collect();
    assert!(["config", "record", "barge-in"].iter().all(|flag| flags.contains(flag)), "{flags:?}");
}

#[test]
fn every_setting_has_its_heading_in_the_help_and_secrets_show_no_value() {
    let command = Settings::augment_args(clap::Command::new("dialbridge"));
    for arg in command.get_arguments().filter(|arg| arg.get_env().is_some()) {
        assert!(arg.get_help_heading().is_some(), "{arg}");
        let is_secret = ["TOKEN", "SECRET", "KEY", "HEADERS"].iter().any(|word| {
            let name = arg.get_env().unwrap().to_string_lossy().into_owned();
            name.ends_with(word)
        });
        assert_eq!(arg.is_hide_env_values_set(), is_secret, "{arg}");
    }
}

#[test]
fn secrets_and_numbers_are_not_shown() {
    let settings = settings(&[
        ("BARGE_IN", "voice"),
        ("TWILIO_AUTH_TOKEN", "planted-token"),
        ("TICKET_KEY", "planted-key"),
        ("TWILIO_API_KEY_SECRET", "planted-secret"),
        ("WEBHOOK_HEADERS", "X-A: planted-header"),
        ("DIAL_CALLER_ID", "+15550planted"),
        ("END_OF_INTERACTION_URL", "https://planted:pw@example.com/a?key=planted"),
        ("PORT", ""),
    ]);
    let shown = settings.shown().join(" ");
    assert!(!shown.contains("planted") && !shown.contains("pw"), "{shown}");
    assert!(shown.starts_with("BARGE_IN=\"voice\" DIAL_CALLER_ID=…"), "{shown}");
    assert!(shown.contains("END_OF_INTERACTION_URL=\"https://…@example.com/a?…\""), "{shown}");
    assert!(shown.contains("PORT=\"\""), "{shown}");
}
