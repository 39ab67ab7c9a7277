//! The URLs by which a call comes back to any instance: `<Connect action>` and `<Dial action>`. Each contains the
//! call's state and the session parameters of the voice-url. Another instance does not know these, and an ES agent
//! keeps none.

use std::sync::Arc;

use dialbridge_core::call_facts::{FACT_PREFIX, PARAMETER_PREFIX, is_sip_header, is_telephone_address};
use dialbridge_core::handoff::MAX_TWIML_CHARS;
use dialbridge_core::turn_data::{END_USER_PREFIX, PAGE_PARAMETER};
use dialbridge_core::twiml::with_dial_action;

use super::ticket::{State, TicketSigner};
use crate::paths::{CONNECT_ENDED, DIAL_ENDED};
use crate::settings::PublicUrl;

/// How many bytes of session parameters an action URL contains.
const MAX_QUERY_BYTES: usize = 2_000;

/// Where a call comes back to when its stream has ended. Contains the session parameters among `parameters`.
pub(crate) fn connect_action<'a>(
    public: &PublicUrl,
    signer: &TicketSigner,
    state: &State,
    parameters: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    public.http(&format!("{CONNECT_ENDED}?{}s={}", query(parameters).text, signer.issue_state(state)))
}

/// Where a call comes back to when nobody has answered its transfer.
#[derive(Debug, Clone)]
pub struct DialAction {
    /// The URL at which Twilio reaches this service.
    pub public: PublicUrl,
    /// Signs the state.
    pub signer: Arc<TicketSigner>,
    /// The call's state when its stream begins. `None` for a call from the browser, whose URL cannot be used.
    pub state: Option<State>,
}

impl DialAction {
    /// Adds the action to the `<Dial>` of a document, with this number of failed turns. The URL contains `query`
    /// ([`query`]), unless the document would become too long.
    pub(crate) fn put_into(&self, twiml: &str, query: &str, failed_turns: u32) -> String {
        let state = self.state.clone().map_or_else(
            || "STATE".to_owned(),
            |mut state| {
                state.info.failed_turns = failed_turns;
                self.signer.issue_state(&state)
            },
        );
        let with = |query: &str| with_dial_action(twiml, &self.public.http(&format!("{DIAL_ENDED}?{query}s={state}")));
        let whole = with(query);
        if whole.chars().count() < MAX_TWIML_CHARS {
            return whole;
        }
        if !query.is_empty() {
            tracing::warn!("a transfer has no room for the session parameters: an ES agent lacks them afterwards");
        }
        with("")
    }
}

/// Session parameters in the query of a URL.
#[derive(Debug, Default)]
pub(crate) struct Query {
    /// To begin a query that goes on with `s`.
    pub(crate) text: String,
    /// The names of those that do not fit.
    pub(crate) left_out: Vec<String>,
}

/// What the agent is told by the voice-url among `parameters`, and the SIP headers, which Twilio sends only with the first
/// request. They are in alphabetical order, because Twilio may sort a query before it asks or before it signs. No telephone
/// address is among them.
pub(crate) fn query<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> Query {
    let is_carried = |name: &str, value: &str| {
        let is_header = name.strip_prefix(FACT_PREFIX).is_some_and(is_sip_header) && !is_telephone_address(value);
        is_header || name == PAGE_PARAMETER || [PARAMETER_PREFIX, END_USER_PREFIX].iter().any(|it| name.starts_with(it))
    };
    let mut named: Vec<_> = parameters.filter(|(name, value)| is_carried(name, value)).collect();
    named.sort_unstable();
    named.into_iter().fold(Query::default(), |mut query, (name, value)| {
        let pair = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
        if query.text.len() + pair.len() < MAX_QUERY_BYTES {
            query.text.push_str(&pair);
            query.text.push('&');
        } else {
            query.left_out.push(name.to_owned());
        }
        query
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::twiml::DIAL_ACTION;

    #[test]
    fn a_transfer_that_would_become_too_long_goes_without_the_parameters() {
        let public = PublicUrl::at_root(true, "e.com");
        let action = DialAction { public, signer: Arc::new(TicketSigner::new(&[], &[]).unwrap()), state: None };
        let dial = |to: &str| action.put_into(&format!("{DIAL_ACTION} {to}"), "param.shop=north&", 0);
        assert_eq!(dial("+15550123"), "https://e.com/dial-ended?param.shop=north&amp;s=STATE +15550123");
        let long = "x".repeat(MAX_TWIML_CHARS - 50);
        assert_eq!(dial(&long), format!("https://e.com/dial-ended?s=STATE {long}"));
        assert_eq!(action.put_into("<Hangup/>", "param.shop=north&", 0), "<Hangup/>");
    }

    #[test]
    fn session_parameters_and_no_others_are_brought_back_as_far_as_they_fit() {
        let long = "x".repeat(1_200);
        let parameters = [
            ("from", "+15550100"),
            ("param.shop", "north side&"),
            ("param.a", &*long),
            ("param.b", &long),
            ("param.c", "1"),
            ("call.Direction", "inbound"),
            ("call.SipHeader_X-Shop", "n"),
            ("call.SipHeader_X-Desk", "sip:+15550155@pbx.example.com"),
            ("page", "flows/F/pages/P"),
            ("user.plan", "gold"),
        ];
        let query = query(parameters.into_iter());
        assert_eq!(query.left_out, ["param.b"]);
        let expected = format!(
            "call.SipHeader_X-Shop=n&page=flows%2FF%2Fpages%2FP&param.a={long}&param.c=1&param.shop=north+side%26&user.plan=gold&"
        );
        assert_eq!(query.text, expected, "in alphabetical order");
    }
}
