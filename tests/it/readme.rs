//! What the README shows is what is there.

use std::fs;
use std::path::Path;

fn top(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap()
}

#[test]
fn the_readmes_unit_test_is_one_of_ours() {
    let shown = top("README.md");
    assert!(shown.contains(top("tests/it/call_flow.rs").trim_end()));
}

#[test]
fn the_readmes_settings_are_the_programs_and_the_other_way_round() {
    let readme = top("README.md");
    let source = top("runner/src/settings/mod.rs");
    let known: Vec<&str> = source.split("env = \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(known.len() > 20);
    for name in known {
        assert!(readme.contains(&format!("| `{name}`")), "{name} is not in the README's table");
    }
}
