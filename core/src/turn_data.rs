//! What a turn can bring to an agent besides its session parameters: the page at which the session goes on, and what a
//! generative agent should know of the caller.

use serde::{Deserialize, Serialize};

/// The `<Parameter>` that names the page at which a call begins (CX).
pub const PAGE_PARAMETER: &str = "page";

/// The prefix of a `<Parameter>` that tells something of the caller: `user.plan`.
pub const END_USER_PREFIX: &str = "user.";

/// The longest part of a page's name, in bytes.
const MAX_ID_BYTES: usize = 100;

/// Which of them an agent takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TurnData {
    /// Both, in every turn (CX `current_page`, `end_user_metadata`).
    #[default]
    EachTurn,
    /// The caller's data, when a stream opens (CES, for a Dialogflow agent that the app hands over to).
    AtOpening,
    /// Neither (ES).
    None,
}

impl TurnData {
    /// Whether the agent can go on at a page.
    #[must_use]
    pub fn has_pages(self) -> bool {
        self == Self::EachTurn
    }

    /// Whether the agent can be told of the caller.
    #[must_use]
    pub fn has_end_user(self) -> bool {
        self != Self::None
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether the text names a page: `flows/F/pages/P`, with or without the agent before it.
#[must_use]
pub fn is_page(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let ids = match parts[..] {
        ["flows", flow, "pages", page] => vec![flow, page],
        ["projects", project, "locations", location, "agents", agent, "flows", flow, "pages", page] => {
            vec![project, location, agent, flow, page]
        }
        _ => return false,
    };
    let is_sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    ids.iter().all(|id| (1..=MAX_ID_BYTES).contains(&id.len()) && id.chars().all(is_sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_named_with_its_flow_and_perhaps_with_its_agent() {
        let whole = "projects/example.com:p/locations/us-central1/agents/a-1/flows/f/pages/START_PAGE";
        for page in ["flows/00000000-0000-0000-0000-000000000000/pages/p_1", whole] {
            assert!(is_page(page), "{page}");
        }
        for other in ["", "p", "pages/p", "flows/f", "flows//pages/p", "flows/f/pages/p/x", "flows/f/pages/p q"] {
            assert!(!is_page(other), "{other}");
        }
        assert!(!is_page(&format!("flows/f/pages/{}", "p".repeat(MAX_ID_BYTES + 1))));
    }
}
