//! What a caller gets when there is no room.

use dialbridge_core::twiml::{Verb, document};

use crate::settings::AgentConfig;

/// What the caller hears if the agent has no `OVERFLOW_URL`.
const BUSY_TEXT: &str = "All our lines are busy at the moment. Please call again in a few minutes.";

/// The TwiML of a call that comes when `MAX_CALLS` are live: a redirect to the agent's `OVERFLOW_URL`, or a sentence.
pub(crate) fn busy(agent: &AgentConfig) -> String {
    match &agent.overflow_url {
        Some(url) => document(&[Verb::Redirect { url: url.clone() }]),
        None => document(&[Verb::Say { text: BUSY_TEXT.to_owned() }, Verb::Hangup]),
    }
}
