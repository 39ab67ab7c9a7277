//! Called numbers and their agents.

use std::collections::BTreeMap;

/// The maximum digits of a number with its country code (ITU-T E.164).
const MAX_DIGITS: usize = 15;

/// The maximum digits of a short code.
const MAX_SHORT_DIGITS: usize = 8;

/// Whether Twilio could send this as a number: E.164, a short code, or an address such as `sip:…` and `client:…`.
pub(super) fn is_number(number: &str) -> bool {
    let digits = |text: &str, most: usize| text.len() <= most && text.bytes().all(|b| b.is_ascii_digit());
    match (number.strip_prefix('+'), number.split_once(':')) {
        (Some(rest), _) => !rest.is_empty() && digits(rest, MAX_DIGITS),
        (None, Some((scheme, address))) => {
            let is_plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != '*');
            is_plain(scheme) && is_plain(address)
        }
        (None, None) => !number.is_empty() && digits(number, MAX_SHORT_DIGITS),
    }
}

/// A number or a prefix of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// This number.
    Exact(String),
    /// All numbers that begin with this. Empty: every number.
    Prefix(String),
}

impl Pattern {
    /// Reads a number, or a prefix that ends with `*`. `None` if the text is neither.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.strip_suffix('*') {
            Some(prefix) => {
                let is_prefix = prefix.is_empty() || prefix == "+" || prefix.ends_with(':') || is_number(prefix);
                is_prefix.then(|| Self::Prefix(prefix.to_owned()))
            }
            None => is_number(text).then(|| Self::Exact(text.to_owned())),
        }
    }
}

/// The agent of each called number.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Routes {
    exact: BTreeMap<String, String>,
    prefixes: BTreeMap<String, String>,
}

/// Numbers must not be in a log.
impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Routes({} numbers, {} prefixes)", self.exact.len(), self.prefixes.len())
    }
}

impl Routes {
    /// Routes calls to numbers of this pattern to an agent.
    ///
    /// # Errors
    /// The name of the agent that already has this pattern.
    pub(super) fn add(&mut self, pattern: Pattern, agent: &str) -> Result<(), String> {
        let (routes, number) = match pattern {
            Pattern::Exact(number) => (&mut self.exact, number),
            Pattern::Prefix(prefix) => (&mut self.prefixes, prefix),
        };
        match routes.get(&number) {
            Some(other) => Err(other.clone()),
            None => {
                routes.insert(number, agent.to_owned());
                Ok(())
            }
        }
    }

    /// The agent of a called number: the agent of the exact number, else that of the longest prefix.
    #[must_use]
    pub fn agent(&self, called: &str) -> Option<&str> {
        let of_prefix = || {
            let prefixes = self.prefixes.iter().filter(|(prefix, _)| called.starts_with(prefix.as_str()));
            prefixes.max_by_key(|(prefix, _)| prefix.len()).map(|(_, agent)| agent)
        };
        self.exact.get(called).or_else(of_prefix).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(all: &[(&str, &str)]) -> Routes {
        let mut routes = Routes::default();
        for (pattern, agent) in all {
            routes.add(Pattern::parse(pattern).unwrap(), agent).unwrap();
        }
        routes
    }

    #[test]
    fn the_number_itself_goes_before_the_longest_prefix() {
        let routes = routes(&[("+1555*", "far"), ("+15550100", "sales"), ("+155501*", "near"), ("sip:*", "sip")]);
        for (called, agent) in [
            ("+15550100", Some("sales")),
            ("+15550101", Some("near")),
            ("+1555010", Some("near")),
            ("+15559", Some("far")),
            ("+1555", Some("far")),
            ("+155", None),
            ("+4930", None),
            ("", None),
            ("sip:a@example.com", Some("sip")),
        ] {
            assert_eq!(routes.agent(called), agent, "{called}");
        }
    }

    #[test]
    fn a_star_alone_takes_every_call_that_nothing_else_takes() {
        let routes = routes(&[("*", "all"), ("+1*", "one")]);
        assert_eq!(
            (routes.agent("+4930"), routes.agent("+1"), routes.agent("")),
            (Some("all"), Some("one"), Some("all"))
        );
    }

    #[test]
    fn a_number_is_written_as_twilio_writes_it() {
        for good in ["+15550100", "+1555*", "+*", "*", "55555", "sip:me@example.com", "client:anna", "client:*"] {
            assert!(Pattern::parse(good).is_some(), "{good}");
        }
        for bad in
            ["", "+", "15550100123", "+1 555 0100", "+1(555)", "+1555*0", "anna", "+1234567890123456", "sip:", ":x"]
        {
            assert_eq!(Pattern::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_number_leads_to_one_agent() {
        let mut routes = routes(&[("+1555*", "a"), ("+1555", "b")]);
        assert_eq!(routes.add(Pattern::parse("+1555*").unwrap(), "b"), Err("a".to_owned()));
        assert_eq!(routes.add(Pattern::parse("+1555").unwrap(), "a"), Err("b".to_owned()));
        assert_eq!(format!("{routes:?}"), "Routes(1 numbers, 1 prefixes)");
    }
}
