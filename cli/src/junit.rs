//! JUnit's XML, as GitHub, GitLab, Jenkins and Cloud Build's triggers read it. By hand: quick-junit costs the first build 6 s
//! of CPU for these forty lines.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

/// One test.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Its class: the file that it belongs to.
    pub class: String,
    /// How long it took.
    pub took: Duration,
    /// Its outcome.
    pub outcome: Outcome,
}

/// The outcome of a test.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It passed; with a note if there is something to say.
    Passed(Option<String>),
    /// It failed: in short, and in full.
    Failed(String, String),
    /// It could not be run.
    Broken(String, String),
}

/// Whether a report can be written to that file. Makes the file if there is none.
///
/// # Errors
/// A sentence with its path.
pub fn check_writable(path: &Path) -> Result<(), String> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    opened.map(drop).map_err(|error| format!("{}: {error}", path.display()))
}

/// The document of these tests.
#[must_use]
pub fn document(cases: &[Case], took: Duration) -> String {
    let count = |is_counted: &dyn Fn(&Outcome) -> bool| cases.iter().filter(|case| is_counted(&case.outcome)).count();
    let failures = count(&|outcome| matches!(outcome, Outcome::Failed(..)));
    let errors = count(&|outcome| matches!(outcome, Outcome::Broken(..)));
    let counts =
        format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{}\"", cases.len(), time(took));
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite name=\"dialbridge\" {counts}>\n"
    );
    for Case { name, class, took, outcome } in cases {
        let (name, class, took) = (escaped(name), escaped(class), time(*took));
        // Writing to a String does not fail.
        let _ = write!(xml, "    <testcase name=\"{name}\" classname=\"{class}\" time=\"{took}\">");
        let _ = match outcome {
            Outcome::Passed(None) => Ok(()),
            Outcome::Passed(Some(note)) => write!(xml, "<system-out>{}</system-out>", escaped(note)),
            Outcome::Failed(why, text) => {
                write!(xml, "<failure message=\"{}\">{}</failure>", escaped(why), escaped(text))
            }
            Outcome::Broken(why, text) => write!(xml, "<error message=\"{}\">{}</error>", escaped(why), escaped(text)),
        };
        xml.push_str("</testcase>\n");
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

fn time(took: Duration) -> String {
    format!("{}.{:03}", took.as_secs(), took.subsec_millis())
}

/// Text for XML, without the characters that XML cannot hold.
fn escaped(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\t' => xml.push_str("&#9;"),
            '\n' => xml.push_str("&#10;"),
            '\r' => xml.push_str("&#13;"),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => xml.push('\u{FFFD}'),
            c => xml.push(c),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_and_line_breaks_are_kept_and_what_xml_cannot_hold_is_replaced() {
        let text = "a\tb\r\n<&>\"\u{1}\u{1b}[0m";
        let failed = Outcome::Failed(text.to_owned(), text.to_owned());
        let case = Case { name: text.to_owned(), class: "c".to_owned(), took: Duration::ZERO, outcome: failed };
        let xml = document(&[case], Duration::ZERO);
        let read = roxmltree::Document::parse(&xml).unwrap();
        let of = |tag: &str| read.descendants().find(|node| node.has_tag_name(tag)).unwrap();
        let kept = "a\tb\r\n<&>\"\u{FFFD}\u{FFFD}[0m";
        assert_eq!((of("testcase").attribute("name"), of("failure").text()), (Some(kept), Some(kept)));
    }
}
