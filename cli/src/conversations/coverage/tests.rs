use super::*;
use std::fs;
use std::path::PathBuf;

/// An export that goes with the test.
struct Package(PathBuf);

impl Package {
    fn of(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("dialbridge-export-{name}-{}", std::process::id()));
        for (file, text) in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(root)
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        // If it cannot be removed, the system does it later.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn visit(intent: &str, matched: Matched, flow: &str, page: &str) -> Visit {
    let [intent, flow, page] = [intent, flow, page].map(ToOwned::to_owned);
    Visit { intent, matched, flow, page }
}

#[test]
fn the_parts_of_a_cx_package_that_calls_visit_are_told_and_those_that_they_do_not() {
    let start = r#"{"displayName":"Default Start Flow","transitionRoutes":[{"intent":"order.bread"},{"intent":"hours"},{"condition":"true"}],
        "eventHandlers":[{"event":"sys.no-match-default"},{"event":"sys.no-input-default"}]}"#;
    let confirm = r#"{"displayName":"Confirm","transitionRoutes":[{"intent":"yes"},{"intent":"hours"}]}"#;
    let package = Package::of(
        "cx",
        &[
            ("flows/Default Start Flow/Default Start Flow.json", start),
            ("flows/Default Start Flow/pages/Confirm.json", confirm),
            ("flows/Checkout/Checkout.json", r#"{"displayName":"Checkout"}"#),
            ("intents/hours/hours.json", r#"{"displayName":"hours"}"#),
            ("intents/yes/yes.json", r#"{"displayName":"yes"}"#),
            ("intents/yes/trainingPhrases/en.json", "{}"),
            ("agent.json", "{}"),
        ],
    );
    let mut coverage = Coverage::of(&package.0).unwrap();
    let flow = "Default Start Flow";
    let visits = vec![
        visit("order.bread", Matched::Yes, flow, "Confirm"),
        visit("", Matched::NoMatch, flow, "Confirm"),
        visit("hours", Matched::Yes, flow, "Confirm"),
    ];
    coverage.add(&SeenCall { visits, ..SeenCall::default() });
    let lines = coverage.lines();
    let counts = "visited: 1 of 2 flows, 1 of 1 pages, 1 of 2 intents, 2 of 4 routes, 1 of 2 event handlers; 1 routes by a condition alone cannot be told";
    assert!(lines.starts_with(counts), "{lines}");
    for missed in [
        "flow Checkout",
        "intent yes",
        "route hours of Default Start Flow",
        "route yes of Default Start Flow / Confirm",
        "event sys.no-input-default of Default Start Flow",
    ] {
        assert!(lines.lines().any(|line| line == format!("  not visited: {missed}")), "{missed}: {lines}");
    }
    assert_eq!(coverage.json()["routes"]["visited"], 2);
}

#[test]
fn the_intents_of_an_es_export_are_read_without_their_phrases() {
    let files = [
        ("intents/order.bread.json", r#"{"name":"order.bread"}"#),
        ("intents/order.bread_usersays_en.json", "[]"),
        ("intents/hours.json", r#"{"name":"hours"}"#),
    ];
    let package = Package::of("es", &files);
    let mut coverage = Coverage::of(&package.0).unwrap();
    coverage.add(&SeenCall { visits: vec![visit("hours", Matched::Yes, "", "")], ..SeenCall::default() });
    assert_eq!(coverage.lines(), "visited: 1 of 2 intents\n  not visited: intent order.bread");
}

#[test]
fn what_is_no_export_is_told() {
    let package = Package::of("no", &[("app.json", "{}")]);
    let error = Coverage::of(&package.0).unwrap_err();
    assert!(error.contains("has no flows/ and no intents/") && error.contains("CES app"), "{error}");
    assert!(Coverage::of(&package.0.join("app.json")).unwrap_err().contains("the zip archive cannot be read"));
    let wrong = Package::of("wrong", &[("intents/a.json", "{")]);
    assert!(Coverage::of(&wrong.0).unwrap_err().contains("intents/a.json: EOF"));
    assert!(Coverage::of(&wrong.0.join("no.zip")).is_err());
}
