//! Which parts of an agent the calls of a run have visited, and which not.

mod export;
mod part;
mod zip;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::seen::{Matched, SeenCall, Visit};
use export::Export;
use part::Part;

/// The kinds of parts, in the order in which they are told.
const KINDS: [&str; 5] = ["flows", "pages", "intents", "routes", "event handlers"];

/// How many parts without a visit are named in the text.
const MAX_NAMED: usize = 60;

/// The flow in which a call begins.
const START_FLOW: &str = "Default Start Flow";

/// The page in which a flow begins.
const START_PAGE: &str = "Start Page";

/// An agent's parts, and those that were visited.
#[derive(Debug)]
pub struct Coverage {
    export: Export,
    visited: BTreeSet<Part>,
}

impl Coverage {
    /// Reads an agent's export.
    ///
    /// # Errors
    /// A sentence that says why it cannot be read.
    pub fn of(path: &Path) -> Result<Self, String> {
        Export::read(path).map(|export| Self { export, visited: BTreeSet::new() })
    }

    /// Adds the visits of a call.
    pub fn add(&mut self, call: &SeenCall) {
        let (mut flow, mut page) = (START_FLOW.to_owned(), String::new());
        for Visit { intent, matched, flow: to_flow, page: to_page } in &call.visits {
            if !intent.is_empty() {
                self.visited.insert(Part::Intent(intent.clone()));
                self.handler(&flow, &page, |flow, page| Part::Route(flow, page, intent.clone()));
            }
            let event = match matched {
                Matched::Yes => None,
                Matched::NoMatch => Some("sys.no-match-default"),
                Matched::NoInput => Some("sys.no-input-default"),
            };
            if let Some(event) = event {
                self.handler(&flow, &page, |flow, page| Part::Event(flow, page, event.to_owned()));
            }
            if !to_flow.is_empty() {
                self.visited.insert(Part::Flow(to_flow.clone()));
                flow.clone_from(to_flow);
            }
            if !to_page.is_empty() {
                self.visited.insert(Part::Page(flow.clone(), to_page.clone()));
                page = if to_page == START_PAGE { String::new() } else { to_page.clone() };
            }
        }
    }

    /// The handler of a page, or of its flow if the page has none.
    fn handler(&mut self, flow: &str, page: &str, part: impl Fn(String, String) -> Part) {
        let own = part(flow.to_owned(), page.to_owned());
        let visited = if self.export.parts.contains(&own) { own } else { part(flow.to_owned(), String::new()) };
        self.visited.insert(visited);
    }

    fn parts<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Part> {
        self.export.parts.iter().filter(move |part| part.kind() == kind)
    }

    fn missed(&self) -> impl Iterator<Item = &Part> {
        self.export.parts.iter().filter(|part| !self.visited.contains(part))
    }

    /// How many of each kind were visited, and of how many.
    fn counts(&self) -> impl Iterator<Item = (&'static str, usize, usize)> {
        KINDS.into_iter().filter_map(|kind| {
            let all = self.parts(kind).count();
            let visited = self.parts(kind).filter(|part| self.visited.contains(part)).count();
            (all > 0).then_some((kind, visited, all))
        })
    }

    /// The lines for people.
    #[must_use]
    pub fn lines(&self) -> String {
        let counts: Vec<String> =
            self.counts().map(|(kind, visited, all)| format!("{visited} of {all} {kind}")).collect();
        let mut lines = format!("visited: {}", counts.join(", "));
        if self.export.conditions > 0 {
            // Writing to a String does not fail.
            let _ = write!(lines, "; {} routes by a condition alone cannot be told", self.export.conditions);
        }
        for part in self.missed().take(MAX_NAMED) {
            let _ = write!(lines, "\n  not visited: {part}");
        }
        let rest = self.missed().count().saturating_sub(MAX_NAMED);
        if rest > 0 {
            let _ = write!(lines, "\n  … and {rest} more");
        }
        lines
    }

    /// All as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let of_kind = |(kind, visited, all): (&'static str, usize, usize)| {
            let names = |is_visited: bool| {
                let parts = self.parts(kind).filter(move |part| self.visited.contains(part) == is_visited);
                parts.map(|part| part.to_string().into()).collect::<Vec<Value>>()
            };
            (
                kind.replace(' ', "_"),
                json!({ "visited": visited, "all": all, "missed": names(false), "hit": names(true) }),
            )
        };
        self.counts().map(of_kind).collect::<serde_json::Map<_, _>>().into()
    }
}

#[cfg(test)]
mod tests;
