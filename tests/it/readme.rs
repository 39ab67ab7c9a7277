//! Tests that everything the README and the documents show exists.

use std::fs;
use std::path::{Path, PathBuf};

use dialbridge::configure::{APIS, BUILDER_ROLE, DEPLOYER_ROLES};
use dialbridge_core::payload;
use dialbridge_runner::settings::{AgentAddress, EsApi, Platform, Settings};
use serde_json::Value;

fn top(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap()
}

#[test]
fn the_readmes_unit_test_is_one_of_ours() {
    let shown = top("README.md");
    assert!(shown.contains(top("tests/it/call_flow.rs").trim_end()));
}

#[test]
fn the_test_that_a_bad_call_becomes_is_the_examples() {
    let (page, example) = (top("docs/testing.md"), top("core/examples/call_flow/main.rs"));
    let shown = page.split("```rust\n").nth(2).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(example.contains(shown.trim_end()), "{shown}");
}

#[test]
fn the_story_that_newcomers_are_shown_is_one_of_ours() {
    let (page, stories) = (top("CONTRIBUTING.md"), top("core/tests/stories/dtmf.rs"));
    let shown = page.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let shown: Vec<&str> = shown.trim_end().lines().map(|line| line.strip_prefix("   ").unwrap_or(line)).collect();
    assert!(stories.contains(&shown.join("\n")), "{shown:?}");
}

/// Every page that our pages link to exists, and so does every linked heading.
#[test]
fn no_link_between_the_pages_is_broken() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = fs::read_dir(folder.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect();
    pages.extend(["README.md", "CONTRIBUTING.md"].map(|page| folder.join(page)));
    let mut checked = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.contains(' ') {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                assert!(anchors(&text).any(|anchor| anchor == heading), "{}: {link}", page.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

/// The link names of a page's headings.
fn anchors(page: &str) -> impl Iterator<Item = String> {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings.map(|heading| {
        let lower = heading.to_lowercase();
        let kept = lower.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().replace(' ', "-")
    })
}

/// The page for operators lists the figures that each instance counts, and no others.
#[tokio::test]
async fn the_page_of_operations_has_all_figures() {
    let page = top("docs/operations.md");
    let shown: std::collections::BTreeSet<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `dialbridge_"))
        .flat_map(|line| line.split('|').nth(1).unwrap().split('`').filter(|name| name.starts_with("dialbridge_")))
        .map(|name| name.strip_suffix("_total").unwrap_or(name))
        .collect();
    let harness = dialbridge_tests::Harness::with_script("").start();
    let text = harness.service.metrics_text();
    let told = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(shown, told);
}

#[test]
fn the_readme_deploys_as_configure_does() {
    let shown = top("README.md");
    for flags in dialbridge::configure::FLAGS {
        assert!(shown.contains(flags), "{flags}");
    }
}

/// A new project has neither the APIs nor the roles.
#[test]
fn the_readme_and_the_page_on_deploying_name_what_configure_names() {
    for page in ["README.md", "docs/deploy.md"] {
        let shown = top(page);
        let roles = DEPLOYER_ROLES.into_iter().chain([BUILDER_ROLE]);
        for name in APIS.into_iter().chain(roles).chain(["dialogflow.googleapis.com", "ces.googleapis.com"]) {
            assert!(shown.contains(name), "{page}: {name}");
        }
        let enabled = shown.split("gcloud services enable ").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
        assert!(APIS.iter().all(|api| enabled.contains(api)), "{page}: {enabled}");
    }
}

/// Somebody who copies our commands and files sends no caller to a place that is not his.
#[test]
fn no_caller_is_sent_to_an_example() {
    for file in ["README.md", "docs/deploy.md", "service.yaml", "app.yaml"] {
        assert!(!top(file).contains("https://example.com"), "{file}");
    }
}

#[test]
fn the_page_on_editions_has_the_locations_that_doctor_knows() {
    let page = top("docs/editions.md");
    for name in ["projects/p/locations/x/agents/a", "projects/p/locations/x/agent", "projects/p/locations/x/apps/a"] {
        let agent = AgentAddress::parse(name, EsApi::V2).unwrap();
        let (_, known) = agent.unknown_location().unwrap();
        let row = page.lines().filter(|line| line.contains("`global`")).find(|line| {
            let product = agent.edition().to_uppercase();
            line.starts_with(&format!("| {product} |"))
        });
        let row = row.unwrap_or_else(|| panic!("{name}"));
        assert!(known.iter().all(|location| row.contains(&format!("`{location}`"))), "{row}");
    }
}

/// Each product of a number and a price in the page on costs.
#[test]
fn the_sums_of_the_page_on_costs_are_right() {
    let page = top("docs/costs.md");
    let number = |text: &str| text.replace(',', "").parse::<f64>();
    let mut checked = 0;
    for (at, _) in page.match_indices(" × $") {
        let before = page[..at].trim_end_matches(" s").rsplit([' ', '|']).next().unwrap();
        let (price, rest) = page[at + " × $".len()..].split_once(' ').unwrap();
        let Some(sum) = rest.strip_prefix("= $") else { continue };
        let sum = sum.split([' ', '*', '\n']).next().unwrap().trim_end_matches('.');
        let (Ok(count), Ok(price), Ok(told)) = (number(before), number(price), number(sum)) else {
            panic!("{before} × {price} = {sum}");
        };
        let digits = sum.split_once('.').map_or(0, |(_, digits)| digits.len());
        let half_a_digit = 0.5 / 10_f64.powi(i32::try_from(digits).unwrap());
        assert!((count * price - told).abs() <= half_a_digit, "{before} × {price} = {sum}");
        checked += 1;
    }
    assert!(checked >= 8, "{checked}");
}

#[test]
fn the_readmes_settings_are_some_of_the_programs() {
    let readme = top("README.md");
    let settings = &readme[readme.find("## Settings").unwrap()..readme.find("## The hand-off").unwrap()];
    let rows = settings.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let names: Vec<&str> = rows.map(|(name, _)| name).collect();
    assert!(names.len() > 8);
    for name in names {
        assert!(Settings::names().any(|known| known == name), "{name}");
    }
}

#[test]
fn the_file_of_several_agents_that_is_shown_can_be_used() {
    let text = top("docs/settings.md");
    let toml = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let file = std::env::temp_dir().join(format!("dialbridge-shown-{}.toml", std::process::id()));
    fs::write(&file, toml).unwrap();
    let settings = Settings::of([("DIALBRIDGE_CONFIG", file.display().to_string())]);
    let config = settings.check(Platform::Elsewhere);
    fs::remove_file(file).unwrap();
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.agents.keys().collect::<Vec<_>>(), ["sales", "support"]);
    assert_eq!(config.route(None, None, Some("+15550123"), "CA1"), Some("sales"));
}

#[test]
fn the_custom_payloads_that_are_shown_are_understood() {
    let shown = top("docs/custom-payloads.md");
    let blocks = shown.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut understood = 0;
    for block in blocks {
        let value: Value = serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}"));
        let messages =
            ["/fulfillment_response/messages", "/fulfillmentMessages"].iter().find_map(|at| value.pointer(at));
        let payloads: Vec<&Value> = match messages {
            Some(messages) => {
                messages.as_array().unwrap().iter().filter_map(|message| message.get("payload")).collect()
            }
            None => vec![&value],
        };
        for shown in payloads {
            let actions = payload::actions(shown).unwrap_or_else(|error| panic!("{error}: {shown}"));
            assert!(!actions.is_empty(), "{shown}");
            understood += 1;
        }
    }
    assert_eq!(understood, 12);
}
