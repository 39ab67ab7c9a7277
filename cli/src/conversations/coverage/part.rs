//! The parts of an agent that a call can visit.

use std::fmt;

/// A part of an agent, by its display names. An empty page is the flow's start page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// A flow.
    Flow(String),
    /// A page of a flow.
    Page(String, String),
    /// An intent.
    Intent(String),
    /// A route of a flow or a page, by its intent.
    Route(String, String, String),
    /// An event handler of a flow or a page.
    Event(String, String, String),
}

impl Part {
    /// Its kind, in the plural.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Flow(_) => "flows",
            Self::Page(..) => "pages",
            Self::Intent(_) => "intents",
            Self::Route(..) => "routes",
            Self::Event(..) => "event handlers",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |flow: &str, page: &str| if page.is_empty() { flow.to_owned() } else { format!("{flow} / {page}") };
        match self {
            Self::Flow(flow) => write!(f, "flow {flow}"),
            Self::Page(flow, page) => write!(f, "page {flow} / {page}"),
            Self::Intent(intent) => write!(f, "intent {intent}"),
            Self::Route(flow, page, intent) => write!(f, "route {intent} of {}", place(flow, page)),
            Self::Event(flow, page, event) => write!(f, "event {event} of {}", place(flow, page)),
        }
    }
}
