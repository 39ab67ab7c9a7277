//! The table writes the rows of docs/settings.md and the help of the command line.

use std::fs;
use std::path::Path;

use clap::Args as _;

use super::*;
use crate::settings::setting::{Declared, Otherwise, Scope};
use crate::settings::table::ALL;

const HEAD: &str = "| variable | values | default | of | meaning |\n| --- | --- | --- | --- | --- |\n";

/// The row of a setting.
fn row(setting: &dyn Declared) -> String {
    let facts = setting.facts();
    let default = match facts.otherwise {
        Otherwise::Nothing => "",
        Otherwise::Value(value) | Otherwise::Depends(value) => value,
    };
    let of = if facts.scope == Scope::Service { "service" } else { "agent" };
    let cells =
        [format!("`{}`", facts.name), setting.values(), default.to_owned(), of.to_owned(), marked(facts.help.trim())];
    let cells = cells.map(|cell| if cell.is_empty() { cell } else { format!(" {cell}") });
    format!("|{} |\n", cells.join(" |"))
}

/// The text with the names of settings marked as code.
fn marked(text: &str) -> String {
    let word = |word: &str| {
        let name = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_plain = !word.contains('`') && Settings::names().any(|known| known == name);
        if is_plain { word.replace(name, &format!("`{name}`")) } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// The page with the table's rows under each section's heading.
fn written(page: &str) -> String {
    let mut page = page.to_owned();
    let mut sections: Vec<&str> = ALL.iter().map(|setting| setting.facts().section).collect();
    sections.dedup();
    for section in sections {
        let heading = page.find(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("no heading {section}"));
        let begin = heading + page[heading..].find("\n| ").unwrap() + 1;
        let rest = page[begin..].split_inclusive('\n').take_while(|line| line.starts_with('|'));
        let end = begin + rest.map(str::len).sum::<usize>();
        let rows = ALL.iter().filter(|setting| setting.facts().section == section).map(|setting| row(*setting));
        page.replace_range(begin..end, &(HEAD.to_owned() + &rows.collect::<String>()));
    }
    page
}

/// `UPDATE_DOCS=1` writes the page.
#[test]
fn the_page_of_settings_has_the_tables_rows() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let page = fs::read_to_string(&file).unwrap();
    let expected = written(&page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(file, &expected).unwrap();
        return;
    }
    for (there, expected) in page.lines().zip(expected.lines()) {
        assert_eq!(there, expected, "run UPDATE_DOCS=1 cargo test settings");
    }
    assert_eq!(page, expected);
}

#[test]
fn no_row_stands_elsewhere_on_the_page() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md")).unwrap();
    assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), ALL.len());
}

#[test]
fn every_entry_of_the_table_can_be_told_to_people() {
    for setting in ALL {
        let (facts, example) = (setting.facts(), setting.example());
        assert!(!facts.help.trim().is_empty() && !facts.help.ends_with('.'), "{}", facts.name);
        assert!(!row(*setting).contains("  ") && row(*setting).matches('|').count() == 6, "{}", row(*setting));
        // This file does not exist.
        let is_file = setting.value_name() == "FILE";
        let errors = config(&[(facts.name, example)]).err();
        let is_wrong = errors.iter().flat_map(SettingErrors::iter).any(|error| error.name() == facts.name);
        assert!(!example.is_empty() && (is_file || !is_wrong), "{}: {errors:?}", facts.name);
        assert!(facts.needs.is_none_or(|needed| Settings::names().any(|name| name == needed)), "{}", facts.name);
    }
}

#[test]
fn help_has_a_line_for_each_setting_under_its_sections_heading() {
    let help = Settings::augment_args(clap::Command::new("dialbridge")).render_long_help().to_string();
    let line = help.find("\nConversation:\n").map(|begin| &help[begin..]).unwrap();
    let barge_in = line.find("--barge-in <CHOICE>").map(|begin| &line[begin..]).unwrap();
    assert!(barge_in.contains("What stops a prompt [off, speech, voice; default: speech]"), "{barge_in}");
    for setting in ALL {
        let facts = setting.facts();
        let flag = format!("--{} <{}>", facts.flag(), setting.value_name());
        assert!(help.contains(&flag) && help.contains(&format!("\n{}:\n", facts.section)), "{flag}");
    }
}
