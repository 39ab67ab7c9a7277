//! The `<Parameter>`s of a media stream: what the call's agent is told besides the caller's audio.

use std::collections::BTreeSet;

use dialbridge_core::CallSid;
use dialbridge_core::call_facts::{FACT_PREFIX, PARAMETER_PREFIX, is_outbound, is_sip_header};
use dialbridge_core::parameters::NameCase;
use dialbridge_core::turn_data::{END_USER_PREFIX, PAGE_PARAMETER, TurnData, is_page};

use super::webhook::Webhook;
use crate::service::admission::Admission;
use crate::settings::{AgentConfig, Product};
use crate::twilio::actions::query;
use crate::twilio::ticket::CallInfo;

/// Twilio's limit for a `<Parameter>`, name and value together ("under 500 characters",
/// <https://www.twilio.com/docs/voice/twiml/stream>). We count UTF-16 units, of which there are never fewer than characters.
const MAX_PARAMETER_CHARS: usize = 499;

/// How much of a document `<Parameter>`s may take, in bytes. Twilio takes 64 kB (error 11750 beyond it).
const MAX_WRITTEN_BYTES: usize = 48_000;

/// How much of a document a `<Parameter>` takes besides its name and value, in bytes.
const WRITTEN_BYTES: usize = r#"<Parameter name="" value=""></Parameter>"#.len();

/// The most characters of left-out names in one log line.
const MAX_SHOWN_CHARS: usize = 300;

/// Facts that every media stream's `start` has, or that are the two numbers.
const KNOWN_FACTS: [&str; 4] = ["From", "To", "CallSid", "AccountSid"];

/// The fact that says who placed the call.
const DIRECTION: &str = "Direction";

/// A parameter's name and value.
type Pair = (String, String);

/// The name of a parameter that is left out, and why.
type LeftOut = (String, &'static str);

/// The two numbers, the facts that core needs or that the agent is told, and what the voice-url tells: session parameters, the
/// page at which the call begins, and the caller's data. Leaves out and logs the parameters that Twilio or the agent would refuse.
pub(super) fn parameters(
    admission: &Admission,
    webhook: &Webhook,
    call_sid: &CallSid,
    info: &CallInfo,
) -> Vec<(String, String)> {
    let Some(agent) = admission.agent(&info.agent) else { return Vec::new() };
    let number = |name: &str, twilios: &str| Some((name.to_owned(), webhook.parameter(twilios)?.to_owned()));
    let numbers = [number("from", "From"), number("to", "To")].into_iter().flatten();
    // Its backup may have to go on with this media stream, and may take more.
    let backup = admission.config.backups.get(&info.agent).and_then(|backup| admission.agent(backup));
    let agents: Vec<&AgentConfig> = std::iter::once(agent).chain(backup.filter(|_| info.backup_of.is_none())).collect();
    let (named, mut left_out) = named(webhook, &agents);
    let (taken, without_room) =
        fitting(numbers.chain(facts(webhook, &agents)).chain(named), agent.call.parameter_names);
    left_out.extend(without_room);
    if matches!(agent.address.product(), Product::Es(_)) {
        // The others keep their session's parameters.
        let pairs = taken.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        left_out.extend(query(pairs).left_out.into_iter().map(|name| (name, "the action URL has no room for it")));
    }
    if !left_out.is_empty() {
        admission.left_out(&info.agent, "parameter", left_out.len());
        log(admission, call_sid, &left_out);
    }
    taken
}

/// What the voice-url tells the agents, as far as one of them takes it.
fn named(webhook: &Webhook, agents: &[&AgentConfig]) -> (Vec<Pair>, Vec<LeftOut>) {
    let takes = |what: fn(TurnData) -> bool| agents.iter().any(|agent| what(agent.call.turn_data));
    let (mut taken, mut left_out) = (Vec::new(), Vec::new());
    for (name, value) in &webhook.query {
        let fault = if name.starts_with(PARAMETER_PREFIX) {
            None
        } else if name.starts_with(END_USER_PREFIX) {
            (!takes(TurnData::has_end_user)).then_some("an agent of Dialogflow ES is not told of the caller")
        } else if name != PAGE_PARAMETER || value.is_empty() {
            continue;
        } else if !takes(TurnData::has_pages) {
            Some("only an agent of Dialogflow CX has pages")
        } else {
            (!is_page(value)).then_some("a page is named flows/F/pages/P")
        };
        match fault {
            None => taken.push((name.clone(), value.clone())),
            Some(why) => left_out.push((name.clone(), why)),
        }
    }
    (taken, left_out)
}

/// The facts that core needs or that one of the agents is told. Twilio sends SIP headers only with a call's first request; later ones
/// bring them in the URL.
fn facts<'a>(webhook: &'a Webhook, agents: &[&'a AgentConfig]) -> impl Iterator<Item = (String, String)> + use<'a> {
    let chosen = agents.iter().flat_map(|agent| &agent.call.call_parameters).map(|told| told.fact.as_str());
    let placed = is_outbound(webhook.parameter(DIRECTION)).then_some(DIRECTION);
    let names: BTreeSet<&str> = chosen.filter(|fact| !KNOWN_FACTS.contains(fact)).chain(placed).collect();
    names.into_iter().filter_map(|fact| {
        let name = format!("{FACT_PREFIX}{fact}");
        let carried = || webhook.in_query(&name).filter(|_| is_sip_header(fact));
        let value = webhook.fact(fact).or_else(carried)?.to_owned();
        Some((name, value))
    })
}

/// The parameters that Twilio takes, each name once; and the names of the others, with the reason.
fn fitting(parameters: impl Iterator<Item = Pair>, names: NameCase) -> (Vec<Pair>, Vec<LeftOut>) {
    let (mut taken, mut left_out, mut bytes) = (Vec::<Pair>::new(), Vec::new(), 0);
    let mut seen = BTreeSet::new();
    for (name, value) in parameters {
        let one = if names == NameCase::Ignored { name.to_lowercase() } else { name.clone() };
        let written = WRITTEN_BYTES + written_bytes(&name) + written_bytes(&value);
        let fault = if seen.contains(&one) {
            Some("another parameter has the same name")
        } else if name.encode_utf16().count() + value.encode_utf16().count() > MAX_PARAMETER_CHARS {
            Some("Twilio takes names and values of less than 500 characters")
        } else if bytes + written > MAX_WRITTEN_BYTES {
            Some("Twilio takes documents of 64 kB")
        } else {
            None
        };
        match fault {
            Some(fault) => left_out.push((name, fault)),
            None => {
                seen.insert(one);
                bytes += written;
                taken.push((name, value));
            }
        }
    }
    (taken, left_out)
}

/// The bytes that a text takes as an attribute.
fn written_bytes(text: &str) -> usize {
    text.chars()
        .map(|c| if matches!(c, '&' | '<' | '>' | '"' | '\'') || c.is_ascii_control() { 6 } else { c.len_utf8() })
        .sum()
}

/// One line for each reason, without values.
fn log(admission: &Admission, call_sid: &CallSid, left_out: &[LeftOut]) {
    let Some(withheld) = admission.parameter_log.allow() else { return };
    let reasons: BTreeSet<&str> = left_out.iter().map(|(_, why)| *why).collect();
    for why in reasons {
        let names: Vec<&str> = left_out.iter().filter(|(_, other)| *other == why).map(|(name, _)| &**name).collect();
        let (count, names) = (names.len(), names.join(", ").chars().take(MAX_SHOWN_CHARS).collect::<String>());
        tracing::warn!(call_sid = %call_sid, names, count, why, withheld, "parameters of the voice-url are left out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(parameters: &[(String, String)], names: NameCase) -> Vec<(String, &'static str)> {
        let (taken, left_out) = fitting(parameters.iter().cloned(), names);
        assert_eq!(taken.len() + left_out.len(), parameters.len());
        left_out
    }

    fn one(name: &str, value: &str) -> [(String, String); 1] {
        [(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn a_parameter_is_measured_in_characters_as_twilio_does_it() {
        let name = "param.note";
        for (value, fits) in [("x".repeat(489), true), ("x".repeat(490), false), ("\u{1F35E}".repeat(244), true)] {
            assert_eq!(left_out(&one(name, &value), NameCase::Exact).is_empty(), fits, "{}", value.chars().count());
        }
        assert_eq!(left_out(&one(name, &"\u{e9}".repeat(489)), NameCase::Exact), [], "978 bytes");
    }

    #[test]
    fn as_many_are_taken_as_the_document_has_room_for() {
        let many = |n: usize, value: &str| -> Vec<(String, String)> {
            (0..n).map(|n| (format!("param.p{n}"), value.to_owned())).collect()
        };
        assert!(left_out(&many(300, "x"), NameCase::Exact).is_empty());
        let full = left_out(&many(300, &"&".repeat(450)), NameCase::Exact);
        assert_eq!((full.len(), full[0].1), (300 - 17, "Twilio takes documents of 64 kB"));
    }

    #[test]
    fn two_names_that_are_one_to_the_agent_are_not_sent_both() {
        let both = [one("param.shop", "a"), one("param.Shop", "b")].concat();
        assert_eq!(
            left_out(&both, NameCase::Ignored),
            [("param.Shop".to_owned(), "another parameter has the same name")]
        );
        assert!(left_out(&both, NameCase::Exact).is_empty());
    }
}
