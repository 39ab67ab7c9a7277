//! What a caller gets when there is no room.

use dialbridge_core::twiml::{Verb, document};
use dialbridge_core::words::Sentence;

use crate::settings::AgentConfig;

/// The TwiML of a call that comes when `MAX_CALLS` are live: a redirect to the agent's `OVERFLOW_URL`, or a sentence in
/// the call's language (`None`: the agent's).
pub(crate) fn busy(agent: &AgentConfig, language: Option<&str>) -> String {
    match &agent.overflow_url {
        Some(url) => document(&[Verb::Redirect { url: url.clone() }]),
        None => document(&[agent.words(language).say(Sentence::Busy), Verb::Hangup]),
    }
}
